//! The audit log: who changed what, one line of JSON for each call.
//!
//! Calls never wait for the disk. A thread of its own writes what comes through a bounded queue; a line
//! that finds it full is left out and counted.

mod file;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use self::file::LogFile;
use super::metrics::{AuditLoss, AuditMetrics, CallOutcome};

/// `[audit]`: where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file that is written. Those put away have `.1`, `.2` … behind it, the newest first.
    pub file: PathBuf,
    /// Whether what messages say is in it.
    pub text: bool,
    /// A file that would become larger is put away.
    pub max_size: usize,
    /// A file whose first line is older is put away.
    pub max_age: Duration,
    /// Files put away that are kept.
    pub keep: usize,
}

impl Config {
    /// The defaults for a log at `file`.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            text: false,
            max_size: 64 << 20,
            max_age: Duration::from_hours(30 * 24),
            keep: 8,
        }
    }
}

/// The way a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Session {
    /// A word for the transport.
    pub transport: &'static str,
    /// Counts the sessions, or the requests, of a consumer.
    pub number: u64,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.transport, self.number)
    }
}

/// What there is to say of one call.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it arrived.
    pub time: Timestamp,
    /// Whose it is.
    pub consumer: Arc<str>,
    /// The way it came.
    pub session: Session,
    /// The action as it was called.
    pub action: String,
    /// Whom it names.
    pub target: Target,
    /// Bytes of its parameters.
    pub size: usize,
    /// How it ended.
    pub outcome: CallOutcome,
    /// Of the answer; `None` if nobody got one.
    pub retcode: Option<i64>,
    /// From its arrival to its end.
    pub latency: Duration,
    /// The message it sent.
    pub message_id: Option<i64>,
    /// What the message says, if that is to be in the log.
    pub text: Option<String>,
}

/// Whom a call names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Target {
    /// A group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<i64>,
    /// A user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
    /// A message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<i64>,
    /// A request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
}

impl Record {
    fn line(&self, zone: &TimeZone) -> Vec<u8> {
        let time = self.time.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
        let line = Line {
            time,
            consumer: &self.consumer,
            session: self.session.to_string(),
            action: &self.action,
            target: &self.target,
            size: self.size,
            outcome: self.outcome.label(),
            retcode: self.retcode,
            latency_ms: self.latency.as_millis() as u64,
            message_id: self.message_id,
            text: self.text.as_deref(),
        };
        // Strings and numbers: it cannot fail.
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    consumer: &'a str,
    session: String,
    action: &'a str,
    target: &'a Target,
    size: usize,
    outcome: &'static str,
    retcode: Option<i64>,
    latency_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// Where records go. Cheap to clone; the thread ends when the last is gone.
#[derive(Debug, Clone)]
pub struct Trail {
    items: mpsc::Sender<Item>,
    text: bool,
    is_full_said: Arc<AtomicBool>,
    metrics: AuditMetrics,
}

#[derive(Debug)]
enum Item {
    Record(Box<Record>),
    /// Everything before it is to be in the file.
    Flush(oneshot::Sender<()>),
}

impl Trail {
    /// Lines that may wait for the disk.
    pub const WAITING: usize = 1024;

    /// Opens the file and starts the thread that writes it, with times in `zone`.
    ///
    /// # Errors
    /// When the file cannot be opened for writing, or there is no thread.
    pub fn open(config: &Config, zone: TimeZone, metrics: AuditMetrics) -> io::Result<Self> {
        let file = LogFile::open(config)?;
        let (items, queue) = mpsc::channel(Self::WAITING);
        let counted = metrics.clone();
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(queue, file, &zone, &counted))?;
        Ok(Self { items, text: config.text, is_full_said: Arc::default(), metrics })
    }

    /// Whether what messages say is to be in it.
    #[must_use]
    pub fn wants_text(&self) -> bool {
        self.text
    }

    /// Adds a line, unless too many wait already.
    pub fn add(&self, record: Record) {
        if self.items.try_send(Item::Record(Box::new(record))).is_err() {
            self.metrics.lose(AuditLoss::QueueFull, 1);
            if !self.is_full_said.swap(true, Ordering::Relaxed) {
                warn!(
                    "the disk is too slow for the audit log: lines are left out and counted \
                     (audit_dropped_total), which is said only this once"
                );
            }
        }
    }

    /// Resolves when every line that was added before is in the file, or has been given up.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.items.send(Item::Flush(done)).await.is_ok() {
            // An error means that the thread is gone, and with it what it could do.
            let _ = written.await;
        }
    }
}

fn write_all(mut queue: mpsc::Receiver<Item>, mut file: LogFile, zone: &TimeZone, metrics: &AuditMetrics) {
    while let Some(first) = queue.blocking_recv() {
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Record(record) => file.write(&record.line(zone), record.time, metrics),
                Item::Flush(done) => waiting.push(done),
            }
            next = queue.try_recv().ok();
        }
        file.flush(metrics);
        for done in waiting {
            // Who does not wait any more need not know.
            let _ = done.send(());
        }
    }
    file.give_up(metrics);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    fn record() -> Record {
        Record {
            time: "2026-11-24T13:55:31.123456Z".parse().unwrap(),
            consumer: "bot".into(),
            session: Session { transport: "ws", number: 12 },
            action: "send_msg\"\n".to_owned(),
            target: Target { group_id: Some(5), ..Target::default() },
            size: 42,
            outcome: CallOutcome::Ok,
            retcode: Some(0),
            latency: Duration::from_micros(84_900),
            message_id: Some(-7),
            text: None,
        }
    }

    #[test]
    fn a_line_is_one_object_with_the_time_of_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let expected = r#"{"time":"2026-11-24T21:55:31.123+08:00","consumer":"bot","session":"ws#12","action":"send_msg\"\n","target":{"group_id":5},"size":42,"outcome":"ok","retcode":0,"latency_ms":84,"message_id":-7}"#;
        assert_eq!(String::from_utf8(record().line(&zone)).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn a_disk_that_hangs_costs_lines_and_nobody_waits() {
        let metrics = Metrics::new().unwrap();
        let (items, _nobody_reads) = mpsc::channel(Trail::WAITING);
        let trail = Trail { items, text: false, is_full_said: Arc::default(), metrics: metrics.audit() };
        for _ in 0..Trail::WAITING + 3 {
            trail.add(record());
        }
        let text = metrics.render().unwrap();
        let lost = r#"onebot_gateway_audit_dropped_total{reason="queue_full"} 3"#;
        assert!(text.lines().any(|line| line == lost), "{text}");
    }
}
