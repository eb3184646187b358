//! Which events a consumer receives.

mod conditions;
mod ids;
mod message;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::conditions::{Conditions, EventKey, PostTypes, Prefixes};
pub use self::ids::Ids;
use super::filter::Unevaluable;
use crate::onebot::{Head, PostType};

/// The rules over events of one consumer: the same on every transport.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventRules {
    /// Which of the account's own messages (`message_sent`) are delivered.
    pub self_messages: SelfMessages,
    /// `[consumer.NAME.events]`: what must hold for every event; `None` lets all through.
    pub conditions: Option<Arc<Conditions>>,
}

impl EventRules {
    /// Whether the consumer receives the event `text`, whose head is `head`. `author` finds who sent the message
    /// of this id; it is asked only if that matters, and may not know yet.
    #[must_use]
    pub fn wants(&self, text: &[u8], head: &Head, author: impl FnOnce(i64) -> Option<Author>) -> Verdict {
        let is_own = head.post_type == PostType::MessageSent;
        if is_own && self.self_messages == SelfMessages::None {
            return Verdict::No;
        }
        if let Some(conditions) = &self.conditions {
            match conditions.refuse(text, head) {
                Ok(None) => {}
                Ok(Some(_)) => return Verdict::No,
                Err(reason) => return Verdict::Unevaluable(reason),
            }
        }
        if is_own { self.by_author(head, author) } else { Verdict::Yes }
    }

    fn by_author(&self, head: &Head, author: impl FnOnce(i64) -> Option<Author>) -> Verdict {
        let author = || head.message_id.map_or(Some(Author::Other), author);
        let wanted = match self.self_messages {
            SelfMessages::None => Some(false),
            SelfMessages::All => Some(true),
            SelfMessages::Own => author().map(|author| author == Author::Own),
            SelfMessages::Siblings => author().map(|author| author == Author::Other),
        };
        match wanted {
            Some(true) => Verdict::Yes,
            Some(false) => Verdict::No,
            None => Verdict::Unknown,
        }
    }

    /// Which key decides about an event, and why. Of keys that refuse it the first is named.
    #[must_use]
    pub fn explain(&self, text: &[u8], head: &Head) -> Explanation {
        let explanation =
            |wanted, key: &str, sentence: String| Explanation { wanted, key: key.to_owned(), sentence };
        if head.post_type == PostType::MetaEvent {
            let sentence = "heartbeats and lifecycle are each session's own, and no rule is asked about them";
            return explanation(Some(true), "", sentence.to_owned());
        }
        let is_own = head.post_type == PostType::MessageSent;
        if is_own && self.self_messages == SelfMessages::None {
            let sentence = "it is a message of the account itself, and self_messages is \"none\"";
            return explanation(Some(false), "self_messages", sentence.to_owned());
        }
        if let Some(conditions) = &self.conditions {
            match conditions.refuse(text, head) {
                Ok(None) => {}
                Ok(Some(key)) => {
                    let sentence = conditions.reason(key, text, head);
                    return explanation(Some(false), &key.path(), sentence);
                }
                Err(reason) => {
                    return explanation(
                        Some(false),
                        "events",
                        format!("it cannot be decided, which refuses it: {reason}"),
                    );
                }
            }
        }
        match self.self_messages {
            SelfMessages::Own if is_own => {
                explanation(None, "self_messages", "only if this consumer has sent it".to_owned())
            }
            SelfMessages::Siblings if is_own => {
                explanation(None, "self_messages", "only if this consumer has not sent it".to_owned())
            }
            _ => explanation(Some(true), "", "no rule stands against it".to_owned()),
        }
    }
}

/// Why a consumer receives an event, or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it does; `None` if that depends on who sent the message.
    pub wanted: Option<bool>,
    /// The key that decides, beneath `consumer.NAME`, such as `events.groups`; empty if none does.
    pub key: String,
    /// Why, without the event's text.
    pub sentence: String,
}

/// `consumer.NAME.self_messages`: which messages of the account itself are delivered.
///
/// `None` and `All` are exact and wait for nothing. `Own` and `Siblings` part the messages between them: a
/// message is the consumer's own if a call of it, over any transport, was answered with its `message_id`.
/// LLOneBot tells of a message before it answers, so such an event waits, and what comes behind it for this
/// reader too, until the consumer's calls that may have sent it are answered, or for 2 s. Exact for calls
/// that are answered in that time. What cannot be known counts as sent by a sibling: messages whose call
/// was answered later or never, or without a `message_id` (quick operations, file uploads), and those from
/// before the last 1024 the consumer has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelfMessages {
    /// None.
    #[default]
    None,
    /// All of them.
    All,
    /// Those it has sent itself.
    Own,
    /// Those it has not sent itself: of other consumers, and of people with another client.
    Siblings,
}

impl SelfMessages {
    /// Whether it matters who has sent a message.
    #[must_use]
    pub const fn tells_authors_apart(self) -> bool {
        matches!(self, Self::Own | Self::Siblings)
    }
}

/// Who sent a message of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// This consumer.
    Own,
    /// Another consumer, or somebody with another client of the account.
    Other,
}

/// Whether an event is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// That depends on who sent it, which is not known yet.
    Unknown,
    /// A rule could not be held against it, so it is not.
    Unevaluable(Unevaluable),
}
