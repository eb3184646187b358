//! Where calls wait, and who lets them go.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;
use jiff::tz::TimeZone;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::day::Spent;
use super::queue::{Ask, Consumer, Need, Queue, Refusal, Release};
use super::{Config, Share, wording};
use crate::call::CallService;
use crate::hub::{self, Hub, LinkState, Outcome, Reply};
use crate::onebot::{Blockage, Call, blockage};
use crate::policy::actions::ActionPatterns;
use crate::policy::bucket::Pacing;
use crate::policy::limit::{Excess, Limit, Per};
use crate::policy::target::Target;
use crate::telemetry::metrics::{LimitMetrics, LimitVerdict};

/// The limits of one account, and what waits for them. Clones share them.
#[derive(Clone)]
pub struct Pacer(Arc<Line>);

struct Line {
    queue: Mutex<Queue<Box<dyn Waiting>>>,
    hub: Arc<Hub>,
    /// Something waits that did not before, or the queue wants to be looked at.
    changed: Notify,
    time_zone: TimeZone,
    /// The limit that all `_rate_limited` calls take from.
    rate_limited: usize,
    metrics: Vec<LimitMetrics>,
}

impl Pacer {
    /// The limits of the account of `hub`. `metrics` makes those of a limit.
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        calls: &hub::Config,
        config: Config,
        metrics: impl Fn(&str) -> LimitMetrics,
    ) -> Self {
        let mut limits = config.limits;
        let rate_limited = limits.len();
        limits.push(rate_limited_limit(calls.rate_limited_interval));
        let metrics = limits.iter().map(|limit| metrics(&limit.name)).collect();
        let mut queue = Queue::new(limits, calls.queue_bytes, calls.wait_for_link);
        if hub.state().link == LinkState::Up {
            queue.link_up(Instant::now());
        }
        Self(Arc::new(Line {
            queue: Mutex::new(queue),
            hub,
            changed: Notify::new(),
            time_zone: config.time_zone,
            rate_limited,
            metrics,
        }))
    }

    /// Lets go what is due until `drain`; from then on nothing waits any more.
    pub async fn drive(self, drain: CancellationToken) {
        let mut state = self.0.hub.watch();
        let mut links = self.0.hub.link_changes();
        loop {
            let is_up = state.borrow_and_update().link == LinkState::Up;
            let links_now = self.0.hub.link_changes();
            // One that was replaced in no time is a new one all the same.
            let is_new = std::mem::replace(&mut links, links_now) != links_now;
            let next = self.release(is_up, is_new, Instant::now());
            tokio::select! {
                biased;
                () = drain.cancelled() => return self.give_up(),
                // Fails only when the hub is gone, which this holds on to.
                _ = state.changed() => {}
                () = self.0.changed.notified() => {}
                () = sleep_until(next) => {}
            }
        }
    }
}

/// A limit like any other: one call each interval, in order, fair between consumers.
fn rate_limited_limit(interval: Duration) -> Limit {
    Limit {
        name: "_rate_limited".into(),
        // By suffix instead, see `Pace::ask`.
        actions: ActionPatterns::default(),
        consumers: None,
        per: Per::Account,
        pacing: Pacing { interval, burst: 1, jitter: Duration::ZERO, ramp: Duration::ZERO, breaker: None },
        // Its caller was answered already: late is better than never, and how many wait is bounded.
        excess: Excess::Wait(Duration::from_hours(1)),
    }
}

/// What the layer of a consumer does.
impl Pacer {
    /// Takes `share` in. Returns its place, and the limits that are about it.
    pub(super) fn join(&self, share: &Share) -> (Consumer, Vec<(usize, ActionPatterns)>) {
        let mut queue = self.queue();
        let consumer = queue.add_consumer(share.weight);
        let covering = queue.limits().iter().enumerate().filter(|(_, limit)| limit.covers(&share.consumer));
        (consumer, covering.map(|(index, limit)| (index, limit.actions.clone())).collect())
    }

    pub(super) fn time_zone(&self) -> TimeZone {
        self.0.time_zone.clone()
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue<Box<dyn Waiting>>> {
        // Nothing in there can panic between changes that belong together.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `limit` is the one of `_rate_limited` calls.
    pub(super) fn is_rate_limited(&self, limit: usize) -> bool {
        limit == self.0.rate_limited
    }

    /// Something waits that did not before.
    pub(super) fn wake(&self) {
        self.0.changed.notify_one();
    }

    pub(super) fn count(&self, limit: usize, consumer: &str, verdict: LimitVerdict) {
        if let Some(metrics) = self.0.metrics.get(limit) {
            metrics.count(consumer, verdict);
        }
    }

    /// The answer to a call that does not go.
    pub(super) fn refused(
        &self,
        queue: &Queue<Box<dyn Waiting>>,
        refusal: Refusal,
        consumer: &str,
        verdict: LimitVerdict,
    ) -> Reply {
        if let Refusal::Rejected { limit, .. } | Refusal::TooLong { limit, .. } = refusal {
            self.count(limit, consumer, verdict);
        }
        wording::refusal(queue, refusal, &self.0.hub)
    }
}

impl Pacer {
    /// Lets go what is due, and returns when to look again.
    fn release(&self, is_up: bool, is_new: bool, now: Instant) -> Instant {
        let mut released = Vec::new();
        // Held until all are on their way: what comes meanwhile must not overtake them.
        let mut queue = self.queue();
        if !is_up || is_new {
            queue.link_down(now);
        }
        if is_up {
            queue.link_up(now);
        }
        let mut next = queue.release(now, rand::random, |item| item.is_abandoned(), &mut released);
        for release in released {
            match release {
                Release::Go(item) => item.go(),
                Release::Refused(item, refusal) => {
                    let reply = self.refused(&queue, refusal, item.consumer(), LimitVerdict::GaveUp);
                    item.refuse(reply);
                }
            }
        }
        for (limit, metrics) in self.0.metrics.iter().enumerate() {
            metrics.waiting.set(queue.waiting_for(limit).cast_signed() as i64);
            let held = queue.held(limit, now);
            metrics.held.set(held.cast_signed() as i64);
            if held > 0 {
                // Nothing else says when a hold is over if nothing waits for it.
                let soon = now + Duration::from_secs(1);
                next = Some(next.map_or(soon, |next| next.min(soon)));
            }
        }
        next.unwrap_or(now + Duration::from_hours(1))
    }

    /// The gateway is shutting down.
    fn give_up(&self) {
        let mut queue = self.queue();
        for item in queue.drain() {
            let reply = wording::refusal(&queue, Refusal::Draining, &self.0.hub);
            item.refuse(reply);
        }
    }
}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer").field("limits", &self.0.metrics.len()).finish_non_exhaustive()
    }
}

/// A call in line.
pub(super) trait Waiting: Send {
    fn consumer(&self) -> &str;
    /// Whether nobody waits for its answer any more.
    fn is_abandoned(&self) -> bool;
    fn go(self: Box<Self>);
    fn refuse(self: Box<Self>, reply: Reply);
}

pub(super) struct Waiter<S: CallService> {
    pub(super) inner: S,
    pub(super) call: Call,
    pub(super) answer: oneshot::Sender<Turn<S::Future>>,
    pub(super) consumer: String,
    pub(super) spent: Option<Spent>,
}

/// What becomes of a call that waited.
pub(super) enum Turn<F> {
    Go(F),
    Refused(Reply),
}

impl<S> Waiting for Waiter<S>
where
    S: CallService + Send,
    S::Future: Send,
{
    fn consumer(&self) -> &str {
        &self.consumer
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_canceled()
    }

    fn go(mut self: Box<Self>) {
        if let Some(spent) = self.spent.take() {
            spent.keep();
        }
        // Who went away since a moment ago does not get its answer, like anybody whose call was sent.
        let _ = self.answer.send(Turn::Go(self.inner.call(self.call)));
    }

    fn refuse(self: Box<Self>, reply: Reply) {
        let _ = self.answer.send(Turn::Refused(reply));
    }
}

/// Where a call went, to be told how it got there.
pub(super) struct Road {
    needs: Vec<Need>,
    target: Option<Target>,
    pacer: Pacer,
}

impl Road {
    pub(super) fn new(pacer: &Pacer, ask: &Ask) -> Self {
        Self { needs: ask.needs.clone(), target: ask.target, pacer: pacer.clone() }
    }

    pub(super) fn learn(&self, reply: &Reply) {
        let blocked = match reply.outcome {
            Outcome::Ok => return self.pacer.queue().succeeded(&self.needs),
            Outcome::Failed => blockage(&reply.text),
            // Where nothing comes back, something is wrong there.
            Outcome::Timeout => Some(Blockage::Chat),
            _ => None,
        };
        let Some(blocked) = blocked else { return };
        let mut queue = self.pacer.queue();
        for (limit, hold) in queue.failed(&self.needs, self.target, blocked, Instant::now()) {
            let name = queue.limits().get(limit).map(|limit| Arc::clone(&limit.name)).unwrap_or_default();
            let chat = self.target.map(|target| target.to_string()).unwrap_or_default();
            warn!(
                limit = &*name,
                "sending failed again and again, last to {chat} ({}); limit.{name} lets nothing through for \
                 {hold:?}, then tries one call",
                match blocked {
                    Blockage::Chat => "muted, not a member, or no answer",
                    Blockage::Account => "the account is frozen, under risk control or offline",
                },
            );
            if let Some(metrics) = self.pacer.0.metrics.get(limit) {
                metrics.holds.inc();
            }
        }
        drop(queue);
        self.pacer.wake();
    }
}
