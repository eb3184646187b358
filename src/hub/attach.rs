//! Who reads the account's events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::Hub;
use crate::journal::{Cursor, Seq};
use crate::onebot::MessageFormat;
use crate::telemetry::metrics::ConsumerMetrics;

/// The sessions of an account.
#[derive(Debug, Default)]
pub(super) struct Roster {
    next: u64,
    readers: BTreeMap<u64, Reader>,
}

#[derive(Debug)]
struct Reader {
    consumer: Arc<ConsumerMetrics>,
    place: Arc<AtomicU64>,
}

/// One session's place among the readers. Dropping it detaches the session.
#[derive(Debug)]
pub struct Attachment {
    hub: Arc<Hub>,
    id: u64,
    consumer: Arc<ConsumerMetrics>,
    place: Arc<AtomicU64>,
}

impl Attachment {
    /// Publishes how far the session has read.
    pub fn moved_to(&self, cursor: Cursor) {
        self.place.store(cursor.next().0, Ordering::Relaxed);
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.hub.roster().readers.remove(&self.id);
        self.consumer.lag.set(0);
    }
}

impl Hub {
    /// Adds a session, which will see every event from now on, with messages in the form `format`.
    #[must_use]
    pub fn attach(
        self: &Arc<Self>,
        consumer: Arc<ConsumerMetrics>,
        format: MessageFormat,
    ) -> (Attachment, Cursor) {
        let mut roster = self.roster();
        let cursor = self.journal.cursor(format);
        let place = Arc::new(AtomicU64::new(cursor.next().0));
        let id = roster.next;
        roster.next += 1;
        roster.readers.insert(id, Reader { consumer: Arc::clone(&consumer), place: Arc::clone(&place) });
        drop(roster);
        (Attachment { hub: Arc::clone(self), id, consumer, place }, cursor)
    }

    /// Sets each consumer's lag to that of its slowest session; done when somebody asks.
    pub fn report_lag(&self) {
        let end = self.journal.end();
        let roster = self.roster();
        for reader in roster.readers.values() {
            reader.consumer.lag.set(0);
        }
        for reader in roster.readers.values() {
            let lag = end.since(Seq(reader.place.load(Ordering::Relaxed))).cast_signed();
            reader.consumer.lag.set(lag.max(reader.consumer.lag.get()));
        }
    }

    fn roster(&self) -> std::sync::MutexGuard<'_, Roster> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
