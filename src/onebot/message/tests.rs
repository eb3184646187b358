use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn event(text: &str, to: MessageFormat) -> String {
    let converted = convert_event(text.as_bytes(), to);
    assert_eq!(converted.left, 0, "{text}");
    converted.text.map_or_else(|| text.to_owned(), |new| String::from_utf8(new.to_vec()).unwrap())
}

fn reply(data: &str, to: MessageFormat) -> (String, usize) {
    let text = format!(r#"{{"status":"ok","retcode":0,"data":{data},"echo":"gw:1"}}"#);
    let converted = convert_reply(text.as_bytes(), to);
    let new = converted.text.map_or(text, |new| String::from_utf8(new.to_vec()).unwrap());
    let data = scan(new.as_bytes()).unwrap().get(Key::Data).unwrap().of(new.as_bytes()).to_vec();
    (String::from_utf8(data).unwrap(), converted.left)
}

/// `LLOneBot`'s own rule, told by a parser: `message` is `raw_message`, `message_format` is `string`, and
/// nothing else changes.
#[test]
fn recorded_events_become_what_llonebot_sends_in_string_form() {
    let mut converted = 0;
    for text in include_str!("../../../tests/samples/events.jsonl").lines() {
        let mut expected: Value = serde_json::from_str(text).unwrap();
        if expected["message"].is_array() {
            expected["message"] = expected["raw_message"].clone();
            expected["message_format"] = json!("string");
            converted += 1;
            assert_eq!(event(text, MessageFormat::Array), text);
        }
        let string = event(text, MessageFormat::String);
        assert_eq!(string, serde_json::to_string(&expected).unwrap());
        let array = event(&string, MessageFormat::Array);
        assert_eq!(event(&array, MessageFormat::String), string);
    }
    assert!(converted > 10, "{converted}");
}

#[test]
fn segments_of_recorded_events_encode_to_their_own_raw_message() {
    for text in include_str!("../../../tests/samples/events.jsonl").lines() {
        let parsed: Value = serde_json::from_str(text).unwrap();
        let Some(segments) = parsed.get("message").filter(|message| message.is_array()) else { continue };
        let without_raw = json!({"message": segments, "message_format": "array"}).to_string();
        let expected = json!({"message": parsed["raw_message"], "message_format": "string"}).to_string();
        assert_eq!(event(&without_raw, MessageFormat::String), expected);
    }
}

#[test]
fn other_bytes_stay_as_they_are() {
    let text = r#" { "message_format" : "array" , "id":123456789012345678901234567890, "message":[ ] ,"raw_message":"\u4f60\/" } "#;
    assert_eq!(
        event(text, MessageFormat::String),
        r#" { "message_format" : "string" , "id":123456789012345678901234567890, "message":"\u4f60\/" ,"raw_message":"\u4f60\/" } "#
    );
}

#[test]
fn strings_of_other_implementations_become_segments() {
    let text = r#"{"message":"[CQ:at,qq=1] \u4f60&#91;","raw_message":"x","font":0}"#;
    let expected = r#"{"message":[{"type":"at","data":{"qq":"1"}},{"type":"text","data":{"text":" 你["}}],"raw_message":"x","font":0}"#;
    assert_eq!(event(text, MessageFormat::Array), expected);
    assert_eq!(event(text, MessageFormat::String), text);
}

#[test]
fn a_message_that_cannot_be_converted_stays_and_is_counted() {
    for (text, to) in [
        (r#"{"message":[1],"message_format":"array"}"#, MessageFormat::String),
        (r#"{"message":{"type":"text"}}"#, MessageFormat::String),
        (r#"{"message":null}"#, MessageFormat::Array),
        (r#"{"message":"\ud83d"}"#, MessageFormat::Array),
    ] {
        assert_eq!(convert_event(text.as_bytes(), to), Converted { text: None, left: 1 }, "{text}");
    }
}

#[test]
fn replies_are_converted_wherever_their_messages_are() {
    let message = |body: &str, format: &str| {
        format!(
            r#"{{"message_id":1,"raw_message":"[CQ:face,id=1]","message":{body},"message_format":"{format}"}}"#
        )
    };
    let array = r#"[{"type":"face","data":{"id":"1","sub_type":1}}]"#;
    let [old, new] = [message(array, "array"), message(r#""[CQ:face,id=1]""#, "string")];
    assert_eq!(reply(&old, MessageFormat::String), (new.clone(), 0));
    let history = |message: &str| format!(r#"{{"messages":[{message},{message}]}}"#);
    assert_eq!(reply(&history(&old), MessageFormat::String), (history(&new), 0));

    let forward = |content: &str, format: &str| {
        format!(
            r#"{{"messages":[{{"content":{content},"sender":{{"user_id":1}},"message_format":"{format}"}}]}}"#
        )
    };
    assert_eq!(
        reply(&forward(array, "array"), MessageFormat::String),
        (forward(r#""[CQ:face,id=1,sub_type=1]""#, "string"), 0)
    );
    let essence = |content: &str| format!(r#"[{{"sender_id":1,"content":{content}}},{{"sender_id":2}}]"#);
    assert_eq!(reply(&essence(array), MessageFormat::String), (essence(r#""[CQ:face,id=1,sub_type=1]""#), 0));
    for untouched in ["null", "1", "[]", "{}", "[null,1]", r#"{"messages":null}"#] {
        assert_eq!(reply(untouched, MessageFormat::String), (untouched.to_owned(), 0));
    }
}

#[test]
fn a_forward_of_nodes_stays_a_list_and_its_contents_are_converted() {
    let forward = |content: &str| {
        let node =
            format!(r#"{{"type":"node","data":{{"user_id":"1","nickname":"a","content":{content}}}}}"#);
        format!(r#"{{"message":[{node},{node}]}}"#)
    };
    let [array, string] = [r#"[{"type":"text","data":{"text":"a&b"}}]"#, r#""a&amp;b""#];
    assert_eq!(reply(&forward(array), MessageFormat::String), (forward(string), 0));
    assert_eq!(reply(&forward(string), MessageFormat::Array), (forward(array), 0));
    assert_eq!(reply(&forward(array), MessageFormat::Array), (forward(array), 0));
}

#[test]
fn one_odd_message_does_not_keep_its_neighbours_from_being_converted() {
    let data = r#"{"messages":[{"message":[7]},{"message":[]}]}"#;
    let expected = r#"{"messages":[{"message":[7]},{"message":""}]}"#;
    assert_eq!(reply(data, MessageFormat::String), (expected.to_owned(), 1));
}

/// What survives both ways: string values, no empty text, no two texts side by side.
fn any_segments() -> impl Strategy<Value = Vec<Value>> {
    let any_text = || "([ -~]|[&,=\\[\\]\n\"\\\\]|&amp;|&#91;|\\[CQ:a\\]|é|🐱){1,8}";
    let code = ("[a-z_0-9]{1,5}", prop::collection::btree_map("[a-z_0-9]{1,4}", any_text(), 0..3))
        .prop_filter("text is not a code", |(kind, _)| kind != "text")
        .prop_map(|(kind, data)| json!({"type": kind, "data": data}));
    let pair = (prop::option::of(any_text()), code).prop_map(|(text, code)| {
        let text = text.map(|text| json!({"type": "text", "data": {"text": text}}));
        text.into_iter().chain([code]).collect::<Vec<_>>()
    });
    prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.concat())
}

proptest! {
    #[test]
    fn an_array_survives_being_a_string(segments in any_segments()) {
        let array = json!({"message": segments, "message_format": "array"}).to_string();
        let string = event(&array, MessageFormat::String);
        prop_assert!(segments.is_empty() || string != array);
        prop_assert_eq!(event(&string, MessageFormat::Array), array);
    }

    #[test]
    fn any_string_survives_being_an_array_if_read_again(message in any::<String>()) {
        let string = json!({"message": message}).to_string();
        let array = event(&string, MessageFormat::Array);
        let again = event(&event(&array, MessageFormat::String), MessageFormat::Array);
        prop_assert_eq!(again, array);
    }

    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for text in [bytes.clone(), [br#"{"data":{"message":["#, &bytes[..], b"]}}"].concat()] {
            for to in [MessageFormat::Array, MessageFormat::String] {
                let _ = (convert_event(&text, to), convert_reply(&text, to));
            }
        }
    }
}
