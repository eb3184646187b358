//! A quick operation as the calls it stands for.

use serde_json::{Map, Value};

use crate::onebot::{Call, quick};

/// The calls that `.handle_quick_operation` with these parameters may lead to; `None` if that cannot be
/// told. Implementations differ in what they take for a yes, so anything but `false` and `null` counts.
pub(super) fn calls(params: &[u8]) -> Option<Vec<Call>> {
    let params = super::tree(params)?;
    let Value::Object(mut context) = params.get("context")?.clone() else { return None };
    let operation = match params.get("operation") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(operation)) => operation.clone(),
        Some(_) => return None,
    };
    // What is neither is treated as either one by somebody.
    let in_chat = matches!(context.get("message_type").and_then(Value::as_str), Some("group" | "private"));
    if context.get("post_type").and_then(Value::as_str) == Some("message") && !in_chat {
        return None;
    }
    context.retain(|_, value| !value.is_null());
    let answer: Map<String, Value> = operation
        .into_iter()
        .filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)))
        .map(|(key, value)| match key.as_str() {
            "delete" | "kick" | "ban" => (key, Value::Bool(true)),
            _ => (key, value),
        })
        .collect();
    let text = |map| Value::Object(map).to_string();
    quick::operations(text(context).as_bytes(), text(answer).as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(params: &str) -> Option<Vec<String>> {
        let calls = calls(params.as_bytes())?;
        Some(calls.iter().map(|call| call.action.base().to_owned()).collect())
    }

    #[test]
    fn every_yes_counts_however_it_is_written() {
        let context = r#""context":{"post_type":"m\u0065ssage","message_type":"gr\u006fup","group_id":1,"user_id":2,"message_id":3}"#;
        let of = |operation: &str| names(&format!(r#"{{{context},"operation":{operation}}}"#)).unwrap();
        assert_eq!(
            of(r#"{"kick":1,"ban":"x","delete":{},"reply":"a"}"#),
            ["send_group_msg", "delete_msg", "set_group_ban", "set_group_kick"]
        );
        assert!(of(r#"{"kick":false,"ban":null}"#).is_empty());
        assert_eq!(of(r#"{"kick":false,"ki\u0063k":true}"#), ["set_group_kick"]);
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        for params in [
            "{}",
            r#"{"context":"{}","operation":{}}"#,
            r#"{"context":{},"operation":"{\"kick\":true}"}"#,
            r#"{"context":{"post_type":"message","message_type":"Group"},"operation":{"kick":true}}"#,
        ] {
            assert_eq!(names(params), None, "{params}");
        }
    }
}
