//! event/*.md

use std::time::Duration;

use onebot_gateway::downstream::Consumer;
use onebot_gateway::onebot::MessageFormat;
use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::Profile;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::http_post::posting_to;
use crate::stage::{self, FRIEND, GROUP, SELF_ID, Stage, TOKENS};

#[tokio::test]
async fn clause_32_every_event_has_a_time_an_account_and_a_type() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot_on("/", TOKENS[0]).await;
    let mut events = vec![bot.event().await, bot.heartbeat(|_| true).await];
    // One of each kind that LLOneBot sends; its own messages are not delivered by default.
    for _ in 0..40 {
        stage.control().emit_sample().await;
    }
    stage.control().say_privately(FRIEND, "完").await;
    while events.last().unwrap()["raw_message"] != "完" {
        events.push(bot.event().await);
    }
    assert!(events.len() > 35, "{}", events.len());
    for event in events {
        assert!(event["time"].is_i64(), "{event}");
        assert_eq!(event["self_id"], SELF_ID);
        let types = ["message", "notice", "request", "meta_event"];
        assert!(types.contains(&event["post_type"].as_str().unwrap()), "{event}");
    }
    drop(bot);
    stage.strike().await;
}

#[tokio::test]
async fn clause_33_message_ids_are_int32_and_never_changed() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    let mut signs = [0, 0];
    for _ in 0..20 {
        let message_id = stage.control().say_in_group(GROUP, FRIEND, "在吗").await;
        signs[usize::from(message_id < 0)] += 1;
        assert_eq!(bot.event().await["message_id"], message_id);
        let found = bot.call("get_msg", &json!({"message_id": message_id})).await;
        assert_eq!(found["data"]["message_id"], message_id);
    }
    assert!(signs.iter().all(|count| *count > 0), "LLOneBot's ids are often negative");
    drop(bot);
    stage.strike().await;
}

/// An array by default, as in LLOneBot, where the standard has a string: bots of today are written for arrays.
#[tokio::test]
async fn clause_34_messages_are_strings_or_arrays_by_configuration() {
    let stage = Stage::set(Profile::Llonebot, |config| {
        config.consumers[1].message_format = MessageFormat::String;
    })
    .await;
    let mut array = stage.bot().await;
    let mut string = stage.bot_on("/", TOKENS[1]).await;
    assert!(string.next().await.contains("lifecycle"));
    stage.control().say_in_group(GROUP, FRIEND, "[CQ:face,id=1]在吗").await;
    let (event, text) = (array.event().await, string.event().await);
    assert!(event["message"].is_array(), "{event}");
    assert_eq!((&text["message"], &text["message_format"]), (&event["raw_message"], &json!("string")));
    let params = json!({"message_id": event["message_id"]});
    assert!(array.call("get_msg", &params).await["data"]["message"].is_array());
    assert!(string.call("get_msg", &params).await["data"]["message"].is_string());
    drop((array, string));
    stage.strike().await;
}

/// Heartbeats are on by default, as in LLOneBot: `NoneBot` and others hang up on a silent connection.
#[tokio::test]
async fn clause_36_lifecycle_is_connect_on_ws_and_enable_and_disable_by_post() {
    let endpoint = Endpoint::start().await;
    let stage = posting_to(&endpoint, |webhook| webhook.heartbeat = true).await;
    let mut bot = stage.bot_on("/", TOKENS[0]).await;
    assert_eq!(bot.event().await["sub_type"], "connect");
    let beat = bot.heartbeat(|_| true).await;
    assert_eq!(beat["interval"], 100);
    assert!(beat["status"]["online"].is_boolean() && beat["status"]["good"].is_boolean());
    endpoint.posts(1, |post| post.body.contains(r#""meta_event_type":"heartbeat""#)).await;
    drop(bot);
    stage.strike().await;
    let posts = endpoint.posts(2, |post| post.body.contains("lifecycle")).await;
    let kinds: Vec<_> = posts.iter().map(|post| stage::json(&post.body)["sub_type"].clone()).collect();
    assert_eq!(kinds, ["enable", "disable"]);
    assert_eq!(Consumer::new("bot", Secret::new("t")).heartbeat, Duration::from_secs(15));
}
