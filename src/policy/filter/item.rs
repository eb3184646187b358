//! The values that a path leads to, looked up where they lie.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::number;
use super::operator::{Segment, Type};
use crate::onebot::{Head, Json, JsonType, Key, PostType};

/// Members of an object that are found together; further ones are looked for one by one.
pub(super) const NAMES: usize = 16;

/// The object that is held against a filter.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    text: &'a [u8],
    head: Option<&'a Head>,
    names: &'a [Box<str>],
    /// The values of the members that the filter names, found together when the first is asked for.
    members: OnceCell<Vec<Option<Json<'a>>>>,
}

/// What an event's head knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    PostType,
    Detail(Key),
    SubType,
    RawMessage,
    Time,
    SelfId,
    UserId,
    GroupId,
    TargetId,
    OperatorId,
    SenderId,
    MessageId,
}

impl Field {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "post_type" => Self::PostType,
            "message_type" => Self::Detail(Key::MessageType),
            "notice_type" => Self::Detail(Key::NoticeType),
            "request_type" => Self::Detail(Key::RequestType),
            "meta_event_type" => Self::Detail(Key::MetaEventType),
            "sub_type" => Self::SubType,
            "raw_message" => Self::RawMessage,
            "time" => Self::Time,
            "self_id" => Self::SelfId,
            "user_id" => Self::UserId,
            "group_id" => Self::GroupId,
            "target_id" => Self::TargetId,
            "operator_id" => Self::OperatorId,
            "sender_id" => Self::SenderId,
            "message_id" => Self::MessageId,
            _ => return None,
        })
    }
}

/// A value, or its absence.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    Missing,
    Number(f64),
    /// A string without escapes.
    Word(&'a [u8]),
    /// A string of one character.
    Char(char),
    Json(Json<'a>),
    /// The object itself.
    Subject,
}

impl<'a> Subject<'a> {
    pub(super) fn new(text: &'a [u8], head: Option<&'a Head>, names: &'a [Box<str>]) -> Self {
        Self { text, head, names, members: OnceCell::new() }
    }

    pub(super) fn json(&self) -> Json<'a> {
        Json::new(self.text)
    }

    /// The member that `segment` names, and how many bytes had to be looked at for it.
    #[inline]
    pub(super) fn member(&self, segment: &Segment) -> (Item<'a>, usize) {
        if let Some(item) = self.head.zip(segment.field).and_then(|(head, field)| self.known(head, field)) {
            return (item, 0);
        }
        let Some(slot) = segment.slot else {
            return (self.json().get(&segment.name).map_or(Item::Missing, Item::Json), self.text.len());
        };
        let looked_at = if self.members.get().is_none() { self.text.len() } else { 0 };
        let members = self.members.get_or_init(|| self.find_members());
        (members.get(slot).copied().flatten().map_or(Item::Missing, Item::Json), looked_at)
    }

    /// What the head knows. It does not know whether what it lacks is absent or written in another way.
    #[inline]
    fn known(&self, head: &Head, field: Field) -> Option<Item<'a>> {
        let word = |span: Option<crate::onebot::Span>| span.map(|span| Item::Word(span.of(self.text)));
        let id = |id: Option<i64>| {
            #[expect(clippy::cast_precision_loss, reason = "JavaScript has no other numbers")]
            id.map(|id| Item::Number(id as f64))
        };
        match field {
            Field::PostType => {
                (head.post_type != PostType::Other).then(|| Item::Word(head.post_type.name().as_bytes()))
            }
            Field::Detail(key) => word(head.detail).filter(|_| head.post_type.detail_key() == Some(key)),
            Field::SubType => word(head.sub_type),
            Field::RawMessage => head.raw_message.map(|span| Item::Json(Json::at(self.text, span))),
            Field::Time => id(head.time),
            Field::SelfId => id(head.self_id),
            Field::UserId => id(head.user_id),
            Field::GroupId => id(head.group_id),
            Field::TargetId => id(head.target_id),
            Field::OperatorId => id(head.operator_id),
            Field::SenderId => id(head.sender_id),
            Field::MessageId => id(head.message_id),
        }
    }

    fn find_members(&self) -> Vec<Option<Json<'a>>> {
        let mut found = vec![None; self.names.len()];
        self.json().get_all(self.names, &mut found);
        found
    }
}

impl<'a> Item<'a> {
    /// Neither absent nor null.
    #[inline]
    pub(super) fn is_something(self) -> bool {
        match self {
            Self::Missing => false,
            Self::Json(json) => json.kind() != JsonType::Null,
            _ => true,
        }
    }

    #[inline]
    pub(super) fn kind(self) -> Option<JsonType> {
        match self {
            Self::Missing => None,
            Self::Number(_) => Some(JsonType::Number),
            Self::Word(_) | Self::Char(_) => Some(JsonType::String),
            Self::Json(json) => Some(json.kind()),
            Self::Subject => Some(JsonType::Object),
        }
    }

    #[inline]
    pub(super) fn array(self) -> Option<Json<'a>> {
        match self {
            Self::Json(json) if json.kind() == JsonType::Array => Some(json),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Json(json) => json.number(),
            _ => None,
        }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        match self {
            Self::Json(json) if json.kind() == JsonType::Boolean => Some(json.text() == b"true"),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn string(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Word(word) => Some(Cow::Borrowed(word)),
            Self::Char(char) => Some(Cow::Owned(char.to_string().into_bytes())),
            Self::Json(json) => json.string(),
            _ => None,
        }
    }

    /// Bytes that have to be looked at to know it whole.
    #[inline]
    pub(super) fn len(self) -> usize {
        match self {
            Self::Missing | Self::Number(_) | Self::Char(_) | Self::Subject => 0,
            Self::Word(word) => word.len(),
            Self::Json(json) => json.text().len(),
        }
    }

    /// `item[segment]` for anything but the object itself.
    pub(super) fn property(self, segment: &Segment) -> Item<'a> {
        match self.kind() {
            Some(JsonType::Object) => match self {
                Self::Json(json) => json.get(&segment.name).map_or(Self::Missing, Self::Json),
                _ => Self::Missing,
            },
            Some(JsonType::Array) => {
                let items = || self.array().into_iter().flat_map(Json::items);
                match segment.index {
                    Some(index) => items().nth(index).map_or(Self::Missing, Self::Json),
                    None if &*segment.name == "length" => count(items().count()),
                    None => Self::Missing,
                }
            }
            Some(JsonType::String) => {
                let text = self.string().unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                match segment.index {
                    Some(index) => text.encode_utf16().nth(index).map_or(Self::Missing, |unit| {
                        let char = char::from_u32(u32::from(unit));
                        Self::Char(char.unwrap_or(char::REPLACEMENT_CHARACTER))
                    }),
                    None if &*segment.name == "length" => count(text.encode_utf16().count()),
                    None => Self::Missing,
                }
            }
            _ => Self::Missing,
        }
    }

    pub(super) fn is_a(self, kind: Type) -> bool {
        match kind {
            Type::Number => self.kind() == Some(JsonType::Number),
            Type::String => self.kind() == Some(JsonType::String),
            Type::Bool => self.kind() == Some(JsonType::Boolean),
            Type::Array => self.kind() == Some(JsonType::Array),
            Type::Null => self.kind() == Some(JsonType::Null),
        }
    }

    /// The number that `JavaScript` calculates with.
    pub(super) fn as_operand(self) -> f64 {
        match self.kind() {
            None | Some(JsonType::Object) => f64::NAN,
            Some(JsonType::Null) => 0.0,
            Some(JsonType::Boolean) => f64::from(u8::from(self.boolean() == Some(true))),
            Some(JsonType::Number) => self.number().unwrap_or(f64::NAN),
            Some(JsonType::String) => {
                number::of_text(&String::from_utf8_lossy(&self.string().unwrap_or_default()))
            }
            // A list is its items joined by commas, and null shows nothing in it.
            Some(JsonType::Array) => {
                let mut items = self.array().into_iter().flat_map(Json::items);
                match (items.next(), items.next()) {
                    (None, _) => 0.0,
                    (Some(only), None) if only.kind() == JsonType::Boolean => f64::NAN,
                    (Some(only), None) => Self::Json(only).as_operand(),
                    _ => f64::NAN,
                }
            }
        }
    }
}

fn count<'a>(count: usize) -> Item<'a> {
    #[expect(clippy::cast_precision_loss, reason = "no list is so long")]
    Item::Number(count as f64)
}
