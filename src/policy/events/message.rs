//! What a message says, as far as rules look at it.

use super::conditions::Prefixes;
use crate::onebot::Head;
use crate::onebot::message::cq_text;

/// Whether the text of the message in `event` begins with one of `prefixes`: behind blanks and the replies and
/// mentions it opens with.
pub(super) fn begins_with(event: &[u8], head: &Head, prefixes: &Prefixes) -> bool {
    // Most texts begin with a letter, and then their first bytes say it.
    if let Some([b'"', written @ ..]) = head.raw_message.map(|raw| raw.of(event)) {
        let begins_plainly =
            written.first().is_some_and(|byte| byte.is_ascii_graphic() && !b"[\\".contains(byte));
        let start = written.get(..prefixes.longest()).unwrap_or(written);
        if begins_plainly && !start.contains(&b'\\') {
            return prefixes.begin(start.strip_suffix(b"\"").unwrap_or(start));
        }
    }
    let message = cq_text(event, head).unwrap_or_default();
    let mut rest = without_blanks(&message);
    while let Some(after) = after_address(rest) {
        rest = without_blanks(after);
    }
    prefixes.begin(rest)
}

/// Whether the message in `event` mentions `account` by its number; a mention of all does not.
pub(super) fn mentions(event: &[u8], head: &Head, account: i64) -> bool {
    const OPENING: &[u8] = b"[CQ:at,";
    let message = cq_text(event, head).unwrap_or_default();
    let mut rest: &[u8] = &message;
    while let Some(at) = memchr::memmem::find(rest, OPENING) {
        rest = rest.get(at + OPENING.len()..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b']').unwrap_or(rest.len());
        let params = rest.get(..end).unwrap_or_default().split(|byte| *byte == b',');
        let numbers = params.filter_map(|param| std::str::from_utf8(param.strip_prefix(b"qq=")?).ok());
        if numbers.filter_map(|number| number.parse::<i64>().ok()).any(|number| number == account) {
            return true;
        }
    }
    false
}

/// What follows the reply or mention that `message` begins with. A bracket in a code's values is escaped.
fn after_address(message: &[u8]) -> Option<&[u8]> {
    let code = message.strip_prefix(b"[CQ:")?;
    let params = code.strip_prefix(b"reply").or_else(|| code.strip_prefix(b"at"))?;
    if !matches!(params.first(), Some(b',' | b']')) {
        return None;
    }
    let end = params.iter().position(|byte| *byte == b']')?;
    params.get(end + 1..)
}

fn without_blanks(mut text: &[u8]) -> &[u8] {
    // The blanks of Chinese keyboards and of copied text: U+3000, U+00A0, U+FEFF.
    const WIDE: [&[u8]; 3] = ["\u{3000}".as_bytes(), "\u{a0}".as_bytes(), "\u{feff}".as_bytes()];
    loop {
        text = text.trim_ascii_start();
        match WIDE.iter().find_map(|blank| text.strip_prefix(*blank)) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}
