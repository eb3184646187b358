//! What is asked, so that equal questions are found equal and no two others are.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::onebot::Call;

/// An action and its parameters in one spelling. Order of keys and blanks do not matter, ids may be
/// numbers or strings, and everything else does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question(Bytes);

/// A read as it concerns the cache.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    /// The group it names.
    pub(super) group: Option<i64>,
    /// Whether it must be asked anew (`no_cache`).
    pub(super) anew: bool,
}

impl Question {
    /// Parameters above this size are not looked into: a picture to be read, or nonsense.
    const LONGEST: usize = 4 << 10;

    /// Bytes it takes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Asked {
    /// Reads a call of the action `name`; `None` for parameters that only LLOneBot can judge.
    pub(super) fn read(name: &str, call: &Call) -> Option<Self> {
        if call.params.len() > Question::LONGEST {
            return None;
        }
        let mut params: Map<String, Value> = serde_json::from_slice(&call.params).ok()?;
        let no_cache = params.remove("no_cache");
        let anew = no_cache.as_ref().is_some_and(is_true);
        for (key, value) in &mut params {
            if is_id(key)
                && let Some(number) = value.as_str().and_then(plain_number)
            {
                *value = number.into();
            }
        }
        let group = params.get("group_id").and_then(Value::as_i64);
        let mut text = name.as_bytes().to_vec();
        // LLOneBot asks QQ anew for `get_group_info` unless it is told not to. Who tells it has another question.
        text.push(if name == "get_group_info" && no_cache.is_some() && !anew { b'?' } else { b' ' });
        let mut params = Value::Object(params);
        params.sort_all_objects();
        serde_json::to_writer(&mut text, &params).ok()?;
        Some(Self { question: Question(text.into()), group, anew })
    }
}

/// As LLOneBot reads booleans: over HTTP they come as strings.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_i64() == Some(1),
        Value::String(text) => text.eq_ignore_ascii_case("true") || text == "1",
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn is_id(key: &str) -> bool {
    matches!(key, "group_id" | "user_id" | "message_id" | "self_id")
}

/// The number that `text` spells, if no other text spells it and JavaScript holds it exactly.
fn plain_number(text: &str) -> Option<i64> {
    const EXACT: i64 = 1 << 53;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text && (-EXACT..EXACT).contains(&number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onebot::ActionName;

    fn asked(name: &str, params: &str) -> Option<Asked> {
        let params = Bytes::copy_from_slice(params.as_bytes());
        Asked::read(name, &Call { action: ActionName::new(name), params })
    }

    fn same(name: &str, one: &str, other: &str) -> bool {
        asked(name, one).unwrap().question == asked(name, other).unwrap().question
    }

    #[test]
    fn spelling_does_not_matter() {
        let name = "get_group_member_info";
        let plain = r#"{"group_id":1,"user_id":2}"#;
        for other in [
            r#"{ "user_id" : 2, "group_id" : 1 }"#,
            r#"{"group_id":"1","user_id":"2"}"#,
            r#"{"group_id":1,"user_id":2,"no_cache":false}"#,
            r#"{"group_id":1,"user_id":2,"no_cache":true}"#,
            r#"{"group_id":9,"gr\u006fup_id":1,"user_id":2}"#,
        ] {
            assert!(same(name, plain, other), "{other}");
        }
        assert!(same("get_msg", r#"{"x":{"a":1,"b":2}}"#, r#"{"x":{"b":2,"a":1}}"#));
        assert_eq!(asked(name, r#"{"group_id":"-7"}"#).unwrap().group, Some(-7));
    }

    #[test]
    fn what_may_mean_something_else_is_another_question() {
        let name = "get_group_member_info";
        let plain = r#"{"group_id":1,"user_id":2}"#;
        for other in [
            "{}",
            r#"{"group_id":2,"user_id":1}"#,
            r#"{"group_id":1,"user_id":2,"unknown":null}"#,
            r#"{"group_id":"01","user_id":2}"#,
            r#"{"group_id":"1 ","user_id":2}"#,
            r#"{"group_id":1.5,"user_id":2}"#,
            r#"{"group_id":[1],"user_id":2}"#,
            r#"{"group_id":true,"user_id":2}"#,
        ] {
            assert!(!same(name, plain, other), "{other}");
        }
        assert!(!same(name, r#"{"x":1}"#, r#"{"x":"1"}"#), "only ids are known to be read alike");
        // The number loses digits on its way through JavaScript, the string does not.
        assert!(!same(name, r#"{"user_id":9007199254740993}"#, r#"{"user_id":"9007199254740993"}"#));
        assert_ne!(asked("get_msg", "{}").unwrap().question, asked("get_image", "{}").unwrap().question);
        // Without a word LLOneBot asks QQ anew for this one.
        assert!(!same("get_group_info", r#"{"group_id":1}"#, r#"{"group_id":1,"no_cache":false}"#));
        assert!(same("get_group_info", r#"{"group_id":1}"#, r#"{"group_id":1,"no_cache":true}"#));
    }

    #[test]
    fn no_cache_is_read_as_llonebot_reads_booleans() {
        for (value, anew) in [
            ("true", true),
            (r#""true""#, true),
            ("1", true),
            (r#""1""#, true),
            ("false", false),
            (r#""false""#, false),
            ("0", false),
            ("null", false),
            ("[1]", false),
        ] {
            let asked = asked("get_group_list", &format!(r#"{{"no_cache":{value}}}"#)).unwrap();
            assert_eq!(asked.anew, anew, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_judged_is_left_to_llonebot() {
        assert!(asked("ocr_image", &format!(r#"{{"image":"base64://{}"}}"#, "A".repeat(5000))).is_none());
        assert!(asked("get_msg", r#"{"message_id":"\ud83d"}"#).is_none());
        assert!(asked("get_msg", r#"{"message_id":1e999}"#).is_none());
    }
}
