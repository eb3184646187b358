//! Messages that a message takes in: it quotes them, or forwards them in a node. Whoever may name any
//! message can have the words of one chat shown in another.

use memchr::memchr3_iter;
use serde_json::{Map, Value};

use super::acl::tree;
use super::target::{Id, is_true};
use crate::onebot::Call;

/// The ids of the messages that `call` quotes or forwards, in segments, CQ codes and nested forward nodes.
/// `None` if that cannot be told, or one of them is not understood by everybody alike.
#[must_use]
pub fn messages(call: &Call) -> Option<Vec<i64>> {
    let sends = call.action.entry().is_none_or(|action| action.sends);
    if !sends || !may_quote(&call.params) {
        return Some(Vec::new());
    }
    let params = tree(&call.params)?;
    let is_plain = params.get("auto_escape").is_some_and(is_true);
    let mut ids = Vec::new();
    for (key, value) in &params {
        // Nodes know no `auto_escape`.
        let is_text = is_plain && key == "message" && value.is_string();
        if !is_text && HOLD_MESSAGES.contains(&key.as_str()) {
            message(value, &mut ids)?;
        }
    }
    Some(ids)
}

/// Parameters and members that hold messages.
const HOLD_MESSAGES: [&str; 3] = ["message", "messages", "content"];
/// Segments that name a message, and what they call it.
const KINDS: [&str; 2] = ["reply", "node"];
const KEYS: [&str; 2] = ["id", "message_id"];

/// Of most messages it is known that they quote none, by looking for the words. With escapes they could be
/// written in any way.
fn may_quote(params: &[u8]) -> bool {
    // The rarest letter of each word, and what an escape begins with.
    memchr3_iter(b'p', b'd', b'\\', params).any(|at| {
        let around = |before: usize, word: &[u8]| {
            let start = at.checked_sub(before).and_then(|start| params.get(start..));
            start.is_some_and(|rest| rest.starts_with(word))
        };
        match params.get(at) {
            Some(b'p') => around(2, b"reply"),
            Some(b'd') => around(2, b"node"),
            _ => around(0, b"\\u"),
        }
    })
}

fn message(value: &Value, ids: &mut Vec<i64>) -> Option<()> {
    match value {
        Value::String(text) => written(text, ids),
        Value::Array(items) => items.iter().try_for_each(|item| message(item, ids)),
        Value::Object(object) => segment(object, ids),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(()),
    }
}

fn segment(object: &Map<String, Value>, ids: &mut Vec<i64>) -> Option<()> {
    let kind = object.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let names_messages = KINDS.contains(&kind.as_str());
    for member in ["data", "content", "message", "messages"].iter().filter_map(|key| object.get(*key)) {
        let Value::Object(data) = member else {
            message(member, ids)?;
            continue;
        };
        for (key, value) in data {
            if names_messages && KEYS.contains(&key.as_str()) {
                id(&value.to_string(), ids)?;
            } else if HOLD_MESSAGES.contains(&key.as_str()) {
                message(value, ids)?;
            }
        }
    }
    Some(())
}

/// CQ codes, and the text of JSON, which some implementations read as such.
fn written(text: &str, ids: &mut Vec<i64>) -> Option<()> {
    let json = text.trim_start().starts_with(['[', '{']).then(|| serde_json::from_str(text).ok());
    if let Some(value @ (Value::Array(_) | Value::Object(_))) = json.flatten() {
        message(&value, ids)?;
    }
    for code in text.split("[CQ:").skip(1) {
        let mut parts = code.split(']').next().unwrap_or_default().split(',');
        let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        if KINDS.contains(&kind.as_str()) {
            let named =
                parts.filter_map(|part| part.split_once('=')).filter(|(key, _)| KEYS.contains(&key.trim()));
            for (_, value) in named {
                id(&Value::from(value).to_string(), ids)?;
            }
        }
    }
    Some(())
}

fn id(raw: &str, ids: &mut Vec<i64>) -> Option<()> {
    match Id::read(raw.as_bytes()) {
        Id::Absent => {}
        Id::Known(id) => ids.push(id),
        Id::Odd => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::onebot::ActionName;

    fn of(action: &str, params: &str) -> Option<Vec<i64>> {
        let params = Bytes::copy_from_slice(params.as_bytes());
        messages(&Call { action: ActionName::new(action), params })
    }

    #[test]
    fn messages_are_found_however_they_are_named() {
        for params in [
            r#"{"message":"[CQ:reply,id=-7]hi"}"#,
            r#"{"message":"hi [CQ:face,id=1][CQ:reply,text=a,id=-7]"}"#,
            r#"{"message":{"type":"reply","data":{"id":"-7"}}}"#,
            r#"{"message":[{"type":"text","data":{"text":"a"}},{"type":"re\u0070ly","data":{"\u0069d":-7}}]}"#,
            r#"{"messages":[{"type":"node","data":{"id":-7}}]}"#,
            r#"{"messages":[{"type":"node","data":{"content":[{"type":"node","data":{"content":"[CQ:reply,id=-7]"}}]}}]}"#,
            r#"{"message":"[{\"type\":\"node\",\"data\":{\"id\":\"-7\"}}]"}"#,
        ] {
            assert_eq!(of("send_msg", params), Some(vec![-7]), "{params}");
        }
    }

    #[test]
    fn what_names_none_has_none() {
        for params in [
            r#"{"message":"no reply","id":-7}"#,
            r#"{"message":"[CQ:face,id=7]"}"#,
            r#"{"message":"[CQ:reply,id=7]","auto_escape":true}"#,
            r#"{"message":[{"type":"text","data":{"text":"[CQ:reply,id=7]"}},{"type":"face","data":{"id":"7"}}]}"#,
            r#"{"messages":[{"type":"node","data":{"name":"a","uin":"7","content":"\u4f60"}}]}"#,
        ] {
            assert_eq!(of("send_msg", params), Some(Vec::new()), "{params}");
        }
        assert_eq!(of("get_msg", r#"{"message":"[CQ:reply,id=7]"}"#), Some(Vec::new()));
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        for params in [
            r#"{"message":"[CQ:reply,id=0x7]"}"#,
            r#"{"message":{"type":"reply","data":{"id":[7]}}}"#,
            r#"{"message":"\ud83d reply"}"#,
        ] {
            assert_eq!(of("send_msg", params), None, "{params}");
        }
    }
}
