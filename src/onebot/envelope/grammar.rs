//! The grammar of JSON (RFC 8259) as a walk over bytes that builds nothing.

use super::{Key, MAX_DEPTH, Malformed};

/// A place in a JSON text. Every step either moves past what it names or says why it is not there.
///
/// Nesting is a stack of bits, not of calls, so no text can exhaust the thread's stack.
pub(in crate::onebot) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    /// One bit per level: set where the level is an object. Level `n` lives in bit `n`.
    objects: [u64; MAX_DEPTH / 64],
}

impl<'a> Cursor<'a> {
    pub(in crate::onebot) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0, objects: [0; MAX_DEPTH / 64] }
    }

    pub(in crate::onebot) fn position(&self) -> usize {
        self.at
    }

    /// The byte under the cursor. The end of the text reads as NUL, which no JSON token begins with.
    #[inline]
    pub(in crate::onebot) fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(in crate::onebot) fn skip_whitespace(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Past the `{` under the cursor and to its first key; false if it closes at once.
    pub(super) fn enter_object(&mut self) -> Result<bool, Malformed> {
        self.enter(true)?;
        Ok(!self.leaves(b'}'))
    }

    /// From the end of a member to the next key of the same object; false if the object closes instead.
    #[inline]
    pub(super) fn next_member(&mut self) -> Result<bool, Malformed> {
        self.skip_whitespace();
        match self.peek() {
            b',' => {
                self.at += 1;
                self.skip_whitespace();
                Ok(true)
            }
            b'}' => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => Err(self.fault("expected ',' or '}'")),
        }
    }

    /// Past a key and its colon, to the value.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Name<'a>, Malformed> {
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

    /// Past one whole value, however deep.
    pub(in crate::onebot) fn value(&mut self) -> Result<(), Malformed> {
        let floor = self.depth;
        loop {
            let entered = match self.peek() {
                b'"' => {
                    self.string()?;
                    false
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                    false
                }
                b'{' => {
                    self.enter(true)?;
                    !self.leaves(b'}')
                }
                b'[' => {
                    self.enter(false)?;
                    !self.leaves(b']')
                }
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                _ => return Err(self.fault("expected a value")),
            };
            if !entered && !self.go_on(floor)? {
                return Ok(());
            }
            if self.in_object() {
                self.key()?;
            }
        }
    }

    /// From the end of a nested value to where the next one (or its key) begins; false at level `floor`.
    #[inline]
    fn go_on(&mut self, floor: usize) -> Result<bool, Malformed> {
        while self.depth > floor {
            self.skip_whitespace();
            match self.peek() {
                b',' => {
                    self.at += 1;
                    self.skip_whitespace();
                    return Ok(true);
                }
                b'}' if self.in_object() => {}
                b']' if !self.in_object() => {}
                _ if self.in_object() => return Err(self.fault("expected ',' or '}'")),
                _ => return Err(self.fault("expected ',' or ']'")),
            }
            self.at += 1;
            self.depth -= 1;
        }
        Ok(false)
    }

    /// Only whitespace may be left.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        self.skip_whitespace();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fault("more text after the value")) }
    }

    #[inline]
    fn enter(&mut self, object: bool) -> Result<(), Malformed> {
        let Some(word) = self.objects.get_mut(self.depth / 64) else {
            return Err(Malformed::TooDeep { at: self.at });
        };
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        self.at += 1;
        self.skip_whitespace();
        Ok(())
    }

    /// Leaves the level just entered if it is empty.
    #[inline]
    fn leaves(&mut self, bracket: u8) -> bool {
        let empty = self.peek() == bracket;
        if empty {
            self.at += 1;
            self.depth -= 1;
        }
        empty
    }

    #[inline]
    fn in_object(&self) -> bool {
        let level = self.depth.wrapping_sub(1);
        self.objects.get(level / 64).is_some_and(|word| word >> (level % 64) & 1 == 1)
    }

    #[inline]
    fn literal(&mut self, word: &[u8]) -> Result<bool, Malformed> {
        if !self.rest().starts_with(word) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(false)
    }

    #[inline]
    fn number(&mut self) -> Result<(), Malformed> {
        if self.peek() == b'-' {
            self.at += 1;
        }
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
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    #[inline]
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
    #[inline]
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

    #[inline]
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

    /// From the cursor to the end of the text.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn fault(&self, what: &'static str) -> Malformed {
        let what = if self.at < self.text.len() { what } else { "unexpected end of the text" };
        Malformed::NotJson { at: self.at, what }
    }
}

/// A key as it stands in the text.
pub(super) struct Name<'a> {
    /// With its quotes.
    raw: &'a [u8],
    escaped: bool,
}

impl Name<'_> {
    #[inline]
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
/// Most strings end within the first words, which are looked at eight bytes at a time; a long one
/// (base64 media) then goes by blocks whose check is free of branches, so that it becomes vector code.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    let mut length = 0;
    let (words, _) = text.as_chunks::<8>();
    for word in words.iter().take(WORDS_BEFORE_BLOCKS) {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return length + special.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + long_plain_length(text.get(length..).unwrap_or_default())
}

const WORDS_BEFORE_BLOCKS: usize = 4;

#[inline(never)]
fn long_plain_length(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<64>();
    let plain_blocks =
        blocks.iter().take_while(|block| block.iter().fold(0, |any, byte| any | special(*byte)) == 0);
    let length = plain_blocks.count() * 64;
    let rest = text.get(length..).unwrap_or_default();
    length + rest.iter().position(|byte| special(*byte) != 0).unwrap_or(rest.len())
}

/// Nonzero for a byte that may not. Flipping bit 1 makes the quote (0x22) the neighbour of the controls (below 0x20), so that one
/// comparison finds both.
#[inline]
fn special(byte: u8) -> u8 {
    u8::from(byte ^ 0x02 <= 0x20) | u8::from(byte == b'\\')
}

/// [`special`] for eight bytes at once: the lowest bit set is the top bit of the first special byte.
///
/// (A borrow may mark bytes above a special one, never below it.)
#[inline]
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let quotes_and_controls = word ^ (ONES * 0x02);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let below_0x21 = quotes_and_controls.wrapping_sub(ONES * 0x21) & !quotes_and_controls;
    let zero = backslashes.wrapping_sub(ONES) & !backslashes;
    (below_0x21 | zero) & (ONES * 0x80)
}
