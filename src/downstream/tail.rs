//! A consumer's way through the journal, whatever the transport.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::bot::Bot;
use crate::hub::{Attachment, Hold};
use crate::journal::{Cursor, Run, Seq};

/// A cursor, the notice that there is more, and the account of what was missed.
pub(super) struct Tail {
    bot: Arc<Bot>,
    attachment: Attachment,
    cursor: Cursor,
    end: watch::Receiver<Seq>,
    /// Events missed since the reader fell off the journal; 0 while it keeps up.
    missed: u64,
    /// Why it waits before the next event, if it does.
    hold: Option<Hold>,
}

impl Tail {
    /// Sees every event from now on.
    pub(super) fn attach(bot: &Arc<Bot>) -> Self {
        let (attachment, cursor) = bot.hub.attach(Arc::clone(&bot.metrics), bot.consumer.message_format);
        let end = bot.hub.journal().watch();
        Self { bot: Arc::clone(bot), attachment, cursor, end, missed: 0, hold: None }
    }

    /// Goes on with the event `next` instead.
    pub(super) fn resume(&mut self, next: Seq) {
        self.cursor.move_to(next);
        self.hold = None;
        self.attachment.moved_to(self.cursor);
    }

    /// The next event it has not seen.
    pub(super) fn next(&self) -> Seq {
        self.cursor.next()
    }

    /// Whether there is more to read before `up_to` now. While it waits before an event, of which it is not
    /// known yet whether it is wanted, there is not.
    pub(super) fn has_more(&self, up_to: Seq) -> bool {
        self.next() < up_to && self.hold.is_none()
    }

    /// Whether it waits before an event that comes before `up_to`. What came behind that may not be told.
    pub(super) fn is_held_before(&self, up_to: Seq) -> bool {
        self.next() < up_to && self.hold.is_some()
    }

    /// Resolves when there is something new to read.
    pub(super) async fn moved(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.over().await;
            self.hold = None;
            return;
        }
        let next = self.next();
        // Fails only when the journal is gone, and then the reader is told otherwise.
        let _ = self.end.wait_for(|end| *end > next).await;
    }

    /// Appends the events before `up_to` to `runs`, whole runs until `bytes` are reached. Returns
    /// how many were missed, which are counted and spoken of.
    pub(super) fn read(&mut self, up_to: Seq, bytes: usize, runs: &mut Vec<Run>) -> u64 {
        let (bot, cursor) = (&self.bot, &mut self.cursor);
        let (missed, hold) = bot.events.read(bot.hub.journal(), cursor, up_to, bytes, runs);
        self.hold = hold;
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
