//! A contiguous piece of the log.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{Run, Seq};
use crate::onebot::event::Head;
use crate::onebot::frame::encode_text;
use crate::onebot::message::{Converted, convert_event};
use crate::onebot::{MessageFormat, scan};

/// Events that arrived together, as WebSocket text frames side by side.
#[derive(Debug)]
pub struct Segment {
    first: Seq,
    appended: Instant,
    wire: Bytes,
    entries: Box<[Entry]>,
    /// Whether any event has a message of this form.
    has_arrays: bool,
    has_strings: bool,
    /// The same events with all messages as arrays, made when first asked for.
    arrays: OnceLock<Conversion>,
    /// The same with all messages as strings.
    strings: OnceLock<Conversion>,
}

/// A segment in another form.
#[derive(Debug)]
struct Conversion {
    segment: Arc<Segment>,
    /// Messages that could not be converted.
    left: usize,
}

/// One event in its segment.
#[derive(Debug)]
struct Entry {
    /// Where its frame begins in `wire`.
    frame: u32,
    /// Where the JSON text begins. It ends where the next frame begins.
    text: u32,
    head: Head,
}

/// An event as a reader sees it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its number.
    pub seq: Seq,
    /// Its routing fields.
    pub head: &'a Head,
    /// Its exact JSON text.
    pub text: &'a [u8],
}

impl Segment {
    /// Number of the first event.
    #[must_use]
    pub fn first(&self) -> Seq {
        self.first
    }

    /// Number behind the last event.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.first.plus(self.entries.len())
    }

    /// When it was appended.
    #[must_use]
    pub fn appended(&self) -> Instant {
        self.appended
    }

    /// Bytes of memory it holds, bookkeeping and other forms included.
    pub(super) fn cost(&self) -> usize {
        let forms = [&self.arrays, &self.strings].into_iter().filter_map(OnceLock::get);
        let converted: usize = forms.map(|form| form.segment.cost()).sum();
        size_of::<Self>() + self.wire.len() + self.entries.len() * size_of::<Entry>() + converted
    }

    /// The same events with all messages in the form `format`, which is this segment itself if no event has
    /// one in the other form. If it had to be made now, `made` is told how many messages stayed as they were.
    pub(super) fn in_format(self: &Arc<Self>, format: MessageFormat, made: impl FnOnce(usize)) -> Arc<Self> {
        let (has_foreign, form) = match format {
            MessageFormat::Array => (self.has_strings, &self.arrays),
            MessageFormat::String => (self.has_arrays, &self.strings),
        };
        if !has_foreign {
            return Arc::clone(self);
        }
        let mut is_new = false;
        let conversion = form.get_or_init(|| {
            is_new = true;
            self.convert(format)
        });
        if is_new {
            made(conversion.left);
        }
        Arc::clone(&conversion.segment)
    }

    fn convert(&self, format: MessageFormat) -> Conversion {
        let mut builder = SegmentBuilder::default();
        let mut left = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            let text = self.text(index, entry);
            let converted = if entry.head.message_format.is_some_and(|found| found != format) {
                convert_event(text, format)
            } else {
                Converted::default()
            };
            left += converted.left;
            let reread = converted.text.and_then(|text| {
                let head = Head::read(&text, &scan(&text).ok()?);
                Some((text, head))
            });
            match reread {
                Some((text, head)) => builder.push(&text, head),
                None => builder.push(text, entry.head),
            }
        }
        Conversion { segment: Arc::new(builder.finish(self.first, self.appended)), left }
    }

    /// Bytes on the wire of the events with index `from..to`.
    pub(super) fn wire_len(&self, from: usize, to: usize) -> usize {
        self.frame_start(to).saturating_sub(self.frame_start(from))
    }

    fn text(&self, index: usize, entry: &Entry) -> &[u8] {
        self.wire.get(entry.text as usize..self.frame_start(index + 1)).unwrap_or_default()
    }

    fn frame_start(&self, index: usize) -> usize {
        self.entries.get(index).map_or(self.wire.len(), |entry| entry.frame as usize)
    }
}

impl Run {
    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// Whether it holds no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to == self.from
    }

    /// The unmasked frames of all its events, without copying.
    #[must_use]
    pub fn wire(&self) -> Bytes {
        let segment = &self.segment;
        segment.wire.slice(segment.frame_start(self.from)..segment.frame_start(self.to))
    }

    /// Its events, in order.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let segment = &self.segment;
        let entries = segment.entries.iter().enumerate().take(self.to).skip(self.from);
        entries.map(|(index, entry)| Event {
            seq: segment.first.plus(index),
            head: &entry.head,
            text: segment.text(index, entry),
        })
    }

    /// The longest parts of it in which `wanted` holds for every event.
    pub fn filtered<'a>(&'a self, wanted: impl Fn(Event<'_>) -> bool + 'a) -> impl Iterator<Item = Run> + 'a {
        let mut verdicts = self.events().map(wanted).zip(self.from..self.to).peekable();
        std::iter::from_fn(move || {
            while verdicts.next_if(|(wanted, _)| !wanted).is_some() {}
            let (_, from) = verdicts.next()?;
            let mut to = from + 1;
            while verdicts.next_if(|(wanted, _)| *wanted).is_some() {
                to += 1;
            }
            Some(Run { from, to, ..self.clone() })
        })
    }
}

/// Collects the events of one read of the upstream.
#[derive(Debug, Default)]
pub struct SegmentBuilder {
    wire: BytesMut,
    entries: Vec<Entry>,
}

impl SegmentBuilder {
    /// Adds an event. Its text is copied, so that the buffer it was read into can go.
    pub fn push(&mut self, text: &[u8], head: Head) {
        let frame = self.wire.len();
        let header = encode_text(text, &mut self.wire);
        self.entries.push(Entry { frame: frame as u32, text: (frame + header) as u32, head });
    }

    /// Whether nothing was added since the last segment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The segment, sized to what it holds; the builder is empty again.
    pub(super) fn finish(&mut self, first: Seq, appended: Instant) -> Segment {
        let wire = Bytes::copy_from_slice(&self.wire);
        self.wire.clear();
        let entries: Box<[Entry]> = self.entries.drain(..).collect();
        let has = |format| entries.iter().any(|entry| entry.head.message_format == Some(format));
        Segment {
            first,
            appended,
            wire,
            has_arrays: has(MessageFormat::Array),
            has_strings: has(MessageFormat::String),
            entries,
            arrays: OnceLock::new(),
            strings: OnceLock::new(),
        }
    }
}
