//! Messages in either form: as an array of segments, or as a CQ string (standard, event/README.md).
//!
//! `LLOneBot` sends both at once: `message` in the form it is configured with, and `raw_message`, which is
//! always the CQ string. So an array is turned into a string by copying `raw_message`, byte for byte, and
//! that is exactly what `LLOneBot` itself sends in string form. Where there is no `raw_message` (nodes of a
//! forward, essence lists) the string is made of the segments. The other way round is what `LLOneBot` does
//! with a string it is sent. It is lossy where the string is: a value that was no string is one afterwards.
//! All other bytes stay as they are.

use std::borrow::Cow;

use bytes::Bytes;

use super::cq;
use super::envelope::{JsonType, Key, Span, scan};
use super::event::Head;
use super::lazy::Json;
use super::walk::{items, members};

/// `consumer.NAME.message_format`: how a message is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MessageFormat {
    /// As an array of segments.
    #[default]
    Array,
    /// As one string with CQ codes.
    String,
}

impl MessageFormat {
    /// The form of a message, valid JSON; `None` if it is neither.
    pub(super) fn of(message: &[u8]) -> Option<Self> {
        match JsonType::of(message) {
            JsonType::Array => Some(Self::Array),
            JsonType::String => Some(Self::String),
            _ => None,
        }
    }

    /// As the value of `message_format`.
    const fn quoted(self) -> &'static [u8] {
        match self {
            Self::Array => b"\"array\"",
            Self::String => b"\"string\"",
        }
    }
}

/// What became of the messages in a text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Converted {
    /// The new text; `None` if nothing had to be changed.
    pub text: Option<Bytes>,
    /// Messages that could not be converted and stay in the form they had.
    pub left: usize,
}

/// Writes the message of an event, a valid JSON object, in the form `to`.
#[must_use]
pub fn convert_event(event: &[u8], to: MessageFormat) -> Converted {
    let mut rewriting = Rewriting::new(event, to);
    rewriting.message(Span { start: 0, end: event.len() as u32 });
    rewriting.finish()
}

/// What the message of an event says, as a CQ string: its `raw_message` or, without one, what `message` says.
/// `None` if it has neither.
#[must_use]
pub fn cq_text<'e>(event: &'e [u8], head: &Head) -> Option<Cow<'e, [u8]>> {
    let raw = head.raw_message.and_then(|raw| Json::new(raw.of(event)).string());
    if raw.is_some() {
        return raw;
    }
    let message = Json::new(event).get("message")?;
    if let Some(string) = message.string() {
        return Some(string);
    }
    let (segments, mut encoded) = (message.text(), Vec::new());
    cq::encode(segments, Span { start: 0, end: segments.len() as u32 }, &mut encoded)?;
    Json::new(&encoded).string().map(|string| Cow::Owned(string.into_owned()))
}

/// Whether the answer to an action carries messages; `action` without suffixes.
#[must_use]
pub fn is_in_reply_to(action: &str) -> bool {
    matches!(
        action,
        "get_msg"
            | "get_friend_msg_history"
            | "get_group_msg_history"
            | "get_forward_msg"
            | "get_essence_msg_list"
    )
}

/// Writes the messages in an answer to one of the actions [`is_in_reply_to`] knows in the form `to`.
///
/// They are the data itself, its items, or the items of its `messages`; each has its content under
/// `message`, or under `content` as in forwards and essence lists. A forward of the standard, as Lagrange
/// gives it, is a `message` of `node` segments, which no string can hold: the content of each is converted.
#[must_use]
pub fn convert_reply(reply: &[u8], to: MessageFormat) -> Converted {
    let Some(data) = scan(reply).ok().and_then(|envelope| envelope.get(Key::Data)) else {
        return Converted::default();
    };
    let mut rewriting = Rewriting::new(reply, to);
    if JsonType::of(data.of(reply)) == JsonType::Object {
        if let Some(messages) = member(reply, data, b"messages") {
            rewriting.messages(messages);
        } else if let Some(nodes) =
            member(reply, data, b"message").filter(|list| begins_with_node(reply, *list))
        {
            rewriting.nodes(nodes);
        } else {
            rewriting.message(data);
        }
    } else {
        rewriting.messages(data);
    }
    rewriting.finish()
}

fn member(text: &[u8], object: Span, wanted: &[u8]) -> Option<Span> {
    members(text, object).find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

fn begins_with_node(text: &[u8], segments: Span) -> bool {
    let first = items(text, segments).next().and_then(|first| member(text, first, b"type"));
    first.is_some_and(|kind| kind.of(text) == br#""node""#)
}

/// A text being written anew, from its beginning to its end.
struct Rewriting<'a> {
    text: &'a [u8],
    to: MessageFormat,
    /// Everything up to `copied`.
    written: Vec<u8>,
    copied: usize,
    left: usize,
}

impl<'a> Rewriting<'a> {
    fn new(text: &'a [u8], to: MessageFormat) -> Self {
        Self { text, to, written: Vec::new(), copied: 0, left: 0 }
    }

    fn messages(&mut self, list: Span) {
        for message in items(self.text, list) {
            self.message(message);
        }
    }

    fn nodes(&mut self, list: Span) {
        for node in items(self.text, list) {
            if let Some(data) = member(self.text, node, b"data") {
                self.message(data);
            }
        }
    }

    /// Converts one object that has a message in it.
    fn message(&mut self, object: Span) {
        let (mut bodies, mut raw, mut format) = ([None; 2], None, None);
        let [message, content] = &mut bodies;
        // The last of equal keys wins, as in JavaScript.
        for (name, value) in members(self.text, object) {
            match name {
                b"message" => *message = Some(value),
                b"content" => *content = Some(value),
                b"raw_message" => raw = Some(value),
                b"message_format" => format = Some(value),
                _ => {}
            }
        }
        let mut changes = Vec::with_capacity(3);
        for body in bodies.into_iter().flatten() {
            if MessageFormat::of(body.of(self.text)) == Some(self.to) {
                continue;
            }
            match self.converted(body, raw) {
                Some(converted) => changes.push((body, converted)),
                None => self.left += 1,
            }
        }
        if let Some(format) = format.filter(|_| !changes.is_empty()) {
            changes.push((format, Cow::Borrowed(self.to.quoted())));
        }
        changes.sort_unstable_by_key(|(span, _)| span.start);
        for (span, new) in changes {
            self.replace(span, &new);
        }
    }

    fn converted(&self, body: Span, raw: Option<Span>) -> Option<Cow<'a, [u8]>> {
        let from = MessageFormat::of(body.of(self.text))?;
        if from == MessageFormat::String {
            let message: String = serde_json::from_slice(body.of(self.text)).ok()?;
            return Some(Cow::Owned(cq::decode(&message).into_bytes()));
        }
        let raw = raw.map(|raw| raw.of(self.text)).filter(|raw| raw.starts_with(b"\""));
        if let Some(raw) = raw {
            return Some(Cow::Borrowed(raw));
        }
        let mut string = Vec::with_capacity(body.of(self.text).len());
        cq::encode(self.text, body, &mut string)?;
        Some(Cow::Owned(string))
    }

    fn replace(&mut self, span: Span, new: &[u8]) {
        if self.written.capacity() == 0 {
            self.written.reserve(self.text.len() + new.len());
        }
        self.written.extend_from_slice(self.text.get(self.copied..span.start as usize).unwrap_or_default());
        self.written.extend_from_slice(new);
        self.copied = span.end as usize;
    }

    fn finish(mut self) -> Converted {
        if self.copied == 0 {
            return Converted { text: None, left: self.left };
        }
        self.written.extend_from_slice(self.text.get(self.copied..).unwrap_or_default());
        Converted { text: Some(self.written.into()), left: self.left }
    }
}

#[cfg(test)]
mod tests;
