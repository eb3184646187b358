//! Which call goes next, of all that wait for a limit. Synchronous and pure: time is an argument, and what
//! waits is opaque.
//!
//! A call goes when every bucket it takes from has room. Calls of one consumer to one chat form a lane and
//! keep their order; only the first of a lane may go. Of several that may, the one goes whose consumer has
//! had least of the buckets it asks for, by weight (start-time fair queueing, the exact form of deficit
//! round robin): a consumer that floods is always behind one that asks now and then.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::onebot::Blockage;
use crate::policy::bucket::Bucket;
use crate::policy::limit::{Excess, Limit, Per};
use crate::policy::target::Target;

/// Whom a call is from: the index of the consumer.
pub(super) type Consumer = usize;

/// One bucket that a call takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    pub(super) limit: usize,
    sharer: Sharer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sharer {
    Account,
    Consumer(Consumer),
    Target(Target),
    /// Targets beyond those that are remembered, and those that cannot be told, share one bucket.
    OtherTargets,
}

/// A call, as far as its place in the queue is concerned.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) consumer: Consumer,
    pub(super) target: Option<Target>,
    pub(super) needs: Vec<Need>,
    /// Of its parameters.
    pub(super) bytes: usize,
}

/// Why a call does not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A limit with `excess = "reject"` has nothing left.
    Rejected { limit: usize, wait: Duration },
    /// It would have to wait longer than `max_wait`.
    TooLong { limit: usize, wait: Duration, held: bool },
    /// Too many wait already.
    Full,
    /// The link is down.
    LinkDown,
    /// The gateway is shutting down.
    Draining,
}

/// What becomes of a call that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It goes now.
    Go,
    /// It is to be put in line with [`Queue::wait`].
    Wait,
    Refused(Refusal),
}

/// What becomes of a call that waited.
#[derive(Debug)]
pub(super) enum Release<T> {
    Go(T),
    Refused(T, Refusal),
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    limits: Vec<Limit>,
    buckets: BTreeMap<Need, Shared>,
    /// Turns in a round, of each consumer.
    weights: Vec<u32>,
    lanes: BTreeMap<Lane, VecDeque<Waiting<T>>>,
    /// Those that wait, by when they are refused.
    deadlines: BTreeMap<(Instant, u64), Lane>,
    /// Calls that wait, of each consumer.
    waiting: Vec<usize>,
    /// Calls that wait, for each limit.
    waiting_for: Vec<usize>,
    bytes: usize,
    room: usize,
    next_number: u64,
    /// When the link came up, while it is up.
    up_since: Option<Instant>,
    /// How long a call waits for the link.
    wait_for_link: Duration,
    /// When the last hold is over.
    held_until: Option<Instant>,
    draining: bool,
}

/// Calls of one consumer to one chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Lane {
    consumer: Consumer,
    target: Option<Target>,
}

#[derive(Debug)]
struct Waiting<T> {
    /// Counts up, so that of equals the one goes that came first.
    number: u64,
    ask: Ask,
    /// When its patience with its limits ends.
    patient_until: Instant,
    /// That, or when its patience with the link ends.
    deadline: Instant,
    item: T,
}

/// A bucket and those who share it.
#[derive(Debug)]
struct Shared {
    bucket: Bucket,
    /// How much a consumer that asks without a break has had.
    clock: u64,
    /// How much each consumer has had, where that is more.
    had: BTreeMap<Consumer, u64>,
    waiting: BTreeMap<Consumer, usize>,
    /// The chat in which the last call failed.
    failed_in: Option<Target>,
}

/// What one call adds to what its consumer has had, divided by its weight.
const TURN: u64 = 1 << 20;
/// Calls of one consumer that may wait.
const MOST_WAITING: usize = 1024;
/// Buckets of targets that are remembered for each limit: targets are chosen by bots.
const MOST_TARGETS: usize = 16_384;

impl<T> Queue<T> {
    /// For nobody yet; calls of `room` bytes may wait.
    pub(super) fn new(limits: Vec<Limit>, room: usize, wait_for_link: Duration) -> Self {
        Self {
            waiting: Vec::new(),
            waiting_for: vec![0; limits.len()],
            limits,
            buckets: BTreeMap::new(),
            weights: Vec::new(),
            lanes: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            bytes: 0,
            room,
            next_number: 0,
            up_since: None,
            wait_for_link,
            held_until: None,
            draining: false,
        }
    }

    /// One more consumer, with so many turns in a round.
    pub(super) fn add_consumer(&mut self, weight: u32) -> Consumer {
        self.weights.push(weight.max(1));
        self.waiting.push(0);
        self.weights.len() - 1
    }

    pub(super) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The bucket of `limit` that a call takes from; `None` if the limit is not about such a call. `is_odd`
    /// says that it names somebody, but not whom.
    pub(super) fn need(
        &self,
        limit: usize,
        consumer: Consumer,
        target: Option<Target>,
        is_odd: bool,
    ) -> Option<Need> {
        let sharer = match (self.limits.get(limit)?.per, target) {
            (Per::Account, _) => Sharer::Account,
            (Per::Consumer, _) => Sharer::Consumer(consumer),
            (Per::Group, Some(target @ Target::Group(_))) | (Per::Target, Some(target)) => {
                Sharer::Target(target)
            }
            _ if is_odd => Sharer::OtherTargets,
            _ => return None,
        };
        let need = Need { limit, sharer };
        let is_new_target = matches!(sharer, Sharer::Target(_)) && !self.buckets.contains_key(&need);
        if is_new_target && self.buckets.len() >= MOST_TARGETS {
            return Some(Need { limit, sharer: Sharer::OtherTargets });
        }
        Some(need)
    }

    /// Decides about a call that comes now, and takes for it what it needs if it goes.
    pub(super) fn ask(&mut self, ask: &Ask, now: Instant, chance: f64) -> Admission {
        let queued = self.lanes.contains_key(&Lane::of(ask));
        let Some(up_since) = self.up_since else {
            return if ask.needs.is_empty() && !queued { Admission::Go } else { self.room_for(ask) };
        };
        self.remember(ask, now);
        let late = self
            .needs(ask)
            .filter(|(_, limit, shared)| shared.bucket.ready_at(&limit.pacing, up_since, now) > now);
        let late: Vec<Need> = late.map(|(need, ..)| need).collect();
        for need in &late {
            let Some((limit, shared)) = self.shared(*need) else { continue };
            if limit.excess == Excess::Reject {
                let ready = shared.bucket.ready_at(&limit.pacing, up_since, now);
                return Admission::Refused(Refusal::Rejected { limit: need.limit, wait: ready - now });
            }
        }
        if late.is_empty() && !queued {
            self.take(ask, up_since, now, chance);
            return Admission::Go;
        }
        for need in &ask.needs {
            if let Some(refusal) = self.hopeless(*need, ask.consumer, up_since, now) {
                return Admission::Refused(refusal);
            }
        }
        self.room_for(ask)
    }

    /// Puts a call in line that was told to wait.
    pub(super) fn wait(&mut self, ask: Ask, item: T, now: Instant) {
        let patience = self.needs(&ask).filter_map(|(_, limit, _)| match limit.excess {
            Excess::Wait(longest) => Some(longest),
            Excess::Reject => None,
        });
        // Without a limit of its own it waits for those before it in its lane, however long they do.
        let patient_until = now + patience.min().unwrap_or(Duration::from_hours(24));
        let deadline = match self.up_since {
            Some(_) => patient_until,
            None => patient_until.min(now + self.wait_for_link),
        };
        let (number, lane) = (self.next_number, Lane::of(&ask));
        self.next_number += 1;
        self.remember(&ask, now);
        for need in &ask.needs {
            if let Some(shared) = self.buckets.get_mut(need) {
                *shared.waiting.entry(ask.consumer).or_default() += 1;
            }
            if let Some(count) = self.waiting_for.get_mut(need.limit) {
                *count += 1;
            }
        }
        if let Some(waiting) = self.waiting.get_mut(ask.consumer) {
            *waiting += 1;
        }
        self.bytes += ask.bytes;
        self.deadlines.insert((deadline, number), lane);
        self.lanes.entry(lane).or_default().push_back(Waiting { number, ask, patient_until, deadline, item });
    }

    /// Takes out of the line what may go and what must not wait any longer, in this order. What nobody
    /// waits for any more is dropped and takes nothing. Returns when to look again.
    pub(super) fn release(
        &mut self,
        now: Instant,
        mut chance: impl FnMut() -> f64,
        is_abandoned: impl Fn(&T) -> bool,
        released: &mut Vec<Release<T>>,
    ) -> Option<Instant> {
        let lanes: Vec<Lane> = self.lanes.keys().copied().collect();
        for lane in lanes {
            self.skip_abandoned(lane, &is_abandoned);
        }
        let mut next_ready = None;
        while let Some(up_since) = self.up_since {
            let (best, ready) = self.best(up_since, now);
            next_ready = ready;
            let Some((lane, waiting)) = best.and_then(|lane| Some((lane, self.pop(lane)?))) else { break };
            self.take(&waiting.ask, up_since, now, chance());
            released.push(Release::Go(waiting.item));
            self.skip_abandoned(lane, &is_abandoned);
        }
        while let Some((&(deadline, number), &lane)) = self.deadlines.first_key_value() {
            if deadline > now {
                return Some(next_ready.map_or(deadline, |ready: Instant| ready.min(deadline)));
            }
            let Some(waiting) = self.remove(lane, number) else {
                self.deadlines.remove(&(deadline, number));
                continue;
            };
            let refusal = self.verdict(&waiting.ask, now);
            released.push(Release::Refused(waiting.item, refusal));
        }
        next_ready
    }

    /// From now on nothing waits. Returns everything that did.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.draining = true;
        let mut items = Vec::new();
        while let Some(lane) = self.lanes.keys().next().copied() {
            items.extend(self.pop(lane).map(|waiting| waiting.item));
        }
        items
    }

    /// The link is up: calls may go, slowly at first.
    pub(super) fn link_up(&mut self, now: Instant) {
        if self.up_since.is_none() {
            self.up_since = Some(now);
            self.set_deadlines(|waiting| waiting.patient_until);
        }
    }

    /// The link is down: nothing that is limited goes, or it would go all at once when the link is back.
    pub(super) fn link_down(&mut self, now: Instant) {
        if self.up_since.take().is_some() {
            let longest = now + self.wait_for_link;
            self.set_deadlines(|waiting| waiting.patient_until.min(longest));
        }
    }

    /// The call went, and LLOneBot did it.
    pub(super) fn succeeded(&mut self, needs: &[Need]) {
        for need in needs {
            if let Some(shared) = self.buckets.get_mut(need) {
                shared.bucket.succeeded();
                shared.failed_in = None;
            }
        }
    }

    /// The call went, and the account could not send. Returns which limits hold everything back from now
    /// on, and for how long.
    pub(super) fn failed(
        &mut self,
        needs: &[Need],
        target: Option<Target>,
        blockage: Blockage,
        now: Instant,
    ) -> Vec<(usize, Duration)> {
        let mut holds = Vec::new();
        for need in needs {
            let Some(breaker) = self.limits.get(need.limit).and_then(|limit| limit.pacing.breaker) else {
                continue;
            };
            let Some(shared) = self.buckets.get_mut(need) else { continue };
            // Muted in one chat is no reason to be silent in others.
            let is_of_one_chat = matches!(need.sharer, Sharer::Target(_));
            let is_news = is_of_one_chat || blockage == Blockage::Account || shared.failed_in != target;
            shared.failed_in = target;
            if is_news {
                let hold = shared.bucket.failed(breaker, now);
                self.held_until = self.held_until.max(hold.map(|hold| now + hold));
                holds.extend(hold.map(|hold| (need.limit, hold)));
            }
        }
        holds
    }

    /// Buckets of a limit that hold everything back.
    pub(super) fn held(&self, limit: usize, now: Instant) -> usize {
        if self.held_until.is_none_or(|over| over <= now) {
            return 0;
        }
        let held = |(need, shared): &(&Need, &Shared)| need.limit == limit && shared.bucket.is_held(now);
        self.buckets.iter().filter(held).count()
    }

    /// Whether calls of this consumer wait.
    pub(super) fn has_waiting(&self, consumer: Consumer) -> bool {
        self.waiting.get(consumer).is_some_and(|waiting| *waiting > 0)
    }

    /// Calls that wait for a limit.
    pub(super) fn waiting_for(&self, limit: usize) -> usize {
        self.waiting_for.get(limit).copied().unwrap_or_default()
    }
}

impl<T> Queue<T> {
    fn shared(&self, need: Need) -> Option<(&Limit, &Shared)> {
        self.limits.get(need.limit).zip(self.buckets.get(&need))
    }

    fn needs(&self, ask: &Ask) -> impl Iterator<Item = (Need, &Limit, &Shared)> {
        ask.needs.iter().filter_map(|need| {
            let (limit, shared) = self.shared(*need)?;
            Some((*need, limit, shared))
        })
    }

    /// Makes the buckets that are asked for.
    fn remember(&mut self, ask: &Ask, now: Instant) {
        if self.buckets.len() >= MOST_TARGETS {
            self.buckets.retain(|_, shared| !shared.is_idle(now));
        }
        for need in &ask.needs {
            self.buckets.entry(*need).or_insert_with(|| Shared::new(now));
        }
    }

    /// Takes from every bucket of a call that goes.
    fn take(&mut self, ask: &Ask, up_since: Instant, now: Instant, chance: f64) {
        let weight = self.weights.get(ask.consumer).copied().unwrap_or(1);
        for need in &ask.needs {
            let Some(limit) = self.limits.get(need.limit) else { continue };
            let Some(shared) = self.buckets.get_mut(need) else { continue };
            shared.bucket.take(&limit.pacing, up_since, now, chance);
            let had = shared.had.get(&ask.consumer).copied().unwrap_or_default().max(shared.clock);
            shared.clock = had;
            shared.had.insert(ask.consumer, had + TURN / u64::from(weight));
        }
    }

    /// The lane whose first call goes next, if one may; and when the next one might.
    fn best(&self, up_since: Instant, now: Instant) -> (Option<Lane>, Option<Instant>) {
        let (mut best, mut next_ready) = (None, None::<Instant>);
        for (lane, calls) in &self.lanes {
            let Some(first) = calls.front() else { continue };
            let ready_at = self
                .needs(&first.ask)
                .map(|(_, limit, shared)| shared.bucket.ready_at(&limit.pacing, up_since, now));
            let ready_at = ready_at.max().unwrap_or(now);
            if ready_at > now {
                next_ready = Some(next_ready.map_or(ready_at, |soonest| soonest.min(ready_at)));
                continue;
            }
            let ahead = self.needs(&first.ask).map(|(_, _, shared)| shared.ahead(lane.consumer)).max();
            let rank = (ahead.unwrap_or_default(), first.number);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, *lane));
            }
        }
        (best.map(|(_, lane)| lane), next_ready)
    }

    /// Why a call that would wait for `need` would do so in vain.
    fn hopeless(&self, need: Need, consumer: Consumer, up_since: Instant, now: Instant) -> Option<Refusal> {
        let (limit, shared) = self.shared(need)?;
        let Excess::Wait(longest) = limit.excess else { return None };
        let wait = self.estimate(limit, shared, consumer, up_since, now);
        let held = shared.bucket.is_held(now);
        (wait > longest).then_some(Refusal::TooLong { limit: need.limit, wait, held })
    }

    /// How long one more call of `consumer` would wait, if all that wait before it go.
    fn estimate(
        &self,
        limit: &Limit,
        shared: &Shared,
        consumer: Consumer,
        up_since: Instant,
        now: Instant,
    ) -> Duration {
        let weight = |consumer: Consumer| self.weights.get(consumer).copied().unwrap_or(1) as usize;
        let own = shared.waiting.get(&consumer).copied().unwrap_or_default();
        let ahead = |(other, waiting): (&Consumer, &usize)| {
            let turns = ((own + 1) * weight(*other)).div_ceil(weight(consumer));
            if *other == consumer { own } else { turns.min(*waiting) }
        };
        let ahead: usize = shared.waiting.iter().map(ahead).sum();
        let ready = shared.bucket.ready_at(&limit.pacing, up_since, now).max(now) - now;
        ready + shared.bucket.steady_interval(&limit.pacing) * u32::try_from(ahead).unwrap_or(u32::MAX)
    }

    /// Why a call whose time is up did not go.
    fn verdict(&self, ask: &Ask, now: Instant) -> Refusal {
        let Some(up_since) = self.up_since else { return Refusal::LinkDown };
        let waits = self.needs(ask).map(|(need, limit, shared)| {
            let wait = self.estimate(limit, shared, ask.consumer, up_since, now);
            (wait, need.limit, shared.bucket.is_held(now))
        });
        waits.max().map_or(Refusal::Full, |(wait, limit, held)| Refusal::TooLong { limit, wait, held })
    }

    fn room_for(&self, ask: &Ask) -> Admission {
        if self.draining {
            return Admission::Refused(Refusal::Draining);
        }
        let waiting = self.waiting.get(ask.consumer).copied().unwrap_or_default();
        // One call of any size may wait.
        let is_full = waiting >= MOST_WAITING || (self.bytes > 0 && self.bytes + ask.bytes > self.room);
        if is_full { Admission::Refused(Refusal::Full) } else { Admission::Wait }
    }

    fn set_deadlines(&mut self, deadline: impl Fn(&Waiting<T>) -> Instant) {
        self.deadlines.clear();
        for (lane, calls) in &mut self.lanes {
            for waiting in calls {
                waiting.deadline = deadline(waiting);
                self.deadlines.insert((waiting.deadline, waiting.number), *lane);
            }
        }
    }

    fn skip_abandoned(&mut self, lane: Lane, is_abandoned: impl Fn(&T) -> bool) {
        let is_first_abandoned = |queue: &Self| {
            let first = queue.lanes.get(&lane).and_then(VecDeque::front);
            first.is_some_and(|first| is_abandoned(&first.item))
        };
        while is_first_abandoned(self) {
            self.pop(lane);
        }
    }

    fn pop(&mut self, lane: Lane) -> Option<Waiting<T>> {
        let number = self.lanes.get(&lane)?.front()?.number;
        self.remove(lane, number)
    }

    fn remove(&mut self, lane: Lane, number: u64) -> Option<Waiting<T>> {
        let calls = self.lanes.get_mut(&lane)?;
        let at = calls.binary_search_by_key(&number, |waiting| waiting.number).ok()?;
        let waiting = calls.remove(at)?;
        if calls.is_empty() {
            self.lanes.remove(&lane);
        }
        self.deadlines.remove(&(waiting.deadline, number));
        self.bytes -= waiting.ask.bytes;
        if let Some(count) = self.waiting.get_mut(lane.consumer) {
            *count -= 1;
        }
        for need in &waiting.ask.needs {
            if let Some(count) = self.waiting_for.get_mut(need.limit) {
                *count -= 1;
            }
            let Some(shared) = self.buckets.get_mut(need) else { continue };
            let left = shared.waiting.get(&lane.consumer).map_or(0, |count| count - 1);
            if left == 0 {
                shared.waiting.remove(&lane.consumer);
            } else {
                shared.waiting.insert(lane.consumer, left);
            }
        }
        Some(waiting)
    }
}

impl Lane {
    fn of(ask: &Ask) -> Self {
        Self { consumer: ask.consumer, target: ask.target }
    }
}

impl Shared {
    fn new(now: Instant) -> Self {
        Self {
            bucket: Bucket::new(now),
            clock: 0,
            had: BTreeMap::new(),
            waiting: BTreeMap::new(),
            failed_in: None,
        }
    }

    /// How much more `consumer` has had than one that asks without a break.
    fn ahead(&self, consumer: Consumer) -> u64 {
        self.had.get(&consumer).map_or(0, |had| had.saturating_sub(self.clock))
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.bucket.is_full(now)
    }
}

#[cfg(test)]
mod tests;
