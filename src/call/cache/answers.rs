//! The answers of one account: those that are kept, and those that are on their way.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use moka::Expiry;
use moka::sync::Cache as Store;
use tokio::time::Instant;

use super::changes::{Changes, Moment, Scope};
use super::question::{Asked, Question};
use crate::hub::{Hub, Outcome, Reply};
use crate::journal::{Cursor, Run, Seq};
use crate::onebot::catalogue::changes::{Subjects, changed_by_event, read_is_about};
use crate::onebot::catalogue::{Action, Cacheable};
use crate::onebot::reply::retcode;
use crate::onebot::{EchoSpan, Key, MessageFormat, Retcode, scan};
use crate::telemetry::metrics::CacheMetrics;

/// `[cache]`: which answers are given again to the same question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Keep all that the catalogue says may be kept, for as long as it says.
    pub all: bool,
    /// How long, by action; zero keeps none.
    pub ttl: BTreeMap<String, Duration>,
    /// Bytes that are kept, bookkeeping included.
    pub max_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { all: false, ttl: BTreeMap::new(), max_bytes: 32 << 20 }
    }
}

/// For how long an answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Not,
    For(Duration),
    /// As long as the link lives.
    Link,
    /// As long as the account is the same.
    Account,
}

impl Config {
    fn keeping(&self, action: &Action) -> Keeping {
        if let Some(ttl) = self.ttl.get(action.name) {
            return if ttl.is_zero() { Keeping::Not } else { Keeping::For(*ttl) };
        }
        match action.cacheable {
            Cacheable::Static => Keeping::Link,
            Cacheable::Immutable => Keeping::Account,
            Cacheable::Ttl(seconds) if self.all => Keeping::For(Duration::from_secs(seconds.into())),
            Cacheable::Ttl(_) | Cacheable::No => Keeping::Not,
        }
    }
}

/// What is kept of one account's answers, shared by all its consumers. Who may ask is settled before.
#[derive(Debug, Clone)]
pub struct Answers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    hub: Arc<Hub>,
    metrics: CacheMetrics,
    kept: Store<Question, Kept>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    changes: Changes,
    /// Which events it was read from what they changed: it is one more reader of the journal, and looks
    /// only when somebody asks, so that events cost nothing.
    events: Cursor,
    link_changes: u64,
    account: Option<i64>,
    /// Questions that are being asked. As long as somebody waits for the answer.
    under_way: HashMap<Question, Flight>,
    next_flight: u64,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    asked: At,
    answer: WeakShared<BoxFuture<'static, Answer>>,
}

/// The time of a question, in everything that can make an answer untrue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    moment: Moment,
    link_changes: u64,
    account: Option<i64>,
}

#[derive(Debug, Clone)]
struct Kept {
    answer: Answer,
    asked: At,
    /// Counts questions: a later one has the newer answer.
    number: u64,
    until: Option<Instant>,
    keeping: Keeping,
}

/// A reply that several get.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    text: Bytes,
    echo_at: Option<EchoSpan>,
    after: Seq,
    outcome: Outcome,
    refused: Option<Retcode>,
    retry_after: Option<Duration>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        // No action that may be kept answers in parts.
        let Reply { text, echo_at, after, outcome, refused, retry_after, rest: _ } = reply;
        Self { text, echo_at, after, outcome, refused, retry_after }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let Answer { text, echo_at, after, outcome, refused, retry_after } = answer;
        Self { text, echo_at, after, outcome, refused, retry_after, rest: None }
    }
}

impl Answer {
    /// Whether a limit of the one who asked stood against it, which is no answer for anybody else.
    pub(super) fn is_limited(&self) -> bool {
        self.refused == Some(Retcode::Limited)
    }

    /// Whether LLOneBot did what was asked: nothing else is worth telling twice.
    fn is_good(&self) -> bool {
        let is_ok = || {
            let envelope = scan(&self.text).ok()?;
            let status = envelope.get(Key::Status)?.of(&self.text);
            Some(status == b"\"ok\"" && retcode(&self.text, &envelope) == Some(0))
        };
        self.outcome == Outcome::Ok && self.refused.is_none() && is_ok() == Some(true)
    }
}

/// What there is for a question.
pub(super) enum Found {
    /// The answer.
    Kept(Answer),
    /// Somebody is asking it.
    UnderWay(Shared<BoxFuture<'static, Answer>>),
    /// Nothing: it has to be asked.
    Nothing,
}

impl Answers {
    /// Nothing yet, of the account of `hub`.
    #[must_use]
    pub fn new(config: Config, hub: Arc<Hub>, metrics: CacheMetrics) -> Self {
        let kept = Store::builder()
            .max_capacity(config.max_bytes as u64)
            .weigher(|question: &Question, kept: &Kept| {
                let bytes = size_of::<Kept>() + 2 * question.len() + kept.answer.text.len();
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .expire_after(Lifetime)
            .build();
        let state = State {
            changes: Changes::default(),
            events: hub.journal().cursor(MessageFormat::default()),
            link_changes: hub.link_changes(),
            account: hub.state().self_id,
            under_way: HashMap::new(),
            next_flight: 0,
        };
        Self(Arc::new(Inner { config, hub, metrics, kept, state: Mutex::new(state) }))
    }

    pub(super) fn metrics(&self) -> &CacheMetrics {
        &self.0.metrics
    }

    /// What there is for a question to `action`. A question that must be asked anew finds nothing.
    pub(super) fn find(&self, action: &Action, asked: &Asked) -> Found {
        if asked.anew {
            return Found::Nothing;
        }
        let scope = scope(action, asked);
        let state = self.caught_up();
        // Most actions are kept only where the operator said so.
        if self.0.config.keeping(action) != Keeping::Not
            && let Some(kept) = self.0.kept.get(&asked.question)
        {
            if kept.is_true(scope, &state, Instant::now()) {
                return Found::Kept(kept.answer);
            }
            self.0.kept.invalidate(&asked.question);
        }
        let answer =
            state.under_way.get(&asked.question).filter(|flight| state.is_current(scope, flight.asked));
        answer.and_then(|flight| flight.answer.upgrade()).map_or(Found::Nothing, Found::UnderWay)
    }

    /// Lets others share the answer to a question from now on, and keeps it when it has come. It comes as long
    /// as somebody waits, whoever asked first.
    pub(super) fn ask<F>(
        &self,
        action: &'static Action,
        asked: Asked,
        reply: F,
    ) -> Shared<BoxFuture<'static, Answer>>
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let mut state = self.caught_up();
        let number = state.next_flight;
        state.next_flight += 1;
        let at = state.now();
        let question = asked.question.clone();
        let place = Place { answers: self.clone(), action, asked, at, number };
        let answer = async move {
            let answer = Answer::from(reply.await);
            place.keep(&answer);
            answer
        };
        let answer = answer.boxed().shared();
        if let Some(weak) = answer.downgrade() {
            state.under_way.insert(question, Flight { number, asked: at, answer: weak });
        }
        answer
    }

    /// A call begins or has ended that changes what `scope` says. Until `settled` it may still do so.
    pub(super) fn changing(&self, scope: Scope, settled: Instant) {
        self.lock().changes.note(scope, settled);
    }

    /// With everything noted that has happened by now.
    fn caught_up(&self) -> MutexGuard<'_, State> {
        let hub = &self.0.hub;
        let (end, link_changes) = (hub.journal().end(), hub.link_changes());
        let mut state = self.lock();
        if state.link_changes != link_changes {
            state.link_changes = link_changes;
            state.account = hub.state().self_id;
        }
        if state.events.next() < end {
            let mut runs: Vec<Run> = Vec::new();
            let missed = hub.journal().read_unconverted(&mut state.events, end, usize::MAX, &mut runs);
            let now = Instant::now();
            if missed > 0 {
                state.changes.note(Scope { subjects: Subjects::ALL, group: None }, now);
            }
            for event in runs.iter().flat_map(Run::events) {
                let subjects = changed_by_event(event.head, event.text);
                state.changes.note(Scope { subjects, group: event.head.group_id }, now);
            }
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic between changes that belong together.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) {
        // What is evicted is told only then.
        self.0.kept.run_pending_tasks();
        self.0.metrics.entries.set(self.0.kept.entry_count().cast_signed());
        self.0.metrics.bytes.set(self.0.kept.weighted_size().cast_signed());
    }
}

impl State {
    fn now(&self) -> At {
        let moment = self.changes.moment(Instant::now());
        At { moment, link_changes: self.link_changes, account: self.account }
    }

    /// Whether an answer to what was asked then is what would be answered now.
    fn is_current(&self, scope: Scope, asked: At) -> bool {
        asked.link_changes == self.link_changes && self.changes.hold(scope, asked.moment)
    }
}

impl Kept {
    fn is_true(&self, scope: Scope, state: &State, now: Instant) -> bool {
        match self.keeping {
            Keeping::Account => self.asked.account == state.account,
            _ => self.until.is_none_or(|until| now < until) && state.is_current(scope, self.asked),
        }
    }
}

/// A question on its way. It leaves the table with its answer, or when nobody waits any more.
struct Place {
    answers: Answers,
    action: &'static Action,
    asked: Asked,
    at: At,
    number: u64,
}

impl Place {
    fn keep(&self, answer: &Answer) {
        let inner = &*self.answers.0;
        let keeping = inner.config.keeping(self.action);
        if keeping == Keeping::Not || !answer.is_good() {
            return;
        }
        let now = Instant::now();
        let until = match keeping {
            Keeping::For(ttl) => Some(now + ttl),
            Keeping::Not | Keeping::Link | Keeping::Account => None,
        };
        // A copy, since a large answer may be a part of a larger buffer.
        let answer = Answer { text: Bytes::copy_from_slice(&answer.text), ..answer.clone() };
        let kept = Kept { answer, asked: self.at, number: self.number, until, keeping };
        let state = self.answers.caught_up();
        let is_newest =
            || inner.kept.get(&self.asked.question).is_none_or(|other| other.number < self.number);
        if kept.is_true(scope(self.action, &self.asked), &state, now) && is_newest() {
            inner.kept.insert(self.asked.question.clone(), kept);
            drop(state);
            self.answers.report();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.answers.lock();
        // A later one may have taken its place.
        if state.under_way.get(&self.asked.question).is_some_and(|flight| flight.number == self.number) {
            state.under_way.remove(&self.asked.question);
        }
    }
}

fn scope(action: &Action, asked: &Asked) -> Scope {
    Scope { subjects: read_is_about(action), group: asked.group }
}

/// Frees what is over. Whether something may still be told is decided by the clock of the program.
struct Lifetime;

#[expect(clippy::disallowed_types, reason = "the library's own clock, which is not looked at")]
impl Expiry<Question, Kept> for Lifetime {
    fn expire_after_create(&self, _: &Question, kept: &Kept, _: std::time::Instant) -> Option<Duration> {
        kept.lifetime()
    }

    fn expire_after_update(
        &self,
        _: &Question,
        kept: &Kept,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        kept.lifetime()
    }
}

impl Kept {
    fn lifetime(&self) -> Option<Duration> {
        match self.keeping {
            Keeping::For(ttl) => Some(ttl),
            Keeping::Not | Keeping::Link | Keeping::Account => None,
        }
    }
}
