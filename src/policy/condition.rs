//! Conditions on the parameters of calls.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::actions::ActionPatterns;
use super::filter::Filter;
use super::target::Id;
use crate::onebot::Call;

/// One entry of `where`: what the parameters of some actions must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    actions: ActionPatterns,
    filter: Filter,
    /// Those of [`NUMBERS`] that the filter asks about.
    numbers: Vec<&'static str>,
}

/// Parameters that implementations read as numbers, whatever is written. A condition sees them as numbers,
/// or "0" would get past what is said of 0; and what is not understood by all alike does not meet it.
const NUMBERS: [&str; 8] =
    ["group_id", "user_id", "target_id", "message_id", "message_seq", "duration", "count", "times"];

impl Condition {
    /// The condition `filter` on every call of `actions`.
    #[must_use]
    pub fn new(actions: ActionPatterns, filter: Filter) -> Self {
        let numbers = NUMBERS.into_iter().filter(|name| asks_about(filter.source(), name)).collect();
        Self { actions, filter, numbers }
    }

    /// The key under `where`.
    #[must_use]
    pub fn on(&self) -> &str {
        self.actions.written().first().map_or("", String::as_str)
    }

    /// Whether the call is none of those meant, or is like this. Parameters of which one is written twice
    /// are like nothing, since implementations differ in which they read; and so are those about which
    /// the filter gives no answer.
    #[must_use]
    pub fn holds(&self, call: &Call) -> bool {
        if !self.actions.matches(&call.action) {
            return true;
        }
        let Ok(Members(members)) = serde_json::from_slice(&call.params) else { return false };
        let mut params: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(members.len());
        let mut is_rewritten = false;
        for (name, value) in members {
            let is_number = self.numbers.contains(&name.as_ref());
            let value = match if is_number { Id::read(value.get().as_bytes()) } else { Id::Absent } {
                Id::Absent => Cow::Borrowed(value.get()),
                Id::Known(number) => {
                    is_rewritten = true;
                    Cow::Owned(number.to_string())
                }
                Id::Odd => return false,
            };
            params.push((name, value));
        }
        let answer = if is_rewritten {
            self.filter.matches(object(&params).as_bytes())
        } else {
            self.filter.matches(&call.params)
        };
        answer.unwrap_or(false)
    }
}

/// Whether a query names the member `name` anywhere.
fn asks_about(query: &Value, name: &str) -> bool {
    match query {
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.split('.').next() == Some(name) || asks_about(value, name))
        }
        Value::Array(items) => items.iter().any(|item| asks_about(item, name)),
        _ => false,
    }
}

fn object(members: &[(Cow<'_, str>, Cow<'_, str>)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_ref()))).collect();
    format!("{{{}}}", members.join(","))
}

/// The members of an object; reading it fails if two are equal.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a key stands there twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Once)
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
