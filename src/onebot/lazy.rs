//! A JSON value that is read where it lies, and no further than somebody asks.
//!
//! For texts that were [scanned](super::scan) as a whole before: where the grammar is broken a value merely
//! ends early. Nothing is built but strings that are written with escapes.

use std::borrow::Cow;

use super::envelope::{Cursor, JsonType, Name, Span};
use super::walk;

/// One value of a text.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    /// Without whitespace around it.
    text: &'a [u8],
}

impl<'a> Json<'a> {
    /// The value that the whole of `text` is.
    #[must_use]
    #[inline]
    pub fn new(text: &'a [u8]) -> Self {
        Self { text: text.trim_ascii() }
    }

    /// The value that `span` covers in `text`.
    #[must_use]
    #[inline]
    pub fn at(text: &'a [u8], span: Span) -> Self {
        Self { text: span.of(text) }
    }

    /// As it is written.
    #[must_use]
    #[inline]
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// Which of the types of JSON it is.
    #[must_use]
    #[inline]
    pub fn kind(self) -> JsonType {
        JsonType::of(self.text)
    }

    /// What the string says, in UTF-8; `None` if it is none. A lone surrogate, which has no UTF-8, is
    /// shown as U+FFFD.
    #[must_use]
    #[inline]
    pub fn string(self) -> Option<Cow<'a, [u8]>> {
        self.text.strip_prefix(b"\"")?.strip_suffix(b"\"").map(unescape)
    }

    /// The number, as `JavaScript` reads it; `None` if it is none.
    #[must_use]
    #[inline]
    pub fn number(self) -> Option<f64> {
        if self.kind() != JsonType::Number {
            return None;
        }
        std::str::from_utf8(self.text).ok()?.parse().ok()
    }

    /// The items of the array; none if it is none.
    pub fn items(self) -> impl Iterator<Item = Json<'a>> {
        walk::items(self.text, self.whole()).map(move |item| self.part(item))
    }

    /// The members of the object, equal keys included; none if it is none.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, [u8]>, Json<'a>)> {
        walk::members(self.text, self.whole()).map(move |(name, value)| (unescape(name), self.part(value)))
    }

    /// The value of the object's member `name`: of equal keys the last, as in `JavaScript`.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Json<'a>> {
        let mut found = None;
        self.each_member(|written, value| {
            if written.is(name) {
                found = Some(value);
            }
        });
        found
    }

    /// The values of the object's members `names`, as [`get`](Self::get) finds them, in one pass: each goes to
    /// its place in `found`.
    pub fn get_all(self, names: &[Box<str>], found: &mut [Option<Json<'a>>]) {
        self.each_member(|written, value| {
            for (name, place) in names.iter().zip(found.iter_mut()) {
                if written.is(name) {
                    *place = Some(value);
                }
            }
        });
    }

    /// One loop around one cursor, as [`scan`](super::scan) has it, is twice as fast as an iterator.
    #[inline]
    fn each_member(self, mut tell: impl FnMut(&Name<'a>, Json<'a>)) {
        let mut cursor = Cursor::new(self.text);
        let mut more = cursor.peek() == b'{' && cursor.open(b'}');
        while more {
            let Ok(name) = cursor.key() else { return };
            let start = cursor.position();
            if cursor.value(0).is_err() {
                return;
            }
            tell(&name, self.part(Span { start: start as u32, end: cursor.position() as u32 }));
            more = cursor.next_item(b'}').unwrap_or(false);
        }
    }

    fn whole(self) -> Span {
        Span { start: 0, end: self.text.len() as u32 }
    }

    fn part(self, span: Span) -> Self {
        Self::at(self.text, span)
    }
}

/// What stands between the quotes of a string.
#[inline]
fn unescape(written: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', written).is_none() {
        return Cow::Borrowed(written);
    }
    Cow::Owned(unescaped(written))
}

fn unescaped(written: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let Some((plain, escape)) = rest.split_at_checked(at) else { break };
        out.extend_from_slice(plain);
        let (meant, length) = meaning(escape);
        let mut buffer = [0; 4];
        out.extend_from_slice(meant.encode_utf8(&mut buffer).as_bytes());
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// The character that the escape at the beginning of `text` means, and how many bytes it takes.
fn meaning(text: &[u8]) -> (char, usize) {
    let short = |meant| (meant, 2);
    match text.get(1) {
        Some(b'b') => short('\u{8}'),
        Some(b'f') => short('\u{c}'),
        Some(b'n') => short('\n'),
        Some(b'r') => short('\r'),
        Some(b't') => short('\t'),
        Some(b'u') => match (unit(text), text.get(6..).and_then(unit)) {
            (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            (unit, _) => (unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
        },
        Some(byte) => short(char::from(*byte)),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// The code unit that `\uXXXX` at the beginning of `text` names.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> String {
        String::from_utf8(Json::new(text.as_bytes()).string().unwrap().into_owned()).unwrap()
    }

    #[test]
    fn strings_say_what_javascript_reads_in_them() {
        for (written, meant) in [
            (r#""plain 中文""#, "plain 中文"),
            (r#""\"\\\/\b\f\n\r\t\u0041\u4e2d""#, "\"\\/\u{8}\u{c}\n\r\tA中"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\ud83d\u0041\ude00""#, "\u{fffd}A\u{fffd}"),
            (r#""""#, ""),
        ] {
            assert_eq!(string(written), meant, "{written}");
        }
        assert!(Json::new(b"1").string().is_none());
    }

    #[test]
    fn members_are_found_however_their_keys_are_written_and_the_last_counts() {
        let object = Json::new(br#" {"a":1,"b":{"a":9},"\u0061":2} "#);
        assert_eq!(object.get("a").and_then(Json::number), Some(2.0));
        assert_eq!(object.get("b").and_then(|b| b.get("a")).and_then(Json::number), Some(9.0));
        assert!(object.get("c").is_none() && object.get("\\u0061").is_none());
        assert_eq!(object.members().count(), 3);
        let numbers: Vec<f64> = Json::new(b"[1, 2.50,-0,1e999]").items().filter_map(Json::number).collect();
        assert_eq!(numbers, [1.0, 2.5, 0.0, f64::INFINITY]);
    }

    #[test]
    fn broken_text_ends_early() {
        for text in ["", "\"", "\"\\", "\"\\u12\"", "{\"a\":", "[1,", "\"\\ud83d\\u\"", "nul"] {
            let json = Json::new(text.as_bytes());
            let _ = (json.kind(), json.string(), json.number(), json.get("a").is_some());
            assert!(json.items().count() <= 1 && json.members().count() <= 1);
        }
    }
}
