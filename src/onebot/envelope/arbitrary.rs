//! JSON text as the worst of peers would write it: odd spacing, escapes, equal keys, keys in disguise.

use proptest::prelude::*;

use super::Key;

pub(in crate::onebot) fn any_value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?",
        any_string(),
    ];
    scalar.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec((space(), inner.clone(), space()), 0..5).prop_map(|items| {
                let items: Vec<_> = items.into_iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect();
                format!("[{}]", items.join(","))
            }),
            prop::collection::vec(member_of(any_key(), inner), 0..6).prop_map(|members| object_of(&members)),
        ]
    })
}

pub(in crate::onebot) fn any_object() -> impl Strategy<Value = String> {
    prop::collection::vec(any_member(any_key()), 0..6).prop_map(|members| object_of(&members))
}

/// A member of an object with its colon and the space around it.
pub(in crate::onebot) fn any_member(key: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    member_of(key, any_value())
}

pub(in crate::onebot) fn object_of(members: &[String]) -> String {
    format!("{{{}}}", members.join(","))
}

fn member_of(
    key: impl Strategy<Value = String>,
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    (space(), key, space(), space(), value, space())
        .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"))
}

fn any_key() -> impl Strategy<Value = String> {
    let known = || prop::sample::select(Key::ALL).prop_map(Key::name);
    prop_oneof![
        3 => known().prop_map(|name| format!("\"{name}\"")),
        1 => (known(), any::<prop::sample::Index>()).prop_map(|(name, at)| {
            let (before, after) = name.split_at(at.index(name.len()));
            format!("\"{before}\\u{:04x}{}\"", after.as_bytes()[0], &after[1..])
        }),
        1 => any_string(),
    ]
}

fn any_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[ -!#-\\[\\]-~]{0,80}",
        1 => "[一-龥🎉\u{7f}]{0,9}",
        1 => r#"\\(["\\/bfnrt]|u[0-9a-fA-F]{4})"#,
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

pub(in crate::onebot) fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\n\t"), 1 => Just("\r\n")]
}
