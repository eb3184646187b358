//! Lets calls wait for their limits, `[limit.NAME]`, and spaces out `_rate_limited` ones (standard,
//! api/README.md).
//!
//! What the rules are is in [`policy::limit`](crate::policy::limit), which call is next in `queue`. While
//! the link is down nothing that is limited goes: it would all go at once when the link is back.

mod day;
mod line;
mod queue;
mod wording;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use futures_channel::oneshot;
use jiff::tz::TimeZone;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use self::day::{Day, Spent};
pub use self::line::Pacer;
use self::line::{Road, Turn, Waiter, Waiting};
use self::queue::{Admission, Ask, Consumer, Queue, Refusal};
use super::CallService;
use crate::hub::{Outcome, Reply};
use crate::onebot::catalogue::Access;
use crate::onebot::{Call, Retcode};
use crate::policy::actions::ActionPatterns;
use crate::policy::budget::Allowance;
use crate::policy::limit::Limit;
use crate::policy::target::{Id, Touched};
use crate::telemetry::metrics::LimitVerdict;

/// The pace of an account's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[limit.NAME]`
    pub limits: Vec<Limit>,
    /// Where it is midnight when a new day of `consumer.NAME.daily` begins.
    pub time_zone: TimeZone,
}

impl Default for Config {
    fn default() -> Self {
        Self { limits: Vec::new(), time_zone: TimeZone::system() }
    }
}

/// What paces one consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its name.
    pub consumer: String,
    /// Turns it gets for each turn of a consumer with 1.
    pub weight: u32,
    /// What it may do in a day.
    pub daily: Vec<Allowance>,
}

/// Makes [`Pace`]s.
#[derive(Debug, Clone)]
pub(super) struct PaceLayer {
    pacer: Pacer,
    terms: Arc<Terms>,
}

/// What is the same for all calls of a consumer.
#[derive(Debug)]
struct Terms {
    name: String,
    /// Its place in the line.
    consumer: Consumer,
    /// The limits that are about it.
    limits: Vec<(usize, ActionPatterns)>,
    /// What it has left today, if that is counted.
    day: Option<Arc<Day>>,
}

impl PaceLayer {
    pub(super) fn new(pacer: Pacer, share: &Share) -> Self {
        let (consumer, limits) = pacer.join(share);
        let day = (!share.daily.is_empty()).then(|| Arc::new(Day::new(share, pacer.time_zone())));
        let terms = Terms { name: share.consumer.clone(), consumer, limits, day };
        Self { pacer, terms: Arc::new(terms) }
    }
}

impl<S> Layer<S> for PaceLayer {
    type Service = Pace<S>;

    fn layer(&self, inner: S) -> Pace<S> {
        Pace { inner, pacer: self.pacer.clone(), terms: Arc::clone(&self.terms) }
    }
}

/// Lets calls wait for their limits, and takes the suffix off every call: what goes up is the action
/// itself.
#[derive(Debug, Clone)]
pub struct Pace<S> {
    inner: S,
    pacer: Pacer,
    terms: Arc<Terms>,
}

impl<S> Service<Call> for Pace<S>
where
    S: CallService + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Paced<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let is_rate_limited = call.action.is_rate_limited();
        if call.action.is_deferred() {
            call.action = call.action.without_suffix();
        }
        let spent = match self.terms.day.as_ref().map(|day| day.spend(&call.action)).transpose() {
            Ok(spent) => spent.flatten(),
            Err(refusal) => return Paced::refused(refusal),
        };
        if !self.may_have_to_wait(&call, is_rate_limited) {
            return Paced::going(self.go(call, spent), None);
        }
        let now = Instant::now();
        let mut queue = self.pacer.queue();
        let ask = self.ask(&queue, &call, is_rate_limited);
        // A read that nothing limits is in nobody's way.
        if ask.needs.is_empty() && call.action.entry().is_some_and(|entry| entry.access == Access::Read) {
            drop(queue);
            return Paced::going(self.go(call, spent), None);
        }
        let road = self.road(&ask, &call);
        match queue.ask(&ask, now, rand::random()) {
            Admission::Go => {
                drop(queue);
                Paced::going(self.go(call, spent), road)
            }
            Admission::Refused(refusal) => {
                let verdict = match refusal {
                    Refusal::Rejected { .. } => LimitVerdict::Rejected,
                    _ => LimitVerdict::GaveUp,
                };
                Paced::refused(self.pacer.refused(&queue, refusal, &self.terms.name, verdict))
            }
            Admission::Wait => {
                for need in &ask.needs {
                    self.pacer.count(need.limit, &self.terms.name, LimitVerdict::Waited);
                }
                let (answer, turn) = oneshot::channel();
                // The one that is ready goes; its clone takes its place.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let consumer = self.terms.name.clone();
                queue.wait(ask, Box::new(Waiter { inner, call, answer, consumer, spent }), now);
                drop(queue);
                self.pacer.wake();
                Paced { stage: Stage::Waiting { turn }, road }
            }
        }
    }
}

impl<S: Service<Call>> Pace<S> {
    fn go(&mut self, call: Call, spent: Option<Spent>) -> S::Future {
        if let Some(spent) = spent {
            spent.keep();
        }
        self.inner.call(call)
    }

    /// Whether the queue has to be asked at all.
    fn may_have_to_wait(&self, call: &Call, is_rate_limited: bool) -> bool {
        is_rate_limited
            || self.terms.limits.iter().any(|(_, actions)| actions.matches(&call.action))
            // Behind its own earlier calls.
            || self.terms.limits.len() > 1 && self.pacer.queue().has_waiting(self.terms.consumer)
    }

    fn ask(&self, queue: &Queue<Box<dyn Waiting>>, call: &Call, is_rate_limited: bool) -> Ask {
        let touched = Touched::read(&call.params);
        let target = touched.target(call.action.entry());
        let is_odd = target.is_none() && (touched.group == Id::Odd || touched.user == Id::Odd);
        let consumer = self.terms.consumer;
        let applying = self.terms.limits.iter().filter(|(limit, actions)| {
            actions.matches(&call.action) || (is_rate_limited && self.pacer.is_rate_limited(*limit))
        });
        let needs = applying.filter_map(|(limit, _)| queue.need(*limit, consumer, target, is_odd)).collect();
        Ask { consumer, target, needs, bytes: call.params.len() }
    }

    /// What is to be learnt from the answer, if it is about more than this call.
    fn road(&self, ask: &Ask, call: &Call) -> Option<Road> {
        let sends = call.action.entry().is_some_and(|entry| entry.sends);
        (sends && !ask.needs.is_empty()).then(|| Road::new(&self.pacer, ask))
    }
}

pin_project! {
    /// A call that may have to wait before it goes.
    pub struct Paced<F> {
        #[pin]
        stage: Stage<F>,
        road: Option<Road>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Waiting { turn: oneshot::Receiver<Turn<F>> },
        Going { #[pin] inner: F },
        Refused { reply: Option<Reply> },
    }
}

impl<F> Paced<F> {
    fn going(inner: F, road: Option<Road>) -> Self {
        Self { stage: Stage::Going { inner }, road }
    }

    fn refused(reply: Reply) -> Self {
        Self { stage: Stage::Refused { reply: Some(reply) }, road: None }
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Paced<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                StageProjection::Waiting { turn } => match ready!(Pin::new(turn).poll(cx)) {
                    Ok(Turn::Go(inner)) => Stage::Going { inner },
                    Ok(Turn::Refused(reply)) => Stage::Refused { reply: Some(reply) },
                    Err(_) => Stage::Refused { reply: None },
                },
                StageProjection::Going { inner } => {
                    let Ok(reply) = ready!(inner.poll(cx));
                    if let Some(road) = this.road.take() {
                        road.learn(&reply);
                    }
                    return Poll::Ready(Ok(reply));
                }
                StageProjection::Refused { reply } => {
                    // Without one, the line went with the gateway.
                    let gone = || Reply::refusal(Retcode::Overloaded, Outcome::Overloaded, "shutting down");
                    return Poll::Ready(Ok(reply.take().unwrap_or_else(gone)));
                }
            };
            this.stage.set(next);
        }
    }
}
