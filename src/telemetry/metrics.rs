//! Every metric of the program, as types. No metric name is written anywhere else, and each
//! label comes from a closed set: configured names and the enums below, never from the wire.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, exponential_buckets,
};

use super::process;

/// The registry of one gateway. Each instance has its own, so that two can live in one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    link: LinkFamilies,
    consumer: ConsumerFamilies,
    limit: LimitFamilies,
    call_seconds: HistogramVec,
    /// Handshakes that were refused before anybody knew whose they were.
    refused_handshakes: IntCounterVec,
    journal: JournalMetrics,
    cache: CacheMetrics,
    audit: AuditMetrics,
    process: ProcessGauges,
}

impl Metrics {
    /// A fresh registry with every family in it.
    ///
    /// # Errors
    /// Only if two families had one name.
    pub fn new() -> Result<Arc<Self>, prometheus::Error> {
        let registry = Registry::new_custom(Some("onebot_gateway".to_owned()), None)?;
        let register = Register(&registry);
        let metrics = Self {
            link: LinkFamilies::new(&register)?,
            consumer: ConsumerFamilies::new(&register)?,
            limit: LimitFamilies::new(&register)?,
            call_seconds: register.add(HistogramVec::new(
                HistogramOpts::new("call_seconds", "Time from a call's arrival to its answer")
                    .buckets(exponential_buckets(0.001, 2.0, 16)?),
                &["class"],
            )?)?,
            refused_handshakes: register.counters(
                "refused_handshakes_total",
                "Connections refused before they became a session",
                &["reason"],
            )?,
            journal: JournalMetrics::new(&register)?,
            cache: CacheMetrics::new(&register)?,
            audit: AuditMetrics::new(&register)?,
            process: ProcessGauges::new(&register)?,
            registry,
        };
        Ok(Arc::new(metrics))
    }

    /// The metrics of the account named `upstream`.
    #[must_use]
    pub fn link(&self, upstream: &str) -> LinkMetrics {
        self.link.resolve(upstream)
    }

    /// The metrics of the bot named `consumer`.
    #[must_use]
    pub fn consumer(&self, consumer: &str) -> ConsumerMetrics {
        self.consumer.resolve(consumer, &self.call_seconds)
    }

    /// The metrics of the limit named `limit`.
    #[must_use]
    pub fn limit(&self, limit: &str) -> LimitMetrics {
        self.limit.resolve(limit)
    }

    /// The journal's size.
    #[must_use]
    pub fn journal(&self) -> JournalMetrics {
        self.journal.clone()
    }

    /// The answers that are kept.
    #[must_use]
    pub fn cache(&self) -> CacheMetrics {
        self.cache.clone()
    }

    /// The lines of the audit log.
    #[must_use]
    pub fn audit(&self) -> AuditMetrics {
        self.audit.clone()
    }

    /// Counts a connection that was refused: `reason` is one of a fixed set of words.
    pub fn refused_handshake(&self, reason: &'static str) {
        self.refused_handshakes.with_label_values(&[reason]).inc();
    }

    /// Everything, in the Prometheus text format 0.0.4.
    ///
    /// # Errors
    /// If the encoder fails, which it does only for invalid families.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        self.process.refresh();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// The link to one account.
#[derive(Debug, Clone)]
pub struct LinkMetrics {
    /// 1 while the link is up.
    pub up: IntGauge,
    /// 1 while the account is online in QQ, as far as LLOneBot says.
    pub online: IntGauge,
    /// Links that came up.
    pub connects: IntCounter,
    /// Calls sent and not answered yet.
    pub pending: IntGauge,
    /// Calls that wait for the link.
    pub waiting: IntGauge,
    losses: IntCounterVec,
    events: [IntCounter; EventType::ALL.len()],
    odd_frames: [IntCounter; OddFrame::ALL.len()],
    name: String,
}

impl LinkMetrics {
    /// Counts a link, or an attempt at one, that ended: `reason` is one of a fixed set of words.
    pub fn lost(&self, reason: &'static str) {
        self.losses.with_label_values(&[self.name.as_str(), reason]).inc();
    }

    /// Counts an event from LLOneBot.
    pub fn event(&self, kind: EventType) {
        if let Some(counter) = self.events.get(kind as usize) {
            counter.inc();
        }
    }

    /// Counts a frame from LLOneBot that could not be used.
    pub fn odd_frame(&self, what: OddFrame) {
        if let Some(counter) = self.odd_frames.get(what as usize) {
            counter.inc();
        }
    }
}

/// One bot.
#[derive(Debug, Clone)]
pub struct ConsumerMetrics {
    /// Live sessions.
    pub sessions: IntGauge,
    /// Events the slowest session is behind.
    pub lag: IntGauge,
    /// Events written to sessions.
    pub delivered: IntCounter,
    /// Events that rules kept from sessions.
    pub filtered: IntCounter,
    /// Those of them that a rule could not be held against.
    pub unevaluable: IntCounter,
    /// Events a session missed because it fell off the journal.
    pub missed: IntCounter,
    /// Times that happened.
    pub gaps: IntCounter,
    /// Frames that are not calls and were answered with an error, HTTP requests that are neither, and ids of
    /// events that never were.
    pub bad_frames: IntCounter,
    /// Messages in replies that could not be converted to the form it wants.
    pub unconverted: IntCounter,
    ends: IntCounterVec,
    dial_failures: IntCounter,
    webhook_failures: IntCounterVec,
    calls: [[IntCounter; CallOutcome::ALL.len()]; CallClass::ALL.len()],
    seconds: [Histogram; CallClass::ALL.len()],
    name: String,
}

impl ConsumerMetrics {
    /// Counts a session that ended: `reason` is one of a fixed set of words.
    pub fn ended(&self, reason: &'static str) {
        self.ends.with_label_values(&[self.name.as_str(), reason]).inc();
    }

    /// Counts an attempt to reach the bot that failed.
    pub fn dial_failed(&self) {
        self.dial_failures.inc();
    }

    /// Counts something that went wrong with a webhook.
    pub fn webhook_failed(&self, reason: WebhookFailure) {
        self.webhook_failures.with_label_values(&[self.name.as_str(), reason.label()]).inc();
    }

    /// Counts a call that got its answer.
    pub fn call(&self, class: CallClass, outcome: CallOutcome, took: Duration) {
        if let Some(counter) = self.calls.get(class as usize).and_then(|row| row.get(outcome as usize)) {
            counter.inc();
        }
        if let Some(histogram) = self.seconds.get(class as usize) {
            histogram.observe(took.as_secs_f64());
        }
    }
}

/// The journal.
#[derive(Debug, Clone)]
pub struct JournalMetrics {
    /// Events kept.
    pub events: IntGauge,
    /// Bytes kept.
    pub bytes: IntGauge,
    /// Messages of events that could not be converted to the form a consumer wants.
    pub unconverted: IntCounter,
}

/// A closed set of label values.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The label value.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

// Below the macro it uses.
mod audit;
mod cache;
mod limit;

pub use self::audit::{AuditLoss, AuditMetrics};
pub use self::cache::{CacheMetrics, CacheResult, CallTopic};
use self::limit::LimitFamilies;
pub use self::limit::{LimitMetrics, LimitVerdict};

label! {
    /// `post_type` of an event.
    EventType {
        /// A message of somebody else.
        Message = "message",
        /// A message of the account itself.
        MessageSent = "message_sent",
        /// A notice.
        Notice = "notice",
        /// A request.
        Request = "request",
        /// Lifecycle and heartbeat.
        MetaEvent = "meta_event",
        /// A type the standard does not know.
        Other = "other",
    }
}

label! {
    /// A frame from LLOneBot that could not be used.
    OddFrame {
        /// Not a JSON object.
        Malformed = "malformed",
        /// A reply without a call id of ours.
        UnknownEcho = "unknown_echo",
        /// A reply to a call whose deadline had passed.
        Late = "late",
        /// A second reply to one call.
        Repeated = "repeated",
        /// A reply whose asker is gone.
        Abandoned = "abandoned",
    }
}

label! {
    /// What kind of action a call names.
    CallClass {
        /// Reads.
        Read = "read",
        /// Changes something.
        Write = "write",
        /// Marked `danger` in the catalogue.
        Danger = "danger",
        /// Not in the catalogue.
        Unknown = "unknown",
    }
}

label! {
    /// How a call ended.
    CallOutcome {
        /// LLOneBot did it.
        Ok = "ok",
        /// LLOneBot answered that it failed.
        Failed = "failed",
        /// Refused by a rule.
        Denied = "denied",
        /// A limit was used up.
        Limited = "limited",
        /// The link was down, or broke before the answer.
        LinkDown = "link_down",
        /// No answer within the deadline.
        Timeout = "timeout",
        /// Too much waits already, or the gateway is shutting down.
        Overloaded = "overloaded",
        /// The asker went away first.
        Abandoned = "abandoned",
    }
}

label! {
    /// What went wrong with a webhook. All but the last four mean that the event is posted again.
    WebhookFailure {
        /// No connection.
        Unreachable = "unreachable",
        /// The connection broke before the answer.
        Broken = "broken",
        /// No answer in time.
        Timeout = "timeout",
        /// The answer is not one of success.
        Status = "status",
        /// The endpoint does not want this event, or got it as often as it may; it was passed over.
        PassedOver = "passed_over",
        /// The answer is larger than is read.
        AnswerTooLarge = "answer_too_large",
        /// The answer is not JSON.
        AnswerNotJson = "answer_not_json",
        /// A quick operation was refused.
        OperationRefused = "operation_refused",
    }
}

#[derive(Debug)]
struct LinkFamilies {
    up: IntGaugeVec,
    online: IntGaugeVec,
    connects: IntCounterVec,
    pending: IntGaugeVec,
    waiting: IntGaugeVec,
    losses: IntCounterVec,
    events: IntCounterVec,
    odd_frames: IntCounterVec,
}

impl LinkFamilies {
    fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["upstream"];
        Ok(Self {
            up: register.gauges("link_up", "1 while the link to LLOneBot is up", labels)?,
            online: register.gauges("account_online", "1 while the account is online in QQ", labels)?,
            connects: register.counters("link_connects_total", "Links that came up", labels)?,
            pending: register.gauges("calls_pending", "Calls sent and not answered yet", labels)?,
            waiting: register.gauges("calls_waiting", "Calls that wait for the link", labels)?,
            losses: register.counters(
                "link_losses_total",
                "Links and attempts that ended",
                &["upstream", "reason"],
            )?,
            events: register.counters("events_total", "Events from LLOneBot", &["upstream", "type"])?,
            odd_frames: register.counters(
                "odd_frames_total",
                "Frames from LLOneBot that could not be used",
                &["upstream", "what"],
            )?,
        })
    }

    fn resolve(&self, name: &str) -> LinkMetrics {
        LinkMetrics {
            up: self.up.with_label_values(&[name]),
            online: self.online.with_label_values(&[name]),
            connects: self.connects.with_label_values(&[name]),
            pending: self.pending.with_label_values(&[name]),
            waiting: self.waiting.with_label_values(&[name]),
            losses: self.losses.clone(),
            events: EventType::ALL.map(|kind| self.events.with_label_values(&[name, kind.label()])),
            odd_frames: OddFrame::ALL.map(|what| self.odd_frames.with_label_values(&[name, what.label()])),
            name: name.to_owned(),
        }
    }
}

#[derive(Debug)]
struct ConsumerFamilies {
    sessions: IntGaugeVec,
    lag: IntGaugeVec,
    delivered: IntCounterVec,
    filtered: IntCounterVec,
    unevaluable: IntCounterVec,
    missed: IntCounterVec,
    gaps: IntCounterVec,
    bad_frames: IntCounterVec,
    unconverted: IntCounterVec,
    ends: IntCounterVec,
    dial_failures: IntCounterVec,
    webhook_failures: IntCounterVec,
    calls: IntCounterVec,
}

impl ConsumerFamilies {
    fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["consumer"];
        Ok(Self {
            sessions: register.gauges("sessions", "Live sessions", labels)?,
            lag: register.gauges("lag_events", "Events the slowest session is behind", labels)?,
            delivered: register.counters("deliveries_total", "Events written to sessions", labels)?,
            filtered: register.counters(
                "filtered_events_total",
                "Events that rules kept from sessions",
                labels,
            )?,
            unevaluable: register.counters(
                "unevaluable_events_total",
                "Events kept from sessions because a rule could not be held against them",
                labels,
            )?,
            missed: register.counters(
                "missed_events_total",
                "Events a session fell too far behind for",
                labels,
            )?,
            gaps: register.counters("gaps_total", "Times a session fell off the journal", labels)?,
            bad_frames: register.counters(
                "bad_frames_total",
                "Frames and HTTP requests of consumers that make no sense",
                labels,
            )?,
            unconverted: register.counters(
                "unconverted_replies_total",
                "Messages in replies that could not be converted and keep their form",
                labels,
            )?,
            ends: register.counters("session_ends_total", "Sessions that ended", &["consumer", "reason"])?,
            dial_failures: register.counters(
                "dial_failures_total",
                "Failed attempts to reach the bot",
                labels,
            )?,
            webhook_failures: register.counters(
                "webhook_failures_total",
                "What went wrong with posts to the bot",
                &["consumer", "reason"],
            )?,
            calls: register.counters("calls_total", "Calls by outcome", &["consumer", "class", "outcome"])?,
        })
    }

    fn resolve(&self, name: &str, call_seconds: &HistogramVec) -> ConsumerMetrics {
        ConsumerMetrics {
            sessions: self.sessions.with_label_values(&[name]),
            lag: self.lag.with_label_values(&[name]),
            delivered: self.delivered.with_label_values(&[name]),
            filtered: self.filtered.with_label_values(&[name]),
            unevaluable: self.unevaluable.with_label_values(&[name]),
            missed: self.missed.with_label_values(&[name]),
            gaps: self.gaps.with_label_values(&[name]),
            bad_frames: self.bad_frames.with_label_values(&[name]),
            unconverted: self.unconverted.with_label_values(&[name]),
            ends: self.ends.clone(),
            dial_failures: self.dial_failures.with_label_values(&[name]),
            webhook_failures: self.webhook_failures.clone(),
            calls: CallClass::ALL.map(|class| {
                CallOutcome::ALL
                    .map(|outcome| self.calls.with_label_values(&[name, class.label(), outcome.label()]))
            }),
            seconds: CallClass::ALL.map(|class| call_seconds.with_label_values(&[class.label()])),
            name: name.to_owned(),
        }
    }
}

impl JournalMetrics {
    fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            events: register
                .add(IntGauge::new("journal_events", "Events kept for readers that are behind")?)?,
            bytes: register.add(IntGauge::new("journal_bytes", "Bytes kept for readers that are behind")?)?,
            unconverted: register.add(IntCounter::new(
                "unconverted_events_total",
                "Events whose message could not be converted and keeps its form",
            )?)?,
        })
    }
}

#[derive(Debug)]
struct ProcessGauges {
    cpu_seconds: Gauge,
    resident_bytes: IntGauge,
    open_fds: IntGauge,
    threads: IntGauge,
}

impl ProcessGauges {
    fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        let info = IntGauge::with_opts(
            Opts::new("build_info", "Always 1; the version is a label")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        register.add(info)?.set(1);
        let start = Gauge::new("process_start_time_seconds", "Start of this process, Unix time")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        register.add(start)?.set(now.as_secs_f64());
        Ok(Self {
            cpu_seconds: register.add(Gauge::new("process_cpu_seconds_total", "CPU time used")?)?,
            resident_bytes: register
                .add(IntGauge::new("process_resident_memory_bytes", "Memory held by this process")?)?,
            open_fds: register.add(IntGauge::new("process_open_fds", "Open file descriptors")?)?,
            threads: register.add(IntGauge::new("process_threads", "Threads of this process")?)?,
        })
    }

    fn refresh(&self) {
        let Some(process) = process::read() else { return };
        self.cpu_seconds.set(process.cpu_seconds);
        self.resident_bytes.set(process.resident_bytes.cast_signed());
        self.open_fds.set(process.open_fds.cast_signed());
        self.threads.set(process.threads.cast_signed());
    }
}

/// Makes families and registers them in one step.
struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered_with_its_labels() {
        let metrics = Metrics::new().unwrap();
        metrics.link("main").event(EventType::Notice);
        metrics.consumer("koishi").call(CallClass::Write, CallOutcome::Denied, Duration::from_millis(3));
        let text = metrics.render().unwrap();
        for line in [
            r#"onebot_gateway_events_total{type="notice",upstream="main"} 1"#,
            r#"onebot_gateway_calls_total{class="write",consumer="koishi",outcome="denied"} 1"#,
            r#"onebot_gateway_call_seconds_count{class="write"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn two_gateways_in_one_process_count_apart() {
        let (one, two) = (Metrics::new().unwrap(), Metrics::new().unwrap());
        one.consumer("bot").delivered.inc();
        assert!(
            two.render().unwrap().lines().all(|line| !line.starts_with("onebot_gateway_deliveries_total{"))
        );
    }
}
