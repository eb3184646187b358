//! From the merged tree to the raw structs: every fault is told, not only the first.

use std::fmt::{self, Display};

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_path_to_error::Segment;
use toml::Value;

use super::problem::Report;
use super::raw::Raw;
use super::source::Spot;
use crate::policy::spelling::closest;

/// Reads what can be read of `tree` and reports the rest. What is at fault is taken out and the tree read
/// again, until it reads; a list goes as a whole.
pub(super) fn all(tree: toml::Table, report: &mut Report<'_>) -> Raw {
    let mut tree = Value::Table(tree);
    loop {
        let error = match serde_path_to_error::deserialize(Node(&tree)) {
            Ok(raw) => return raw,
            Err(error) => error,
        };
        let segments = error.path().clone();
        let path: Vec<&str> = segments.iter().map_while(key).collect();
        let Fault { spot, message } = error.into_inner();
        let message = match segments.iter().nth(path.len()) {
            Some(Segment::Seq { index }) => format!("item {} {message}", index + 1),
            _ => message,
        };
        report.fault(&path, spot, message);
        if remove(&mut tree, &path).is_none() {
            return Raw::default();
        }
    }
}

fn key(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Map { key } => Some(key),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn remove(tree: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, above) = path.split_last()?;
    let table = above.iter().try_fold(tree, |table, key| table.get_mut(key))?;
    table.as_table_mut()?.remove(*last)
}

/// A value that is read strictly: nothing is coerced.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Value);

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Datetime(_) => Err(de::Error::invalid_type(Unexpected::Other("a date"), &visitor)),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Node))),
            Value::Table(table) => visitor.visit_map(MapDeserializer::new(
                table.iter().map(|(key, value)| (key.as_str(), Node(value))),
            )),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(Fault::value(format!("expected {}", one_of(variants)))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// What is wrong with one value or key. Unlike the usual errors it never quotes the value, which may be a
/// secret in the wrong place.
#[derive(Debug)]
struct Fault {
    spot: Spot,
    message: String,
}

impl Fault {
    fn value(message: String) -> Self {
        Self { spot: Spot::Value, message }
    }
}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::value(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let kind = match unexpected {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "a string",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a table",
            _ => "something else",
        };
        // Serde's own word for a table names a type of the program.
        let expected = expected.to_string();
        let expected =
            if expected.starts_with("struct ") || expected == "a map" { "a table" } else { &expected };
        Self::value(format!("is {kind}; expected {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::value(match closest(variant, expected) {
            Some(meant) => format!("unknown value; did you mean {meant:?}?"),
            None => format!("unknown value; expected {}", one_of(expected)),
        })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let message = match closest(field, expected) {
            Some(meant) => format!("unknown key; did you mean `{meant}`?"),
            None => format!("unknown key; the keys here are {}", expected.join(", ")),
        };
        Self { spot: Spot::Key, message }
    }
}

impl std::error::Error for Fault {}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(" or ")
}
