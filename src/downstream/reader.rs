//! A session's way through the journal.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::Lagging;
use super::bot::Bot;
use crate::hub::Attachment;
use crate::journal::{Cursor, Run, Seq};
use crate::net::outgoing::Outgoing;
use crate::net::websocket::Role;
use crate::onebot::close::CloseReason;

/// A cursor, and what it takes to write what it reads.
pub(super) struct Reader {
    bot: Arc<Bot>,
    attachment: Attachment,
    cursor: Cursor,
    end: watch::Receiver<Seq>,
    self_id: i64,
    /// Events missed since the session fell off the journal; 0 while it keeps up.
    missed: u64,
}

impl Reader {
    /// Sees every event of the account `self_id` from now on.
    pub(super) fn attach(bot: &Arc<Bot>, self_id: i64) -> Self {
        let (attachment, cursor) = bot.hub.attach(Arc::clone(&bot.metrics));
        let end = bot.hub.journal().watch();
        Self { bot: Arc::clone(bot), attachment, cursor, end, self_id, missed: 0 }
    }

    /// The account whose events these are.
    pub(super) fn self_id(&self) -> i64 {
        self.self_id
    }

    /// Resolves when there is something new to read.
    pub(super) async fn moved(&mut self) {
        let next = self.cursor.next();
        // Fails only when the journal is gone, and then the session is told otherwise.
        let _ = self.end.wait_for(|end| *end > next).await;
    }

    /// Queues the events before `up_to` for the peer, as many as fit.
    ///
    /// # Errors
    /// When the session has fallen off the journal and is configured to end then.
    pub(super) fn write_events(&mut self, up_to: Seq, out: &mut Outgoing) -> Result<(), CloseReason> {
        let mut runs: Vec<Run> = Vec::new();
        while self.cursor.next() < up_to && !out.is_full() {
            let room = Outgoing::HIGH_WATER - out.len();
            let missed = self.bot.hub.journal().read(&mut self.cursor, up_to, room, &mut runs);
            self.note_gap(missed)?;
            for run in runs.drain(..) {
                self.write_run(&run, out);
            }
        }
        self.attachment.moved_to(self.cursor);
        Ok(())
    }

    fn write_run(&self, run: &Run, out: &mut Outgoing) {
        let mut delivered = 0;
        for part in run.filtered(|event| self.bot.events.wants(event.head)) {
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

    /// Counts a gap, and speaks of it once when it begins and once when the session has caught up.
    fn note_gap(&mut self, missed: u64) -> Result<(), CloseReason> {
        let consumer = self.bot.consumer.name.as_str();
        if missed == 0 {
            if self.missed > 0 && self.cursor.next() == self.bot.hub.journal().end() {
                info!(consumer, missed = self.missed, "the session has caught up with the journal");
                self.missed = 0;
            }
            return Ok(());
        }
        self.bot.metrics.missed.inc_by(missed);
        if self.missed == 0 {
            self.bot.metrics.gaps.inc();
            warn!(
                consumer,
                missed,
                "a session reads too slowly and fell off the journal; events are skipped \
                 (journal.events, journal.bytes and journal.age say how far behind it may be)"
            );
        }
        self.missed += missed;
        match self.bot.consumer.lagging {
            Lagging::Skip => Ok(()),
            Lagging::Disconnect => Err(CloseReason::Lagging),
        }
    }
}
