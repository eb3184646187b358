use proptest::prelude::*;

use super::*;
use crate::policy::actions::ActionPatterns;
use crate::policy::bucket::{Breaker, Pacing};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const GROUP: Option<Target> = Some(Target::Group(1));

fn limit(name: &str, per: Per, interval: Duration, burst: u32, excess: Excess) -> Limit {
    Limit {
        name: name.into(),
        actions: ActionPatterns::all(),
        consumers: None,
        per,
        pacing: Pacing { interval, burst, jitter: Duration::ZERO, ramp: Duration::ZERO, breaker: None },
        excess,
    }
}

/// A queue whose calls are numbers, and what became of them.
struct Line {
    queue: Queue<u32>,
    start: Instant,
    now: Instant,
    gone: Vec<(Duration, Consumer, u32)>,
    refused: Vec<(u32, Refusal)>,
    abandoned: Vec<u32>,
}

impl Line {
    /// With consumers of these weights, and the link up.
    fn new(limits: Vec<Limit>, weights: &[u32]) -> Self {
        let mut queue = Queue::new(limits, 1 << 20, 5 * SECOND);
        for weight in weights {
            queue.add_consumer(*weight);
        }
        let now = Instant::now();
        queue.link_up(now);
        Self { queue, start: now, now, gone: Vec::new(), refused: Vec::new(), abandoned: Vec::new() }
    }

    /// A call takes from every limit.
    fn ask(&mut self, consumer: Consumer, target: Option<Target>, call: u32) -> Admission {
        let needs = (0..self.queue.limits().len())
            .filter_map(|limit| self.queue.need(limit, consumer, target, false))
            .collect();
        self.ask_for(Ask { consumer, target, needs, bytes: 10 }, call)
    }

    fn ask_for(&mut self, ask: Ask, call: u32) -> Admission {
        let admission = self.queue.ask(&ask, self.now, 0.5);
        match admission {
            Admission::Go => self.gone.push((self.now - self.start, ask.consumer, call)),
            Admission::Wait => self.queue.wait(ask, call, self.now),
            Admission::Refused(refusal) => self.refused.push((call, refusal)),
        }
        admission
    }

    /// Lets time pass, and go what may.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let mut released = Vec::new();
            let abandoned = &self.abandoned;
            let next = self.queue.release(self.now, || 0.5, |call| abandoned.contains(call), &mut released);
            for release in released {
                match release {
                    // By convention the thousands of a call are its consumer.
                    Release::Go(call) => {
                        self.gone.push((self.now - self.start, (call / 1000) as usize, call));
                    }
                    Release::Refused(call, refusal) => self.refused.push((call, refusal)),
                }
            }
            match next.filter(|next| *next <= until) {
                Some(next) => self.now = next.max(self.now + Duration::from_nanos(1)),
                None => break,
            }
        }
        self.now = until;
    }

    fn calls_gone(&self) -> Vec<u32> {
        self.gone.iter().map(|(_, _, call)| *call).collect()
    }
}

#[test]
fn what_exceeds_a_burst_waits_and_goes_in_order() {
    let wait = Excess::Wait(MINUTE);
    let mut line = Line::new(vec![limit("a", Per::Account, 2 * SECOND, 2, wait)], &[1]);
    let admissions: Vec<Admission> = (0..4).map(|call| line.ask(0, GROUP, call)).collect();
    assert_eq!(admissions, [Admission::Go, Admission::Go, Admission::Wait, Admission::Wait]);
    line.pass(10 * SECOND);
    let times: Vec<u64> = line.gone.iter().map(|(at, ..)| at.as_secs()).collect();
    assert_eq!((line.calls_gone(), times), (vec![0, 1, 2, 3], vec![0, 0, 2, 4]));
}

#[test]
fn a_chat_that_must_wait_does_not_hold_up_another() {
    let wait = Excess::Wait(MINUTE);
    let mut line = Line::new(vec![limit("a", Per::Group, 10 * SECOND, 1, wait)], &[1]);
    let other = Some(Target::Group(2));
    assert_eq!(line.ask(0, GROUP, 0), Admission::Go);
    assert_eq!(line.ask(0, GROUP, 1), Admission::Wait);
    assert_eq!(line.ask(0, other, 2), Admission::Go);
    assert_eq!(line.ask(0, None, 3), Admission::Go);
    // Behind what waits for its chat even if no limit is about it.
    let unlimited = Ask { consumer: 0, target: GROUP, needs: Vec::new(), bytes: 0 };
    assert_eq!(line.ask_for(unlimited, 4), Admission::Wait);
    line.pass(10 * SECOND);
    assert_eq!(line.calls_gone(), [0, 2, 3, 1, 4]);
}

#[test]
fn ten_bots_get_their_fair_share_of_one_bucket_though_one_floods() {
    let wait = Excess::Wait(MINUTE);
    let mut line = Line::new(vec![limit("a", Per::Account, 2 * SECOND, 5, wait)], &[1; 10]);
    let mut next = [0_u32; 10];
    let mut ask = |line: &mut Line, consumer: usize| {
        let call = consumer as u32 * 1000 + next[consumer];
        next[consumer] += 1;
        line.ask(consumer, GROUP, call);
    };
    // Ten minutes; the share of each is one call in 20 s, the first asks for 20 times as much.
    for second in 0..600 {
        ask(&mut line, 0);
        if second % 20 == 0 {
            (1..10).for_each(|consumer| ask(&mut line, consumer));
        }
        line.pass(SECOND);
    }
    for consumer in 0..10 {
        let calls: Vec<u32> =
            line.gone.iter().filter(|(_, from, _)| *from == consumer).map(|(_, _, call)| *call).collect();
        assert!(calls.is_sorted(), "{consumer}: {calls:?}");
        assert!(calls.len() >= 29, "{consumer} got {}", calls.len());
    }
    assert!(line.refused.iter().all(|(call, _)| *call < 1000), "only who floods is refused");
    assert!(line.gone.len() <= 5 + 300, "{}", line.gone.len());
}

#[test]
fn turns_are_by_weight() {
    let wait = Excess::Wait(60 * MINUTE);
    let mut line = Line::new(vec![limit("a", Per::Account, SECOND, 1, wait)], &[3, 1]);
    for call in 0..100 {
        line.ask(0, GROUP, call);
        line.ask(1, GROUP, 1000 + call);
    }
    line.pass(40 * SECOND);
    let of_first = line.gone.iter().filter(|(_, from, _)| *from == 0).count();
    assert!((29..=32).contains(&of_first), "{of_first} of {}", line.gone.len());
}

#[test]
fn who_would_wait_too_long_is_told_at_once_and_how_long() {
    let wait = Excess::Wait(5 * SECOND);
    let mut line = Line::new(vec![limit("a", Per::Account, 2 * SECOND, 1, wait)], &[1, 1]);
    for call in 0..4 {
        line.ask(0, GROUP, call);
    }
    assert_eq!(line.refused, [(3, Refusal::TooLong { limit: 0, wait: 6 * SECOND, held: false })]);
    // Another bot has a turn of its own between these.
    assert_eq!(line.ask(1, GROUP, 1000), Admission::Wait);
    line.pass(5 * SECOND);
    assert_eq!(line.calls_gone(), [0, 1000, 1]);
    assert!(matches!(line.refused.last(), Some((2, Refusal::TooLong { .. }))), "{:?}", line.refused);
}

#[test]
fn a_call_takes_from_all_its_limits_or_from_none() {
    let limits = vec![
        limit("reject", Per::Account, 10 * SECOND, 2, Excess::Reject),
        limit("wait", Per::Group, 4 * SECOND, 1, Excess::Wait(MINUTE)),
    ];
    let mut line = Line::new(limits, &[1]);
    assert_eq!(line.ask(0, GROUP, 0), Admission::Go);
    // Waits for its group, and has taken nothing yet of the other limit.
    assert_eq!(line.ask(0, GROUP, 1), Admission::Wait);
    assert_eq!(line.ask(0, Some(Target::Group(2)), 2), Admission::Go);
    let rejected = Refusal::Rejected { limit: 0, wait: 10 * SECOND };
    assert_eq!(line.ask(0, Some(Target::Group(3)), 3), Admission::Refused(rejected));
    line.pass(11 * SECOND);
    assert_eq!(line.calls_gone(), [0, 2, 1]);
}

#[test]
fn while_the_link_is_down_nothing_limited_goes_and_then_not_all_at_once() {
    let wait = Excess::Wait(MINUTE);
    let mut line = Line::new(vec![limit("a", Per::Account, SECOND, 2, wait)], &[1]);
    line.queue.link_down(line.now);
    let unlimited = Ask { consumer: 0, target: None, needs: Vec::new(), bytes: 0 };
    assert_eq!(line.ask_for(unlimited, 9), Admission::Go);
    for call in 0..6 {
        assert_eq!(line.ask(0, GROUP, call), Admission::Wait);
    }
    line.pass(3 * SECOND);
    line.queue.link_up(line.now);
    line.pass(Duration::ZERO);
    assert_eq!(line.calls_gone(), [9, 0, 1]);
    line.queue.link_down(line.now);
    line.pass(10 * SECOND);
    assert_eq!(line.refused, [2, 3, 4, 5].map(|call| (call, Refusal::LinkDown)));
}

#[test]
fn who_went_away_is_passed_over_and_takes_nothing() {
    let wait = Excess::Wait(MINUTE);
    let mut line = Line::new(vec![limit("a", Per::Account, 10 * SECOND, 1, wait)], &[1]);
    for call in 0..4 {
        line.ask(0, GROUP, call);
    }
    line.abandoned = vec![1, 2];
    line.pass(10 * SECOND);
    assert_eq!(line.calls_gone(), [0, 3]);
    assert!(!line.queue.has_waiting(0));
}

#[test]
fn what_waits_is_bounded() {
    let wait = Excess::Wait(600 * MINUTE);
    let mut line = Line::new(vec![limit("a", Per::Account, SECOND, 1, wait)], &[1, 1]);
    let admitted = (0..2000).filter(|call| line.ask(0, GROUP, *call) != Admission::Refused(Refusal::Full));
    assert_eq!(admitted.count(), 1 + MOST_WAITING);
    let mut large = Ask { consumer: 1, target: GROUP, needs: Vec::new(), bytes: 2 << 20 };
    large.needs.extend(line.queue.need(0, 1, GROUP, false));
    assert_eq!(line.ask_for(large, 1000), Admission::Refused(Refusal::Full));
}

#[test]
fn targets_that_bots_invent_do_not_grow_memory_nor_escape_their_limit() {
    let mut line = Line::new(vec![limit("a", Per::Target, MINUTE, 1, Excess::Reject)], &[1]);
    for id in (0_i64..).take(MOST_TARGETS + 100) {
        line.ask(0, Some(Target::User(id)), 0);
    }
    assert!(line.queue.buckets.len() <= MOST_TARGETS + 1, "{}", line.queue.buckets.len());
    assert_eq!(line.gone.len(), MOST_TARGETS + 1);
    line.pass(2 * MINUTE);
    line.ask(0, Some(Target::User(-1)), 0);
    line.ask(0, Some(Target::User(-2)), 0);
    assert!(line.queue.buckets.len() <= 3, "{}", line.queue.buckets.len());
}

#[test]
fn muted_in_one_chat_holds_that_chat_and_a_frozen_account_holds_all() {
    let breaker = Some(Breaker { failures: 3, hold: MINUTE });
    let mut limits = vec![
        limit("account", Per::Account, SECOND, 100, Excess::Wait(MINUTE)),
        limit("chat", Per::Target, SECOND, 100, Excess::Wait(MINUTE)),
    ];
    for limit in &mut limits {
        limit.pacing.breaker = breaker;
    }
    let mut line = Line::new(limits, &[1]);
    line.ask(0, GROUP, 0);
    let needs: Vec<Need> = (0..2).filter_map(|limit| line.queue.need(limit, 0, GROUP, false)).collect();
    let holds: Vec<_> =
        (0..3).flat_map(|_| line.queue.failed(&needs, GROUP, Blockage::Chat, line.now)).collect();
    assert_eq!(holds, [(1, MINUTE)]);
    assert_eq!((line.queue.held(0, line.now), line.queue.held(1, line.now)), (0, 1));

    line.queue.succeeded(&needs);
    let holds: Vec<_> =
        (0..3).flat_map(|_| line.queue.failed(&needs, GROUP, Blockage::Account, line.now)).collect();
    assert!(holds.contains(&(0, MINUTE)), "{holds:?}");
    line.now += SECOND;
    let Admission::Wait = line.ask(0, Some(Target::Group(2)), 1) else {
        panic!("what is about to be tried again is worth the wait");
    };
    line.pass(MINUTE);
    assert_eq!(line.calls_gone(), [0, 1]);
}

#[test]
fn in_a_drain_nothing_waits() {
    let wait = Excess::Wait(MINUTE);
    let mut line = Line::new(vec![limit("a", Per::Account, 10 * SECOND, 1, wait)], &[1]);
    for call in 0..3 {
        line.ask(0, GROUP, call);
    }
    assert_eq!(line.queue.drain(), [1, 2]);
    assert_eq!(line.ask(0, GROUP, 3), Admission::Refused(Refusal::Draining));
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Ask { consumer: usize, chat: Option<i64> },
    Pass(u64),
    GoAway,
    LinkDown,
    LinkUp,
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_usize, prop::option::of(1..4_i64)).prop_map(|(consumer, chat)| Step::Ask { consumer, chat }),
        4 => (0..3_000_u64).prop_map(Step::Pass),
        1 => Just(Step::GoAway),
        1 => Just(Step::LinkDown),
        2 => Just(Step::LinkUp),
        1 => Just(Step::Fail),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Over any schedule: every call ends once, lanes keep their order, and no window sees more than a
    /// limit allows.
    #[test]
    fn no_schedule_breaks_the_promises(
        steps in prop::collection::vec(step(), 1..250),
        burst in 1_u32..6,
        jitter in 0_u64..800,
        ramp in 0_u64..8_000,
    ) {
        let mut shared = limit("shared", Per::Account, Duration::from_millis(700), burst, Excess::Wait(8 * SECOND));
        shared.pacing.jitter = Duration::from_millis(jitter);
        shared.pacing.ramp = Duration::from_millis(ramp);
        shared.pacing.breaker = Some(Breaker { failures: 3, hold: 2 * SECOND });
        let per_chat = limit("chat", Per::Target, Duration::from_millis(1500), 2, Excess::Wait(20 * SECOND));
        let of_each = limit("each", Per::Consumer, Duration::from_millis(400), 9, Excess::Reject);
        let limits = vec![shared, per_chat, of_each];
        let mut line = Line::new(limits.clone(), &[1, 2, 1, 5]);
        let mut next = [0_u32; 4];
        let mut asked: BTreeMap<u32, Option<Target>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Ask { consumer, chat } => {
                    let call = consumer as u32 * 1000 + next[consumer];
                    next[consumer] += 1;
                    let target = chat.map(Target::Group);
                    asked.insert(call, target);
                    line.ask(consumer, target, call);
                }
                Step::Pass(milliseconds) => line.pass(Duration::from_millis(milliseconds)),
                Step::GoAway => {
                    let gone = line.calls_gone();
                    let refused: Vec<u32> = line.refused.iter().map(|(call, _)| *call).collect();
                    let waiting = asked.keys().rev().find(|call| {
                        !gone.contains(call) && !refused.contains(call) && !line.abandoned.contains(call)
                    });
                    line.abandoned.extend(waiting);
                }
                Step::LinkDown => line.queue.link_down(line.now),
                Step::LinkUp => line.queue.link_up(line.now),
                Step::Fail => {
                    let needs: Vec<Need> = line.queue.need(0, 0, None, false).into_iter().collect();
                    line.queue.failed(&needs, None, Blockage::Account, line.now);
                }
            }
        }
        line.queue.link_up(line.now);
        line.pass(10 * MINUTE);

        let mut ends: Vec<u32> = line.calls_gone();
        ends.extend(line.refused.iter().map(|(call, _)| *call));
        ends.sort_unstable();
        prop_assert!(ends.windows(2).all(|pair| pair[0] != pair[1]), "a call ended twice");
        let lost: Vec<&u32> =
            asked.keys().filter(|call| !ends.contains(call) && !line.abandoned.contains(call)).collect();
        prop_assert!(lost.is_empty(), "{lost:?}");
        prop_assert_eq!(line.queue.bytes, 0);
        prop_assert!(line.queue.lanes.is_empty() && line.queue.deadlines.is_empty());
        prop_assert!((0..3).all(|limit| line.queue.waiting_for(limit) == 0));

        let mut lanes: BTreeMap<(usize, Option<Target>), u32> = BTreeMap::new();
        let mut taken: BTreeMap<(usize, Sharer), Vec<Duration>> = BTreeMap::new();
        for (at, consumer, call) in &line.gone {
            let target = asked[call];
            if let Some(before) = lanes.insert((*consumer, target), *call) {
                prop_assert!(before < *call, "{call} overtook {before}");
            }
            for limit in 0..limits.len() {
                if let Some(need) = line.queue.need(limit, *consumer, target, false) {
                    taken.entry((limit, need.sharer)).or_default().push(*at);
                }
            }
        }
        for ((limit, sharer), times) in taken {
            let pacing = &limits[limit].pacing;
            for (first, from) in times.iter().enumerate() {
                for (last, to) in times.iter().enumerate().skip(first) {
                    let allowed =
                        u128::from(pacing.burst) + to.saturating_sub(*from).as_nanos() / pacing.interval.as_nanos();
                    prop_assert!((last - first + 1) as u128 <= allowed, "{sharer:?} {first}..{last}");
                }
            }
        }
    }
}
