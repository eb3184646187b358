//! The simulated account: friends, groups, messages, and what happens to them.
//!
//! Everything that happens is told in events, collected in [`Account::events`] in the order it happened; their
//! keys are in LLOneBot's order. The account may do anything anywhere: permissions are not simulated.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cq;
use super::events;
use super::object::put;
use super::random::Random;

pub(crate) mod files;
pub(crate) mod messages;
pub(crate) mod people;

use files::Deed;
use messages::{Chat, Messages, Stored};
pub(crate) use people::SELF_ID;
use people::{Friend, Group, Member};

/// Unanswered requests remembered.
const MAX_REQUESTS: usize = 1000;
/// Merged-forward bodies remembered.
const MAX_FORWARDS: usize = 1000;

pub(crate) struct Account {
    pub(crate) self_id: i64,
    pub(crate) nickname: String,
    pub(crate) online: bool,
    pub(crate) friends: Vec<Friend>,
    pub(crate) groups: Vec<Group>,
    pub(crate) messages: Messages,
    /// Merged forwards by their id.
    pub(crate) forwards: BTreeMap<String, Value>,
    /// Uploads under way by their stream: chunks received, and chunks in all.
    pub(crate) uploads: BTreeMap<String, (i64, i64)>,
    /// Request events nobody has answered yet.
    pub(crate) requests: Vec<Value>,
    pub(crate) random: Random,
    pub(crate) started: i64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) last_message: i64,
    /// What happened and has not been told yet.
    pub(crate) events: Vec<Value>,
}

impl Account {
    /// A furnished account: the messages and requests of the recorded events are there to be asked for.
    pub(crate) fn new(self_id: i64, seed: u64, now: i64) -> Self {
        let mut random = Random::new(seed);
        let mut account = Self {
            self_id,
            nickname: people::SELF_NAME.to_owned(),
            online: true,
            friends: people::friends(&mut random),
            groups: people::groups(self_id, &mut random),
            messages: Messages::default(),
            forwards: BTreeMap::new(),
            uploads: BTreeMap::new(),
            requests: Vec::new(),
            random,
            started: now,
            received: 0,
            sent: 0,
            last_message: now,
            events: Vec::new(),
        };
        for event in events::samples(self_id) {
            if event.get("flag").is_some() {
                account.requests.push(event);
            } else if let Some((id, message)) = Stored::from_event(event) {
                account.messages.store(id, message);
            }
        }
        account.furnish(now);
        account
    }

    pub(crate) fn group(&mut self, group_id: i64) -> Option<&mut Group> {
        self.groups.iter_mut().find(|group| group.group_id == group_id)
    }

    pub(crate) fn friend(&mut self, user_id: i64) -> Option<&mut Friend> {
        self.friends.iter_mut().find(|friend| friend.user_id == user_id)
    }

    /// The best known name of a person.
    pub(crate) fn name_of(&self, user_id: i64) -> String {
        let friend =
            self.friends.iter().find(|friend| friend.user_id == user_id).map(|found| &found.nickname);
        let mut members = self.groups.iter().flat_map(|group| &group.members);
        let own = (user_id == self.self_id).then_some(&self.nickname);
        own.or(friend)
            .or_else(|| members.find(|member| member.user_id == user_id).map(|member| &member.nickname))
            .cloned()
            .unwrap_or_else(|| format!("用户{user_id}"))
    }

    /// The account says something; the `message_sent` event is among what happened.
    pub(crate) fn send(&mut self, chat: Chat, segments: &[Value], now: i64) -> i32 {
        self.sent += 1;
        let (id, event) = self.message(chat, self.self_id, segments, now);
        self.events.push(event);
        id
    }

    /// Somebody says something, in a group or to the account; the caller tells it. Unknown groups and
    /// members are invented.
    pub(crate) fn hear(&mut self, chat: Chat, user_id: i64, segments: &[Value], now: i64) -> (i32, Value) {
        if let Chat::Group(group_id) = chat {
            if self.group(group_id).is_none() {
                let members = vec![Member::new(group_id, self.self_id, &self.nickname, now)];
                self.groups.push(Group::new(group_id, &format!("群{group_id}"), members, 500));
            }
            let name = self.name_of(user_id);
            if let Some(group) = self.group(group_id)
                && group.member(user_id).is_none()
            {
                group.members.push(Member::new(group_id, user_id, &name, now));
            }
        }
        self.received += 1;
        self.message(chat, user_id, segments, now)
    }

    /// A notice in LLOneBot's key order: the common head, then `fields`.
    pub(crate) fn notice(&self, kind: &str, now: i64, fields: &Value) -> Value {
        let mut event =
            json!({"time": now, "self_id": self.self_id, "post_type": "notice", "notice_type": kind});
        for (key, value) in fields.as_object().into_iter().flatten() {
            put(&mut event, key, value.clone());
        }
        event
    }

    /// Adds a notice to what happened.
    pub(crate) fn tell(&mut self, kind: &str, now: i64, fields: &Value) {
        let notice = self.notice(kind, now, fields);
        self.events.push(notice);
    }

    /// Keeps a request until it is answered, or too many newer ones have come.
    pub(crate) fn remember_request(&mut self, request: Value) {
        if self.requests.len() >= MAX_REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push(request);
    }

    /// Remembers a merged forward and returns its id.
    pub(crate) fn store_forward(&mut self, nodes: Value) -> String {
        let id = format!("{}{}", self.random.uuid(), self.random.uuid()).replace('-', "");
        if self.forwards.len() >= MAX_FORWARDS {
            self.forwards.pop_first();
        }
        self.forwards.insert(id.clone(), nodes);
        id
    }

    fn message(&mut self, chat: Chat, sender: i64, segments: &[Value], now: i64) -> (i32, Value) {
        let mut id = self.random.message_id();
        while id == 0 || self.messages.contains(id) {
            id = self.random.message_id();
        }
        let first = 40_000 + self.random.next().cast_signed() % 1000;
        let seq = self.messages.next_seq(chat, first);
        self.last_message = now;

        let own = sender == self.self_id;
        let (kind, sub_type) = match chat {
            Chat::Group(_) => ("group", "normal"),
            Chat::Private(_) => ("private", "friend"),
        };
        let mut event = json!({
            "self_id": self.self_id, "user_id": sender, "time": now, "message_id": id, "message_seq": seq,
            "message_type": kind, "sender": self.sender(chat, sender, now), "raw_message": cq::encode(segments),
            "font": 14, "sub_type": sub_type, "message": segments, "message_format": "array",
            "post_type": if own { "message_sent" } else { "message" },
        });
        let peer = match chat {
            Chat::Group(group_id) => {
                put(&mut event, "group_id", group_id);
                put(
                    &mut event,
                    "group_name",
                    json!(self.group(group_id).map(|group| group.group_name.clone())),
                );
                group_id
            }
            Chat::Private(user_id) => user_id,
        };
        if own {
            put(&mut event, "target_id", peer);
        }
        self.messages.store(id, Stored { chat, sender, seq, recalled: false, event: event.clone() });
        (id, event)
    }

    fn sender(&mut self, chat: Chat, user_id: i64, now: i64) -> Value {
        let name = self.name_of(user_id);
        let Chat::Group(group_id) = chat else { return json!({"user_id": user_id, "nickname": name}) };
        let Some(member) = self.group(group_id).and_then(|group| group.member(user_id)) else {
            return json!({
                "user_id": user_id, "nickname": name, "card": "", "role": "member", "level": "1", "title": "",
            });
        };
        member.last_sent_time = now;
        json!({
            "user_id": user_id, "nickname": name, "card": member.card, "role": member.rank,
            "level": member.level, "title": member.title,
        })
    }

    /// A file and an announcement, so that lists are not empty.
    fn furnish(&mut self, now: i64) {
        let Self { groups, random, .. } = self;
        let Some(group) = groups.first_mut() else { return };
        let owner = group.owner();
        let deed = Deed { group_id: group.group_id, user_id: owner, user_name: "微雨｜陶艺", now };
        group.drive.create_folder(&deed, "釉料配方", random);
        group.drive.upload(&deed, ("2026秋季开窑记录.xlsx", 48_392, "/"), random);
        group.announcements.push(announcement(random, owner, "周六开窑，九点集合", now));
    }
}

/// A group announcement as `_get_group_notice` shows it.
pub(crate) fn announcement(random: &mut Random, sender: i64, text: &str, now: i64) -> Value {
    json!({
        "notice_id": random.uuid(), "sender_id": sender, "publish_time": now,
        "message": {"text": text, "images": []},
    })
}
