//! Events as a log; every reader is a [`Cursor`].
//!
//! What one read of the upstream brought is appended as one [`Segment`]: the events as unmasked
//! WebSocket text frames, which are the same for every consumer, side by side. A reader that
//! takes everything writes ranges of these bytes; others pick single events out of them. Nothing
//! else in the program queues events, so memory is bounded here, once.

mod segment;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::telemetry::metrics::JournalMetrics;

pub use segment::{Event, Segment, SegmentBuilder};

/// `[journal]`: what is kept for readers that are behind. The oldest goes first, over any bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Events kept.
    pub events: usize,
    /// Bytes kept, bookkeeping included; the newest segment is kept whatever its size.
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

/// A reader's place: the next event it has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(Seq);

impl Cursor {
    /// A reader that has seen everything before `next`.
    #[must_use]
    pub fn at(next: Seq) -> Self {
        Self(next)
    }

    /// The next event.
    #[must_use]
    pub fn next(self) -> Seq {
        self.0
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
    segments: VecDeque<Arc<Segment>>,
    /// The oldest event that can be read. It may lie inside the first segment.
    first: Seq,
    /// The number the next event will get.
    end: Seq,
    bytes: usize,
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
            log.bytes += segment.cost();
            log.segments.push_back(segment);
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

    /// A reader that sees everything from now on.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor(self.end())
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
        let log = self.lock();
        let missed = log.first.since(cursor.0);
        cursor.0 = cursor.0.max(log.first);
        let up_to = up_to.min(log.end);
        let behind = log.segments.partition_point(|segment| segment.end() <= cursor.0);
        let mut taken = 0;
        for segment in log.segments.range(behind..) {
            if segment.first() >= up_to || taken >= bytes {
                break;
            }
            let from = cursor.0.since(segment.first()) as usize;
            let to = up_to.min(segment.end()).since(segment.first()) as usize;
            if from >= to {
                break;
            }
            taken += segment.wire_len(from, to);
            runs.push(Run { segment: Arc::clone(segment), from, to });
            cursor.0 = segment.first().plus(to);
        }
        missed
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
    /// Moves `first` until every bound holds, and frees the segments before it.
    fn retain(&mut self, config: &Config, now: Instant) {
        self.first = self.first.max(Seq(self.end.0.saturating_sub(config.events as u64)));
        while let Some(oldest) = self.segments.front() {
            let over = self.bytes > config.bytes && self.segments.len() > 1;
            let old = now.saturating_duration_since(oldest.appended()) > config.age;
            if !over && !old && oldest.end() > self.first {
                break;
            }
            self.first = self.first.max(oldest.end());
            self.bytes = self.bytes.saturating_sub(oldest.cost());
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
        let mut cursor = journal.cursor();
        append(&journal, &numbered(3..5), now);
        append(&journal, &numbered(5..9), now);
        assert_eq!(read_all(&journal, &mut cursor), (numbered(3..9), 0));
        assert_eq!(read_all(&journal, &mut cursor), (vec![], 0));
    }

    #[test]
    fn a_read_stops_where_it_is_told_even_inside_a_segment() {
        let journal = journal(Config::default());
        let mut cursor = journal.cursor();
        append(&journal, &numbered(0..10), Instant::now());
        let mut runs = Vec::new();
        journal.read(&mut cursor, Seq(4), usize::MAX, &mut runs);
        assert_eq!(runs.iter().flat_map(Run::events).count(), 3);
        assert_eq!(cursor.next(), Seq(4));
    }

    #[test]
    fn a_reader_that_fell_off_skips_and_is_told_how_many() {
        let journal = journal(Config { events: 4, ..Config::default() });
        let mut cursor = journal.cursor();
        for n in 0..10 {
            append(&journal, &numbered(n..n + 1), Instant::now());
        }
        assert_eq!(read_all(&journal, &mut cursor), (numbered(6..10), 6));
    }

    #[test]
    fn old_events_leave_also_when_nothing_new_comes() {
        let journal = journal(Config { age: Duration::from_mins(1), ..Config::default() });
        let mut cursor = journal.cursor();
        let start = Instant::now();
        append(&journal, &numbered(0..2), start);
        append(&journal, &numbered(2..3), start + Duration::from_secs(30));
        journal.expire(start + Duration::from_secs(61));
        assert_eq!(read_all(&journal, &mut cursor), (numbered(2..3), 2));
    }

    #[test]
    fn bytes_are_bounded_but_the_newest_segment_stays() {
        let journal = journal(Config { bytes: 10_000, ..Config::default() });
        let mut cursor = journal.cursor();
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
            let mut cursor = journal.cursor();
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
