//! Meta events: the gateway's own, made exactly as `LLOneBot` makes them, and those of the upstream.

use super::{PostType, integer};
use crate::onebot::envelope::{Envelope, Key, scan};

/// The first event of a connection, as `LLOneBot` sends it. `time` is in seconds since 1970.
#[must_use]
pub fn lifecycle_connect(time: i64, self_id: i64) -> String {
    format!(
        r#"{{"time":{time},"self_id":{self_id},"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}}"#
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
