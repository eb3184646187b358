use proptest::prelude::*;
use serde_json::json;

use super::*;

fn filter(query: &Value) -> Filter {
    Filter::compile(query).unwrap_or_else(|problems| panic!("{query}: {problems:?}"))
}

fn problems(query: &Value) -> Vec<String> {
    Filter::compile(query).unwrap_err().iter().map(ToString::to_string).collect()
}

fn event(text: &str) -> Head {
    Head::read(text.as_bytes(), &scan(text.as_bytes()).unwrap())
}

#[test]
fn an_event_is_answered_for_by_its_head_and_its_text_alike() {
    let text = r#"{"post_type":"message","message_type":"group","group_id":7,"raw_message":"/ban \"x\"","sender":{"role":"admin"},"message":[{"type":"text"},{"type":"image"}]}"#;
    for (query, matches) in [
        (json!({"post_type": "message", "group_id": {"$in": [1, 7]}}), true),
        (json!({"raw_message": {"$regex": "^/BAN \"", "$options": "i"}}), true),
        (json!({"sender.role": {"$nin": ["owner", "admin"]}}), false),
        (json!({"message.type": "image"}), true),
        (json!({"message": {"$elemMatch": {"type": "video"}}}), false),
        (json!({"$or": [{"group_id": 8}, {"message.0.type": "text"}]}), true),
        (json!({"user_id": null}), true),
        (json!({"$and": [{"group_id": {"$gt": 6}}, {"$nor": [{"message_type": "private"}]}]}), true),
    ] {
        let filter = filter(&query);
        assert_eq!(filter.matches_event(text.as_bytes(), &event(text)), Ok(matches), "{query}");
        assert_eq!(filter.matches(text.as_bytes()), Ok(matches), "{query}");
    }
}

#[test]
fn everything_wrong_with_a_query_is_told_with_its_path() {
    let query = json!({
        "$or": [{"group_id": {"$inn": [1]}}, {"raw_message": {"$regex": "a(?!b)"}}, 5],
        "a": {"$gt": 1, "b": 2},
        "b": {"$options": "i", "$type": "strin"},
        "c": {"$mod": [0, 1], "$size": -1, "$exists": "yes", "$elemMatch": 1, "$or": [{}]},
        "$and": [],
        "$where": "true",
        "d": {"$in": [{"$gt": 1}], "$gt": null, "$all": "x"},
    });
    assert_eq!(
        problems(&query),
        [
            "$or.0.group_id.$inn: unknown operator; did you mean `$in`?",
            "$or.1.raw_message.$regex: looks around, (?=…) (?!…) (?<=…) or (?<!…), which cannot be done in \
             time linear in the text; use two conditions, the negative one in $not",
            "$or.2: expected a table of conditions",
            "a.b: stands beside operators; a table has either operators only or the keys of a value that is \
             compared as a whole",
            "b.$options: says how $regex searches, and there is no $regex beside it",
            "b.$type: names no type; did you mean \"string\"?",
            "c.$mod: expected [divisor, remainder], two numbers, the first not 0",
            "c.$size: expected how many items the list has, a whole number",
            "c.$exists: expected true or false",
            "c.$elemMatch: expected a table of conditions on one item",
            "c.$or: $or combines whole conditions and cannot stand beneath a key; write it around them, or use \
             $in or $not here",
            "$and: is empty; expected the conditions, a list of tables",
            "$where: runs JavaScript, which the gateway does not; say it with the other operators",
            "d.$in: lists values, not operators; for alternatives of conditions use $or around them",
            "d.$gt: expected a number or a string to compare with",
            "d.$all: expected the values that all have to be in the list",
        ]
    );
    assert!(problems(&json!([1]))[0].starts_with("expected a table"));
    let many: Vec<Value> = (0..200).map(|n| json!({"a": n})).collect();
    assert!(problems(&json!({"$or": many}))[0].contains("more than 256"));
    let deep = (0..40).fold(json!(1), |inner, _| json!({"$not": inner}));
    assert!(problems(&deep)[0].contains("deeper than 32"));
}

#[test]
fn what_costs_too_much_has_no_answer() {
    let long = json!({"raw_message": "x".repeat(MAX_SUBJECT)}).to_string();
    let slow = filter(&json!({"raw_message": {"$regex": "^/"}}));
    assert_eq!(slow.matches(long.as_bytes()), Err(Unevaluable::TooLong));
    let not = filter(&json!({"raw_message": {"$not": {"$regex": "^/"}}}));
    assert_eq!(not.matches(long.as_bytes()), Err(Unevaluable::TooLong));
    let other = filter(&json!({"raw_message": {"$ne": "x"}}));
    assert_eq!(other.matches(long.as_bytes()), Ok(true));

    let nested = format!(r#"{{"a":{}1{}}}"#, "[".repeat(400), "]".repeat(400));
    let query = (0..6).fold(json!({"$eq": 2}), |inner, _| json!({"$not": inner}));
    assert_eq!(filter(&json!({"a": query})).matches(nested.as_bytes()), Err(Unevaluable::TooMuchWork));

    assert!(matches!(other.matches(b"[1]"), Err(Unevaluable::NotAnObject(_))));
    assert!(matches!(other.matches(b"{\"a\""), Err(Unevaluable::NotAnObject(_))));
}

fn any_query() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i32..4).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ab./0-9\\[\\](){}?*+^$\\\\]{0,6}".prop_map(Value::from),
    ];
    let operator = prop::sample::select(vec![
        "$all",
        "$and",
        "$elemMatch",
        "$eq",
        "$exists",
        "$gt",
        "$in",
        "$lte",
        "$mod",
        "$ne",
        "$nin",
        "$nor",
        "$not",
        "$options",
        "$or",
        "$regex",
        "$size",
        "$type",
        "$x",
        "a",
        "b",
        "a.b",
        "a.0",
        "",
        "length",
        "a.length",
    ]);
    scalar.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((operator.clone(), inner), 0..4).prop_map(|members| {
                Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    /// Whatever is written and whatever comes: no panic, and the same text gets the same answer.
    #[test]
    fn any_query_and_any_bytes_are_lived_through(
        query in any_query(),
        object in any_query(),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        plain in prop::sample::select(vec!["{\"a\":[{\"b\":1},[2]]}", "{\"a\":{\"b\":\"\\ud83d\"},\"a\":null}"]),
    ) {
        if let Ok(filter) = Filter::compile(&query) {
            let object = serde_json::json!({"a": object}).to_string();
            for text in [object.as_bytes(), plain.as_bytes(), &bytes] {
                let answer = filter.matches(text);
                prop_assert_eq!(answer, filter.matches(text));
                // What was not scanned before is a mistake of the caller, and still no panic.
                let _ = filter.matches_scanned(text);
            }
        }
    }

    #[test]
    fn any_pattern_is_lived_through(text in "[ -~]{0,12}", options in "[imsuygdx]{0,3}", subject in ".{0,20}") {
        let query = serde_json::json!({"a": {"$regex": text, "$options": options}});
        if let Ok(filter) = Filter::compile(&query) {
            let object = serde_json::json!({"a": subject}).to_string();
            prop_assert!(filter.matches(object.as_bytes()).is_ok());
        }
    }
}
