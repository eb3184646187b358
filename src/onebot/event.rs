//! What routing and filters need to know of an event, read once when it arrives.

pub mod meta;

use super::envelope::{Envelope, Key, Span};
use super::message::MessageFormat;

/// The fields of an event that routing, filters and ordering look at.
///
/// At most 176 bytes beside the event's own text. Ids are taken as JSON integers, as `LLOneBot` sends
/// them, or as decimal strings, as other implementations sometimes do; anything else counts as absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Seconds since 1970.
    pub time: Option<i64>,
    /// The account it happened to.
    pub self_id: Option<i64>,
    /// Who did it, or whom it happened to; 0 for a ban of the whole group. The peer in a private message.
    pub user_id: Option<i64>,
    /// The group it happened in; absent in private chats and for the account itself.
    pub group_id: Option<i64>,
    /// Who was poked; in a `message_sent` the peer.
    pub target_id: Option<i64>,
    /// The administrator who did it.
    pub operator_id: Option<i64>,
    /// Who wrote the message of an `essence` notice; in `NapCat`, who poked.
    pub sender_id: Option<i64>,
    /// A signed 32-bit number, often negative.
    pub message_id: Option<i64>,
    /// The value of `message_type`, `notice_type`, `request_type` or `meta_event_type`, whichever belongs
    /// to the post type, without its quotes: `detail.of(text) == b"group"`.
    pub detail: Option<Span>,
    /// The value of `sub_type`, without its quotes.
    pub sub_type: Option<Span>,
    /// The message as a CQ string, as raw JSON: with its quotes and escapes.
    pub raw_message: Option<Span>,
    /// Which of the kinds of events it is.
    pub post_type: PostType,
    /// How a message is written; `None` for what is no message, or has none that could be converted.
    pub message_format: Option<MessageFormat>,
}

impl Head {
    /// Reads the head of the event `text`, whose top level is `envelope`.
    #[must_use]
    pub fn read(text: &[u8], envelope: &Envelope) -> Self {
        let word = |key| envelope.get(key).and_then(|span: Span| span.unquoted(text));
        let id = |key| integer(text, envelope, key);
        let post_type = PostType::read(text, envelope);
        Self {
            time: id(Key::Time),
            self_id: id(Key::SelfId),
            user_id: id(Key::UserId),
            group_id: id(Key::GroupId),
            target_id: id(Key::TargetId),
            operator_id: id(Key::OperatorId),
            sender_id: id(Key::SenderId),
            message_id: id(Key::MessageId),
            detail: post_type.detail_key().and_then(word),
            sub_type: word(Key::SubType),
            raw_message: envelope.get(Key::RawMessage),
            message_format: post_type.is_message().then(|| format(text, envelope)).flatten(),
            post_type,
        }
    }
}

/// The kinds of events (standard, event/README.md).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PostType {
    /// Somebody wrote a message.
    Message,
    /// This account wrote a message: `LLOneBot`'s extension, also for messages sent by other bots.
    MessageSent,
    /// Something happened: a recall, a poke, a member joined …
    Notice,
    /// Somebody asks for a decision.
    Request,
    /// About the connection, not about QQ.
    MetaEvent,
    /// A kind this gateway does not know; passed on like any other.
    Other,
}

impl PostType {
    fn read(text: &[u8], envelope: &Envelope) -> Self {
        let word = envelope.get(Key::PostType).and_then(|span| span.unquoted(text));
        match word.map(|span| span.of(text)) {
            Some(b"message") => Self::Message,
            Some(b"message_sent") => Self::MessageSent,
            Some(b"notice") => Self::Notice,
            Some(b"request") => Self::Request,
            Some(b"meta_event") => Self::MetaEvent,
            _ => Self::Other,
        }
    }

    /// As it stands on the wire; `other` for what the standard does not know. Fit for a metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::MessageSent => "message_sent",
            Self::Notice => "notice",
            Self::Request => "request",
            Self::MetaEvent => "meta_event",
            Self::Other => "other",
        }
    }

    /// Whether such an event has a `message`.
    #[must_use]
    pub const fn is_message(self) -> bool {
        matches!(self, Self::Message | Self::MessageSent)
    }

    /// The key under which such an event says what kind of its type it is.
    #[must_use]
    pub const fn detail_key(self) -> Option<Key> {
        match self {
            Self::Message | Self::MessageSent => Some(Key::MessageType),
            Self::Notice => Some(Key::NoticeType),
            Self::Request => Some(Key::RequestType),
            Self::MetaEvent => Some(Key::MetaEventType),
            Self::Other => None,
        }
    }
}

fn format(text: &[u8], envelope: &Envelope) -> Option<MessageFormat> {
    envelope.get(Key::Message).and_then(|message| MessageFormat::of(message.of(text)))
}

/// The integer under `key`, written as a number or as a decimal string.
pub(super) fn integer(text: &[u8], envelope: &Envelope, key: Key) -> Option<i64> {
    let span = envelope.get(key)?;
    let digits = span.unquoted(text).unwrap_or(span).of(text);
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onebot::scan;

    fn head(text: &str) -> Head {
        Head::read(text.as_bytes(), &scan(text.as_bytes()).unwrap())
    }

    fn words(text: &str) -> [&str; 3] {
        let head = head(text);
        let word = |span: Option<Span>| {
            span.map_or("", |span| std::str::from_utf8(span.of(text.as_bytes())).unwrap())
        };
        [head.post_type.name(), word(head.detail), word(head.sub_type)]
    }

    #[test]
    fn a_group_message_is_read() {
        let text = r#"{"self_id":1,"user_id":2,"time":3,"message_id":-4,"message_type":"group","raw_message":"a\"b","sub_type":"normal","post_type":"message","group_id":5}"#;
        let head = head(text);
        assert_eq!(words(text), ["message", "group", "normal"]);
        assert_eq!((head.self_id, head.user_id, head.time), (Some(1), Some(2), Some(3)));
        assert_eq!((head.message_id, head.group_id, head.target_id), (Some(-4), Some(5), None));
        assert_eq!(head.raw_message.unwrap().of(text.as_bytes()), br#""a\"b""#);
    }

    #[test]
    fn ids_may_be_strings_and_nonsense_counts_as_absent() {
        let head = head(
            r#"{"post_type":5,"self_id":"10001000","user_id":1.5,"group_id":null,"target_id":"x","operator_id":99999999999999999999,"message_id":"-7"}"#,
        );
        assert_eq!(head.post_type, PostType::Other);
        assert_eq!((head.self_id, head.message_id), (Some(10_001_000), Some(-7)));
        assert_eq!((head.user_id, head.group_id, head.target_id, head.operator_id), (None, None, None, None));
    }

    #[test]
    fn recorded_events_all_have_a_known_kind_a_time_and_an_account() {
        let events = include_str!("../../tests/samples/events.jsonl");
        for text in events.lines() {
            let head = head(text);
            assert_ne!(head.post_type, PostType::Other, "{text}");
            assert!(
                head.detail.is_some() && head.time.is_some() && head.self_id == Some(2_847_190_563),
                "{text}"
            );
        }
        let ban_of_all = events.lines().nth(24).unwrap();
        assert_eq!(words(ban_of_all), ["notice", "group_ban", "ban"]);
        assert_eq!(head(ban_of_all).user_id, Some(0));
        assert_eq!(words(events.lines().nth(40).unwrap()), ["request", "group", "invite"]);
    }

    #[test]
    fn a_head_stays_small() {
        assert!(size_of::<Head>() <= 176, "{}", size_of::<Head>());
    }
}
