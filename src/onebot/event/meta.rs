//! Meta events: the gateway's own, made exactly as `LLOneBot` makes them, and those of the upstream.

use super::{PostType, integer};
use crate::onebot::envelope::{Envelope, Key, scan};

/// The first event of a connection, as `LLOneBot` sends it. `time` is in seconds since 1970.
#[must_use]
pub fn lifecycle_connect(time: i64, self_id: i64) -> String {
    lifecycle(time, self_id, "connect")
}

/// The first event of a webhook (standard, event/meta.md; `LLOneBot` has none there).
#[must_use]
pub fn lifecycle_enable(time: i64, self_id: i64) -> String {
    lifecycle(time, self_id, "enable")
}

/// The last event of a webhook.
#[must_use]
pub fn lifecycle_disable(time: i64, self_id: i64) -> String {
    lifecycle(time, self_id, "disable")
}

fn lifecycle(time: i64, self_id: i64, sub_type: &str) -> String {
    format!(
        r#"{{"time":{time},"self_id":{self_id},"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"{sub_type}"}}"#
    )
}

/// A heartbeat, as `LLOneBot` sends it: `online` is the truth about the account, `good` is always true,
/// `interval_ms` is the time to the next one. `time` is in seconds since 1970.
#[must_use]
pub fn heartbeat(time: i64, self_id: i64, online: bool, interval_ms: u64) -> String {
    format!(
        r#"{{"time":{time},"self_id":{self_id},"post_type":"meta_event","meta_event_type":"heartbeat","status":{{"online":{online},"good":true}},"interval":{interval_ms}}}"#
    )
}

/// What a meta event of the upstream says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meta {
    /// The connection is up (`connect`); over HTTP also `enable` and `disable`.
    Lifecycle {
        /// The account.
        self_id: Option<i64>,
    },
    /// The implementation is alive.
    Heartbeat {
        /// The account.
        self_id: Option<i64>,
        /// Whether the account is logged in; `None` if unknown (the standard allows `null`).
        online: Option<bool>,
        /// Milliseconds to the next one.
        interval_ms: Option<u64>,
    },
    /// A meta event the standard does not know.
    Other,
}

/// Reads a meta event; `None` if the frame is none.
#[must_use]
pub fn read(text: &[u8], envelope: &Envelope) -> Option<Meta> {
    if PostType::read(text, envelope) != PostType::MetaEvent {
        return None;
    }
    let self_id = integer(text, envelope, Key::SelfId);
    let kind = envelope.get(Key::MetaEventType).and_then(|span| span.unquoted(text));
    Some(match kind.map(|span| span.of(text)) {
        Some(b"lifecycle") => Meta::Lifecycle { self_id },
        Some(b"heartbeat") => Meta::Heartbeat {
            self_id,
            online: envelope.get(Key::Status).and_then(|status| online(status.of(text))),
            interval_ms: integer(text, envelope, Key::Interval).and_then(|interval| interval.try_into().ok()),
        },
        _ => Meta::Other,
    })
}

/// `online` of a status object, the one of a heartbeat or of `get_status`.
#[must_use]
pub fn online(status: &[u8]) -> Option<bool> {
    match scan(status).ok()?.get(Key::Online)?.of(status) {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(text: &str) -> Option<Meta> {
        read(text.as_bytes(), &scan(text.as_bytes()).unwrap())
    }

    #[test]
    fn own_meta_events_are_those_of_llonebot_to_the_byte() {
        let mut recorded = include_str!("../../../tests/samples/events.jsonl").lines();
        assert_eq!(recorded.next(), Some(&*lifecycle_connect(1_795_368_121, 2_847_190_563)));
        assert_eq!(recorded.next(), Some(&*heartbeat(1_795_368_181, 2_847_190_563, true, 60_000)));
    }

    #[test]
    fn meta_events_of_the_upstream_are_read() {
        assert_eq!(meta(&lifecycle_connect(1, 2)), Some(Meta::Lifecycle { self_id: Some(2) }));
        let beat = |online, interval_ms| Some(Meta::Heartbeat { self_id: Some(2), online, interval_ms });
        assert_eq!(meta(&heartbeat(1, 2, false, 5000)), beat(Some(false), Some(5000)));
        let of_lagrange = r#"{"interval":5000,"status":{"app_initialized":true,"online":true,"good":true},"meta_event_type":"heartbeat","time":1,"self_id":2,"post_type":"meta_event"}"#;
        assert_eq!(meta(of_lagrange), beat(Some(true), Some(5000)));
        let bare = r#"{"post_type":"meta_event","meta_event_type":"heartbeat","self_id":2,"status":{"online":null}}"#;
        assert_eq!(meta(bare), beat(None, None));
        assert_eq!(meta(r#"{"post_type":"meta_event","meta_event_type":"x"}"#), Some(Meta::Other));
        assert_eq!(meta(r#"{"post_type":"message","meta_event_type":"heartbeat"}"#), None);
    }
}
