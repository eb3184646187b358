//! What a consumer has sent itself, to know its own messages among all the account sends.
//!
//! LLOneBot tells of a sent message (`message_sent`) before it answers the call that sent it, and only the
//! answer says which message that was. So while calls that send are open, a new message may be theirs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::journal::Seq;
use crate::onebot::reply::message_id;
use crate::policy::events::Author;

/// The messages that one consumer has sent lately, through any of its sessions and transports.
#[derive(Debug, Default)]
pub struct Sends {
    sent: Mutex<Sent>,
    /// Counts calls that were answered.
    answered: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Sent {
    next: u64,
    /// Calls that send and have no answer yet: the event that was next when each was issued.
    open: BTreeMap<u64, Seq>,
    /// What the answers said, oldest first.
    message_ids: VecDeque<i64>,
}

impl Sends {
    /// Messages remembered; older ones count as sent by others.
    pub const REMEMBERED: usize = 1024;

    /// Who sent the message `message_id`, told of by the event `event`; `None` while an open call may have,
    /// whose answer will say.
    #[must_use]
    pub fn author(&self, event: Seq, message_id: i64) -> Option<Author> {
        let sent = self.lock();
        if sent.message_ids.iter().rev().any(|known| *known == message_id) {
            Some(Author::Own)
        } else if sent.open.values().any(|next_event| *next_event <= event) {
            None
        } else {
            Some(Author::Other)
        }
    }

    /// Changes when a call was answered.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.answered.subscribe()
    }

    /// A call that sends is issued; `next_event` is the number the next event will get.
    pub(super) fn begin(self: &Arc<Self>, next_event: Seq) -> Sending {
        let mut sent = self.lock();
        let id = sent.next;
        sent.next += 1;
        sent.open.insert(id, next_event);
        Sending { sends: Arc::clone(self), id }
    }

    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open call that sends. Dropping it means that nobody will know what it sent.
#[derive(Debug)]
pub(super) struct Sending {
    sends: Arc<Sends>,
    id: u64,
}

impl Sending {
    /// Takes note of what the answer `reply` says was sent.
    pub(super) fn answered(self, reply: &[u8]) {
        let Some(message_id) = message_id(reply) else { return };
        let mut sent = self.sends.lock();
        if sent.message_ids.len() == Sends::REMEMBERED {
            sent.message_ids.pop_front();
        }
        sent.message_ids.push_back(message_id);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.sends.lock().open.remove(&self.id);
        self.sends.answered.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(message_id: i64) -> String {
        format!(r#"{{"status":"ok","retcode":0,"data":{{"message_id":{message_id}}},"echo":"gw:1"}}"#)
    }

    #[test]
    fn an_open_call_may_be_the_author_of_what_came_after_it_only() {
        let sends = Arc::new(Sends::default());
        assert_eq!(sends.author(Seq(1), -5), Some(Author::Other));
        let sending = sends.begin(Seq(3));
        assert_eq!(sends.author(Seq(2), -5), Some(Author::Other));
        assert_eq!(sends.author(Seq(3), -5), None);
        let watch = sends.watch();
        sending.answered(reply(-5).as_bytes());
        assert!(watch.has_changed().unwrap());
        assert_eq!(sends.author(Seq(3), -5), Some(Author::Own));
        assert_eq!(sends.author(Seq(4), 6), Some(Author::Other));
    }

    #[test]
    fn a_call_without_an_answer_has_sent_nothing_that_is_known() {
        let sends = Arc::new(Sends::default());
        let failed = br#"{"status":"failed","retcode":1200,"data":null}"#;
        sends.begin(Seq(1)).answered(failed);
        drop(sends.begin(Seq(1)));
        assert_eq!(sends.author(Seq(1), 1), Some(Author::Other));
    }

    #[test]
    fn the_oldest_messages_are_forgotten_first() {
        let sends = Arc::new(Sends::default());
        for message_id in (0..).take(Sends::REMEMBERED + 1) {
            sends.begin(Seq(1)).answered(reply(message_id).as_bytes());
        }
        assert_eq!(sends.author(Seq(1), 0), Some(Author::Other));
        assert_eq!(sends.author(Seq(1), 1), Some(Author::Own));
    }
}
