//! The events of the journal that one consumer receives.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::sends::Sends;
use crate::journal::{Cursor, Event, Journal, Run, Seq};
use crate::onebot::PostType;
use crate::policy::events::{EventRules, SelfMessages, Verdict};
use crate::telemetry::metrics::ConsumerMetrics;

/// A consumer's rule over events, with what it takes to decide by it.
#[derive(Debug, Clone)]
pub struct Selection {
    rules: EventRules,
    /// Only there if it matters who sent a message.
    sends: Option<Arc<Sends>>,
    metrics: Arc<ConsumerMetrics>,
}

impl Selection {
    /// How long an event waits for the answer that says who has sent it.
    pub const LIMIT: Duration = Duration::from_secs(2);

    /// By these rules; what they leave out is counted.
    #[must_use]
    pub fn new(rules: EventRules, metrics: Arc<ConsumerMetrics>) -> Self {
        let sends = rules.self_messages.tells_authors_apart().then(Arc::default);
        Self { rules, sends, metrics }
    }

    /// Where calls of the consumer are noted, if it matters what it sends.
    #[must_use]
    pub fn sends(&self) -> Option<&Arc<Sends>> {
        self.sends.as_ref()
    }

    /// Whether the consumer receives an event that was [`read`](Self::read).
    #[must_use]
    pub fn wants(&self, event: Event<'_>) -> bool {
        let wanted = match self.verdict(event) {
            Verdict::Yes => return true,
            Verdict::No => false,
            // Nobody waits for it any more: it counts as sent by others.
            Verdict::Unknown => self.rules.self_messages == SelfMessages::Siblings,
            Verdict::Unevaluable(_) => {
                self.metrics.unevaluable.inc();
                false
            }
        };
        if !wanted {
            self.metrics.filtered.inc();
        }
        wanted
    }

    /// As [`Journal::read`], but stops before an event of which it is not decided yet whether it is wanted,
    /// and says so. Nothing behind it may be told before it; it is read again when the hold is over.
    pub fn read(
        &self,
        journal: &Journal,
        cursor: &mut Cursor,
        up_to: Seq,
        bytes: usize,
        runs: &mut Vec<Run>,
    ) -> (u64, Option<Hold>) {
        let already = runs.len();
        let missed = journal.read(cursor, up_to, bytes, runs);
        let now = Instant::now();
        for index in already..runs.len() {
            let Some(run) = runs.get_mut(index) else { break };
            if let Some((at, hold)) = self.hold(run, now) {
                cursor.move_to(run.segment.first().plus(at));
                run.to = at;
                runs.truncate(index + 1);
                return (missed, Some(hold));
            }
        }
        (missed, None)
    }

    fn hold(&self, run: &Run, now: Instant) -> Option<(usize, Hold)> {
        let until = run.segment.appended() + Self::LIMIT;
        let sends = self.sends.as_deref().filter(|_| now < until)?;
        self.undecided(run)?;
        // Listened for before looking again, so that no answer in between is overlooked.
        let answered = sends.watch();
        let at = self.undecided(run)?;
        Some((at, Hold { until, answered }))
    }

    fn undecided(&self, run: &Run) -> Option<usize> {
        let is_open = |event: Event<'_>| {
            event.head.post_type == PostType::MessageSent && self.verdict(event) == Verdict::Unknown
        };
        run.events().position(is_open).map(|at| run.from + at)
    }

    fn verdict(&self, event: Event<'_>) -> Verdict {
        let sends = self.sends.as_deref();
        self.rules.wants(event.text, event.head, |message_id| sends?.author(event.seq, message_id))
    }
}

/// Why a reader has to wait before an event.
#[derive(Debug)]
pub struct Hold {
    until: Instant,
    answered: watch::Receiver<u64>,
}

impl Hold {
    /// Resolves when it is worth looking again.
    pub async fn over(&mut self) {
        tokio::select! {
            biased;
            // Fails only when the consumer is gone, and its readers with it.
            _ = self.answered.changed() => {}
            () = sleep_until(self.until) => {}
        }
    }
}
