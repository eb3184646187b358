//! In which chats the messages and requests are that have come by.
//!
//! A call that names only a `message_id` or a `flag` does not say whom it touches; a consumer that is bound
//! to some chats may make it only if the gateway knows.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::onebot::reply::message_id;
use crate::onebot::{Call, Envelope, Head, Key, PostType};
use crate::policy::target::{Target, Touched, flag};

/// What came by lately. Its memory is bounded: about 4 MiB of messages and 3 MiB of requests.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Chats>);

#[derive(Debug)]
struct Chats {
    messages: Recent<i64>,
    requests: Recent<Arc<str>>,
}

impl Default for Chats {
    fn default() -> Self {
        Self { messages: Recent::new(Seen::MESSAGES), requests: Recent::new(Seen::REQUESTS) }
    }
}

impl Seen {
    /// Messages remembered.
    const MESSAGES: usize = 65_536;
    /// Requests remembered.
    const REQUESTS: usize = 8192;
    /// Bytes of a flag; a longer one is not remembered.
    const LONGEST_FLAG: usize = 256;

    /// The chat of the message.
    pub(super) fn message(&self, id: i64) -> Option<Target> {
        self.lock().messages.get(&id)
    }

    /// The group or user of the request.
    pub(super) fn request(&self, flag: &str) -> Option<Target> {
        self.lock().requests.get(flag)
    }

    pub(super) fn note_event(&self, text: &[u8], envelope: &Envelope, head: &Head) {
        let Some(chat) = chat_of(head) else { return };
        if let Some(id) = head.message_id {
            self.lock().messages.put(id, chat);
        }
        let is_request = head.post_type == PostType::Request;
        let raw = envelope.get(Key::Flag).filter(|_| is_request).map(|span| span.of(text));
        if let Some(flag) = raw.and_then(flag).filter(|flag| flag.len() <= Self::LONGEST_FLAG) {
            self.lock().requests.put(Arc::from(&*flag), chat);
        }
    }

    /// What will note the message that `call` sends, if it is certain where to.
    pub(super) fn expect(self: &Arc<Self>, call: &Call) -> Option<Noting> {
        let action = call.action.entry().filter(|action| action.sends)?;
        let chat = Touched::read(&call.params).certain_target(action)?;
        Some(Noting { seen: Arc::clone(self), chat })
    }

    fn lock(&self) -> MutexGuard<'_, Chats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The chat of a message, of a notice about a group, or of a request.
fn chat_of(head: &Head) -> Option<Target> {
    let number = |id: Option<i64>| id.filter(|id| *id != 0);
    let group = number(head.group_id).map(Target::Group);
    let user = match head.post_type {
        PostType::Message | PostType::Request => number(head.user_id),
        PostType::MessageSent => number(head.target_id),
        PostType::Notice | PostType::MetaEvent | PostType::Other => None,
    };
    group.or(user.map(Target::User))
}

/// One open call that sends.
#[derive(Debug)]
pub(super) struct Noting {
    seen: Arc<Seen>,
    chat: Target,
}

impl Noting {
    /// Takes note of what the answer `reply` says was sent.
    pub(super) fn answered(self, reply: &[u8]) {
        if let Some(id) = message_id(reply) {
            self.seen.lock().messages.put(id, self.chat);
        }
    }
}

/// The chats of the latest of something.
#[derive(Debug)]
struct Recent<K> {
    /// `None` for what was seen in two chats: implementations make their ids of a hash, and two may be equal.
    chats: HashMap<K, Option<Target>>,
    oldest_first: VecDeque<K>,
    most: usize,
}

impl<K: Hash + Eq + Clone> Recent<K> {
    fn new(most: usize) -> Self {
        Self { chats: HashMap::new(), oldest_first: VecDeque::new(), most }
    }

    fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Target>
    where
        K: Borrow<Q>,
    {
        self.chats.get(key).copied().flatten()
    }

    fn put(&mut self, key: K, chat: Target) {
        if let Some(known) = self.chats.get_mut(&key) {
            *known = known.filter(|known| *known == chat);
            return;
        }
        if self.oldest_first.len() == self.most
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.chats.remove(&oldest);
        }
        self.oldest_first.push_back(key.clone());
        self.chats.insert(key, Some(chat));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::onebot::{ActionName, scan};

    fn seen(events: &[&str]) -> Seen {
        let seen = Seen::default();
        for text in events {
            let envelope = scan(text.as_bytes()).unwrap();
            seen.note_event(text.as_bytes(), &envelope, &Head::read(text.as_bytes(), &envelope));
        }
        seen
    }

    #[test]
    fn messages_and_requests_are_in_the_chat_their_event_is_from() {
        let seen = seen(&[
            r#"{"post_type":"message","message_id":-1,"group_id":10,"user_id":20}"#,
            r#"{"post_type":"message","message_id":2,"user_id":20}"#,
            r#"{"post_type":"message_sent","message_id":3,"user_id":1,"target_id":20}"#,
            r#"{"post_type":"notice","notice_type":"essence","message_id":4,"group_id":10,"user_id":1}"#,
            r#"{"post_type":"notice","notice_type":"friend_recall","message_id":5,"user_id":20}"#,
            r#"{"post_type":"request","request_type":"group","group_id":10,"user_id":20,"flag":"g\u0031"}"#,
            r#"{"post_type":"request","request_type":"friend","user_id":20,"flag":"u"}"#,
        ]);
        let (group, user) = (Some(Target::Group(10)), Some(Target::User(20)));
        for (id, chat) in [(-1, group), (2, user), (3, user), (4, group), (5, None), (6, None)] {
            assert_eq!(seen.message(id), chat, "{id}");
        }
        assert_eq!((seen.request("g1"), seen.request("u"), seen.request("x")), (group, user, None));
    }

    #[test]
    fn an_id_of_two_chats_is_of_none() {
        let event = |group: u8| format!(r#"{{"post_type":"message","message_id":1,"group_id":{group}}}"#);
        let seen = seen(&[&event(10), &event(10), &event(11), &event(10)]);
        assert_eq!(seen.message(1), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut recent = Recent::new(2);
        for id in [1, 2, 1, 3] {
            recent.put(id, Target::User(id));
        }
        assert_eq!([1, 2, 3].map(|id| recent.get(&id).is_some()), [false, true, true]);
    }

    #[test]
    fn what_a_call_sent_is_where_it_was_sent_to() {
        let seen = Arc::new(Seen::default());
        let reply = br#"{"status":"ok","retcode":0,"data":{"message_id":5},"echo":"gw:1"}"#;
        let send = |action: &str, params: &'static str| {
            let call =
                Call { action: ActionName::new(action), params: Bytes::from_static(params.as_bytes()) };
            seen.expect(&call).map(|noting| noting.answered(reply))
        };
        assert!(send("send_msg", r#"{"group_id":1,"user_id":2}"#).is_none());
        assert!(send("send_group_msg", r#"{"group_id":1,"group_id":3}"#).is_none());
        assert!(send("get_msg", r#"{"group_id":1}"#).is_none());
        assert_eq!(seen.message(5), None);
        assert!(send("send_msg", r#"{"group_id":1,"user_id":2,"message_type":"group"}"#).is_some());
        assert_eq!(seen.message(5), Some(Target::Group(1)));
    }
}
