//! Whom a call touches, as its parameters say it.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::onebot::catalogue::{self, Action};
use crate::onebot::{Call, Key, scan};

/// A chat that a call is for: the key of what is counted or ordered by target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
    /// A group, by its number.
    Group(i64),
    /// A user, by its number.
    User(i64),
}

impl Target {
    /// The chat that `call` is for; `None` if it names none, or none that can be understood. A call that
    /// names a group and a user is for the group, unless it is a private message.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        Touched::read(&call.params).target(call.action.entry())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(id) => write!(f, "group {id}"),
            Self::User(id) => write!(f, "user {id}"),
        }
    }
}

/// A number in the parameters of a call.
///
/// OneBot implementations take numbers and strings, and coerce what else they find each in its own way.
/// Only what all of them take for the same number is [`Known`](Self::Known).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Id {
    /// Not there, `null` or an empty string. For a group or user also 0, which is no chat.
    Absent,
    /// A whole number or a string of its digits.
    Known(i64),
    /// Anything else.
    Odd,
}

/// Beyond this JavaScript's numbers, and so LLOneBot's, are no longer exact.
const LARGEST: i64 = 1 << 53;

impl Id {
    /// Reads the raw JSON text of a value.
    #[must_use]
    pub fn read(raw: &[u8]) -> Self {
        match raw.first() {
            None | Some(b'n') => Self::Absent,
            Some(b'"') => match string(raw).as_deref() {
                Some("") => Self::Absent,
                Some(text) => whole(text).map_or(Self::Odd, Self::Known),
                None => Self::Odd,
            },
            Some(b'-' | b'0'..=b'9') => {
                let text = std::str::from_utf8(raw).unwrap_or_default();
                whole(text).or_else(|| integral(text)).map_or(Self::Odd, Self::Known)
            }
            Some(_) => Self::Odd,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn known(self) -> Option<i64> {
        match self {
            Self::Known(id) => Some(id),
            Self::Absent | Self::Odd => None,
        }
    }

    fn of_chat(self) -> Self {
        if self == Self::Known(0) { Self::Absent } else { self }
    }
}

/// `text` as an integer in plain digits: no plus, no leading zeros, no blanks.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let is_plain = match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    text.parse().ok().filter(|id: &i64| is_plain && id.abs() <= LARGEST)
}

/// `1.0` and `1e3`, which are integers to JavaScript.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "bounded and integral")]
fn integral(text: &str) -> Option<i64> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() <= LARGEST as f64).then_some(number as i64)
}

/// The raw JSON text of a string, decoded.
fn string(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return serde_json::from_slice::<String>(raw).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// What `message_type` says of a call that may be for a group or a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageType {
    /// Nothing: it is not there or `null`.
    Unsaid,
    /// `private`
    Private,
    /// `group`
    Group,
    /// Something else.
    Odd,
}

/// What the parameters of a call name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Touched<'a> {
    /// `group_id`
    pub group: Id,
    /// `user_id`
    pub user: Id,
    /// `message_id`
    pub message: Id,
    /// `message_type`
    pub message_type: MessageType,
    /// `flag` of a request; a number as its digits. `None` if it is neither.
    pub flag: Option<Cow<'a, str>>,
    /// Raw: the event a quick operation is about.
    pub context: Option<&'a [u8]>,
    /// A key stands there twice, or the text is no object: implementations may differ in what they read.
    pub is_ambiguous: bool,
}

impl<'a> Touched<'a> {
    /// Reads `params`, an object. Of equal keys the last counts, as in `JSON.parse`.
    #[must_use]
    pub fn read(params: &'a [u8]) -> Self {
        let Ok(envelope) = scan(params) else { return Self::NOTHING };
        let raw = |key| envelope.get(key).map(|span| span.of(params)).unwrap_or_default();
        Self {
            group: Id::read(raw(Key::GroupId)).of_chat(),
            user: Id::read(raw(Key::UserId)).of_chat(),
            message: Id::read(raw(Key::MessageId)),
            message_type: message_type(raw(Key::MessageType)),
            flag: flag(raw(Key::Flag)),
            context: envelope.get(Key::Context).map(|span| span.of(params)),
            is_ambiguous: envelope.is_ambiguous(),
        }
    }

    const NOTHING: Touched<'static> = Touched {
        group: Id::Odd,
        user: Id::Odd,
        message: Id::Odd,
        message_type: MessageType::Odd,
        flag: None,
        context: None,
        is_ambiguous: true,
    };

    /// The chat that a call of `action` with these parameters is for: see [`Target::of`].
    #[must_use]
    pub fn target(&self, action: Option<&Action>) -> Option<Target> {
        use catalogue::Target as Names;
        let group = self.group.known().map(Target::Group);
        let user = self.user.known().map(Target::User);
        match action.map(|action| action.target) {
            Some(Names::Account | Names::Message | Names::Request | Names::Other) => None,
            Some(Names::Group | Names::Member) => group,
            Some(Names::User) => user,
            Some(Names::Context) => Touched::read(self.context?).chat(),
            _ if action.is_some_and(is_private) => user,
            Some(Names::Chat | Names::Forward) | None => self.chat(),
        }
    }

    /// As [`target`](Self::target), if every implementation would take the call for that chat.
    #[must_use]
    pub fn certain_target(&self, action: &Action) -> Option<Target> {
        let names_both = self.group != Id::Absent && self.user != Id::Absent;
        let is_said = matches!(self.message_type, MessageType::Private | MessageType::Group);
        let is_open = match action.target {
            catalogue::Target::Chat => !is_private(action) && !is_said,
            catalogue::Target::Forward => true,
            _ => false,
        };
        if self.is_ambiguous || (names_both && is_open) { None } else { self.target(Some(action)) }
    }

    fn chat(&self) -> Option<Target> {
        let group = self.group.known().map(Target::Group);
        let user = self.user.known().map(Target::User);
        match self.message_type {
            MessageType::Private => user,
            MessageType::Group => group,
            MessageType::Unsaid | MessageType::Odd => group.or(user),
        }
    }
}

/// Whether a group in the call is only the one through which the user is reached.
pub(super) fn is_private(action: &Action) -> bool {
    action.name == "send_private_msg"
}

fn message_type(raw: &[u8]) -> MessageType {
    match raw.first() {
        None | Some(b'n') => MessageType::Unsaid,
        _ => match string(raw).as_deref() {
            Some("private") => MessageType::Private,
            Some("group") => MessageType::Group,
            _ => MessageType::Odd,
        },
    }
}

/// The raw JSON text of a flag, decoded. One that was passed on as a number is the same flag.
#[must_use]
pub fn flag(raw: &[u8]) -> Option<Cow<'_, str>> {
    match raw.first()? {
        b'"' => string(raw),
        b'-' | b'0'..=b'9' => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
        _ => None,
    }
}

/// Whether every implementation takes the value for true.
pub(super) fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true)
}

/// Every user that `params` names in any of the ways implementations know, lists included: `user_id`,
/// `user_ids`, `target_id`. `None` if one of them cannot be understood.
#[must_use]
pub fn users_named(params: &[u8]) -> Option<Vec<i64>> {
    let params: serde_json::Map<String, Value> = serde_json::from_slice(params).ok()?;
    let named = ["user_id", "user_ids", "target_id"].iter().filter_map(|key| params.get(*key));
    let values = named.flat_map(|value| match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    });
    let mut users = Vec::new();
    for value in values {
        match Id::read(value.to_string().as_bytes()) {
            Id::Absent => {}
            Id::Known(id) => users.push(id),
            Id::Odd => return None,
        }
    }
    Some(users)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::onebot::ActionName;

    fn target(action: &str, params: &str) -> Option<Target> {
        Target::of(&Call {
            action: ActionName::new(action),
            params: Bytes::copy_from_slice(params.as_bytes()),
        })
    }

    #[test]
    fn a_number_is_known_only_if_everybody_reads_it_alike() {
        for text in ["5", r#""5""#, r#""\u0035""#, "5.0", "0.5e1", "50e-1"] {
            assert_eq!(Id::read(text.as_bytes()), Id::Known(5), "{text}");
        }
        assert_eq!(Id::read(br#""-7""#), Id::Known(-7));
        for text in ["", "null", r#""""#] {
            assert_eq!(Id::read(text.as_bytes()), Id::Absent, "{text}");
        }
        for text in [
            "5.5",
            "1e99",
            "12345678901234567890",
            r#"" 5""#,
            r#""5 ""#,
            r#""+5""#,
            r#""05""#,
            r#""0x5""#,
            r#""5.0""#,
            r#""5e0""#,
            r#""5n""#,
            r#""\ud83d""#,
            "true",
            "[5]",
            "{}",
        ] {
            assert_eq!(Id::read(text.as_bytes()), Id::Odd, "{text}");
        }
    }

    #[test]
    fn a_call_is_for_the_chat_its_action_and_type_say() {
        let (group, user) = (Some(Target::Group(1)), Some(Target::User(2)));
        let both = r#"{"group_id":1,"user_id":"2"}"#;
        for (action, params, expected) in [
            ("send_group_msg_async", both, group),
            ("send_private_msg", both, user),
            ("set_group_ban", both, group),
            ("send_msg", both, group),
            ("send_msg", r#"{"group_id":1,"user_id":2,"message_type":"private"}"#, user),
            ("send_msg", r#"{"group_id":1,"user_id":2,"message_type":"gr\u006fup"}"#, group),
            ("send_msg", r#"{"group_id":0,"user_id":2}"#, user),
            ("send_msg", r#"{"group_id":null,"user_id":2}"#, user),
            ("send_msg", r#"{"group_id":9,"group_\u0069d":1}"#, group),
            ("friend_poke", both, user),
            ("delete_msg", both, None),
            ("get_login_info", both, None),
            ("an_action_of_tomorrow", both, group),
            ("send_group_msg", r#"{"group_id":"x"}"#, None),
            (
                ".handle_quick_operation",
                r#"{"context":{"message_type":"group","group_id":1,"user_id":2}}"#,
                group,
            ),
            (".handle_quick_operation", r#"{"context":{"message_type":"private","user_id":2}}"#, user),
            (".handle_quick_operation", r#"{"context":7}"#, None),
        ] {
            assert_eq!(target(action, params), expected, "{action} {params}");
        }
        assert_eq!(group.unwrap().to_string(), "group 1");
    }

    #[test]
    fn flags_and_doubles_are_seen() {
        assert_eq!(Touched::read(br#"{"flag":"a\u0062"}"#).flag.as_deref(), Some("ab"));
        assert_eq!(Touched::read(br#"{"flag":12}"#).flag.as_deref(), Some("12"));
        assert_eq!(Touched::read(br#"{"flag":[1]}"#).flag, None);
        assert!(Touched::read(br#"{"group_id":1,"group_id":1}"#).is_ambiguous);
        assert!(Touched::read(b"[]").is_ambiguous);
    }

    #[test]
    fn every_user_in_a_list_is_named() {
        assert_eq!(users_named(br#"{"user_ids":[1,"2"],"user_id":3,"target_id":null}"#), Some(vec![3, 1, 2]));
        assert_eq!(users_named(br#"{"user_id":[1,2]}"#), Some(vec![1, 2]));
        assert_eq!(users_named(br#"{"user_ids":[[1]]}"#), None);
        assert_eq!(users_named(b"{}"), Some(vec![]));
    }
}
