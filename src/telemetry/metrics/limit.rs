//! What limits do to calls.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Register;

label! {
    /// What a limit did to a call that came too early.
    LimitVerdict {
        /// It was put in line.
        Waited = "waited",
        /// It was refused at once: `excess = "reject"`.
        Rejected = "rejected",
        /// It was refused because its turn came too late.
        GaveUp = "gave_up",
    }
}

/// One limit.
#[derive(Debug, Clone)]
pub struct LimitMetrics {
    /// Calls in line.
    pub waiting: IntGauge,
    /// Buckets that let nothing through because sending failed again and again.
    pub held: IntGauge,
    /// Times that began.
    pub holds: IntCounter,
    calls: IntCounterVec,
    name: String,
}

impl LimitMetrics {
    /// Counts a call of `consumer`, a configured name.
    pub fn count(&self, consumer: &str, verdict: LimitVerdict) {
        self.calls.with_label_values(&[self.name.as_str(), consumer, verdict.label()]).inc();
    }
}

#[derive(Debug)]
pub(super) struct LimitFamilies {
    waiting: IntGaugeVec,
    held: IntGaugeVec,
    holds: IntCounterVec,
    calls: IntCounterVec,
}

impl LimitFamilies {
    pub(super) fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["limit"];
        Ok(Self {
            waiting: register.gauges("limit_waiting", "Calls that wait for their turn", labels)?,
            held: register.gauges(
                "limit_held",
                "Buckets that let nothing through because sending failed again and again",
                labels,
            )?,
            holds: register.counters("limit_holds_total", "Times a bucket began to hold calls", labels)?,
            calls: register.counters(
                "limited_calls_total",
                "Calls that came too early for a limit",
                &["limit", "consumer", "verdict"],
            )?,
        })
    }

    pub(super) fn resolve(&self, name: &str) -> LimitMetrics {
        LimitMetrics {
            waiting: self.waiting.with_label_values(&[name]),
            held: self.held.with_label_values(&[name]),
            holds: self.holds.with_label_values(&[name]),
            calls: self.calls.clone(),
            name: name.to_owned(),
        }
    }
}
