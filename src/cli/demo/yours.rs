//! The place that is kept for a bot of the user.

use std::io;

use super::metrics::Metrics;
use super::show::{Screen, Show};

/// The name of its consumer.
pub(super) const YOURS: &str = "yours";

/// What the gateway has seen of the user's own bot.
#[derive(Default)]
pub(super) struct Yours {
    sessions: u64,
    pub(super) events: u64,
    pub(super) calls: u64,
    pub(super) ok: u64,
}

impl Yours {
    pub(super) fn of(metrics: &Metrics) -> Self {
        let consumer = format!("consumer=\"{YOURS}\"");
        Self {
            sessions: metrics.sum("sessions", &[&consumer]),
            events: metrics.sum("deliveries_total", &[&consumer]),
            calls: metrics.sum("calls_total", &[&consumer]),
            ok: metrics.sum("calls_total", &[&consumer, "outcome=\"ok\""]),
        }
    }

    /// Shows what is new since the last look.
    pub(super) fn look(&mut self, metrics: &Metrics, show: &Show, screen: &mut Screen<'_>) -> io::Result<()> {
        let now = Self::of(metrics);
        if now.sessions != self.sessions {
            let what = if now.sessions > self.sessions { "attached" } else { "left" };
            show.aside(YOURS, format_args!("{what}, connections now: {}", now.sessions), screen)?;
        }
        if now.calls != self.calls {
            let (calls, ok) = (now.calls - self.calls, now.ok - self.ok);
            show.aside(YOURS, format_args!("calls answered: {calls}, of them ok: {ok}"), screen)?;
        }
        *self = now;
        Ok(())
    }
}
