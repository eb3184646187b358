//! Answers that are given more than once.

use prometheus::{IntCounter, IntGauge};

use super::Register;

/// Answers that are given more than once.
#[derive(Debug, Clone)]
pub struct CacheMetrics {
    /// Answers kept.
    pub entries: IntGauge,
    /// Bytes kept.
    pub bytes: IntGauge,
    questions: [[IntCounter; CacheResult::ALL.len()]; CallTopic::ALL.len()],
}

impl CacheMetrics {
    /// Counts a question whose answer may be shared.
    pub fn count(&self, topic: CallTopic, result: CacheResult) {
        if let Some(counter) = self.questions.get(topic as usize).and_then(|row| row.get(result as usize)) {
            counter.inc();
        }
    }
}

label! {
    /// What an action is about.
    CallTopic {
        /// Messages.
        Message = "message",
        /// Friends, strangers, the account.
        User = "user",
        /// Groups and their members.
        Group = "group",
        /// Files.
        File = "file",
        /// The implementation and the login.
        System = "system",
        /// QQ channels.
        Guild = "guild",
    }
}

label! {
    /// Where the answer to a question comes from that may be shared.
    CacheResult {
        /// It was kept.
        Hit = "hit",
        /// Another call had asked for it.
        Shared = "shared",
        /// It has to be asked for.
        Miss = "miss",
    }
}

impl CacheMetrics {
    pub(super) fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        let questions = register.counters(
            "cache_questions_total",
            "Questions whose answer may be shared, by where it came from",
            &["topic", "result"],
        )?;
        Ok(Self {
            entries: register.add(IntGauge::new("cache_entries", "Answers kept")?)?,
            bytes: register.add(IntGauge::new("cache_bytes", "Bytes of answers kept")?)?,
            questions: CallTopic::ALL.map(|topic| {
                CacheResult::ALL.map(|result| questions.with_label_values(&[topic.label(), result.label()]))
            }),
        })
    }
}
