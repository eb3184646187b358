//! Events as a log; every reader is a [`Cursor`].
//!
//! What one read of the upstream brought is appended as one [`Segment`]: the events as unmasked
//! WebSocket text frames, which are the same for every consumer, side by side. A reader that
//! takes everything writes ranges of these bytes; others pick single events out of them. Nothing
//! else in the program queues events, so memory is bounded here, once.
//!
//! A reader sees messages in the form its cursor was made for. Where the upstream's is another, a
//! segment is converted as a whole when a reader first comes to it, and shared by all that follow.

mod segment;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::onebot::MessageFormat;
use crate::telemetry::metrics::JournalMetrics;

pub use segment::{Event, Segment, SegmentBuilder};

/// `[journal]`: what is kept for readers that are behind. The oldest goes first, over any bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Events kept.
    pub events: usize,
    /// Bytes kept, bookkeeping and converted messages included; the newest segment is kept whatever its
    /// size.
    pub bytes: usize,
    /// Time for which an event is kept.
    pub age: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { events: 10_000, bytes: 64 << 20, age: Duration::from_mins(10) }
    }
}

/// The number of an event: 1 for the first, without holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl Seq {
    /// The number `count` further on.
    #[must_use]
    pub fn plus(self, count: usize) -> Self {
        Self(self.0 + count as u64)
    }

    /// Events from `earlier` up to this one; 0 if that is none.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A reader's place, and how it wants messages to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The next event it has not seen.
    next: Seq,
    format: MessageFormat,
}

impl Cursor {
    /// A reader that has seen everything before `next` and wants messages in the form `format`.
    #[must_use]
    pub fn at(next: Seq, format: MessageFormat) -> Self {
        Self { next, format }
    }

    /// The next event.
    #[must_use]
    pub fn next(self) -> Seq {
        self.next
    }

    /// Goes on with `seq`.
    pub fn move_to(&mut self, seq: Seq) {
        self.next = seq;
    }
}

/// Consecutive events of one segment.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where they are.
    pub segment: Arc<Segment>,
    /// Index of the first.
    pub from: usize,
    /// Index behind the last.
    pub to: usize,
}

/// The log of one account.
#[derive(Debug)]
pub struct Journal {
    epoch: u64,
    config: Config,
    log: Mutex<Log>,
    end: watch::Sender<Seq>,
    metrics: JournalMetrics,
}

#[derive(Debug)]
struct Log {
    segments: VecDeque<Kept>,
    /// The oldest event that can be read. It may lie inside the first segment.
    first: Seq,
    /// The number the next event will get.
    end: Seq,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    segment: Arc<Segment>,
    /// What it counts for in `bytes`.
    cost: usize,
}

impl Journal {
    /// An empty log.
    #[must_use]
    pub fn new(config: Config, metrics: JournalMetrics) -> Self {
        let log = Log { segments: VecDeque::new(), first: Seq(1), end: Seq(1), bytes: 0 };
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Self { epoch, config, log: Mutex::new(log), end: watch::Sender::new(Seq(1)), metrics }
    }

    /// Tells this log from those of earlier runs, whose numbers mean other events: when it began,
    /// in milliseconds since 1970.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Appends what `builder` holds, drops what is over the bounds, and wakes the readers.
    pub fn append(&self, builder: &mut SegmentBuilder, now: Instant) {
        if builder.is_empty() {
            return;
        }
        let end = {
            let mut log = self.lock();
            let segment = Arc::new(builder.finish(log.end, now));
            log.end = segment.end();
            let cost = segment.cost();
            log.bytes += cost;
            log.segments.push_back(Kept { segment, cost });
            log.retain(&self.config, now);
            self.report(&log);
            log.end
        };
        self.end.send_replace(end);
    }

    /// Drops what has become too old, for times in which nothing is appended.
    pub fn expire(&self, now: Instant) {
        let mut log = self.lock();
        log.retain(&self.config, now);
        self.report(&log);
    }

    /// The number the next event will get.
    #[must_use]
    pub fn end(&self) -> Seq {
        *self.end.borrow()
    }

    /// A reader that sees everything from now on, with messages in the form `format`.
    #[must_use]
    pub fn cursor(&self, format: MessageFormat) -> Cursor {
        Cursor { next: self.end(), format }
    }

    /// Tells a reader when the end has moved.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.end.subscribe()
    }

    /// Moves `cursor` over the events before `up_to` and appends them to `runs`, whole runs
    /// until `bytes` are reached. Returns how many events the reader missed because they had
    /// left the journal: it goes on with the oldest that is left.
    pub fn read(&self, cursor: &mut Cursor, up_to: Seq, bytes: usize, runs: &mut Vec<Run>) -> u64 {
        let already = runs.len();
        let missed = self.read_unconverted(cursor, up_to, bytes, runs);
        // Outside the lock: converting takes time in which the link must not wait to append.
        for run in runs.iter_mut().skip(already) {
            let converted = run.segment.in_format(cursor.format, |left| {
                self.metrics.unconverted.inc_by(left as u64);
                self.recount(&run.segment);
            });
            run.segment = converted;
        }
        missed
    }

    /// As [`read`](Self::read), with messages in whatever form they came, for a reader that does not look at
    /// them.
    pub fn read_unconverted(
        &self,
        cursor: &mut Cursor,
        up_to: Seq,
        bytes: usize,
        runs: &mut Vec<Run>,
    ) -> u64 {
        self.lock().read(cursor, up_to, bytes, runs)
    }

    /// Makes a segment count for what it holds now.
    fn recount(&self, segment: &Segment) {
        let mut log = self.lock();
        log.recount(segment.first());
        // Only the bound on bytes can be passed by this, which no clock is needed for.
        log.retain(&self.config, segment.appended());
        self.report(&log);
    }

    fn report(&self, log: &Log) {
        self.metrics.events.set(log.end.since(log.first).cast_signed());
        self.metrics.bytes.set(log.bytes.cast_signed() as i64);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        // A panic elsewhere cannot leave the log half changed in a way that matters: at worst a
        // bound is applied one append later.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn read(&self, cursor: &mut Cursor, up_to: Seq, bytes: usize, runs: &mut Vec<Run>) -> u64 {
        let missed = self.first.since(cursor.next);
        cursor.next = cursor.next.max(self.first);
        let up_to = up_to.min(self.end);
        let behind = self.segments.partition_point(|kept| kept.segment.end() <= cursor.next);
        let mut taken = 0;
        for Kept { segment, .. } in self.segments.range(behind..) {
            if segment.first() >= up_to || taken >= bytes {
                break;
            }
            let from = cursor.next.since(segment.first()) as usize;
            let to = up_to.min(segment.end()).since(segment.first()) as usize;
            if from >= to {
                break;
            }
            taken += segment.wire_len(from, to);
            runs.push(Run { segment: Arc::clone(segment), from, to });
            cursor.next = segment.first().plus(to);
        }
        missed
    }

    fn recount(&mut self, first: Seq) {
        let at = self.segments.partition_point(|kept| kept.segment.first() < first);
        if let Some(kept) = self.segments.get_mut(at).filter(|kept| kept.segment.first() == first) {
            let cost = kept.segment.cost();
            self.bytes = self.bytes - kept.cost + cost;
            kept.cost = cost;
        }
    }

    /// Moves `first` until every bound holds, and frees the segments before it.
    fn retain(&mut self, config: &Config, now: Instant) {
        self.first = self.first.max(Seq(self.end.0.saturating_sub(config.events as u64)));
        while let Some(Kept { segment: oldest, cost }) = self.segments.front() {
            let over = self.bytes > config.bytes && self.segments.len() > 1;
            let old = now.saturating_duration_since(oldest.appended()) > config.age;
            if !over && !old && oldest.end() > self.first {
                break;
            }
            self.first = self.first.max(oldest.end());
            self.bytes = self.bytes.saturating_sub(*cost);
            self.segments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::onebot::{Head, scan};
    use crate::telemetry::Metrics;

    fn journal(config: Config) -> Journal {
        Journal::new(config, Metrics::new().unwrap().journal())
    }

    fn append(journal: &Journal, events: &[String], now: Instant) {
        let mut builder = SegmentBuilder::default();
        for event in events {
            builder.push(event.as_bytes(), Head::read(b"{}", &scan(b"{}").unwrap()));
        }
        journal.append(&mut builder, now);
    }

    fn read_all(journal: &Journal, cursor: &mut Cursor) -> (Vec<String>, u64) {
        let mut runs = Vec::new();
        let missed = journal.read(cursor, journal.end(), usize::MAX, &mut runs);
        let texts = runs
            .iter()
            .flat_map(Run::events)
            .map(|event| String::from_utf8(event.text.to_vec()).unwrap())
            .collect();
        (texts, missed)
    }

    fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|n| format!("{{\"n\":{n}}}")).collect()
    }

    #[test]
    fn a_cursor_sees_what_comes_after_it_in_order_and_once() {
        let journal = journal(Config::default());
        let now = Instant::now();
        append(&journal, &numbered(0..3), now);
        let mut cursor = journal.cursor(MessageFormat::Array);
        append(&journal, &numbered(3..5), now);
        append(&journal, &numbered(5..9), now);
        assert_eq!(read_all(&journal, &mut cursor), (numbered(3..9), 0));
        assert_eq!(read_all(&journal, &mut cursor), (vec![], 0));
    }

    #[test]
    fn a_read_stops_where_it_is_told_even_inside_a_segment() {
        let journal = journal(Config::default());
        let mut cursor = journal.cursor(MessageFormat::Array);
        append(&journal, &numbered(0..10), Instant::now());
        let mut runs = Vec::new();
        journal.read(&mut cursor, Seq(4), usize::MAX, &mut runs);
        assert_eq!(runs.iter().flat_map(Run::events).count(), 3);
        assert_eq!(cursor.next(), Seq(4));
    }

    #[test]
    fn a_reader_that_fell_off_skips_and_is_told_how_many() {
        let journal = journal(Config { events: 4, ..Config::default() });
        let mut cursor = journal.cursor(MessageFormat::Array);
        for n in 0..10 {
            append(&journal, &numbered(n..n + 1), Instant::now());
        }
        assert_eq!(read_all(&journal, &mut cursor), (numbered(6..10), 6));
    }

    #[test]
    fn old_events_leave_also_when_nothing_new_comes() {
        let journal = journal(Config { age: Duration::from_mins(1), ..Config::default() });
        let mut cursor = journal.cursor(MessageFormat::Array);
        let start = Instant::now();
        append(&journal, &numbered(0..2), start);
        append(&journal, &numbered(2..3), start + Duration::from_secs(30));
        journal.expire(start + Duration::from_secs(61));
        assert_eq!(read_all(&journal, &mut cursor), (numbered(2..3), 2));
    }

    fn message(n: usize) -> String {
        format!(
            r#"{{"post_type":"message","raw_message":"[CQ:face,id={n}]","message":[{{"type":"face","data":{{"id":"{n}"}}}}]}}"#
        )
    }

    fn append_read(journal: &Journal, events: &[String], now: Instant) {
        let mut builder = SegmentBuilder::default();
        for event in events {
            builder.push(event.as_bytes(), Head::read(event.as_bytes(), &scan(event.as_bytes()).unwrap()));
        }
        journal.append(&mut builder, now);
    }

    fn runs(journal: &Journal, cursor: &mut Cursor) -> Vec<Run> {
        let mut runs = Vec::new();
        journal.read(cursor, journal.end(), usize::MAX, &mut runs);
        runs
    }

    #[test]
    fn a_segment_is_converted_once_and_only_if_it_has_to_be() {
        let journal = journal(Config::default());
        let [mut array, mut string, mut another] = [
            journal.cursor(MessageFormat::Array),
            journal.cursor(MessageFormat::String),
            journal.cursor(MessageFormat::String),
        ];
        append_read(&journal, &[message(1), message(2)], Instant::now());
        append_read(&journal, &[r#"{"post_type":"notice"}"#.to_owned()], Instant::now());
        let before = journal.lock().bytes;
        let [array, string, another] =
            [&mut array, &mut string, &mut another].map(|cursor| runs(&journal, cursor));

        assert!(Arc::ptr_eq(&string[0].segment, &another[0].segment));
        assert!(!Arc::ptr_eq(&string[0].segment, &array[0].segment));
        assert!(Arc::ptr_eq(&string[1].segment, &array[1].segment));
        let event = string[0].events().nth(1).unwrap();
        assert_eq!(event.seq, Seq(2));
        assert!(event.text.ends_with(br#""message":"[CQ:face,id=2]"}"#));
        assert_eq!(event.head.raw_message.unwrap().of(event.text), br#""[CQ:face,id=2]""#);
        let counted: usize = journal.lock().segments.iter().map(|kept| kept.segment.cost()).sum();
        assert_eq!(journal.lock().bytes, counted);
        assert!(counted > before);
    }

    #[test]
    fn converted_messages_count_for_the_bound_on_bytes() {
        let journal = journal(Config { bytes: 100_000, ..Config::default() });
        let mut cursor = journal.cursor(MessageFormat::String);
        for n in 0..200 {
            append_read(&journal, &[message(n), message(n)], Instant::now());
        }
        while cursor.next() < journal.end() {
            journal.read(&mut cursor, journal.end(), 1, &mut Vec::new());
            assert!(journal.lock().bytes <= 100_000);
        }
        append_read(&journal, &[message(0)], Instant::now());
        assert_eq!(runs(&journal, &mut cursor).len(), 1);
        assert!(journal.lock().bytes <= 100_000);
    }

    #[test]
    fn bytes_are_bounded_but_the_newest_segment_stays() {
        let journal = journal(Config { bytes: 10_000, ..Config::default() });
        let mut cursor = journal.cursor(MessageFormat::Array);
        for n in 0..50 {
            append(&journal, &[format!("{n:0>1000}")], Instant::now());
            assert!(journal.lock().bytes <= 10_000);
        }
        append(&journal, &["x".repeat(20_000)], Instant::now());
        let (texts, missed) = read_all(&journal, &mut cursor);
        assert_eq!((texts.len(), missed), (1, 50));
    }

    proptest! {
        /// Whatever is appended and whenever a reader reads: it gets each event once, in order,
        /// or is told that it missed it.
        #[test]
        fn appended_equals_read_plus_missed(
            steps in prop::collection::vec((1_usize..20, any::<bool>()), 1..60),
            events in 1_usize..50,
        ) {
            let journal = journal(Config { events, ..Config::default() });
            let mut cursor = journal.cursor(MessageFormat::Array);
            let (mut appended, mut accounted) = (0, 0);
            for (count, read) in steps {
                append(&journal, &numbered(appended..appended + count), Instant::now());
                appended += count;
                if read {
                    let (texts, missed) = read_all(&journal, &mut cursor);
                    accounted += missed as usize;
                    prop_assert_eq!(&texts, &numbered(accounted..accounted + texts.len()));
                    accounted += texts.len();
                    prop_assert_eq!(accounted, appended);
                }
            }
        }
    }
}
