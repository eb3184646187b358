//! api/README.md, api/hidden.md, api/public.md

use std::collections::BTreeSet;
use std::time::Duration;

use onebot_gateway::policy::acl::{Permissions, Rule};
use onebot_gateway::policy::actions::ActionPatterns;
use onebot_gateway::simulator::Profile;
use serde_json::{Value, json};

use crate::stage::{self, FRIEND, GROUP, Stage};

#[tokio::test]
async fn clause_26_a_message_is_a_string_segments_or_one_segment() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    let segment = json!({"type": "text", "data": {"text": "在"}});
    for message in [json!("在"), json!([segment]), segment] {
        let params = json!({"user_id": FRIEND, "message": message});
        let sent = bot.call("send_private_msg", &params).await;
        let found = bot.call("get_msg", &json!({"message_id": sent["data"]["message_id"]})).await;
        assert_eq!(found["data"]["raw_message"], "在", "{message}");
    }
    drop(bot);
    stage.strike().await;
}

#[tokio::test]
async fn clause_27_every_call_gets_one_reply() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    for echo in 0..100 {
        let action = ["get_status", "no_such_action", "get_msg", "get_status_async"][echo % 4];
        bot.send(format!(r#"{{"action":"{action}","echo":{echo}}}"#)).await;
    }
    let mut answered = BTreeSet::new();
    for _ in 0..100 {
        let echo = stage::json(&bot.reply().await)["echo"].as_u64().unwrap();
        assert!(answered.insert(echo), "{echo} was answered twice");
    }
    assert_eq!(answered, (0..100).collect());
    // Nothing is left behind.
    assert_eq!(bot.call("can_send_image", &json!({})).await["echo"], "c");
    drop(bot);
    stage.strike().await;
}

/// Followed where LLOneBot is not, which answers both with data: the gateway makes them itself, so that they mean
/// the same whatever the implementation makes of them.
#[tokio::test]
async fn clause_28_async_and_rate_limited_calls_are_answered_at_once_and_done_later() {
    let stage = Stage::set(Profile::Llonebot, |config| {
        config.calls.rate_limited_interval = Duration::from_millis(10);
    })
    .await;
    let mut bot = stage.bot().await;
    for (action, text) in [("send_private_msg_async", "一"), ("send_private_msg_rate_limited", "二")] {
        let reply = bot.call(action, &json!({"user_id": FRIEND, "message": text})).await;
        assert_eq!((&reply["status"], &reply["retcode"]), (&json!("async"), &json!(1)));
        assert_eq!((&reply["data"], &reply["echo"]), (&Value::Null, &json!("c")));
    }
    let sent = |text: &'static str| {
        stage.control().wait_for(move |control| {
            let calls = control.calls();
            calls.iter().any(|call| call.action == "send_private_msg" && call.params["message"] == text)
        })
    };
    stage::patiently(sent("一")).await;
    stage::patiently(sent("二")).await;
    assert_eq!(onebot_gateway::hub::Config::default().rate_limited_interval, Duration::from_millis(500));
    drop(bot);
    stage.strike().await;
}

#[tokio::test]
async fn clause_29_quick_operations_are_an_action_for_bots_on_a_websocket() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    stage.control().say_in_group(GROUP, FRIEND, "在吗").await;
    let context = bot.event().await;
    let params = json!({"context": context, "operation": {"delete": true}});
    let reply = bot.call(".handle_quick_operation", &params).await;
    assert_eq!((&reply["status"], &reply["data"]), (&json!("ok"), &Value::Null));
    let recall = bot.event().await;
    assert_eq!(
        (&recall["notice_type"], &recall["message_id"]),
        (&json!("group_recall"), &context["message_id"])
    );
    drop(bot);
    stage.strike().await;
}

/// LLOneBot answers `ok` and goes; the gateway passes that on and stays, so the bot keeps its connection. It is
/// refused unless the bot's rules name it.
#[tokio::test]
async fn clause_30_a_restart_is_answered_before_the_connection_goes_away() {
    let stage = Stage::set(Profile::Llonebot, |config| {
        let allow = ActionPatterns::parse(&["*".to_owned(), "set_restart".to_owned()]).unwrap();
        let rule = Rule { allow, ..Rule::open("consumer.bot.actions") };
        config.consumers[0].actions = Permissions::new(vec![rule]);
    })
    .await;
    let mut bot = stage.bot().await;
    let connections = stage.control().total_connections();
    assert_eq!(bot.call("set_restart", &json!({})).await["status"], "ok");
    stage::patiently(stage.control().wait_for(|control| control.total_connections() > connections)).await;
    assert_eq!(bot.insist("get_status").await["data"]["online"], true);
    let mut other = stage.bot_on("/api", stage::TOKENS[1]).await;
    assert_eq!(other.call("set_restart", &json!({})).await["retcode"], 1403);
    drop((bot, other));
    stage.strike().await;
}

#[tokio::test]
async fn clause_31_status_and_version_have_their_fields() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    let status = bot.call("get_status", &json!({})).await["data"].clone();
    assert!(status["online"].is_boolean() && status["good"].is_boolean(), "{status}");
    let version = bot.call("get_version_info", &json!({})).await["data"].clone();
    assert_eq!(version["protocol_version"], "v11");
    // A bot sees the implementation, not the gateway.
    assert_eq!(version["app_name"], "LLOneBot");
    assert!(version["app_version"].is_string());
    drop(bot);
    stage.strike().await;
}
