//! A secret as it may be written: a string, `{ env = "NAME" }` or `{ file = "/path" }`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::policy::Secret;

/// No secret is longer; a path that names something endless must not fill the memory.
const LARGEST: u64 = 64 << 10;

/// Where a secret is.
pub(super) enum RawSecret {
    /// Here.
    Text(Secret),
    /// Somewhere else.
    Reference(Reference),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reference {
    env: Option<String>,
    file: Option<String>,
}

impl RawSecret {
    /// The secret itself. `Ok(None)` if the reference names neither a variable nor a file.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(super) fn fetch(self, environment: &BTreeMap<String, String>) -> Result<Option<Secret>, String> {
        match self {
            Self::Text(secret) => Ok(Some(secret)),
            Self::Reference(Reference { env: None, file: None }) => Ok(None),
            Self::Reference(Reference { env: Some(name), file: None }) => match environment.get(&name) {
                Some(value) => Ok(Some(Secret::new(value))),
                None => Err(format!("environment variable {name:?} is not set")),
            },
            Self::Reference(Reference { env: None, file: Some(path) }) => read(&path).map(Some),
            Self::Reference(Reference { env: Some(_), file: Some(_) }) => {
                Err("names both `env` and `file`; remove one of them".to_owned())
            }
        }
    }
}

fn read(path: &str) -> Result<Secret, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
        .map_err(|error| format!("file {path:?} cannot be read: {error}"))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = RawSecret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a string in quotes, { env = "NAME" } or { file = "/path" }"#)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawSecret, E> {
                Ok(RawSecret::Text(Secret::new(text)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawSecret, A::Error> {
                Reference::deserialize(MapAccessDeserializer::new(map)).map(RawSecret::Reference)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
