//! Patterns of `JavaScript`, written anew for the `regex` crate.
//!
//! The two look alike and differ where it matters: `\d`, `\w` and `\b` are ASCII in `JavaScript`, `.` stops at
//! four line ends, brackets nest in one and not in the other. So a pattern is read as `JavaScript` reads it,
//! and what the crate cannot do is refused, with the reason.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

/// Bytes of a compiled pattern.
const COMPILED: usize = 1 << 20;
/// Bytes that a search may remember of a pattern, for each thread that searches at once.
const CACHE: usize = 1 << 18;
/// Groups within each other.
const NESTED: u32 = 64;

const DIGITS: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str =
    r"\t\n\x0B\x0C\r\x20\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}";
const LINE_ENDS: &str = r"\n\r\x{2028}\x{2029}";

/// What a pattern searches for.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// A text that begins with this: most patterns of bots are such, as `^/ban`.
    Beginning(Box<str>),
    Regex(Box<Regex>),
}

impl Pattern {
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Beginning(beginning) => text.starts_with(beginning.as_bytes()),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Compiles what `new RegExp(pattern, options)` would.
///
/// # Errors
/// A sentence that says why that is not possible.
pub(super) fn compile(pattern: &str, options: &str) -> Result<Pattern, String> {
    let flags = Flags::read(options)?;
    if let Some(beginning) = pattern.strip_prefix('^')
        && !flags.ignore_case
        && !flags.multi_line
        && !beginning.contains(|char| r"\^$.*+?()[]{}|".contains(char))
    {
        return Ok(Pattern::Beginning(beginning.into()));
    }
    let mut writer = Writer { rest: pattern.chars().peekable(), flags, out: String::new() };
    if flags.sticky {
        writer.out.push_str(r"\A(?:");
    }
    writer.alternatives()?;
    if flags.sticky {
        writer.out.push(')');
    }
    let built = RegexBuilder::new(&writer.out)
        .case_insensitive(flags.ignore_case)
        .size_limit(COMPILED)
        .dfa_size_limit(CACHE)
        .nest_limit(NESTED)
        .build();
    built.map(|regex| Pattern::Regex(Box::new(regex))).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("is larger than {} KiB when compiled; repeat less in it", COMPILED >> 10)
        }
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            format!("is no pattern: {}", reason.strip_prefix("error: ").unwrap_or(reason))
        }
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
    unicode: bool,
    sticky: bool,
}

impl Flags {
    fn read(options: &str) -> Result<Self, String> {
        let mut flags = Self::default();
        for (at, flag) in options.char_indices() {
            if options.get(..at).is_some_and(|before| before.contains(flag)) {
                return Err(format!("names the flag {flag:?} of $options twice"));
            }
            match flag {
                'i' => flags.ignore_case = true,
                'm' => flags.multi_line = true,
                's' => flags.dot_all = true,
                'u' => flags.unicode = true,
                'y' => flags.sticky = true,
                // They change what else a search tells, not whether it finds something.
                'g' | 'd' => {}
                'x' => {
                    return Err("has the flag \"x\" in $options, which JavaScript does not have; write the \
                                pattern without blanks and comments"
                        .to_owned());
                }
                flag => {
                    return Err(format!("has the flag {flag:?} in $options; the flags are i m s u g y d"));
                }
            }
        }
        Ok(flags)
    }
}

/// One item of a class.
enum Member {
    Char(char),
    Class(String),
}

struct Writer<'p> {
    rest: Peekable<Chars<'p>>,
    flags: Flags,
    out: String,
}

impl Writer<'_> {
    fn alternatives(&mut self) -> Result<(), String> {
        while let Some(char) = self.rest.next() {
            match char {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '.' if self.flags.dot_all => self.out.push_str("(?s:.)"),
                '.' => {
                    let _ = write!(self.out, "[^{LINE_ENDS}]");
                }
                '^' if self.flags.multi_line => self.out.push_str("(?m:^)"),
                '$' if self.flags.multi_line => self.out.push_str("(?m:$)"),
                '^' | '$' | ')' | '|' | '*' | '+' | '?' => self.out.push(char),
                '{' => self.repetition(),
                char => self.literal(char),
            }
        }
        Ok(())
    }

    fn literal(&mut self, char: char) {
        if char.is_ascii_alphanumeric() || !char.is_ascii() {
            self.out.push(char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.out, r"\x{{{:X}}}", u32::from(char));
        }
    }

    /// `{2}`, `{2,}` and `{2,3}` repeat; any other brace is one.
    fn repetition(&mut self) {
        let ahead: String = self.rest.clone().take_while(|char| *char != '}').collect();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let repeats = match ahead.split_once(',') {
            Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
            None => is_number(&ahead),
        };
        if repeats && self.rest.clone().nth(ahead.len()) == Some('}') {
            let _ = write!(self.out, "{{{ahead}}}");
            self.rest.nth(ahead.len());
        } else {
            self.literal('{');
        }
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push_str("(?:");
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        match self.rest.next() {
            Some(':') => Ok(()),
            Some('=' | '!') => Err(no_look_around()),
            Some('<') if matches!(self.rest.peek(), Some('=' | '!')) => Err(no_look_around()),
            Some('<') => {
                let name: String = self.rest.by_ref().take_while(|char| *char != '>').collect();
                let is_name = name.chars().all(|char| char.is_alphanumeric() || matches!(char, '_' | '$'));
                let starts_well = name.chars().next().is_some_and(|char| !char.is_numeric());
                if is_name && starts_well {
                    Ok(())
                } else {
                    Err("has a group whose name is none; write (?<name>…)".to_owned())
                }
            }
            Some('P') => Err("has a group (?P…, which JavaScript does not have; write (?<name>…)".to_owned()),
            _ => {
                Err("has flags in it, such as (?i); write them beside it, such as $options = \"i\""
                    .to_owned())
            }
        }
    }

    /// Behind a backslash, outside of brackets.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek().copied() {
            Some('b') => self.out.push_str(r"(?-u:\b)"),
            Some('B') => self.out.push_str(r"(?-u:\B)"),
            Some('1'..='9' | 'k') => {
                return Err(
                    "refers back to a group, which cannot be done in time linear in the text; write \
                            what the group may be once more, or use two conditions"
                        .to_owned(),
                );
            }
            _ => {
                match self.escaped()? {
                    Member::Char(char) => self.literal(char),
                    Member::Class(class) => self.out.push_str(&class),
                }
                return Ok(());
            }
        }
        self.rest.next();
        Ok(())
    }

    /// What a backslash and what follows mean, also in brackets.
    fn escaped(&mut self) -> Result<Member, String> {
        let Some(char) = self.rest.next() else {
            return Err("ends in a backslash".to_owned());
        };
        let class = |set: &str| Ok(Member::Class(set.to_owned()));
        Ok(Member::Char(match char {
            'd' => return class(&format!("[{DIGITS}]")),
            'D' => return class(&format!("[^{DIGITS}]")),
            'w' => return class(&format!("[{WORD}]")),
            'W' => return class(&format!("[^{WORD}]")),
            's' => return class(&format!("[{SPACE}]")),
            'S' => return class(&format!("[^{SPACE}]")),
            'p' | 'P' => return self.property(char),
            't' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            '0' if !self.rest.peek().is_some_and(char::is_ascii_digit) => '\0',
            '0'..='9' => return Err("has an octal number in it; write it as \\xHH".to_owned()),
            'c' => match self.rest.next_if(char::is_ascii_alphabetic) {
                Some(letter) => char::from(letter.to_ascii_uppercase() as u8 & 0x1f),
                None => return Err("has \\c without a letter".to_owned()),
            },
            'x' => self.hexadecimal(2).and_then(char::from_u32).unwrap_or('x'),
            'u' => return self.code_point().map(Member::Char),
            char if self.flags.unicode && char.is_alphanumeric() => {
                return Err(format!("has \\{char}, which means nothing with the flag \"u\""));
            }
            char => char,
        }))
    }

    fn property(&mut self, letter: char) -> Result<Member, String> {
        if !self.flags.unicode {
            return Err(format!("has \\{letter}, which is a property only with $options = \"u\""));
        }
        let name: String =
            self.rest.by_ref().skip_while(|char| *char == '{').take_while(|c| *c != '}').collect();
        Ok(Member::Class(format!("\\{letter}{{{name}}}")))
    }

    /// `\uXXXX`, two of them for what lies beyond, or `\u{X…}`.
    fn code_point(&mut self) -> Result<char, String> {
        if self.rest.peek() == Some(&'{') {
            if !self.flags.unicode {
                return Err("has \\u{…}, which is a character only with $options = \"u\"".to_owned());
            }
            let digits: String = self.rest.by_ref().skip(1).take_while(|char| *char != '}').collect();
            let char = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
            return char.ok_or_else(|| format!("has \\u{{{digits}}}, which is no character"));
        }
        let Some(unit) = self.hexadecimal(4) else { return Ok('u') };
        if let Some(char) = char::from_u32(unit) {
            return Ok(char);
        }
        let before = self.rest.clone();
        if unit < 0xdc00 && self.rest.next_if_eq(&'\\').is_some() && self.rest.next_if_eq(&'u').is_some() {
            let low = self.hexadecimal(4).filter(|low| (0xdc00..0xe000).contains(low));
            let char = low.and_then(|low| char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)));
            if let Some(char) = char {
                return Ok(char);
            }
        }
        self.rest = before;
        Err("has half of a character (\\ud800 to \\udfff); write the whole character".to_owned())
    }

    /// The number in the next `count` digits; nothing is taken if they are none.
    fn hexadecimal(&mut self, count: usize) -> Option<u32> {
        let digits: String = self.rest.clone().take(count).collect();
        if digits.len() != count || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.rest.nth(count - 1);
        u32::from_str_radix(&digits, 16).ok()
    }

    /// Behind an opening bracket.
    fn class(&mut self) -> Result<(), String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut members = Vec::new();
        loop {
            match self.rest.next() {
                None => return Err("has a bracket [ that is not closed".to_owned()),
                Some(']') => break,
                Some('\\') => members.push(self.escaped_in_class()?),
                // Between two members it makes a range.
                Some('-') if !members.is_empty() && self.rest.peek().is_some_and(|next| *next != ']') => {
                    let next = match self.rest.next() {
                        Some('\\') => self.escaped_in_class()?,
                        Some(char) => Member::Char(char),
                        None => continue,
                    };
                    let last = members.pop();
                    let member = match (last, next) {
                        (Some(Member::Char(from)), Member::Char(to)) if from <= to => {
                            Member::Class(format!(r"[\x{{{:X}}}-\x{{{:X}}}]", u32::from(from), u32::from(to)))
                        }
                        (Some(Member::Char(from)), Member::Char(to)) => {
                            return Err(format!("has the range {from}-{to}, which is empty"));
                        }
                        (before, next) => {
                            members.extend(before);
                            members.push(Member::Char('-'));
                            next
                        }
                    };
                    members.push(member);
                }
                Some(char) => members.push(Member::Char(char)),
            }
        }
        match (members.is_empty(), negated) {
            (true, true) => self.out.push_str("(?s:.)"),
            (true, false) => self.out.push_str(r"[^\x00-\x{10FFFF}]"),
            (false, negated) => {
                self.out.push_str(if negated { "[^" } else { "[" });
                for member in members {
                    match member {
                        Member::Char(char) => {
                            let _ = write!(self.out, r"\x{{{:X}}}", u32::from(char));
                        }
                        Member::Class(class) => self.out.push_str(&class),
                    }
                }
                self.out.push(']');
            }
        }
        Ok(())
    }

    fn escaped_in_class(&mut self) -> Result<Member, String> {
        if self.rest.next_if_eq(&'b').is_some() { Ok(Member::Char('\u{8}')) } else { self.escaped() }
    }
}

fn no_look_around() -> String {
    "looks around, (?=…) (?!…) (?<=…) or (?<!…), which cannot be done in time linear in the text; use two \
     conditions, the negative one in $not"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, options: &str, text: &str) -> bool {
        compile(pattern, options)
            .unwrap_or_else(|error| panic!("{pattern}: {error}"))
            .is_match(text.as_bytes())
    }

    #[test]
    fn a_pattern_means_what_javascript_means_by_it() {
        for (pattern, options, text, found) in [
            (r"^\d+$", "", "12", true),
            (r"^\d+$", "", "１２", false),
            (r"^\w$", "", "é", false),
            (r"\bcat\b", "", "écaté", true),
            (r"^\s$", "", "\u{feff}", true),
            ("^.$", "", "\u{2028}", false),
            ("^/ban", "", "/banish", true),
            ("^/ban", "", "x\n/ban", false),
            ("^/ban", "m", "x\n/ban", true),
            ("^/ban", "i", "/BAN", true),
            ("^", "", "", true),
            ("^.$", "s", "\n", true),
            ("^b$", "", "a\nb", false),
            ("^b$", "m", "a\nb", true),
            ("a{", "", "a{", true),
            ("^a{,2}$", "", "a{,2}", true),
            ("^a{2,}$", "", "aaa", true),
            ("[[a]", "", "[", true),
            ("[a&&b]", "", "&", true),
            (r"[\w-]", "", "-", true),
            (r"[\w-z]", "", "-", true),
            (r"[\d.\-]+$", "", "1.-", true),
            ("[]", "", "a", false),
            ("[^]", "", "\n", true),
            (r"[\b]", "", "\u{8}", true),
            (r"\A", "", "A", true),
            (r"\/\-\_\e", "", "/-_e", true),
            (r"\u4e2d\x41\cJ", "", "中A\n", true),
            (r"\ud83d\ude00", "", "😀", true),
            (r"^[\u4e00-\u9fa5]+$", "", "中文", true),
            (r"\u{1f600}", "u", "😀", true),
            (r"^\p{Script=Han}+$", "u", "中文", true),
            (r"^\p{L}\P{L}$", "u", "é1", true),
            ("HELP", "i", "help", true),
            ("(?<word>a|b)c", "", "bc", true),
            ("b", "y", "ab", false),
            ("a b#c", "", "a b#c", true),
            ("]}", "", "]}", true),
        ] {
            assert_eq!(finds(pattern, options, text), found, "{pattern} {options} {text:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_reason() {
        for (pattern, options, reason) in [
            ("a(?=b)", "", "looks around"),
            ("(?<!a)b", "", "looks around"),
            (r"(a)\1", "", "refers back"),
            (r"(?<x>a)\k<x>", "", "refers back"),
            ("(?i)a", "", "$options = \"i\""),
            ("(?P<x>a)", "", "(?<name>…)"),
            ("a", "x", "without blanks"),
            ("a", "ii", "twice"),
            ("a", "q", "the flags are"),
            ("(a", "", "is no pattern: unclosed group"),
            ("a)", "", "is no pattern: unopened group"),
            ("*a", "", "is no pattern"),
            ("[a", "", "not closed"),
            ("[z-a]", "", "is empty"),
            ("a\\", "", "backslash"),
            (r"\p{L}", "", "$options = \"u\""),
            (r"\u{41}", "", "$options = \"u\""),
            (r"\p{Nonsense}", "u", "is no pattern"),
            (r"[\ud800-\udbff]", "", "half of a character"),
            ("(a{1000}){1000}", "", "larger than 1024 KiB"),
        ] {
            let error = compile(pattern, options).unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }
}
