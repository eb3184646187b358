//! What was said, bounded.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::simulator::object::put;

/// Messages remembered; older ones can no longer be fetched.
const MAX_MESSAGES: usize = 20_000;

/// Where something was said: a group, or with a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chat {
    Group(i64),
    Private(i64),
}

pub(crate) struct Stored {
    pub(crate) chat: Chat,
    pub(crate) sender: i64,
    pub(crate) seq: i64,
    pub(crate) recalled: bool,
    /// The whole event, as it was sent.
    pub(crate) event: Value,
}

/// The messages of all chats by id.
#[derive(Default)]
pub(crate) struct Messages {
    by_id: BTreeMap<i32, Stored>,
    order: VecDeque<i32>,
    last_seq: BTreeMap<Chat, i64>,
}

impl Messages {
    /// The next sequence number of a chat; QQ counts each chat on its own.
    pub(crate) fn next_seq(&mut self, chat: Chat, first: i64) -> i64 {
        let seq = self.last_seq.entry(chat).or_insert(first);
        *seq += 1;
        *seq
    }

    pub(crate) fn store(&mut self, id: i32, message: Stored) {
        let last = self.last_seq.entry(message.chat).or_insert(message.seq);
        *last = (*last).max(message.seq);
        if self.by_id.insert(id, message).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_MESSAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    pub(crate) fn get(&self, id: i32) -> Option<&Stored> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: i32) -> Option<&mut Stored> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn contains(&self, id: i32) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Up to `count` messages of a chat up to and including `until` (0: the latest), oldest first.
    pub(crate) fn history(&self, chat: Chat, until: i64, count: usize) -> Vec<&Stored> {
        let mut found: Vec<_> = self
            .order
            .iter()
            .rev()
            .filter_map(|id| self.by_id.get(id))
            .filter(|message| message.chat == chat && (until == 0 || message.seq <= until))
            .take(count)
            .collect();
        found.reverse();
        found
    }
}

impl Stored {
    /// A message out of its event; `None` if the event is no message.
    pub(crate) fn from_event(event: Value) -> Option<(i32, Self)> {
        let number = |key| event.get(key).and_then(Value::as_i64);
        let id = i32::try_from(number("message_id")?).ok()?;
        let seq = number("message_seq")?;
        let sender = number("user_id")?;
        let chat = match (number("group_id"), number("target_id")) {
            (Some(group), _) => Chat::Group(group),
            (None, Some(peer)) => Chat::Private(peer),
            (None, None) => Chat::Private(sender),
        };
        Some((id, Self { chat, sender, seq, recalled: false, event }))
    }

    /// As `get_msg` and the histories show it.
    pub(crate) fn shown(&self) -> Value {
        let mut shown = self.event.clone();
        put(&mut shown, "real_id", self.seq);
        put(&mut shown, "status", if self.recalled { "deleted" } else { "normal" });
        shown
    }
}
