//! `get_event`: long polling, answered from the journal.
//!
//! LLOneBot keeps one queue for all its clients, so that two bots with the same `key` would take
//! events from each other. Here the keys of a consumer are its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, FutureExt};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use super::CallService;
use crate::hub::{Hold, Hub, Outcome, Reply, Selection};
use crate::journal::{Cursor, Run, Seq};
use crate::onebot::{Call, MessageFormat, Retcode};
use crate::telemetry::metrics::ConsumerMetrics;

/// The action, without suffix.
const ACTION: &str = "get_event";
/// Events in one answer, as in LLOneBot.
const EVENTS: usize = 100;
/// Bytes of events after which an answer is not made longer.
const BYTES: usize = 4 << 20;
/// Keys of one consumer, as in LLOneBot; one more takes the place of the one idle for longest.
const KEYS: usize = 100;
/// Bytes of a key.
const LONGEST_KEY: usize = 256;
/// A key that is not used for this long is forgotten, as in LLOneBot.
const IDLE: Duration = Duration::from_mins(5);
/// The longest wait. Shorter than [`IDLE`], so that a key somebody waits with is not forgotten.
const LONGEST: Duration = Duration::from_mins(4);

/// Makes [`GetEvent`]s.
#[derive(Debug, Clone)]
pub(super) struct GetEventLayer(Arc<Polls>);

impl GetEventLayer {
    pub(super) fn new(
        hub: Arc<Hub>,
        selection: Selection,
        format: MessageFormat,
        metrics: Arc<ConsumerMetrics>,
        drain: CancellationToken,
    ) -> Self {
        Self(Arc::new(Polls { hub, selection, format, metrics, drain, places: Mutex::default() }))
    }
}

impl<S> Layer<S> for GetEventLayer {
    type Service = GetEvent<S>;

    fn layer(&self, inner: S) -> GetEvent<S> {
        GetEvent { inner, polls: Arc::clone(&self.0) }
    }
}

/// Answers `get_event`, and passes everything else on.
#[derive(Debug, Clone)]
pub struct GetEvent<S> {
    inner: S,
    polls: Arc<Polls>,
}

impl<S: CallService> Service<Call> for GetEvent<S> {
    type Response = Reply;
    type Error = Infallible;
    type Future = Either<
        S::Future,
        Either<Ready<Result<Reply, Infallible>>, BoxFuture<'static, Result<Reply, Infallible>>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        if call.action.as_str() != ACTION {
            return Either::Left(self.inner.call(call));
        }
        Either::Right(match Question::read(&call.params) {
            Ok(question) => {
                let polls = Arc::clone(&self.polls);
                Either::Right(async move { Ok(polls.answer(question).await) }.boxed())
            }
            Err(message) => {
                let refusal = Reply::refusal(Retcode::Malformed, Outcome::Failed, message);
                Either::Left(ready(Ok(refusal)))
            }
        })
    }
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    key: String,
    timeout: Duration,
}

impl Question {
    /// Reads the parameters; ids and times come as numbers or, over HTTP, as strings.
    fn read(params: &[u8]) -> Result<Self, &'static str> {
        let params: Value = serde_json::from_slice(params).unwrap_or_default();
        let key = match params.get("key") {
            Some(Value::String(key)) => key.clone(),
            Some(Value::Number(key)) => key.to_string(),
            None | Some(Value::Null) => {
                return Err("$.key missing required value: a name for this poller's place");
            }
            Some(_) => return Err("$.key expected string: a name for this poller's place"),
        };
        if key.len() > LONGEST_KEY {
            return Err("$.key is too long: a name for this poller's place has at most 256 bytes");
        }
        let millis = match params.get("timeout") {
            None | Some(Value::Null) => Some(0.0),
            Some(Value::Number(millis)) => millis.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let timeout = millis
            .filter(|millis| !millis.is_nan())
            .ok_or("$.timeout expected number: how many milliseconds to wait for an event")?;
        let timeout = Duration::try_from_secs_f64(timeout.max(0.0) / 1000.0).unwrap_or(LONGEST);
        Ok(Self { key, timeout: timeout.min(LONGEST) })
    }
}

/// The places of one consumer's pollers.
#[derive(Debug)]
struct Polls {
    hub: Arc<Hub>,
    selection: Selection,
    format: MessageFormat,
    metrics: Arc<ConsumerMetrics>,
    /// Nobody is kept waiting from then on.
    drain: CancellationToken,
    places: Mutex<BTreeMap<String, Place>>,
}

#[derive(Debug)]
struct Place {
    cursor: Cursor,
    used: Instant,
}

impl Polls {
    async fn answer(&self, question: Question) -> Reply {
        let Question { key, timeout } = question;
        let deadline = Instant::now() + timeout;
        let mut end = self.hub.journal().watch();
        loop {
            let now = Instant::now();
            let (events, next, hold) = self.take(&key, now);
            if !events.is_empty() || now >= deadline {
                return Reply::own(&["[", &events.join(","), "]"].concat());
            }
            let moved = async {
                match hold {
                    Some(mut hold) => hold.over().await,
                    // Fails only when the journal is gone.
                    None => drop(end.wait_for(|end| *end > next).await),
                }
            };
            tokio::select! {
                biased;
                () = self.drain.cancelled() => return Reply::own("[]"),
                // In time or not: there is something to read, or the next look is the last.
                _ = timeout_at(deadline, moved) => {}
            }
        }
    }

    /// Moves the place of `key` over the events it gets, and says where it is then and what holds it there.
    fn take(&self, key: &str, now: Instant) -> (Vec<String>, Seq, Option<Hold>) {
        let mut places = self.places();
        places.retain(|_, place| now.saturating_duration_since(place.used) < IDLE);
        if places.len() >= KEYS && !places.contains_key(key) {
            let idlest = places.iter().min_by_key(|(_, place)| place.used).map(|(key, _)| key.clone());
            idlest.and_then(|key| places.remove(&key));
        }
        let journal = self.hub.journal();
        let start = || Place { cursor: journal.cursor(self.format), used: now };
        let place = places.entry(key.to_owned()).or_insert_with(start);
        place.used = now;
        let (mut events, mut bytes, mut runs) = (Vec::new(), 0, Vec::<Run>::new());
        let mut hold = None;
        while hold.is_none() && events.len() < EVENTS && bytes < BYTES && place.cursor.next() < journal.end()
        {
            let up_to = place.cursor.next().plus(EVENTS - events.len());
            let missed;
            (missed, hold) = self.selection.read(journal, &mut place.cursor, up_to, BYTES - bytes, &mut runs);
            if missed > 0 {
                self.metrics.missed.inc_by(missed);
                self.metrics.gaps.inc();
            }
            for event in runs.iter().flat_map(Run::events).filter(|event| self.selection.wants(*event)) {
                bytes += event.text.len();
                events.push(String::from_utf8_lossy(event.text).into_owned());
            }
            runs.clear();
        }
        self.metrics.delivered.inc_by(events.len() as u64);
        (events, place.cursor.next(), hold)
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        // At worst a place is one poll behind.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
