//! The grammar of JSON (RFC 8259) as a walk over bytes that builds nothing.

#![expect(
    clippy::inline_always,
    reason = "a step that is called and not inlined keeps the cursor in memory, which costs a third of the speed"
)]

use super::{Key, MAX_DEPTH, Malformed};

/// A place in a JSON text. Every step either moves past what it names or says why it is not there.
///
/// Small and copied on purpose: a step works on a copy the compiler can keep in registers.
#[derive(Clone, Copy)]
pub(in crate::onebot) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(in crate::onebot) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(in crate::onebot) const fn position(self) -> usize {
        self.at
    }

    /// The byte under the cursor. The end of the text reads as NUL, which no JSON token begins with.
    #[inline(always)]
    pub(in crate::onebot) fn peek(self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// The same text from byte `at` on.
    pub(in crate::onebot) const fn at(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// From the cursor to the end of the text.
    #[inline(always)]
    pub(super) fn rest(self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Frames rarely have any: one comparison settles that.
    #[inline(always)]
    pub(in crate::onebot) fn skip_whitespace(&mut self) {
        while self.peek() <= b' ' && matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Past the bracket under the cursor to what it holds; false, and past both brackets, if it is empty.
    #[inline(always)]
    pub(in crate::onebot) fn open(&mut self, closing: u8) -> bool {
        self.at += 1;
        self.skip_whitespace();
        let holds_something = self.peek() != closing;
        self.at += usize::from(!holds_something);
        holds_something
    }

    /// From the end of an item to the next one; false, and past the bracket, if there is none.
    #[inline(always)]
    pub(in crate::onebot) fn next_item(&mut self, closing: u8) -> Result<bool, Malformed> {
        self.skip_whitespace();
        let byte = self.peek();
        if byte == b',' {
            self.at += 1;
            self.skip_whitespace();
            Ok(true)
        } else if byte == closing {
            self.at += 1;
            Ok(false)
        } else {
            Err(self.fault(if closing == b'}' { "expected ',' or '}'" } else { "expected ',' or ']'" }))
        }
    }

    /// Past a key and its colon, to the value.
    #[inline(always)]
    pub(in crate::onebot) fn key(&mut self) -> Result<Name<'a>, Malformed> {
        if self.peek() != b'"' {
            return Err(self.fault("expected a key in double quotes"));
        }
        let start = self.at;
        let escaped = self.string()?;
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.skip_whitespace();
        if self.peek() != b':' {
            return Err(self.fault("expected ':'"));
        }
        self.at += 1;
        self.skip_whitespace();
        Ok(Name { raw, escaped })
    }

    /// Past one whole value that stands `depth` levels deep.
    #[inline(always)]
    pub(in crate::onebot) fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        if matches!(self.peek(), b'{' | b'[') { self.container(depth) } else { self.scalar() }
    }

    /// Past an object or array, however deep. Its nesting is a stack of bits, not of calls, so no text can
    /// exhaust the thread's stack.
    fn container(&mut self, mut depth: usize) -> Result<(), Malformed> {
        let floor = depth;
        let mut here = *self;
        let mut outer = Levels::default();
        let mut closing = 0;
        loop {
            let byte = here.peek();
            let ended = if matches!(byte, b'{' | b'[') {
                outer.put(depth, closing == b'}').ok_or(Malformed::TooDeep { at: here.at })?;
                depth += 1;
                // In ASCII both brackets close two places after they open.
                closing = byte + 2;
                !here.open(closing)
            } else {
                here.scalar()?;
                !here.next_item(closing)?
            };
            if ended {
                loop {
                    depth -= 1;
                    if depth == floor {
                        *self = here;
                        return Ok(());
                    }
                    closing = if outer.is_object(depth) { b'}' } else { b']' };
                    if here.next_item(closing)? {
                        break;
                    }
                }
            }
            if closing == b'}' {
                here.key()?;
            }
        }
    }

    /// Past a string, a number or a literal.
    #[inline(always)]
    fn scalar(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(self.fault("expected a value")),
        }
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.rest().starts_with(word) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<(), Malformed> {
        self.at += usize::from(self.peek() == b'-');
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), Malformed> {
        if !self.peek().is_ascii_digit() {
            return Err(self.fault("expected a digit"));
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    /// Past the string under the cursor; whether it has escapes.
    #[inline(always)]
    fn string(&mut self) -> Result<bool, Malformed> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain_length(self.rest());
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    self.escape()?;
                    escaped = true;
                }
                _ if self.at >= self.text.len() => return Err(self.fault("unfinished string")),
                _ => return Err(self.fault("control character in a string")),
            }
        }
    }

    #[inline(always)]
    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_ascii_hexdigit() {
                        return Err(self.fault("expected four hexadecimal digits"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.fault("unknown escape")),
        }
        Ok(())
    }

    /// Only whitespace may be left.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        self.skip_whitespace();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fault("more text after the value")) }
    }

    #[cold]
    fn fault(self, what: &'static str) -> Malformed {
        let what = if self.at < self.text.len() { what } else { "unexpected end of the text" };
        Malformed::NotJson { at: self.at, what }
    }
}

/// For each level of nesting, whether it is an object.
#[derive(Default)]
struct Levels([u64; MAX_DEPTH / 64]);

impl Levels {
    /// `None` beyond [`MAX_DEPTH`].
    #[inline(always)]
    fn put(&mut self, depth: usize, object: bool) -> Option<()> {
        let word = self.0.get_mut(depth / 64)?;
        *word = *word & !(1 << (depth % 64)) | u64::from(object) << (depth % 64);
        Some(())
    }

    #[inline(always)]
    fn is_object(&self, depth: usize) -> bool {
        self.0.get(depth / 64).is_some_and(|word| word >> (depth % 64) & 1 == 1)
    }
}

/// A key as it stands in the text.
pub(in crate::onebot) struct Name<'a> {
    /// With its quotes.
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Name<'a> {
    /// As it is written, without its quotes.
    pub(in crate::onebot) fn written(&self) -> &'a [u8] {
        self.raw.get(1..self.raw.len() - 1).unwrap_or_default()
    }

    /// Whether it spells `name`.
    #[inline(always)]
    pub(in crate::onebot) fn is(&self, name: &str) -> bool {
        if self.escaped { self.reads(name) } else { self.written() == name.as_bytes() }
    }

    #[cold]
    fn reads(&self, name: &str) -> bool {
        serde_json::from_slice::<String>(self.raw).is_ok_and(|read| read == name)
    }

    #[inline(always)]
    pub(super) fn key(&self) -> Option<Key> {
        if self.escaped {
            return self.spelled();
        }
        self.raw.get(1..self.raw.len() - 1).and_then(Key::named)
    }

    /// A lone surrogate spells no key that matters here.
    #[cold]
    fn spelled(&self) -> Option<Key> {
        serde_json::from_slice::<String>(self.raw).ok().and_then(|name| Key::named(name.as_bytes()))
    }
}

/// Number of leading bytes that may stand in a string as they are: neither quote, backslash nor control.
///
/// Most strings end within their first bytes, which are looked at eight at a time; a long one (base64
/// media) goes by blocks.
#[inline(always)]
fn plain_length(text: &[u8]) -> usize {
    let mut rest = text;
    for _ in 0..WORDS_BEFORE_BLOCKS {
        let Some((word, after)) = rest.split_first_chunk::<8>() else { break };
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return text.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    text.len() - rest.len() + long_plain_length(rest)
}

const WORDS_BEFORE_BLOCKS: usize = 4;

#[inline(never)]
fn long_plain_length(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let plain = blocks.iter().take_while(|block| is_like_base64(block) || is_plain(block)).count() * BLOCK;
    let mut rest = text.get(plain..).unwrap_or_default();
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return text.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    text.len() - rest.len() + rest.iter().take_while(|byte| is_plain(&[**byte])).count()
}

const BLOCK: usize = 128;

/// Whether all bytes are plain and none is a space, an exclamation mark or beyond ASCII. Half the work
/// of [`is_plain`], and true for what makes frames large.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "without branches this becomes vector code")]
fn is_like_base64<const N: usize>(block: &[u8; N]) -> bool {
    block.iter().fold(true, |all, byte| all & (byte.cast_signed() > b'"'.cast_signed()) & (*byte != b'\\'))
}

/// Whether all bytes are plain.
///
/// Flipping bit 1 makes the quote (0x22) the neighbour of the controls (below 0x20), so that one
/// comparison finds both; flipping the top bit as well makes it the signed one that SSE2 has.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "without branches this becomes vector code")]
fn is_plain<const N: usize>(block: &[u8; N]) -> bool {
    const HIGHEST_SPECIAL: i8 = (0x20_u8 ^ 0x80).cast_signed();
    block
        .iter()
        .fold(true, |all, byte| all & ((byte ^ 0x82).cast_signed() > HIGHEST_SPECIAL) & (*byte != b'\\'))
}

/// The bytes that are not plain, for eight at once: the lowest bit set is the top bit of the
/// first of them. (A borrow may mark bytes above a special one, never below it.)
#[inline(always)]
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let quotes_and_controls = word ^ (ONES * 0x02);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let below_0x21 = quotes_and_controls.wrapping_sub(ONES * 0x21) & !quotes_and_controls;
    let zero = backslashes.wrapping_sub(ONES) & !backslashes;
    (below_0x21 | zero) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_of_looking_at_a_byte_agree() {
        for byte in 0..=u8::MAX {
            let plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
            assert_eq!(is_plain(&[byte]), plain, "{byte:#x}");
            assert!(plain || !is_like_base64(&[byte]), "{byte:#x}");
            for at in 0..8 {
                let mut word = *b"azAZ09+/";
                word[at] = byte;
                let found = special_bytes(u64::from_le_bytes(word)).trailing_zeros() as usize / 8;
                assert_eq!(found, if plain { 8 } else { at }, "{byte:#x} at {at}");
            }
            for at in 0..BLOCK * 2 {
                let mut text = [b'a'; BLOCK * 2];
                text[at] = byte;
                assert_eq!(plain_length(&text), if plain { text.len() } else { at }, "{byte:#x} at {at}");
            }
        }
        assert!(is_like_base64(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="));
    }
}
