//! What [`scan`](super::scan) must agree with: the same, told by `serde_json`.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Envelope, Key, Span};

/// As [`scan`](super::scan), but without its limit on nesting; `None` if `text` is no JSON object.
pub(super) fn scan(text: &str) -> Option<Envelope> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let envelope = deserializer.deserialize_map(Members(text)).ok()?;
    deserializer.end().ok()?;
    Some(envelope)
}

struct Members<'a>(&'a str);

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Envelope;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope, A::Error> {
        let offset = |raw: &RawValue| raw.get().as_ptr() as usize - self.0.as_ptr() as usize;
        let mut envelope = Envelope::EMPTY;
        while let Some((key, value)) = members.next_entry::<&RawValue, &RawValue>()? {
            let Ok(name) = serde_json::from_str::<String>(key.get()) else { continue };
            let Some(known) = Key::ALL.iter().find(|known| known.name() == name) else { continue };
            let start = offset(value);
            let span = Span { start: start as u32, end: (start + value.get().len()) as u32 };
            envelope.record(*known, offset(key), span);
        }
        Ok(envelope)
    }
}
