//! CQ codes: a message as one string.

use serde_json::{Map, Value, json};

use super::object::interpolated;

/// Writes segments as LLOneBot writes `raw_message`.
pub(crate) fn encode(segments: &[Value]) -> String {
    let mut text = String::new();
    for segment in segments {
        let kind = segment.get("type").and_then(Value::as_str).unwrap_or_default();
        let data = segment.get("data").and_then(Value::as_object);
        if kind == "text" {
            text.push_str(&escape(
                &data.and_then(|data| data.get("text")).map(interpolated).unwrap_or_default(),
            ));
            continue;
        }
        text.push_str("[CQ:");
        text.push_str(kind);
        for (key, value) in data.into_iter().flatten() {
            text.push(',');
            text.push_str(key);
            text.push('=');
            text.push_str(&escape(&interpolated(value)).replace(',', "&#44;"));
        }
        text.push(']');
    }
    text
}

/// Reads CQ codes out of a text; what is not one is text.
pub(crate) fn decode(text: &str) -> Vec<Value> {
    let mut segments = Vec::new();
    let mut rest = text;
    let mut plain_end = 0;
    while let Some(start) = rest.get(plain_end..).and_then(|tail| tail.find("[CQ:")).map(|at| at + plain_end)
    {
        let code = rest.get(start + 4..).and_then(|tail| tail.split_once(']'));
        let Some((segment, after)) = code.and_then(|(body, after)| Some((decode_one(body)?, after))) else {
            plain_end = start + 4;
            continue;
        };
        push_text(&mut segments, rest.get(..start).unwrap_or_default());
        segments.push(segment);
        rest = after;
        plain_end = 0;
    }
    push_text(&mut segments, rest);
    segments
}

pub(crate) fn text(text: &str) -> Value {
    json!({"type": "text", "data": {"text": text}})
}

fn decode_one(body: &str) -> Option<Value> {
    let mut parts = body.split(',');
    let kind = parts.next().filter(|kind| kind.chars().all(|char| char.is_alphanumeric() || char == '_'))?;
    let data: Option<Map<String, Value>> = parts
        .map(|part| part.split_once('=').map(|(key, value)| (key.to_owned(), Value::from(unescape(value)))))
        .collect();
    Some(json!({"type": kind, "data": data?}))
}

fn push_text(segments: &mut Vec<Value>, escaped: &str) {
    if !escaped.is_empty() {
        segments.push(text(&unescape(escaped)));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('[', "&#91;").replace(']', "&#93;")
}

fn unescape(text: &str) -> String {
    text.replace("&#91;", "[").replace("&#93;", "]").replace("&#44;", ",").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_messages_encode_to_their_own_raw_message() {
        let mut seen = 0;
        for line in include_str!("samples.jsonl").lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            if let Some(segments) = event.get("message").and_then(Value::as_array) {
                assert_eq!(encode(segments), event["raw_message"].as_str().unwrap());
                seen += 1;
            }
        }
        assert!(seen > 10, "{seen}");
    }

    #[test]
    fn codes_are_read_and_other_brackets_are_text() {
        assert_eq!(
            decode("[CQ:at,qq=2210947381] 收到&#91;1&#93; [x]"),
            [json!({"type": "at", "data": {"qq": "2210947381"}}), text(" 收到[1] [x]")]
        );
        assert_eq!(decode("[CQ:shake]"), [json!({"type": "shake", "data": {}})]);
        assert_eq!(decode("[CQ:broken"), [text("[CQ:broken")]);
        assert_eq!(decode("[CQ:a b]"), [text("[CQ:a b]")]);
        assert!(decode("").is_empty());
    }
}
