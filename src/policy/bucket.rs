//! Token buckets: how often something may happen, how much of it at once, and how that changes while the
//! account is in trouble. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// `[limit.NAME]`, as far as one bucket is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pacing {
    /// Time between two calls, in the long run.
    pub interval: Duration,
    /// Calls that may go at once after a pause; at least 1.
    pub burst: u32,
    /// Up to this much, by chance, passes between two calls of a burst too.
    pub jitter: Duration,
    /// For this long after the link came up, calls are slower and there is no burst.
    pub ramp: Duration,
    /// What repeated failures do; `None` lets them pass.
    pub breaker: Option<Breaker>,
}

/// When calls are held back because LLOneBot says that sending does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// After this many failures in a row nothing goes for `hold`; from the second on, calls are slower.
    pub failures: u32,
    /// How long nothing goes. Doubles each time the call after it fails as well, up to 16 times as long.
    pub hold: Duration,
}

/// One bucket, by the generic cell rate algorithm: in any time `t` at most `burst + t / interval` calls
/// go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// When the next call would be due if all calls came `interval` apart.
    due: Instant,
    /// Set by the last call's jitter.
    not_before: Instant,
    /// Failures in a row, and when the last one was.
    failures: u32,
    failed_at: Instant,
    /// Set by too many of them.
    held_until: Instant,
    /// Holds in a row.
    holds: u32,
}

impl Bucket {
    /// Slower than this a ramp does not begin.
    const SLOWEST_RAMP: f64 = 0.25;
    /// So much slower calls may become by failures alone.
    const SLOWEST: u32 = 8;
    const LONGEST_HOLD: u32 = 16;
    /// After this long without one, failures are forgotten.
    const MEMORY: Duration = Duration::from_hours(1);

    /// A full one.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { due: now, not_before: now, failures: 0, failed_at: now, held_until: now, holds: 0 }
    }

    /// The first moment at which a call may go, which may be past. `up_since` is when the link came up.
    #[must_use]
    pub fn ready_at(&self, pacing: &Pacing, up_since: Instant, now: Instant) -> Instant {
        let tolerance = pacing.interval * (pacing.burst.max(1) - 1);
        let with_burst = self.due.checked_sub(tolerance).unwrap_or(now);
        let ready = if self.failures > 1 {
            self.due
        } else {
            // Behind the ramp there is a burst again.
            with_burst.max(up_since + pacing.ramp).min(self.due).max(with_burst)
        };
        ready.max(self.not_before).max(self.held_until)
    }

    /// A call goes, at a moment that is not before [`ready_at`](Self::ready_at). `chance` is from 0 to 1.
    pub fn take(&mut self, pacing: &Pacing, up_since: Instant, now: Instant, chance: f64) {
        self.due = self.due.max(now) + self.interval(pacing, up_since, now);
        self.not_before = now + pacing.jitter.mul_f64(chance);
    }

    /// The time between two calls as things stand.
    #[must_use]
    pub fn interval(&self, pacing: &Pacing, up_since: Instant, now: Instant) -> Duration {
        let up_for = now.saturating_duration_since(up_since);
        let interval = self.steady_interval(pacing);
        if up_for >= pacing.ramp {
            return interval;
        }
        let speed = up_for.as_secs_f64() / pacing.ramp.as_secs_f64();
        interval.div_f64(speed.max(Self::SLOWEST_RAMP))
    }

    /// The same, once no ramp slows it down.
    #[must_use]
    pub fn steady_interval(&self, pacing: &Pacing) -> Duration {
        pacing.interval * self.slowdown()
    }

    /// LLOneBot did what a call asked for.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.holds = 0;
    }

    /// LLOneBot could not send. Returns for how long nothing goes from now on, if this failure was one too
    /// many.
    pub fn failed(&mut self, breaker: Breaker, now: Instant) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        // Calls that were under way when the hold began say nothing new.
        if self.failures < breaker.failures || self.is_held(now) {
            return None;
        }
        let hold = breaker.hold * (1 << self.holds.min(Self::LONGEST_HOLD.ilog2()));
        self.holds += 1;
        self.held_until = now + hold;
        Some(hold)
    }

    /// Whether repeated failures hold everything back.
    #[must_use]
    pub fn is_held(&self, now: Instant) -> bool {
        now < self.held_until
    }

    /// Whether nothing would be lost by forgetting it.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        let is_trusted = self.failures == 0 || now > self.held_until.max(self.failed_at) + Self::MEMORY;
        self.due <= now && self.not_before <= now && is_trusted
    }

    fn slowdown(&self) -> u32 {
        match self.failures {
            0 | 1 => 1,
            more => (1_u32 << (more - 1).min(31)).min(Self::SLOWEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pacing(interval: Duration, burst: u32) -> Pacing {
        Pacing { interval, burst, jitter: Duration::ZERO, ramp: Duration::ZERO, breaker: None }
    }

    /// Takes as often as it may from `start` for `time`, and says when.
    fn greedy(pacing: &Pacing, bucket: &mut Bucket, start: Instant, time: Duration) -> Vec<Duration> {
        let mut taken = Vec::new();
        let mut now = start;
        loop {
            now = bucket.ready_at(pacing, start, now).max(now);
            if now >= start + time {
                return taken;
            }
            bucket.take(pacing, start, now, 0.5);
            taken.push(now - start);
        }
    }

    #[test]
    fn a_burst_goes_at_once_and_then_one_each_interval() {
        let start = Instant::now();
        let taken = greedy(&pacing(2 * SECOND, 3), &mut Bucket::new(start), start, 7 * SECOND);
        assert_eq!(taken, [0, 0, 0, 2, 4, 6].map(Duration::from_secs));
    }

    #[test]
    fn a_burst_is_there_again_after_a_pause() {
        let start = Instant::now();
        let pacing = pacing(2 * SECOND, 3);
        let mut bucket = Bucket::new(start);
        greedy(&pacing, &mut bucket, start, SECOND);
        let later = start + 60 * SECOND;
        assert!(bucket.is_full(later));
        assert_eq!(greedy(&pacing, &mut bucket, later, SECOND).len(), 3);
    }

    #[test]
    fn jitter_parts_the_calls_of_a_burst_without_making_the_rate_smaller() {
        let start = Instant::now();
        let pacing = Pacing { jitter: SECOND, ..pacing(2 * SECOND, 3) };
        let taken = greedy(&pacing, &mut Bucket::new(start), start, 61 * SECOND);
        assert_eq!(taken[..3], [0, 500, 1000].map(Duration::from_millis));
        assert_eq!(taken.len(), 33);
    }

    #[test]
    fn a_ramp_begins_slowly_and_without_a_burst() {
        let start = Instant::now();
        let pacing = Pacing { ramp: 30 * SECOND, ..pacing(2 * SECOND, 5) };
        let mut bucket = Bucket::new(start);
        let ramped = greedy(&pacing, &mut bucket, start, 30 * SECOND);
        assert!((6..=9).contains(&ramped.len()), "{ramped:?}");
        assert!(ramped.windows(2).all(|pair| pair[1] >= pair[0] + 2 * SECOND), "{ramped:?}");
        let later = start + 100 * SECOND;
        assert_eq!(bucket.ready_at(&pacing, start, later).max(later), later);
        let after: Vec<_> = (0..5)
            .map(|_| {
                let ready = bucket.ready_at(&pacing, start, later) <= later;
                bucket.take(&pacing, start, later, 0.0);
                ready
            })
            .collect();
        assert_eq!(after, [true; 5]);
    }

    #[test]
    fn failures_slow_down_then_hold_and_one_success_forgives() {
        let start = Instant::now();
        let breaker = Breaker { failures: 3, hold: 60 * SECOND };
        let pacing = Pacing { breaker: Some(breaker), ..pacing(SECOND, 5) };
        let mut bucket = Bucket::new(start);
        assert_eq!(bucket.failed(breaker, start), None);
        assert_eq!(bucket.interval(&pacing, start, start), SECOND);
        assert_eq!(bucket.failed(breaker, start), None);
        assert_eq!(bucket.interval(&pacing, start, start), 2 * SECOND);
        assert_eq!(bucket.failed(breaker, start), Some(60 * SECOND));
        assert_eq!(bucket.failed(breaker, start), None);
        assert_eq!(bucket.ready_at(&pacing, start, start), start + 60 * SECOND);
        let after = start + 60 * SECOND;
        bucket.take(&pacing, start, after, 0.0);
        assert_eq!(bucket.failed(breaker, after), Some(120 * SECOND));
        bucket.succeeded();
        assert_eq!(bucket.interval(&pacing, start, after), SECOND);
    }

    proptest! {
        /// Whatever the schedule of takers, and whatever goes wrong meanwhile.
        #[test]
        fn no_window_sees_more_than_burst_and_rate(
            interval in 1_u64..5_000,
            burst in 1_u32..20,
            jitter in 0_u64..3_000,
            ramp in 0_u64..60_000,
            steps in prop::collection::vec((0_u64..4_000, 0.0..1.0_f64, any::<bool>()), 1..200),
        ) {
            let start = Instant::now();
            let breaker = Breaker { failures: 3, hold: SECOND };
            let pacing = Pacing {
                interval: Duration::from_millis(interval),
                burst,
                jitter: Duration::from_millis(jitter),
                ramp: Duration::from_millis(ramp),
                breaker: Some(breaker),
            };
            let mut bucket = Bucket::new(start);
            let mut now = start;
            let mut taken: Vec<Instant> = Vec::new();
            for (pause, chance, fails) in steps {
                now += Duration::from_millis(pause);
                if bucket.ready_at(&pacing, start, now) <= now {
                    bucket.take(&pacing, start, now, chance);
                    taken.push(now);
                    if fails { bucket.failed(breaker, now); } else { bucket.succeeded(); }
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let allowed = u128::from(burst) + (*to - *from).as_nanos() / pacing.interval.as_nanos();
                    prop_assert!((last - first + 1) as u128 <= allowed);
                }
            }
        }
    }
}
