//! A consumer's way through the journal, whatever the transport.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::bot::Bot;
use crate::hub::Attachment;
use crate::journal::{Cursor, Run, Seq};

/// A cursor, the notice that there is more, and the account of what was missed.
pub(super) struct Tail {
    bot: Arc<Bot>,
    attachment: Attachment,
    cursor: Cursor,
    end: watch::Receiver<Seq>,
    /// Events missed since the reader fell off the journal; 0 while it keeps up.
    missed: u64,
}

impl Tail {
    /// Sees every event from now on.
    pub(super) fn attach(bot: &Arc<Bot>) -> Self {
        let (attachment, cursor) = bot.hub.attach(Arc::clone(&bot.metrics), bot.consumer.message_format);
        let end = bot.hub.journal().watch();
        Self { bot: Arc::clone(bot), attachment, cursor, end, missed: 0 }
    }

    /// Goes on with the event `next` instead.
    pub(super) fn resume(&mut self, next: Seq) {
        self.cursor.move_to(next);
        self.attachment.moved_to(self.cursor);
    }

    /// The next event it has not seen.
    pub(super) fn next(&self) -> Seq {
        self.cursor.next()
    }

    /// Resolves when there is something new to read.
    pub(super) async fn moved(&mut self) {
        let next = self.next();
        // Fails only when the journal is gone, and then the reader is told otherwise.
        let _ = self.end.wait_for(|end| *end > next).await;
    }

    /// Appends the events before `up_to` to `runs`, whole runs until `bytes` are reached. Returns
    /// how many were missed, which are counted and spoken of.
    pub(super) fn read(&mut self, up_to: Seq, bytes: usize, runs: &mut Vec<Run>) -> u64 {
        let missed = self.bot.hub.journal().read(&mut self.cursor, up_to, bytes, runs);
        self.attachment.moved_to(self.cursor);
        self.note_gap(missed);
        missed
    }

    /// Counts a gap, and speaks of it once when it begins and once when the reader has caught up.
    pub(super) fn note_gap(&mut self, missed: u64) {
        let consumer = self.bot.consumer.name.as_str();
        if missed == 0 {
            if self.missed > 0 && self.next() == self.bot.hub.journal().end() {
                info!(consumer, missed = self.missed, "the session has caught up with the journal");
                self.missed = 0;
            }
            return;
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
    }
}
