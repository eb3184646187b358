//! Calls, their replies and their effects.

use futures_util::SinkExt;
use onebot_gateway::simulator::Config;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::peer::{GROUP, call, in_memory, join, next, reply};

#[tokio::test(start_paused = true)]
async fn frames_are_answered_by_the_table() {
    let (simulator, mut client) = in_memory(Config::default()).await;
    let table = [
        (
            r#"{"action":"can_send_image_async","params":{},"echo":"as"}"#,
            r#"{"status":"ok","retcode":0,"data":{"yes":true},"message":"","wording":"","echo":"as"}"#,
        ),
        (
            r#"{"echo":{"seq":1},"action":"get_login_info"}"#,
            r#"{"status":"ok","retcode":0,"data":{"user_id":2847190563,"nickname":"窑小二"},"message":"","wording":"","echo":{"seq":1}}"#,
        ),
        (
            r#"{"action":"get_version_info","params":null,"echo":null}"#,
            r#"{"status":"ok","retcode":0,"data":{"app_name":"LLOneBot","protocol_version":"v11","app_version":"8.1.7"},"message":"","wording":""}"#,
        ),
        (
            r#"{"action":"nope","echo":"x"}"#,
            r#"{"status":"failed","retcode":1404,"data":null,"message":"nope API 不存在","wording":"nope API 不存在","echo":"x"}"#,
        ),
        (
            "[1]",
            r#"{"status":"failed","retcode":1404,"data":null,"message":"undefined API 不存在","wording":"undefined API 不存在"}"#,
        ),
        (
            r#"{"action":"send_group_msg","params":{"group_id":618204977},"echo":0}"#,
            r#"{"status":"failed","retcode":1400,"data":null,"message":"$.message missing required value","wording":"$.message missing required value","echo":0}"#,
        ),
        (
            r#"{"action":"get_msg","params":{"message_id":1},"echo":""}"#,
            r#"{"status":"failed","retcode":1200,"data":null,"message":"消息不存在","wording":"消息不存在","echo":""}"#,
        ),
    ];
    for (request, reply) in table {
        client.send(Message::text(request)).await.unwrap();
        assert_eq!(next(&mut client).await, reply);
        client.send(Message::binary(request.as_bytes().to_vec())).await.unwrap();
        assert_eq!(next(&mut client).await, reply, "as a binary frame");
    }
    // null has no answer at all; the next frame has.
    client.send(Message::text("null")).await.unwrap();
    client.send(Message::text(r#"{"action":"get_status","echo":2}"#)).await.unwrap();
    assert_eq!(reply(&mut client).await["echo"], 2);
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn replies_come_in_the_order_of_completion() {
    let (simulator, mut client) = in_memory(Config::default()).await;
    client.send(call("get_event", &json!({"key": "k", "timeout": 500}), "slow")).await.unwrap();
    client.send(call("can_send_image", &json!({}), "fast")).await.unwrap();
    assert_eq!(reply(&mut client).await["echo"], "fast");
    assert_eq!(reply(&mut client).await["echo"], "slow");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_own_message_is_reported_before_its_reply_if_wanted() {
    for report_self_message in [true, false] {
        let config = Config { report_self_message, ..Config::default() };
        let (simulator, mut client) = in_memory(config).await;
        client.send(call("send_group_msg", &json!({"group_id": GROUP, "message": "嗨"}), "m")).await.unwrap();
        if report_self_message {
            let event = reply(&mut client).await;
            assert_eq!((&event["post_type"], &event["raw_message"]), (&json!("message_sent"), &json!("嗨")));
        }
        assert_eq!(reply(&mut client).await["echo"], "m");
        simulator.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_heard_message_can_be_fetched_and_recalled_by_any_connection() {
    let (simulator, mut listener) = in_memory(Config::default()).await;
    let mut caller = join(&simulator).await;
    let id = simulator.control().say_in_group(GROUP, 2_210_947_381, "[CQ:face,id=21] 在").await;
    for client in [&mut listener, &mut caller] {
        assert_eq!(reply(client).await["message_id"], id);
    }
    caller.send(call("get_msg", &json!({"message_id": id}), "get")).await.unwrap();
    assert_eq!(reply(&mut caller).await["data"]["message"][0]["type"], "face");

    caller.send(call("delete_msg", &json!({"message_id": id}), "delete")).await.unwrap();
    let notice = reply(&mut listener).await;
    assert_eq!((&notice["notice_type"], &notice["message_id"]), (&json!("group_recall"), &json!(id)));
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn calls_are_recorded_as_they_came() {
    let (simulator, mut client) = in_memory(Config::default()).await;
    client.send(call("send_like_async", &json!({"user_id": "1", "times": 10}), "like")).await.unwrap();
    let control = simulator.control();
    control.wait_for(|control| control.call_count() == 1).await;
    let recorded = &control.calls()[0];
    assert_eq!((recorded.number, recorded.connection, recorded.action.as_str()), (1, 1, "send_like_async"));
    assert_eq!(recorded.params, json!({"user_id": "1", "times": 10}));
    assert_eq!(recorded.echo, Some(json!("like")));
    simulator.stop().await;
}
