//! Which events a consumer receives.

use crate::onebot::{Head, PostType};

/// The rule over events of one consumer: the same on every transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventRules {
    /// Which of the account's own messages (`message_sent`) are delivered.
    pub self_messages: SelfMessages,
}

impl EventRules {
    /// Whether the consumer receives the event with this head. `author` finds who sent the message of this
    /// id; it is asked only if that matters, and may not know yet.
    #[must_use]
    pub fn wants(self, head: &Head, author: impl FnOnce(i64) -> Option<Author>) -> Verdict {
        if head.post_type != PostType::MessageSent {
            return Verdict::Yes;
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onebot::scan;

    fn wants(self_messages: SelfMessages, event: &str, author: Option<Author>) -> Verdict {
        let head = Head::read(event.as_bytes(), &scan(event.as_bytes()).unwrap());
        EventRules { self_messages }.wants(&head, |id| {
            assert_eq!(id, -7);
            author
        })
    }

    #[test]
    fn messages_of_the_account_are_chosen_by_their_author() {
        use self::Author::{Other, Own};
        use self::Verdict::{No, Unknown, Yes};
        let sent = r#"{"post_type":"message_sent","message_id":-7}"#;
        for (choice, own, other, unknown, without_id) in [
            (SelfMessages::None, No, No, No, No),
            (SelfMessages::All, Yes, Yes, Yes, Yes),
            (SelfMessages::Own, Yes, No, Unknown, No),
            (SelfMessages::Siblings, No, Yes, Unknown, Yes),
        ] {
            assert_eq!(wants(choice, sent, Some(Own)), own, "{choice:?}");
            assert_eq!(wants(choice, sent, Some(Other)), other, "{choice:?}");
            assert_eq!(wants(choice, sent, None), unknown, "{choice:?}");
            assert_eq!(wants(choice, r#"{"post_type":"message_sent"}"#, None), without_id, "{choice:?}");
            assert_eq!(wants(choice, r#"{"post_type":"message","message_id":-7}"#, None), Yes);
        }
    }
}
