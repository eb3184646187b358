//! The parameters of a call, checked and refused in the words of LLOneBot's schema library.

use serde_json::{Map, Value};

use super::Failure;
use crate::simulator::object::interpolated;

/// The `params` object. Unknown keys are nobody's business; ids come as numbers or strings.
#[derive(Clone, Copy)]
pub(crate) struct Params<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Params<'a> {
    pub(crate) fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn value(self, key: &str) -> Result<&'a Value, Failure> {
        self.get(key).ok_or_else(|| Failure::Parameters(format!("$.{key} missing required value")))
    }

    /// A number, or a string of one.
    pub(crate) fn id(self, key: &str) -> Result<i64, Failure> {
        let value = self.value(key)?;
        read_id(value).ok_or_else(|| expected(key, "number | string", value))
    }

    pub(crate) fn optional_id(self, key: &str) -> Result<Option<i64>, Failure> {
        self.get(key).map(|_| self.id(key)).transpose()
    }

    pub(crate) fn message_id(self) -> Result<i32, Failure> {
        let id = self.id("message_id")?;
        i32::try_from(id).map_err(|_| Failure::Thrown("消息不存在".to_owned()))
    }

    pub(crate) fn text(self, key: &str) -> Result<String, Failure> {
        let value = self.value(key)?;
        read_text(value).ok_or_else(|| expected(key, "string", value))
    }

    pub(crate) fn optional_text(self, key: &str) -> Result<String, Failure> {
        if self.get(key).is_some() { self.text(key) } else { Ok(String::new()) }
    }

    /// Booleans are accepted as strings: `""`, `"true"` and `"1"` are true, any other is false.
    pub(crate) fn flag(self, key: &str, default: bool) -> Result<bool, Failure> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) => Ok(matches!(text.as_str(), "" | "true" | "1")),
            Some(other) => Err(expected(key, "boolean | string", other)),
        }
    }

    /// An array of ids.
    pub(crate) fn ids(self, key: &str) -> Result<Vec<i64>, Failure> {
        let value = self.value(key)?;
        let items = value.as_array().ok_or_else(|| expected(key, "array", value))?;
        items.iter().map(|item| read_id(item).ok_or_else(|| expected(key, "number | string", item))).collect()
    }
}

fn read_id(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn read_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn expected(key: &str, what: &str, got: &Value) -> Failure {
    Failure::Parameters(format!("$.{key} expected {what} but got {}", interpolated(got)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_taken_generously_and_refused_in_llonebots_words() {
        let value = json!({"a": 1, "b": "-2", "c": true, "d": "1", "e": "no", "f": null});
        let params = Params(value.as_object().unwrap());
        assert_eq!(params.id("a"), Ok(1));
        assert_eq!(params.id("b"), Ok(-2));
        assert_eq!(params.flag("d", false), Ok(true));
        assert_eq!(params.flag("e", true), Ok(false));
        assert_eq!(params.flag("missing", true), Ok(true));
        assert_eq!(params.optional_id("f"), Ok(None));
        assert_eq!(params.id("f"), Err(Failure::Parameters("$.f missing required value".to_owned())));
        assert_eq!(
            params.id("c"),
            Err(Failure::Parameters("$.c expected number | string but got true".to_owned()))
        );
    }
}
