//! The audit log has one line for each call that changes something, however it ended.

use onebot_gateway::downstream::Channel;
use onebot_gateway::net::websocket::Role;
use onebot_gateway::telemetry::audit;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bot::retcode;
use crate::gateway::Gateway;

fn audited(directory: &TempDir, adjust: impl FnOnce(&mut audit::Config)) -> Gateway {
    let mut config = audit::Config::new(directory.path().join("audit.jsonl"));
    adjust(&mut config);
    Gateway::with(|setup| setup.audit = Some(config))
}

/// A line without its time and its latency, which are looked at.
fn timeless(mut line: Value) -> Value {
    let fields = line.as_object_mut().unwrap();
    let time = fields.remove("time").unwrap();
    let time = time.as_str().unwrap();
    // 2026-11-24T13:55:31.123+08:00
    assert_eq!((time.len(), time.as_bytes()[10], time.as_bytes()[19]), (29, b'T', b'.'), "{time}");
    time.parse::<jiff::Timestamp>().unwrap();
    assert!(fields.remove("latency_ms").unwrap().is_u64());
    line
}

#[tokio::test(start_paused = true)]
async fn a_write_has_one_line_and_a_read_has_none() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = audited(&directory, |_| {});
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let params = r#"{"group_id":"5","message":"a secret between friends"}"#;
    bot.call("send_group_msg", params, "1").await;
    let call = upstream.call().await;
    upstream.send(call.ok(r#"{"message_id":-7}"#)).await;
    bot.reply().await;
    bot.call("get_recent_contact", "{}", "2").await;
    let call = upstream.call().await;
    upstream.send(call.ok("null")).await;
    bot.reply().await;
    let lines = gateway.audited().await;
    assert_eq!(
        lines.into_iter().map(timeless).collect::<Vec<_>>(),
        [json!({
            "consumer": "bot", "session": "ws#1", "action": "send_group_msg", "target": {"group_id": 5},
            "size": params.len(), "outcome": "ok", "retcode": 0, "message_id": -7
        })]
    );
    assert_eq!(gateway.metric("audit_lines_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_to_nothing_have_their_line_too() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = audited(&directory, |_| {});
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut bot = gateway.attach(&consumer);
    // Denied; what hands over the account is written down though it is a read.
    for action in ["set_restart", "get_cookies"] {
        bot.call(action, "{}", "1").await;
        assert_eq!(retcode(&bot.reply().await), 1403);
    }
    // Without an answer.
    bot.call("set_group_ban", r#"{"group_id":5,"user_id":7,"duration":60}"#, "2").await;
    upstream.call().await;
    assert_eq!(retcode(&bot.reply().await), 1504);
    // Failed, unknown to anybody, through a session of the other kind.
    let mut other = gateway.attach_over(&consumer, Channel::Universal, Role::Client, 64 << 10);
    other.call("an_action_of_tomorrow", r#"{"token":"hidden"}"#, "3").await;
    let call = upstream.call().await;
    upstream.send(format!(r#"{{"status":"failed","retcode":1404,"data":null,"echo":{}}}"#, call.echo)).await;
    other.reply().await;
    // In the background, after its asker was answered and left.
    other.call("delete_msg_async", r#"{"message_id":-9}"#, "4").await;
    assert_eq!(retcode(&other.reply().await), 1);
    let call = upstream.call().await;
    other.hang_up().await;
    upstream.send(call.ok("null")).await;
    upstream.hears_no_call_for(std::time::Duration::from_secs(1)).await;
    // Left alone by its asker.
    bot.call("set_friend_add_request", r#"{"flag":"u_1","approve":true}"#, "5").await;
    upstream.call().await;
    bot.hang_up().await;

    let lines: Vec<Value> = gateway.audited().await.into_iter().map(timeless).collect();
    let told: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!([line["session"], line["action"], line["target"], line["outcome"], line["retcode"]])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["ws#1", "set_restart", {}, "denied", 1403]),
            json!(["ws#1", "get_cookies", {}, "denied", 1403]),
            json!(["ws#1", "set_group_ban", {"group_id": 5, "user_id": 7}, "timeout", 1504]),
            json!(["reverse_ws#2", "an_action_of_tomorrow", {}, "failed", 1404]),
            json!(["reverse_ws#2", "delete_msg_async", {"message_id": -9}, "ok", 0]),
            json!(["ws#1", "set_friend_add_request", {"flag": "u_1"}, "abandoned", null]),
        ]
    );
    let text = std::fs::read_to_string(directory.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains("hidden"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_messages_say_is_written_down_only_if_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = audited(&directory, |config| config.text = true);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let long = "长".repeat(5000);
    for message in [r#""hi \"you\"""#, r#"[{"type":"text"}]"#, &format!("\"{long}\"")] {
        bot.call("send_private_msg", &format!(r#"{{"user_id":7,"message":{message}}}"#), "1").await;
        let call = upstream.call().await;
        upstream.send(call.ok("null")).await;
        bot.reply().await;
    }
    bot.call("set_config", r#"{"token":"hidden"}"#, "1").await;
    bot.reply().await;
    let lines = gateway.audited().await;
    assert_eq!(lines[0]["text"], r#""hi \"you\"""#);
    assert_eq!(lines[1]["text"], r#"[{"type":"text"}]"#);
    assert_eq!(lines[2]["text"].as_str().unwrap().chars().count(), 1000);
    assert_eq!(lines[3].get("text"), None);
}
