//! A consumer's `echo`: kept as it was written, put back byte for byte.
//!
//! `LLOneBot` passes echoes through `JSON.parse` and loses digits of large numbers; the gateway never
//! parses one, so `1e400` or a 30-digit number comes back as it was sent.

use std::fmt;

use bytes::Bytes;

use super::envelope::{Cursor, Span};

/// The raw JSON text of the `echo` a consumer sent, opaque to everyone but that consumer.
///
/// It has no `Display` and its `Debug` shows only its length: what it says is nobody's business.
#[derive(Clone, PartialEq, Eq)]
pub struct Echo(Bytes);

impl Echo {
    /// Takes the raw JSON text of an echo; `None` for `null`, which `LLOneBot` answers like no echo at all.
    #[must_use]
    pub fn from_raw(raw: Bytes) -> Option<Self> {
        (raw.as_ref() != b"null").then_some(Self(raw))
    }

    /// The text to put behind `"echo":`.
    #[must_use]
    pub fn as_raw(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Echo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Echo({} bytes)", self.0.len())
    }
}

/// Where the `echo` member lies in a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EchoSpan {
    /// Where its key begins, at the quote.
    pub key: u32,
    /// Its value.
    pub value: Span,
}

impl EchoSpan {
    /// The member with the one comma that goes with it: the one behind it, or the one before it if it
    /// is the last. What would be left of a valid object is a valid object.
    fn with_comma(self, reply: &[u8]) -> Span {
        let whole = Span { start: self.key, end: self.value.end };
        let (before, after) = (before(reply, whole.start), after(reply, whole.end));
        if let Some(rest) = after.trim_ascii_start().strip_prefix(b",") {
            return Span { end: (reply.len() - rest.len()) as u32, ..whole };
        }
        match before.trim_ascii_end().strip_suffix(b",") {
            Some(rest) => Span { start: rest.len() as u32, ..whole },
            None => whole,
        }
    }
}

/// Gives `reply` the consumer's `echo` in the place of the gateway's; `at` is where [`Envelope::echo`]
/// found that one. Everything else keeps its bytes, and nothing is copied.
///
/// Without an `echo` the whole member goes: a key the consumer did not send confuses real clients
/// (`node-napcat-ts` disconnects for good on `"echo":null`).
///
/// [`Envelope::echo`]: super::Envelope::echo
#[must_use]
pub fn splice<'a>(reply: &'a [u8], at: Option<EchoSpan>, echo: Option<&'a Echo>) -> Spliced<'a> {
    match (at, echo) {
        (Some(at), Some(echo)) => Spliced::around(reply, at.value, b"", echo.as_raw()),
        (Some(at), None) => Spliced::around(reply, at.with_comma(reply), b"", b""),
        (None, Some(echo)) => insert(reply, echo),
        (None, None) => Spliced([reply, b"", b"", b""]),
    }
}

/// A new last member. A text that does not end in a brace is no object and stays as it is.
fn insert<'a>(reply: &'a [u8], echo: &'a Echo) -> Spliced<'a> {
    let Some(brace) = reply.iter().rposition(|byte| *byte == b'}') else {
        return splice(reply, None, None);
    };
    let brace = brace as u32;
    let is_empty = before(reply, brace).trim_ascii_end().ends_with(b"{");
    let key: &[u8] = if is_empty { b"\"echo\":" } else { b",\"echo\":" };
    Spliced::around(reply, Span { start: brace, end: brace }, key, echo.as_raw())
}

/// A reply with its echo replaced, in the pieces it is made of.
///
/// Its `Debug` shows only its length: a reply may hold credentials.
#[derive(Clone, Copy)]
pub struct Spliced<'a>([&'a [u8]; 4]);

impl<'a> Spliced<'a> {
    fn around(reply: &'a [u8], gap: Span, key: &'a [u8], echo: &'a [u8]) -> Self {
        Self([before(reply, gap.start), key, echo, after(reply, gap.end)])
    }

    /// Bytes of the whole text.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).sum()
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|piece| piece.is_empty())
    }

    /// The pieces in order; some may be empty.
    #[must_use]
    pub fn pieces(&self) -> [&'a [u8]; 4] {
        self.0
    }

    /// Appends the whole text to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        for piece in self.pieces() {
            out.extend_from_slice(piece);
        }
    }
}

impl fmt::Debug for Spliced<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Spliced({} bytes)", self.len())
    }
}

/// The raw echo of a text that is not JSON, as `LLOneBot` recovers it: the value behind the first
/// `"echo":`, if that value is itself complete JSON. Looks at each byte at most twice.
///
/// A number at the very end of the text may have lost digits and is not taken.
#[must_use]
pub fn recover_echo(broken: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"\"echo\":";
    let at = broken.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let mut cursor = Cursor::new(broken.get(at..)?);
    cursor.skip_whitespace();
    let start = cursor.position();
    let is_number = matches!(cursor.peek(), b'-' | b'0'..=b'9');
    cursor.value(0).ok()?;
    let end = cursor.position();
    if is_number && !matches!(cursor.peek(), b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
        return None;
    }
    broken.get(at + start..at + end)
}

fn before(text: &[u8], end: u32) -> &[u8] {
    text.get(..end as usize).unwrap_or(text)
}

fn after(text: &[u8], start: u32) -> &[u8] {
    text.get(start as usize..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::onebot::envelope::arbitrary::{any_member, any_object, any_value, object_of, space};
    use crate::onebot::{Key, scan};

    fn echo(raw: &str) -> Option<Echo> {
        Echo::from_raw(Bytes::copy_from_slice(raw.as_bytes()))
    }

    fn spliced(reply: &str, echo: Option<&Echo>) -> String {
        let spliced = splice(reply.as_bytes(), scan(reply.as_bytes()).unwrap().echo(), echo);
        let mut written = Vec::new();
        spliced.write_to(&mut written);
        assert_eq!(spliced.len(), written.len());
        assert_eq!(spliced.is_empty(), written.is_empty());
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn an_echo_of_any_type_comes_back_as_it_was_sent() {
        let written = [
            "1e400",
            "123456789012345678901234567890",
            "-0.0",
            "0",
            "false",
            r#""""#,
            r#""\u4f60\ud83d""#,
            r#"{"seq": 1, "seq":2}"#,
            "[[], {}]",
        ];
        for raw in written {
            let answer = spliced(r#"{"status":"ok", "echo" : "g-1" ,"stream":"x"}"#, echo(raw).as_ref());
            assert_eq!(answer, format!(r#"{{"status":"ok", "echo" : {raw} ,"stream":"x"}}"#));
        }
    }

    #[test]
    fn null_is_no_echo_and_its_member_goes_with_one_comma() {
        assert_eq!(echo("null"), None);
        assert_eq!(spliced(r#"{"echo":"g"}"#, None), "{}");
        assert_eq!(spliced(r#"{ "echo":"g" }"#, None), "{  }");
        assert_eq!(spliced(r#"{"echo":"g" , "a":1}"#, None), r#"{ "a":1}"#);
        assert_eq!(spliced(r#"{"a":1 , "echo":"g"}"#, None), r#"{"a":1 }"#);
        assert_eq!(spliced(r#"{"a":1,"echo":"g","b":2}"#, None), r#"{"a":1,"b":2}"#);
        assert_eq!(spliced(r#"{"a":1}"#, None), r#"{"a":1}"#);
    }

    #[test]
    fn an_echo_is_added_where_the_reply_has_none() {
        assert_eq!(spliced("{}", echo("1").as_ref()), r#"{"echo":1}"#);
        assert_eq!(spliced("{ } ", echo("1").as_ref()), r#"{ "echo":1} "#);
        assert_eq!(spliced(r#"{"a":{}}"#, echo("1").as_ref()), r#"{"a":{},"echo":1}"#);
    }

    #[test]
    fn a_span_of_another_frame_does_no_harm() {
        let at = EchoSpan { key: 900, value: Span { start: 907, end: 1000 } };
        assert_eq!(splice(b"{}", Some(at), None).pieces().concat(), b"{}");
        assert_eq!(splice(b"?", None, echo("1").as_ref()).pieces().concat(), b"?");
    }

    #[test]
    fn an_echo_shows_only_its_length() {
        assert_eq!(format!("{:?}", echo(r#""secret""#).unwrap()), "Echo(8 bytes)");
    }

    #[test]
    fn the_echo_of_a_broken_frame_is_recovered_if_it_is_whole() {
        let recovered =
            |text: &'static str| recover_echo(text.as_bytes()).map(|raw| std::str::from_utf8(raw).unwrap());
        assert_eq!(recovered(r#"{"action":"x","echo":{"seq":1},"params":{"#), Some(r#"{"seq":1}"#));
        assert_eq!(recovered(r#"{"action":"x","echo": "a\"b" "#), Some(r#""a\"b""#));
        assert_eq!(recovered(r#"{'action':'x',"echo":[1,2]"#), Some("[1,2]"));
        assert_eq!(recovered(r#"{"echo":12,"#), Some("12"));
        assert_eq!(recovered(r#"{"echo":12"#), None);
        assert_eq!(recovered(r#"{"echo":"abc"#), None);
        assert_eq!(recovered(r#"{"echo":"#), None);
        assert_eq!(recovered(r#"{"echo":nul,"echo":1,"#), None);
        assert_eq!(recovered(r#"{"action":"x""#), None);
    }

    fn other_members() -> impl Strategy<Value = Vec<String>> {
        let key = prop::sample::select(vec![r#""data""#, r#""status""#, r#""x""#, r#""message""#]);
        prop::collection::vec(any_member(key.prop_map(str::to_owned)), 0..4)
    }

    fn values_without_echo(text: &str) -> Vec<(Key, String)> {
        let envelope = scan(text.as_bytes()).unwrap();
        let keys = [Key::Data, Key::Status, Key::Message, Key::Retcode];
        let value = |key| {
            let span = envelope.get(key)?;
            Some((key, String::from_utf8(span.of(text.as_bytes()).to_vec()).unwrap()))
        };
        keys.into_iter().filter_map(value).collect()
    }

    proptest! {
        #[test]
        fn only_the_echo_changes(reply in any_object(), raw in any_value()) {
            let echo = echo(&raw);
            let answer = spliced(&reply, echo.as_ref());
            prop_assert_eq!(values_without_echo(&answer), values_without_echo(&reply));
            if let Some(echo) = echo {
                let found = scan(answer.as_bytes()).unwrap().get(Key::Echo).unwrap();
                prop_assert_eq!(found.of(answer.as_bytes()), echo.as_raw());
                let Some(at) = scan(reply.as_bytes()).unwrap().echo() else { return Ok(()) };
                let (head, tail) = (&reply[..at.value.start as usize], &reply[at.value.end as usize..]);
                prop_assert_eq!(answer, [head, &raw, tail].concat());
            }
        }

        #[test]
        fn a_removed_echo_leaves_the_other_members(
            others in other_members(),
            echo in any_member(Just(r#""echo""#.to_owned())),
            at in any::<prop::sample::Index>(),
            around in (space(), space()),
        ) {
            let mut members = others.clone();
            members.insert(at.index(others.len() + 1), echo);
            let reply = format!("{}{}{}", around.0, object_of(&members), around.1);
            let answer = spliced(&reply, None);
            prop_assert!(scan(answer.as_bytes()).unwrap().echo().is_none(), "{}", answer);
            prop_assert_eq!(values_without_echo(&answer), values_without_echo(&reply));
            let packed = |text: &str| text.replace([' ', '\n', '\r', '\t'], "");
            prop_assert_eq!(packed(&answer), packed(&object_of(&others)));
        }

        #[test]
        fn recovering_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100), cut in any_object()) {
            let broken = [br#"{"echo":"#, &bytes[..]].concat();
            let _ = recover_echo(&broken);
            let _ = recover_echo(cut.get(..cut.len() / 2).unwrap_or_default().as_bytes());
        }
    }
}
