//! How a WebSocket session writes what it reads from the journal.

use std::sync::Arc;

use super::Lagging;
use super::bot::Bot;
use super::tail::Tail;
use crate::journal::{Run, Seq};
use crate::net::outgoing::Outgoing;
use crate::net::websocket::Role;
use crate::onebot::close::CloseReason;

/// A place in the journal, and what it takes to write what is there.
pub(super) struct Reader {
    bot: Arc<Bot>,
    tail: Tail,
    self_id: i64,
}

impl Reader {
    /// Sees every event of the account `self_id` from now on.
    pub(super) fn attach(bot: &Arc<Bot>, self_id: i64) -> Self {
        Self { bot: Arc::clone(bot), tail: Tail::attach(bot), self_id }
    }

    /// The account whose events these are.
    pub(super) fn self_id(&self) -> i64 {
        self.self_id
    }

    /// Resolves when there is something new to read.
    pub(super) async fn moved(&mut self) {
        self.tail.moved().await;
    }

    /// Whether an event that comes before `up_to` waits: what came behind it may not be written yet.
    pub(super) fn is_held_before(&self, up_to: Seq) -> bool {
        self.tail.is_held_before(up_to)
    }

    /// Queues the events before `up_to` for the peer, as many as fit.
    ///
    /// # Errors
    /// When the session has fallen off the journal and is configured to end then.
    pub(super) fn write_events(&mut self, up_to: Seq, out: &mut Outgoing) -> Result<(), CloseReason> {
        let mut runs: Vec<Run> = Vec::new();
        while self.tail.has_more(up_to) && !out.is_full() {
            let room = Outgoing::HIGH_WATER - out.len();
            let missed = self.tail.read(up_to, room, &mut runs);
            if missed > 0 && self.bot.consumer.lagging == Lagging::Disconnect {
                return Err(CloseReason::Lagging);
            }
            for run in runs.drain(..) {
                self.write_run(&run, out);
            }
        }
        Ok(())
    }

    fn write_run(&self, run: &Run, out: &mut Outgoing) {
        let mut delivered = 0;
        for part in run.filtered(|event| self.bot.events.wants(event)) {
            delivered += part.len() as u64;
            match out.role() {
                // The bytes of the journal are what goes on the wire.
                Role::Server => out.push_wire(&part.wire()),
                // A client has to mask each frame anew (RFC 6455, 5.3).
                Role::Client => part.events().for_each(|event| out.push_text(event.text)),
            }
        }
        self.bot.metrics.delivered.inc_by(delivered);
    }
}
