//! JSON objects whose keys keep the order they were put in.

use serde_json::Value;

/// Sets a key: at the end if it is new, in place if it is not.
pub(crate) fn put(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(fields) = object {
        fields.insert(key.to_owned(), value.into());
    }
}

/// The value of a key; `null` if there is none.
pub(crate) fn field<'a>(object: &'a Value, key: &str) -> &'a Value {
    object.get(key).unwrap_or(&Value::Null)
}

/// A value as JavaScript's string interpolation shows it.
pub(crate) fn interpolated(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) => "[object Object]".to_owned(),
        Value::Array(items) => items.iter().map(interpolated).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
