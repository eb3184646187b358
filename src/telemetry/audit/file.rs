//! The file, and those put away.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rolling_file::{BasicRollingFileAppender, RollingConditionBasic};
use serde::Deserialize;
use tracing::{info, warn};

use super::Config;
use crate::telemetry::metrics::{AuditLoss, AuditMetrics};

/// A file that is put away when it is too large or too old.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Names, renames and removes the files. It is told when: on its own it would only print that it failed.
    files: BasicRollingFileAppender,
    max_size: u64,
    max_age: SignedDuration,
    size: u64,
    /// When its first line was written; `None` while it is empty.
    begun: Option<Timestamp>,
    /// Lines in the buffer.
    buffered: u64,
    /// The failure that was spoken of last.
    said: Option<String>,
}

impl LogFile {
    /// Bytes that may wait while the disk is full.
    const BUFFER: usize = 64 << 10;

    pub(super) fn open(config: &Config) -> io::Result<Self> {
        let condition = RollingConditionBasic::new();
        let files = BasicRollingFileAppender::new_with_buffer_capacity(
            &config.file,
            condition,
            config.keep,
            Self::BUFFER,
        )?;
        let size = config.file.metadata()?.len();
        Ok(Self {
            path: config.file.clone(),
            files,
            max_size: config.max_size as u64,
            max_age: SignedDuration::try_from(config.max_age).unwrap_or(SignedDuration::MAX),
            size,
            begun: first_time(&config.file).or_else(|| (size > 0).then(Timestamp::now)),
            buffered: 0,
            said: None,
        })
    }

    /// Adds a line written at `now`, to a new file if this one has had its time.
    pub(super) fn write(&mut self, line: &[u8], now: Timestamp, metrics: &AuditMetrics) {
        let is_full = self.size > 0 && self.size + line.len() as u64 > self.max_size;
        let is_old = self.begun.is_some_and(|begun| now.duration_since(begun) >= self.max_age);
        if is_full || is_old {
            match self.files.rollover() {
                Ok(()) => {
                    metrics.written.inc_by(std::mem::take(&mut self.buffered));
                    self.size = 0;
                    self.begun = None;
                }
                // Rather one file that is too large than lines that are missing.
                Err(error) => self.failed("put away", &error),
            }
        }
        match self.files.write_all(line) {
            Ok(()) => {
                self.buffered += 1;
                self.size += line.len() as u64;
                self.begun.get_or_insert(now);
            }
            Err(error) => {
                metrics.lose(AuditLoss::Unwritable, 1);
                self.failed("written", &error);
            }
        }
    }

    /// Hands the system what is buffered. What it does not take stays, for when it does.
    pub(super) fn flush(&mut self, metrics: &AuditMetrics) {
        match self.files.flush() {
            Ok(()) => {
                metrics.written.inc_by(std::mem::take(&mut self.buffered));
                if self.said.take().is_some() {
                    info!(file = %self.path.display(), "the audit log can be written again");
                }
            }
            Err(error) => self.failed("written", &error),
        }
    }

    /// Counts what was never taken as lost.
    pub(super) fn give_up(&mut self, metrics: &AuditMetrics) {
        self.flush(metrics);
        metrics.lose(AuditLoss::Unwritable, std::mem::take(&mut self.buffered));
    }

    /// Once for each cause: a disk that is full for a day must not fill the log as well.
    fn failed(&mut self, what: &str, error: &io::Error) {
        let sentence = format!("the audit log cannot be {what}: {error}; what is missing is counted");
        if self.said.as_ref() != Some(&sentence) {
            warn!(file = %self.path.display(), "{sentence} (audit_dropped_total)");
            self.said = Some(sentence);
        }
    }
}

/// The time of the first line of a file that an earlier run wrote.
fn first_time(path: &Path) -> Option<Timestamp> {
    const LONGEST: u64 = 64 << 10;
    #[derive(Deserialize)]
    struct First {
        time: String,
    }
    let mut line = String::new();
    BufReader::new(File::open(path).ok()?.take(LONGEST)).read_line(&mut line).ok()?;
    serde_json::from_str::<First>(&line).ok()?.time.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Metrics;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn line(n: usize) -> String {
        format!("{{\"time\":\"2026-11-24T00:00:00.000+00:00\",\"n\":{n}}}\n")
    }

    #[test]
    fn a_file_that_is_full_is_put_away_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let metrics = Metrics::new().unwrap().audit();
        let config = Config { max_size: 100, keep: 2, ..Config::new(directory.path().join("audit.jsonl")) };
        let mut file = LogFile::open(&config).unwrap();
        for n in 0..20 {
            file.write(line(n).as_bytes(), Timestamp::UNIX_EPOCH, &metrics);
        }
        file.flush(&metrics);
        assert_eq!(names(directory.path()), ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        // Whole lines, the newest in the file itself.
        let all = ["audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"].map(read).concat();
        assert_eq!(all, (14..20).map(line).collect::<String>());
        assert_eq!(metrics.written.get(), 20);
    }

    #[test]
    fn a_file_whose_first_line_is_old_is_put_away_also_by_a_later_run() {
        let directory = tempfile::tempdir().unwrap();
        let metrics = Metrics::new().unwrap().audit();
        let day = Duration::from_hours(24);
        let config = Config { max_age: day, ..Config::new(directory.path().join("audit.jsonl")) };
        let begun: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let mut file = LogFile::open(&config).unwrap();
        file.write(line(0).as_bytes(), begun, &metrics);
        file.flush(&metrics);
        let mut file = LogFile::open(&config).unwrap();
        file.write(line(1).as_bytes(), begun + Duration::from_hours(23), &metrics);
        file.flush(&metrics);
        assert_eq!(names(directory.path()), ["audit.jsonl"]);
        file.write(line(2).as_bytes(), begun + day, &metrics);
        file.flush(&metrics);
        assert_eq!(names(directory.path()), ["audit.jsonl", "audit.jsonl.1"]);
        assert_eq!(fs::read_to_string(&config.file).unwrap(), line(2));
    }

    #[test]
    fn a_disk_that_takes_nothing_loses_lines_and_each_is_counted() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let metrics = Metrics::new().unwrap();
        let mut file = LogFile::open(&Config::new(full)).unwrap();
        for n in 0..10_000 {
            file.write(line(n).as_bytes(), Timestamp::UNIX_EPOCH, &metrics.audit());
        }
        file.give_up(&metrics.audit());
        let text = metrics.render().unwrap();
        let lost = r#"onebot_gateway_audit_dropped_total{reason="unwritable"} 10000"#;
        assert!(text.lines().any(|line| line == lost), "{text}");
        assert_eq!(metrics.audit().written.get(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_at_once() {
        let directory = tempfile::tempdir().unwrap();
        assert!(LogFile::open(&Config::new(directory.path())).is_err());
        assert!(LogFile::open(&Config::new(directory.path().join("missing/audit.jsonl"))).is_err());
    }
}
