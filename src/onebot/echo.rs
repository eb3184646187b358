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
        let (before, after) = (before(reply, self.key), after(reply, self.value.end));
        if let Some(gap) =
            after.iter().position(|byte| !is_whitespace(*byte)).filter(|gap| after.get(*gap) == Some(&b','))
        {
            return Span { end: whole.end + gap as u32 + 1, ..whole };
        }
        match before.iter().rposition(|byte| !is_whitespace(*byte)) {
            Some(comma) if before.get(comma) == Some(&b',') => Span { start: comma as u32, ..whole },
            _ => whole,
        }
    }
}

/// Gives `reply` the consumer's `echo` in the place of the gateway's; `at` is where [`Envelope::echo`]
/// found that one. Everything else keeps its bytes, and nothing large is copied.
///
/// Without an `echo` the whole member goes: a key the consumer did not send confuses real clients
/// (`node-napcat-ts` disconnects for good on `"echo":null`).
///
/// [`Envelope::echo`]: super::Envelope::echo
#[must_use]
pub fn splice(reply: &Bytes, at: Option<EchoSpan>, echo: Option<&Echo>) -> Spliced {
    match (at, echo) {
        (Some(at), Some(echo)) => Spliced::around(reply, at.value, echo.0.clone()),
        (Some(at), None) => Spliced::around(reply, at.with_comma(reply), Bytes::new()),
        (None, Some(echo)) => insert(reply, echo),
        (None, None) => Spliced([reply.clone(), Bytes::new(), Bytes::new()]),
    }
}

/// A new last member. A text that does not end in a brace is no object and stays as it is.
fn insert(reply: &Bytes, echo: &Echo) -> Spliced {
    let Some(brace) = reply.iter().rposition(|byte| *byte == b'}') else {
        return splice(reply, None, None);
    };
    let last = before(reply, brace as u32).iter().rfind(|byte| !is_whitespace(**byte));
    let comma: &[u8] = if last == Some(&b'{') { b"" } else { b"," };
    let member = [comma, b"\"echo\":", &echo.0].concat();
    Spliced::around(reply, Span { start: brace as u32, end: brace as u32 }, member.into())
}

/// A reply with its echo replaced, in up to three pieces that share the memory they came from.
#[derive(Clone, Debug)]
pub struct Spliced([Bytes; 3]);

impl Spliced {
    fn around(reply: &Bytes, gap: Span, with: Bytes) -> Self {
        let head = reply.slice_ref(before(reply, gap.start));
        let tail = reply.slice_ref(after(reply, gap.end));
        Self([head, with, tail])
    }

    /// Bytes of the whole text.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// The pieces in order, none of them empty.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> + Clone {
        self.0.iter().filter(|piece| !piece.is_empty())
    }

    /// Appends the whole text to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        for piece in self.pieces() {
            out.extend_from_slice(piece);
        }
    }

    /// The whole text in one piece: copied, unless it is one piece already.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        let [head, with, tail] = self.0;
        if with.is_empty() && tail.is_empty() {
            return head;
        }
        [&head[..], &with, &tail].concat().into()
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
    cursor.value().ok()?;
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

const fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
