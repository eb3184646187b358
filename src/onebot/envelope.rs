//! The top level of one frame, found in one validating pass.
//!
//! A frame is only ever read at its top level: which keys it has and where their values lie. What is
//! inside a value is checked to be JSON and otherwise left alone, so it reaches its reader byte for byte.

#[cfg(test)]
pub(super) mod arbitrary;
mod grammar;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use thiserror::Error;

pub(super) use self::grammar::{Cursor, Name};
use super::echo::EchoSpan;

/// Deepest nesting of objects and arrays that is accepted; the outermost object counts as one.
///
/// No `OneBot` frame comes near it. The limit keeps a peer from making the *other* side's recursive
/// parser overflow its stack with a frame the gateway let through.
pub const MAX_DEPTH: usize = 512;

/// Finds the top-level members of `text`, which must be valid UTF-8 (the WebSocket layer sees to that).
///
/// The whole text is held against RFC 8259: strings, escapes, numbers, literals, nesting, trailing
/// bytes. As in `JSON.parse`, which `LLOneBot` reads with, the last of several equal keys wins, a key
/// written with escapes is the key it spells, and a lone surrogate (`"\ud83d"`) is accepted.
///
/// # Errors
///
/// [`Malformed`] says what was wrong and at which byte.
pub fn scan(text: &[u8]) -> Result<Envelope, Malformed> {
    if u32::try_from(text.len()).is_err() {
        return Err(Malformed::TooLong);
    }
    let mut cursor = Cursor::new(text);
    cursor.skip_whitespace();
    if cursor.peek() != b'{' {
        let kind = JsonType::of(cursor.rest());
        cursor.value(0)?;
        cursor.end()?;
        return Err(Malformed::NotAnObject(kind));
    }
    let mut envelope = Envelope::EMPTY;
    let mut more = cursor.open(b'}');
    while more {
        let key_at = cursor.position();
        let name = cursor.key()?;
        let start = cursor.position();
        cursor.value(1)?;
        if let Some(key) = name.key() {
            envelope.record(key, key_at, Span { start: start as u32, end: cursor.position() as u32 });
        }
        more = cursor.next_item(b'}')?;
    }
    cursor.end()?;
    Ok(envelope)
}

/// Where the values of a frame's top-level members lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    values: [Span; Key::COUNT],
    /// Where the `echo` member's key begins; meaningful only when there is one.
    echo_key: u32,
    ambiguous: bool,
}

impl Envelope {
    const EMPTY: Self = Self { values: [Span::ABSENT; Key::COUNT], echo_key: 0, ambiguous: false };

    /// The raw JSON text of `key`'s value, if the frame has that key.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Span> {
        self.values.get(key as usize).copied().filter(|span| *span != Span::ABSENT)
    }

    /// What the frame is, by the rule every `OneBot` client library uses: `post_type` makes an event,
    /// else `action` makes a call, and anything else answers one.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.get(Key::PostType).is_some() {
            Kind::Event
        } else if self.get(Key::Action).is_some() {
            Kind::Call
        } else {
            Kind::Reply
        }
    }

    /// Where the `echo` member lies, if the frame has one.
    #[must_use]
    pub fn echo(&self) -> Option<EchoSpan> {
        self.get(Key::Echo).map(|value| EchoSpan { key: self.echo_key, value })
    }

    /// Whether a [`Key`] occurs more than once. [`get`](Self::get) finds the last, as `LLOneBot` does;
    /// `go-cqhttp` takes the first, so whoever decides on such an object cannot know what it will do.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    fn record(&mut self, key: Key, key_at: usize, value: Span) {
        if let Some(slot) = self.values.get_mut(key as usize) {
            self.ambiguous |= *slot != Span::ABSENT;
            *slot = value;
        }
        if key == Key::Echo {
            self.echo_key = key_at as u32;
        }
    }
}

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It has a `post_type`.
    Event,
    /// It has an `action`.
    Call,
    /// Neither: it answers a call.
    Reply,
}

/// A range of bytes of the frame it was found in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// No value can begin at byte 0, which is the frame's own brace.
    const ABSENT: Self = Self { start: 0, end: 0 };

    /// The bytes of `text` it covers; empty if `text` is not the frame it was found in and too short.
    #[must_use]
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// As [`Span::of`], sharing `frame`'s memory.
    #[must_use]
    pub fn slice(self, frame: &Bytes) -> Bytes {
        frame.slice_ref(self.of(frame))
    }

    /// The same string without its quotes; `None` if this is not a string or is written with escapes.
    ///
    /// Enough for protocol words such as `"group"`, which nobody escapes.
    #[must_use]
    pub(super) fn unquoted(self, text: &[u8]) -> Option<Self> {
        let inner = self.of(text).strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        (!inner.contains(&b'\\')).then_some(Self { start: self.start + 1, end: self.end - 1 })
    }
}

/// Why a text is not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Malformed {
    /// The text breaks the grammar of JSON.
    #[error("not JSON: {what} at byte {at}")]
    NotJson {
        /// Offset of the byte that cannot stand there; the text's length if something is missing.
        at: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The text is JSON but no object.
    #[error("expected a JSON object but got {0} at byte 0")]
    NotAnObject(JsonType),
    /// Objects and arrays are nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep {
        /// Offset of the bracket that went too deep.
        at: usize,
    },
    /// The text does not fit into the 4 GiB a [`Span`] can address.
    #[error("longer than 4 GiB")]
    TooLong,
}

/// The types of JSON, named as `JavaScript` names them in error messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JsonType {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// Any number.
    Number,
    /// Any string.
    String,
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

impl JsonType {
    /// The type of the value that `text`, valid JSON without leading whitespace, begins with.
    pub(super) fn of(text: &[u8]) -> Self {
        match text.first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

impl std::fmt::Display for JsonType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

macro_rules! keys {
    ($($key:ident = $name:literal),* $(,)?) => {
        /// A key that calls, replies, routing or filters look at.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Key {
            $(#[doc = concat!("`", $name, "`")] $key,)*
        }

        impl Key {
            const ALL: &[Self] = &[$(Self::$key),*];

            /// The key as it stands on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$key => $name),* }
            }
        }
    };
}

keys! {
    Action = "action", Params = "params", Echo = "echo",
    Status = "status", Retcode = "retcode", Data = "data", Message = "message", Stream = "stream",
    PostType = "post_type", MessageType = "message_type", NoticeType = "notice_type",
    RequestType = "request_type", MetaEventType = "meta_event_type", SubType = "sub_type",
    Time = "time", SelfId = "self_id", UserId = "user_id", GroupId = "group_id", TargetId = "target_id",
    OperatorId = "operator_id", SenderId = "sender_id", MessageId = "message_id", Flag = "flag",
    Interval = "interval", RawMessage = "raw_message", MessageFormat = "message_format", Sender = "sender",
    Context = "context", NoCache = "no_cache", Type = "type", Online = "online",
    StreamId = "stream_id",
}

impl Key {
    const COUNT: usize = Self::ALL.len();

    /// The key of this name: one look into a table without collisions, one comparison.
    #[inline]
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        let key = SLOTS.get(slot(name)).copied().flatten()?;
        (key.name().as_bytes() == name).then_some(key)
    }
}

const SLOT_COUNT: usize = 64;

/// Chosen so that no two keys share a slot; [`SLOTS`] does not compile if a new key breaks that.
#[inline]
const fn slot(name: &[u8]) -> usize {
    match name {
        [first, second, .., last] => {
            (*first as usize * 21 + *second as usize * 3 + *last as usize * 2 + name.len()) % SLOT_COUNT
        }
        _ => 0,
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses a bad index")]
static SLOTS: [Option<Key>; SLOT_COUNT] = {
    let mut slots = [None; SLOT_COUNT];
    let mut keys = Key::ALL;
    while let [key, rest @ ..] = keys {
        let slot = slot(key.name().as_bytes());
        assert!(slots[slot].is_none(), "two keys share a slot: choose other factors");
        slots[slot] = Some(*key);
        keys = rest;
    }
    slots
};
