//! CQ codes: a message as one string (standard, message/string.md), as `LLOneBot` writes and reads them.

use super::envelope::{Cursor, Span};
use super::quoted;
use super::walk::{items, members};

/// Appends the segments at `segments` to `out` as one JSON string. `None`, and `out` is of no use, if they
/// are not an array of segments.
///
/// What stands in JSON strings is copied as it is written there, so nothing a message says is decoded.
/// A value that is no string is shown as `JavaScript` shows it: a list of keyboard rows, for example, as
/// `[object Object]`.
pub(super) fn encode(text: &[u8], segments: Span, out: &mut Vec<u8>) -> Option<()> {
    out.push(b'"');
    for segment in items(text, segments) {
        let (mut kind, mut data) = (None, None);
        for (name, value) in members(text, segment) {
            match name {
                b"type" => kind = Some(value),
                b"data" => data = Some(value),
                _ => {}
            }
        }
        let kind = kind?.of(text).strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let mut data = data.into_iter().flat_map(|data| members(text, data));
        if kind == b"text" {
            if let Some((_, value)) = data.find(|(name, _)| name == b"text") {
                show(&mut Cursor::at(text, value.start as usize), text, Within::Text, out)?;
            }
            continue;
        }
        out.extend_from_slice(b"[CQ:");
        out.extend_from_slice(kind);
        for (name, value) in data {
            out.push(b',');
            out.extend_from_slice(name);
            out.push(b'=');
            show(&mut Cursor::at(text, value.start as usize), text, Within::Code, out)?;
        }
        out.push(b']');
    }
    out.push(b'"');
    Some(())
}

/// The segments of a CQ string, as a JSON array. What only looks like a code is text.
///
/// The pattern is `LLOneBot`'s, `\[CQ:(\w+)((,\w+=[^,\]]*)*)\]`, found in one pass however it is repeated.
pub(super) fn decode(message: &str) -> String {
    let mut segments = String::from("[");
    let (mut rest, mut searched) = (message, 0);
    while let Some((before, code)) = find(rest, &mut searched) {
        push_text(before, &mut segments);
        begin_segment(code.kind, &mut segments);
        for (at, (name, value)) in code.params().enumerate() {
            if at > 0 {
                segments.push(',');
            }
            segments.push_str(&quoted(name));
            segments.push(':');
            segments.push_str(&quoted(&unescape(value)));
        }
        segments.push_str("}}");
        rest = code.after;
        searched = 0;
    }
    push_text(rest, &mut segments);
    segments.push(']');
    segments
}

/// Where a value is shown: in a code, commas are escaped too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Text,
    Code,
}

/// Appends the value under `cursor` as `JavaScript`'s `String(value)` shows it, escaped, and moves past it.
fn show(cursor: &mut Cursor<'_>, text: &[u8], within: Within, out: &mut Vec<u8>) -> Option<()> {
    let start = cursor.position();
    match cursor.peek() {
        b'[' => {
            let mut more = cursor.open(b']');
            while more {
                // An array shows nothing for null.
                if cursor.peek() == b'n' {
                    cursor.value(0).ok()?;
                } else {
                    show(cursor, text, within, out)?;
                }
                more = cursor.next_item(b']').ok()?;
                if more {
                    escape(b",", within, out);
                }
            }
        }
        b'{' => {
            cursor.value(0).ok()?;
            escape(b"[object Object]", within, out);
        }
        first => {
            cursor.value(0).ok()?;
            let written = text.get(start..cursor.position())?;
            let quotes = usize::from(first == b'"');
            escape(written.get(quotes..written.len() - quotes)?, within, out);
        }
    }
    Some(())
}

/// Appends `written`, the inside of a JSON string, with the characters that mean something in CQ codes
/// escaped, also where JSON spells them (`\u0026`).
fn escape(written: &[u8], within: Within, out: &mut Vec<u8>) {
    let mut rest = written;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'&' | b'[' | b']' | b',' | b'\\')) {
        let Some((plain, special)) = rest.split_at_checked(at) else { break };
        out.extend_from_slice(plain);
        let (meant, length) = meaning(special);
        match meant {
            Some(b'&') => out.extend_from_slice(b"&amp;"),
            Some(b'[') => out.extend_from_slice(b"&#91;"),
            Some(b']') => out.extend_from_slice(b"&#93;"),
            Some(b',') if within == Within::Code => out.extend_from_slice(b"&#44;"),
            _ => out.extend_from_slice(special.get(..length).unwrap_or(special)),
        }
        rest = special.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// What `special` begins with, and how many bytes that takes: itself, or an escape of JSON, of which only
/// ASCII written as `\u00…` is read.
fn meaning(special: &[u8]) -> (Option<u8>, usize) {
    match special {
        [b'\\', b'u', b'0', b'0', high, low, ..] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let code = digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low) as u8);
            (code, 6)
        }
        [b'\\', ..] => (None, 2),
        [byte, ..] => (Some(*byte), 1),
        [] => (None, 0),
    }
}

/// A code in a text.
struct Code<'a> {
    kind: &'a str,
    /// With the comma before each.
    params: &'a str,
    after: &'a str,
}

impl<'a> Code<'a> {
    fn params(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.params.split(',').skip(1).filter_map(|param| param.split_once('='))
    }
}

/// The first code in `text`, from byte `searched` on, with what stands before it.
fn find<'a>(text: &'a str, searched: &mut usize) -> Option<(&'a str, Code<'a>)> {
    const OPENING: &str = "[CQ:";
    loop {
        let start = *searched + text.get(*searched..)?.find(OPENING)?;
        let inside = text.get(start + OPENING.len()..)?;
        match read(inside) {
            Ok(code) => return Some((text.get(..start)?, code)),
            // A code that began before this place would fail here as well.
            Err(failed_at) => *searched = start + OPENING.len() + failed_at,
        }
    }
}

/// Reads a code behind its opening; or says where it fails to be one.
fn read(inside: &str) -> Result<Code<'_>, usize> {
    let kind = word(inside);
    let mut at = kind.len();
    if kind.is_empty() {
        return Err(at);
    }
    loop {
        let rest = inside.get(at..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix(']') {
            return Ok(Code { kind, params: inside.get(kind.len()..at).unwrap_or_default(), after });
        }
        let name = word(rest.strip_prefix(',').ok_or(at)?);
        let value_at = at + 1 + name.len() + 1;
        let value = inside.get(value_at - 1..).and_then(|rest| rest.strip_prefix('='));
        let value = value.filter(|_| !name.is_empty()).ok_or(value_at - 1)?;
        at = value_at + value.find([',', ']']).ok_or(inside.len())?;
    }
}

/// The leading `\w` of `JavaScript`.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

fn push_text(escaped: &str, segments: &mut String) {
    if !escaped.is_empty() {
        begin_segment("text", segments);
        segments.push_str("\"text\":");
        segments.push_str(&quoted(&unescape(escaped)));
        segments.push_str("}}");
    }
}

fn begin_segment(kind: &str, segments: &mut String) {
    if segments.len() > 1 {
        segments.push(',');
    }
    segments.push_str("{\"type\":\"");
    segments.push_str(kind);
    segments.push_str("\",\"data\":{");
}

/// In `LLOneBot`'s order: `&amp;#91;` means `&#91;`, not a bracket.
fn unescape(escaped: &str) -> String {
    if !escaped.contains('&') {
        return escaped.to_owned();
    }
    escaped.replace("&#91;", "[").replace("&#93;", "]").replace("&#44;", ",").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(segments: &str) -> Option<String> {
        let mut out = Vec::new();
        let whole = Span { start: 0, end: segments.len() as u32 };
        encode(segments.as_bytes(), whole, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn only_what_means_something_is_escaped() {
        let code = r#"[{"type":"text","data":{"text":"a&b[c],d\"\n\ud83d"}},{"type":"x","data":{"k":"a&b[c],d\"=,"}},{"type":"shake","data":{}},{"type":"poke","data":null}]"#;
        assert_eq!(
            encoded(code).unwrap(),
            r#""a&amp;b&#91;c&#93;,d\"\n\ud83d[CQ:x,k=a&amp;b&#91;c&#93;&#44;d\"=&#44;][CQ:shake][CQ:poke]""#
        );
        assert_eq!(
            encoded(r#"[{"data":{"text":"\u0026\u005B\u005d\u002c\\u0026"},"type":"text"}]"#).unwrap(),
            r#""&amp;&#91;&#93;\u002c\\u0026""#
        );
    }

    #[test]
    fn values_that_are_no_strings_look_as_in_javascript() {
        let code = r#"[{"type":"x","data":{"n":123456789012345678901234567890,"b":true,"rows":[{"a":1},null,[1,"y"]]}}]"#;
        assert_eq!(
            encoded(code).unwrap(),
            r#""[CQ:x,n=123456789012345678901234567890,b=true,rows=&#91;object Object&#93;&#44;&#44;1&#44;y]""#
        );
    }

    #[test]
    fn what_is_no_list_of_segments_is_not_encoded() {
        for odd in [r"[1]", r#"["a"]"#, r#"[{"data":{}}]"#, r#"[{"type":1}]"#] {
            assert_eq!(encoded(odd), None, "{odd}");
        }
    }

    #[test]
    fn codes_are_read_and_what_only_looks_like_one_is_text() {
        let text = |text: &str| format!(r#"{{"type":"text","data":{{"text":{}}}}}"#, quoted(text));
        for (message, expected) in [
            ("", String::new()),
            ("a&amp;#91;b&#44;", text("a&#91;b,")),
            ("[CQ:shake]", r#"{"type":"shake","data":{}}"#.to_owned()),
            ("[CQ:a,b=c=d,e=]", r#"{"type":"a","data":{"b":"c=d","e":""}}"#.to_owned()),
            ("[CQ:a,b=[CQ:c]", r#"{"type":"a","data":{"b":"[CQ:c"}}"#.to_owned()),
            ("[CQ:a[CQ:b]", text("[CQ:a") + "," + r#"{"type":"b","data":{}}"#),
            ("[CQ:a,b=[CQ:c,!=1][CQ:d]", text("[CQ:a,b=[CQ:c,!=1]") + "," + r#"{"type":"d","data":{}}"#),
            ("[CQ:a b]", text("[CQ:a b]")),
            ("[CQ:]", text("[CQ:]")),
            ("[CQ:a,b]", text("[CQ:a,b]")),
            ("[CQ:a,=b]", text("[CQ:a,=b]")),
            ("[CQ:é]", text("[CQ:é]")),
            ("[CQ:a,b=c", text("[CQ:a,b=c")),
        ] {
            assert_eq!(decode(message), format!("[{expected}]"), "{message}");
        }
    }

    /// A text made of beginnings would take hours if each were tried to the end.
    #[test]
    fn a_text_full_of_beginnings_is_read_once() {
        for beginning in ["[CQ:a,b=", "[CQ:", "[CQ:a"] {
            for end in ["", ",!]"] {
                let message = beginning.repeat(500_000) + end;
                assert_eq!(decode(&message), format!(r#"[{{"type":"text","data":{{"text":"{message}"}}}}]"#));
            }
        }
    }
}
