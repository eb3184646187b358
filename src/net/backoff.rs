//! Growing, jittered delays between attempts to connect.

use std::time::Duration;

/// The delay before the next attempt: none at first, then doubling from 500 ms up to a bound,
/// each shortened by up to a quarter so that many clients of one restarted server spread out.
#[derive(Debug, Clone)]
pub struct Backoff {
    failures: u32,
    max: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);

    /// Starts with an immediate attempt; no delay will be longer than `max`.
    #[must_use]
    pub fn new(max: Duration) -> Self {
        Self { failures: 0, max }
    }

    /// The delay before the next attempt, given `jitter` in `0.0..=1.0`.
    pub fn next_delay(&mut self, jitter: f64) -> Duration {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let full = Self::FIRST.saturating_mul(1_u32.checked_shl(doublings.min(16)).unwrap_or(u32::MAX));
        full.min(self.max).mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }

    /// After a connection that worked: the next failure is met by an immediate attempt again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// After a refusal that only a person can mend: straight to the longest delay.
    pub fn slowest(&mut self) {
        self.failures = 17;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_once_grows_and_stays_under_its_bound() {
        let mut backoff = Backoff::new(Duration::from_secs(30));
        let delays: Vec<u128> = (0..10).map(|_| backoff.next_delay(0.0).as_millis()).collect();
        assert_eq!(delays, [0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        backoff.reset();
        assert_eq!(backoff.next_delay(0.0), Duration::ZERO);
        backoff.slowest();
        assert_eq!(backoff.next_delay(0.0), Duration::from_secs(30));
    }

    #[test]
    fn jitter_only_shortens_and_by_a_quarter_at_most() {
        let mut backoff = Backoff::new(Duration::from_secs(30));
        backoff.slowest();
        assert_eq!(backoff.next_delay(1.0), Duration::from_millis(22_500));
    }
}
