//! communication/ws.md

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::endpoint::{Answer, Endpoint};
use crate::http_post::posting_to;
use crate::stage::{self, Bot, FRIEND, Stage, TOKENS};

#[tokio::test]
async fn clause_14_forward_ws_paths_are_accepted_and_kept_open() {
    let stage = Stage::llonebot().await;
    let mut bots = Vec::new();
    for path in ["/api", "/api/", "/event", "/event/", "/"] {
        bots.push((path, stage.bot_on(path, TOKENS[0]).await));
    }
    stage.control().say_privately(FRIEND, "在吗").await;
    for (path, mut bot) in bots {
        if path.starts_with("/api") {
            assert_eq!(bot.call("can_send_image", &json!({})).await["retcode"], 0, "{path}");
        } else {
            assert!(bot.next().await.contains("lifecycle"), "{path}");
            assert_eq!(bot.event().await["raw_message"], "在吗", "{path}");
        }
    }
    stage.strike().await;
}

#[tokio::test]
async fn clause_15_api_takes_calls_and_gives_back_any_echo_unchanged() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot_on("/api", TOKENS[0]).await;
    for echo in ["123", r#""x""#, r#"{"a": [1, 2]}"#, "true", "0.10", r#""""#, "9007199254740993"] {
        let reply = bot.ask(format!(r#"{{"action":"get_status","params":{{}},"echo":{echo}}}"#)).await;
        assert!(reply.contains(&format!(r#""echo":{echo}"#)), "{reply}");
    }
    // Parameters and echo are optional.
    let reply = stage::json(&bot.ask(r#"{"action":"get_status"}"#).await);
    assert_eq!((&reply["retcode"], reply.get("echo")), (&json!(0), None));
    drop(bot);
    stage.strike().await;
}

/// LLOneBot's own failures keep its numbers: 1200 for an action that went wrong.
#[tokio::test]
async fn clause_16_a_status_n_of_http_is_retcode_1000_and_n() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    let mut refused = async |frame: &str| stage::json(&bot.ask(frame).await)["retcode"].clone();
    assert_eq!(refused(r#"{"action":"get_status","#).await, 1400);
    assert_eq!(refused(r#"{"action":"get_status","params":[]}"#).await, 1400);
    assert_eq!(refused(r#"{"action":"get_cookies","params":{}}"#).await, 1403);
    assert_eq!(refused(r#"{"action":"no_such_action"}"#).await, 1404);
    let keys: BTreeSet<String> =
        bot.call("get_status", &Value::Null).await.as_object().unwrap().keys().cloned().collect();
    assert!(["status", "retcode", "data", "echo"].iter().all(|key| keys.contains(*key)), "{keys:?}");
    drop(bot);
    stage.strike().await;
}

/// Not LLOneBot's way, which is to accept, to send a frame with retcode 1403 and to close with 1008.
#[tokio::test]
async fn clause_17_failed_authentication_ends_the_connection_at_the_handshake() {
    let stage = Stage::llonebot().await;
    let gateway = stage.gateway.address();
    for path in ["/", "/api", "/event"] {
        let missing = Bot::connect(gateway, path, &[]).await.err().expect("refused");
        assert!(missing.contains("401"), "{missing}");
        let wrong =
            Bot::connect(gateway, path, &[("Authorization", "Bearer x")]).await.err().expect("refused");
        assert!(wrong.contains("403"), "{wrong}");
    }
    stage.strike().await;
}

/// The answers to events are not processed. What looks like a call is answered with why nothing came of it, where
/// LLOneBot is silent.
#[tokio::test]
async fn clause_18_event_carries_the_same_json_as_http_post_and_processes_no_answers() {
    let endpoint = Endpoint::start().await;
    let stage = posting_to(&endpoint, |_| {}).await;
    let mut bot = stage.bot_on("/event", TOKENS[1]).await;
    assert!(bot.next().await.contains("lifecycle"));
    stage.control().say_privately(FRIEND, "在吗").await;
    assert_eq!(bot.next().await, endpoint.messages(1).await[0].body);

    let calls = stage.control().call_count();
    bot.send(r#"{"reply":"在"}"#).await;
    assert_eq!(stage::json(&bot.reply().await)["status"], "failed");
    let reply = bot.call("send_private_msg", &json!({"user_id": FRIEND, "message": "在"})).await;
    assert_eq!((&reply["status"], &reply["retcode"]), (&json!("failed"), &json!(1404)));
    assert_eq!(stage.control().call_count(), calls);
    drop(bot);
    stage.strike().await;
}

/// Not followed, as in LLOneBot: a bot on a WebSocket would wait for the slowest of the webhooks.
#[tokio::test]
async fn clause_19_ws_does_not_wait_for_http_post() {
    let endpoint = Endpoint::start().await;
    let stage = posting_to(&endpoint, |_| {}).await;
    let mut bot = stage.bot().await;
    endpoint.answer([Answer::Hang]);
    stage.control().say_privately(FRIEND, "一").await;
    stage.control().say_privately(FRIEND, "二").await;
    for text in ["一", "二"] {
        assert_eq!(bot.event().await["raw_message"], text);
    }
    assert_eq!(endpoint.messages(1).await.len(), 1);
    drop((bot, stage));
}

#[tokio::test]
async fn clause_20_the_root_offers_calls_and_events_on_one_connection() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    stage.control().say_privately(FRIEND, "在吗").await;
    assert_eq!(bot.event().await["raw_message"], "在吗");
    assert_eq!(bot.call("get_status", &json!({})).await["retcode"], 0);
    drop(bot);
    stage.strike().await;
}
