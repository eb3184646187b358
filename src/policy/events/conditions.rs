//! `[consumer.NAME.events]`: what must hold for an event to be heard.

use super::ids::Ids;
use super::message;
use crate::onebot::{Head, PostType};
use crate::policy::filter::{Filter, Unevaluable};

/// What must hold for every event that a consumer receives: every key that is given.
///
/// An event happens in a group or in none (private chats, requests of friends, the account itself), and is
/// somebody's: of who wrote it, asks, or whom a notice is about. In a private message of the account itself
/// that is the peer. `groups` and `users` let through only what happens in one of these groups, or is of one
/// of these people: with `groups` alone no private message is heard, with both only what these people do in
/// these groups. `except_groups` and `except_users` refuse what they list and nothing else.
///
/// `prefixes` and `mentioned` are about what a message says. They let through what is no message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Kinds of events.
    pub post_types: Option<PostTypes>,
    /// Values of `message_type`, `notice_type` and `request_type`, whichever the event has.
    pub detail_types: Option<Vec<String>>,
    /// Where it happened.
    pub groups: Option<Ids>,
    /// Whose it is.
    pub users: Option<Ids>,
    /// Where it did not happen.
    pub except_groups: Option<Ids>,
    /// Whose it is not.
    pub except_users: Option<Ids>,
    /// What a message's text begins with, behind blanks and the replies and mentions it opens with.
    pub prefixes: Option<Prefixes>,
    /// Whether a message has to mention the account by its number. Mentioning all does not count, and neither
    /// does a reply or a private message.
    pub mentioned: bool,
    /// A query in LLOneBot's filter language.
    pub filter: Option<Filter>,
}

/// A key of `[consumer.NAME.events]`, in the order in which they are asked: the cheap ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKey {
    /// `post_types`
    PostTypes,
    /// `detail_types`
    DetailTypes,
    /// `groups`
    Groups,
    /// `users`
    Users,
    /// `except_groups`
    ExceptGroups,
    /// `except_users`
    ExceptUsers,
    /// `prefixes`
    Prefixes,
    /// `mentioned`
    Mentioned,
    /// `filter`
    Filter,
}

impl Conditions {
    /// The first key that refuses the event `text`, whose head is `head`.
    ///
    /// # Errors
    /// When a key cannot be held against it.
    #[inline]
    pub fn refuse(&self, text: &[u8], head: &Head) -> Result<Option<EventKey>, Unevaluable> {
        if self.post_types.is_some_and(|types| !types.has(head.post_type)) {
            return Ok(Some(EventKey::PostTypes));
        }
        if let Some(details) = &self.detail_types {
            let detail = detail(text, head);
            if !details.iter().any(|known| known.as_bytes() == detail) {
                return Ok(Some(EventKey::DetailTypes));
            }
        }
        let is_in = |ids: &Ids, id: Option<i64>| id.is_some_and(|id| ids.has(id));
        if self.groups.as_ref().is_some_and(|groups| !is_in(groups, head.group_id)) {
            return Ok(Some(EventKey::Groups));
        }
        if self.users.as_ref().is_some_and(|users| !is_in(users, user(head))) {
            return Ok(Some(EventKey::Users));
        }
        if let Some(groups) = &self.except_groups {
            if is_in(groups, head.group_id) {
                return Ok(Some(EventKey::ExceptGroups));
            }
            if head.group_id.is_none() && head.post_type.is_message() && detail(text, head) == b"group" {
                return Err(Unevaluable::Missing("in which group it was written"));
            }
        }
        if let Some(users) = &self.except_users {
            if is_in(users, user(head)) {
                return Ok(Some(EventKey::ExceptUsers));
            }
            if user(head).is_none() && head.post_type.is_message() {
                return Err(Unevaluable::Missing("who wrote it"));
            }
        }
        self.refuse_content(text, head)
    }

    fn refuse_content(&self, text: &[u8], head: &Head) -> Result<Option<EventKey>, Unevaluable> {
        if (self.prefixes.is_some() || self.mentioned) && head.post_type.is_message() {
            if self.prefixes.as_ref().is_some_and(|prefixes| !message::begins_with(text, head, prefixes)) {
                return Ok(Some(EventKey::Prefixes));
            }
            if self.mentioned {
                let account = head.self_id.ok_or(Unevaluable::Missing("which account it is"))?;
                if !message::mentions(text, head, account) {
                    return Ok(Some(EventKey::Mentioned));
                }
            }
        }
        match &self.filter {
            Some(filter) if !filter.matches_event(text, head)? => Ok(Some(EventKey::Filter)),
            _ => Ok(None),
        }
    }

    /// Why `key` refuses an event.
    pub(super) fn reason(&self, key: EventKey, text: &[u8], head: &Head) -> String {
        let group = head.group_id.map_or("in no group".to_owned(), |id| format!("in group {id}"));
        let user = user(head).map_or("of nobody in particular".to_owned(), |id| format!("of user {id}"));
        match key {
            EventKey::PostTypes => format!("it is a {}, which is not listed", head.post_type.name()),
            EventKey::DetailTypes => {
                let detail = String::from_utf8_lossy(detail(text, head));
                format!("it is of the kind {detail:?}, which is not listed")
            }
            EventKey::Groups => format!("it happened {group}, and only the listed groups are heard"),
            EventKey::Users => format!("it is {user}, and only the listed users are heard"),
            EventKey::ExceptGroups => format!("it happened {group}, which is excepted"),
            EventKey::ExceptUsers => format!("it is {user}, who is excepted"),
            EventKey::Prefixes => "its text begins with none of the listed prefixes".to_owned(),
            EventKey::Mentioned => "it does not mention the account".to_owned(),
            EventKey::Filter => {
                let mismatch = self.filter.as_ref().map(|filter| filter.mismatch_in_event(text, head));
                match mismatch {
                    Some(Ok(Some(key))) => format!("the filter's condition {key:?} does not hold"),
                    _ => "the filter does not match".to_owned(),
                }
            }
        }
    }
}

/// The event's `message_type`, `notice_type` or `request_type`.
fn detail<'e>(text: &'e [u8], head: &Head) -> &'e [u8] {
    head.detail.map(|detail| detail.of(text)).unwrap_or_default()
}

/// Whose event it is.
fn user(head: &Head) -> Option<i64> {
    match head.post_type {
        PostType::MessageSent if head.group_id.is_none() => head.target_id.or(head.user_id),
        _ => head.user_id,
    }
}

impl EventKey {
    /// Beneath `consumer.NAME`.
    #[must_use]
    pub fn path(self) -> String {
        format!("events.{}", self.name())
    }

    /// As it is written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostTypes => "post_types",
            Self::DetailTypes => "detail_types",
            Self::Groups => "groups",
            Self::Users => "users",
            Self::ExceptGroups => "except_groups",
            Self::ExceptUsers => "except_users",
            Self::Prefixes => "prefixes",
            Self::Mentioned => "mentioned",
            Self::Filter => "filter",
        }
    }
}

/// A set of kinds of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostTypes(u8);

impl PostTypes {
    /// Whether `kind` is in it.
    #[must_use]
    pub fn has(self, kind: PostType) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

impl FromIterator<PostType> for PostTypes {
    fn from_iter<I: IntoIterator<Item = PostType>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | 1 << kind as u8))
    }
}

/// What texts begin with, as CQ strings write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes {
    written: Vec<String>,
    /// Bytes of the longest.
    longest: usize,
}

impl Prefixes {
    /// Whether `text`, a CQ string, begins with one of them.
    pub(super) fn begin(&self, text: &[u8]) -> bool {
        self.written.iter().any(|prefix| text.starts_with(prefix.as_bytes()))
    }

    /// Bytes of the longest.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}

impl<T: AsRef<str>> FromIterator<T> for Prefixes {
    fn from_iter<I: IntoIterator<Item = T>>(prefixes: I) -> Self {
        let written =
            |prefix: T| prefix.as_ref().replace('&', "&amp;").replace('[', "&#91;").replace(']', "&#93;");
        let written: Vec<String> = prefixes.into_iter().map(written).collect();
        let longest = written.iter().map(String::len).max().unwrap_or(0);
        Self { written, longest }
    }
}
