use proptest::prelude::*;

use super::arbitrary::{any_object, space};
use super::*;

fn found(text: &str, key: Key) -> Option<&str> {
    let span = scan(text.as_bytes()).unwrap().get(key)?;
    Some(std::str::from_utf8(span.of(text.as_bytes())).unwrap())
}

#[test]
fn values_keep_their_bytes_whatever_their_type() {
    let text = r#" { "echo" : 1e400 , "params":{"a":[1,{"b":"}]"}]},"status": "" ,"data":null,"time":-0.0}"#;
    assert_eq!(found(text, Key::Echo), Some("1e400"));
    assert_eq!(found(text, Key::Params), Some(r#"{"a":[1,{"b":"}]"}]}"#));
    assert_eq!(found(text, Key::Status), Some(r#""""#));
    assert_eq!(found(text, Key::Data), Some("null"));
    assert_eq!(found(text, Key::Time), Some("-0.0"));
    assert_eq!(found(text, Key::Retcode), None);
}

#[test]
fn the_last_of_equal_keys_wins_as_in_javascript() {
    assert_eq!(found(r#"{"action":"get_msg","action":"set_config"}"#, Key::Action), Some(r#""set_config""#));
    assert_eq!(
        found(r#"{"action":"get_msg","\u0061ction":"get_cookies"}"#, Key::Action),
        Some(r#""get_cookies""#)
    );
    assert_eq!(found(r#"{"\u0065cho":1,"echo":2}"#, Key::Echo), Some("2"));
}

#[test]
fn only_the_top_level_counts() {
    assert_eq!(found(r#"{"params":{"action":"x","echo":1},"x":[{"action":1}]}"#, Key::Action), None);
}

#[test]
fn kinds_are_told_apart_by_post_type_then_action() {
    let kind = |text: &str| scan(text.as_bytes()).unwrap().kind();
    assert_eq!(kind(r#"{"action":"x","post_type":"message"}"#), Kind::Event);
    assert_eq!(kind(r#"{"action":"x","echo":1}"#), Kind::Call);
    assert_eq!(kind(r#"{"status":"ok","retcode":0}"#), Kind::Reply);
    assert_eq!(kind("{}"), Kind::Reply);
}

#[test]
fn nesting_is_accepted_up_to_the_limit_and_not_beyond() {
    let nested = |depth: usize| format!(r#"{{"data":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(scan(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(scan(nested(MAX_DEPTH + 1).as_bytes()), Err(Malformed::TooDeep { at: 8 + MAX_DEPTH - 1 }));
    assert!(matches!(scan("[".repeat(10_000_000).as_bytes()), Err(Malformed::TooDeep { .. })));
}

#[test]
fn a_fault_is_named_with_its_place() {
    let told = |text: &str| scan(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(told(r#"{"a":1,}"#), "not JSON: expected a key in double quotes at byte 7");
    assert_eq!(told(r#"{"a":tru}"#), "not JSON: expected a value at byte 5");
    assert_eq!(told(r#"{"a":1"#), "not JSON: unexpected end of the text at byte 6");
    assert_eq!(told("{\"a\":\"\n\"}"), "not JSON: control character in a string at byte 6");
    assert_eq!(told(r#"{"a":1} x"#), "not JSON: more text after the value at byte 8");
    assert_eq!(told("\u{feff}{}"), "not JSON: expected a value at byte 0");
    assert_eq!(told("[1,2]"), "expected a JSON object but got an array at byte 0");
    assert_eq!(told("[1,2"), "not JSON: unexpected end of the text at byte 4");
    assert_eq!(told(""), "not JSON: unexpected end of the text at byte 0");
}

#[test]
fn lone_surrogates_pass_as_javascript_sends_them() {
    assert_eq!(found(r#"{"\ud83d":1,"data":"\ud83d"}"#, Key::Data), Some(r#""\ud83d""#));
}

/// Long strings are looked at in blocks: what ends one must be seen wherever in a block it stands, in
/// base64 as in other text.
#[test]
fn a_string_ends_where_it_ends_at_every_length() {
    for length in 0..300 {
        for (inside, valid) in
            [("", true), ("\\\"", true), ("\\x", false), ("\u{1f}", false), ("\u{7f}é", true)]
        {
            for (filler, after) in [("a", ""), ("a", "+/=0"), (" ", "é !~")] {
                let text =
                    [r#"{"data":""#, &filler.repeat(length), inside, &after.repeat(60), r#"","echo":7}"#]
                        .concat();
                assert_eq!(scan(text.as_bytes()).is_ok(), valid, "{text}");
                assert_eq!(reference::scan(&text), scan(text.as_bytes()).ok(), "{text}");
            }
        }
    }
}

#[test]
fn equal_keys_are_noticed() {
    let ambiguous = |text: &str| scan(text.as_bytes()).unwrap().is_ambiguous();
    assert!(ambiguous(r#"{"group_id":1,"group_id":2}"#));
    assert!(ambiguous(r#"{"group_id":1,"group\u005fid":1}"#));
    assert!(!ambiguous(r#"{"group_id":1,"user_id":1,"x":{"group_id":3}}"#));
}

#[test]
fn recorded_frames_are_told_apart_and_agree_with_the_reference() {
    let events = include_str!("../../../tests/samples/events.jsonl");
    for event in events.lines() {
        assert_eq!(scan(event.as_bytes()).unwrap().kind(), Kind::Event);
        assert_eq!(scan(event.as_bytes()).ok(), reference::scan(event));
    }
    let calls = include_str!("../../../tests/samples/calls.jsonl");
    for pair in calls.lines() {
        let pair: std::collections::BTreeMap<String, &serde_json::value::RawValue> =
            serde_json::from_str(pair).unwrap();
        for (half, kind) in [("request", Kind::Call), ("response", Kind::Reply)] {
            let Some(frame) = pair.get(half).map(|raw| raw.get()) else { continue };
            assert_eq!(scan(frame.as_bytes()).unwrap().kind(), kind);
            assert_eq!(scan(frame.as_bytes()).ok(), reference::scan(frame));
        }
    }
    assert_eq!((events.lines().count(), calls.lines().count()), (42, 28));
}

proptest! {
    #[test]
    fn finds_what_the_reference_finds(before in space(), object in any_object(), after in space()) {
        let text = format!("{before}{object}{after}");
        let expected = reference::scan(&text);
        prop_assert!(expected.is_some());
        prop_assert_eq!(scan(text.as_bytes()).ok(), expected);
    }

    /// Cut, doubled, swapped and foreign characters: what one refuses the other refuses.
    #[test]
    fn refuses_what_the_reference_refuses(
        text in any_object(),
        at in any::<prop::sample::Index>(),
        removed in 0..3_usize,
        inserted in "([\\x00-\\x7f]|[{}\\[\\]\",:\\\\u0-9eE.+-]{1,3}|é){0,2}",
    ) {
        let characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        let after = characters.iter().skip(at + removed);
        let mutated: String = characters[..at].iter().copied().chain(inserted.chars()).chain(after.copied()).collect();
        prop_assert_eq!(scan(mutated.as_bytes()).ok(), reference::scan(&mutated), "{}", mutated);
    }

    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = scan(&bytes);
    }
}
