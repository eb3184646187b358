//! The items of an array and the members of an object, found where they lie.
//!
//! For texts that were scanned as a whole before: a walk ends quietly where the grammar does.

use super::envelope::{Cursor, Span};

/// The items of the array at `array`; none if that is no array.
pub(super) fn items(text: &[u8], array: Span) -> impl Iterator<Item = Span> {
    let mut walk = Walk::begin(text, array, b'[');
    std::iter::from_fn(move || walk.value())
}

/// The members of the object at `object`, each key as it is written, without its quotes; none if that is
/// no object.
pub(super) fn members(text: &[u8], object: Span) -> impl Iterator<Item = (&[u8], Span)> {
    let mut walk = Walk::begin(text, object, b'{');
    std::iter::from_fn(move || {
        let name = walk.more.then(|| walk.cursor.key().ok()).flatten()?;
        Some((name.written(), walk.value()?))
    })
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    closing: u8,
    more: bool,
}

impl<'a> Walk<'a> {
    fn begin(text: &'a [u8], container: Span, opening: u8) -> Self {
        let mut cursor = Cursor::at(text, container.start as usize);
        cursor.skip_whitespace();
        // In ASCII both brackets close two places after they open.
        let closing = opening + 2;
        let more = cursor.peek() == opening && cursor.open(closing);
        Self { cursor, closing, more }
    }

    fn value(&mut self) -> Option<Span> {
        if !self.more {
            return None;
        }
        let start = self.cursor.position();
        self.cursor.value(0).ok()?;
        let end = self.cursor.position();
        self.more = self.cursor.next_item(self.closing).unwrap_or(false);
        Some(Span { start: start as u32, end: end as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Span {
        Span { start: 0, end: text.len() as u32 }
    }

    fn show(text: &str, span: Span) -> &str {
        std::str::from_utf8(span.of(text.as_bytes())).unwrap()
    }

    #[test]
    fn items_and_members_keep_their_bytes_and_order() {
        let text = r#" [1 , [2,"]"],{"a":3} ]"#;
        let found: Vec<_> = items(text.as_bytes(), whole(text)).map(|item| show(text, item)).collect();
        assert_eq!(found, ["1", r#"[2,"]"]"#, r#"{"a":3}"#]);

        let text = r#"{"b": {"a":1} ,"a" :-0.0,"b":null}"#;
        let found: Vec<_> = members(text.as_bytes(), whole(text))
            .map(|(name, value)| (str::from_utf8(name).unwrap(), show(text, value)))
            .collect();
        assert_eq!(found, [("b", r#"{"a":1}"#), ("a", "-0.0"), ("b", "null")]);
    }

    #[test]
    fn what_is_something_else_has_none() {
        for text in ["", "{}", "[]", "1", "null", r#""[1]""#] {
            assert_eq!(items(text.as_bytes(), whole(text)).count(), 0, "{text}");
            assert_eq!(members(text.as_bytes(), whole(text)).count(), 0, "{text}");
        }
        assert_eq!(items(b"[1,2", whole("[1,2")).count(), 2);
        assert_eq!(members(br#"{"a":1,2}"#, whole(r#"{"a":1,2}"#)).count(), 1);
    }
}
