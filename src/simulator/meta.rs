//! Lifecycle, heartbeat and status, each implementation's own way.

use serde_json::{Value, json};

use super::account::Account;
use super::profile::MetaShape;

/// The first event of a connection.
pub(crate) fn lifecycle(shape: MetaShape, account: &Account, now: i64) -> Value {
    let self_id = account.self_id;
    match shape {
        MetaShape::Llonebot => json!({
            "time": now, "self_id": self_id,
            "post_type": "meta_event", "meta_event_type": "lifecycle", "sub_type": "connect",
        }),
        MetaShape::Lagrange => json!({
            "sub_type": "connect", "meta_event_type": "lifecycle",
            "time": now, "self_id": self_id, "post_type": "meta_event",
        }),
        MetaShape::GoCqhttp => json!({
            "_post_method": 2, "meta_event_type": "lifecycle", "post_type": "meta_event",
            "self_id": self_id, "sub_type": "connect", "time": account.started,
        }),
    }
}

/// A heartbeat; `interval` is the milliseconds to the next one.
pub(crate) fn heartbeat(shape: MetaShape, account: &Account, now: i64, interval: u64) -> Value {
    let self_id = account.self_id;
    match shape {
        MetaShape::Llonebot => json!({
            "time": now, "self_id": self_id, "post_type": "meta_event", "meta_event_type": "heartbeat",
            "status": {"online": account.online, "good": true}, "interval": interval,
        }),
        MetaShape::Lagrange => json!({
            "interval": interval, "status": status(shape, account), "meta_event_type": "heartbeat",
            "time": now, "self_id": self_id, "post_type": "meta_event",
        }),
        MetaShape::GoCqhttp => json!({
            "post_type": "meta_event", "meta_event_type": "heartbeat", "time": now, "self_id": self_id,
            "status": status(shape, account), "interval": interval,
        }),
    }
}

/// What `get_status` answers.
pub(crate) fn status(shape: MetaShape, account: &Account) -> Value {
    let online = account.online;
    match shape {
        MetaShape::Llonebot => json!({
            "online": online, "good": true,
            "stat": {
                "message_received": account.received, "message_sent": account.sent,
                "last_message_time": account.last_message, "startup_time": account.started,
            },
        }),
        MetaShape::Lagrange => json!({
            "app_initialized": true, "app_enabled": true, "app_good": true, "online": online, "good": true,
        }),
        MetaShape::GoCqhttp => json!({
            "app_enabled": true, "app_good": true, "app_initialized": true, "good": online, "online": online,
            "plugins_good": null,
            "stat": {
                "packet_received": account.received, "packet_sent": account.sent, "packet_lost": 0,
                "message_received": account.received, "message_sent": account.sent,
                "last_message_time": account.last_message, "disconnect_times": 0, "lost_times": 0,
            },
        }),
    }
}
