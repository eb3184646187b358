//! An LLOneBot that refuses us, or speaks strangely.

use std::time::Duration;

use onebot_gateway::policy::Secret;
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::gateway::{Running, config, dial};
use crate::support::server::Server;
use crate::support::wire::Wire;
use crate::support::{SELF_ID, anywhere, call, event, simulator};

const UPSTREAM: (&str, &str) = ("upstream", "main");

/// A gateway that dials `server`, and is patient when it is refused.
async fn dialling(server: &Server) -> Running {
    Running::start(config(dial(server.address()))).await
}

/// A link that is up, to an LLOneBot written by hand.
async fn linked() -> (Server, Running, Wire) {
    let server = Server::start().await;
    let gateway = dialling(&server).await;
    let (mut llonebot, _) = server.accept().await;
    llonebot.prove().await;
    gateway.admin.ready().await;
    (server, gateway, llonebot)
}

fn refusal(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

async fn says_which_key_to_change(gateway: &Running) {
    let reason = gateway.admin.not_ready("token").await;
    assert!(reason.contains("upstream.*.token"), "{reason}");
    assert!(!reason.trim_end_matches('.').contains(". "), "more than one sentence: {reason}");
}

#[tokio::test]
async fn a_token_refused_with_http_401_or_403_names_the_key_to_change() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let server = Server::start().await;
        let gateway = dialling(&server).await;
        server.refuse(|_| refusal(status)).await;
        says_which_key_to_change(&gateway).await;
    }
}

/// LLOneBot and NapCat refuse after the 101.
#[tokio::test]
async fn a_token_refused_after_the_handshake_names_the_key_to_change() {
    let simulator = simulator(anywhere()).await;
    simulator.control().refuse(true);
    let gateway = Running::start(config(dial(simulator.address().unwrap()))).await;
    says_which_key_to_change(&gateway).await;

    // The close alone is enough, as is the frame alone.
    let refused =
        json!({"status": "failed", "retcode": 1403, "data": null, "message": "token验证失败", "echo": null});
    let close = CloseFrame { code: 1008.into(), reason: "invalid access token".into() };
    for message in [Message::text(refused.to_string()), Message::Close(Some(close))] {
        let server = Server::start().await;
        let gateway = dialling(&server).await;
        let (mut llonebot, _) = server.accept().await;
        llonebot.send_message(message).await;
        says_which_key_to_change(&gateway).await;
    }
}

#[tokio::test]
async fn a_refused_token_is_not_tried_again_in_a_hot_loop() {
    let simulator = simulator(anywhere()).await;
    simulator.control().refuse(true);
    let mut config = config(dial(simulator.address().unwrap()));
    config.upstream.max_backoff = Duration::from_millis(200);
    let started = Instant::now();
    let gateway = Running::start(config).await;
    simulator.control().wait_for(|control| control.refused_connections() >= 4).await;
    // Between two attempts lie three quarters of max_backoff at least.
    assert!(started.elapsed() >= Duration::from_millis(3 * 150), "{:?}", started.elapsed());

    simulator.control().refuse(false);
    gateway.admin.ready().await;
    let refused = gateway.admin.metric("link_losses_total", &[UPSTREAM, ("reason", "token_refused")]).await;
    assert!(refused >= 4.0, "{refused}");
}

#[tokio::test]
async fn our_token_goes_up_in_the_header() {
    let server = Server::start().await;
    let mut config = config(dial(server.address()));
    config.upstream.token = Some(Secret::new("the-token-upstream"));
    let _gateway = Running::start(config).await;
    let (_llonebot, visitor) = server.accept().await;
    assert_eq!(visitor.header("authorization"), "Bearer the-token-upstream");
    assert_eq!(visitor.target.query(), None);
    assert!(visitor.header("user-agent").starts_with("onebot-gateway/"));
}

#[tokio::test]
async fn another_account_than_the_configured_one_is_refused_by_name() {
    let simulator = simulator(anywhere()).await;
    let mut config = config(dial(simulator.address().unwrap()));
    config.upstream.self_id = Some(SELF_ID + 1);
    let gateway = Running::start(config).await;
    let reason = gateway.admin.not_ready("account").await;
    assert!(reason.contains(&SELF_ID.to_string()) && reason.contains("self_id"), "{reason}");
}

#[tokio::test]
async fn strange_frames_are_counted_and_the_link_lives_on() {
    let (_server, gateway, mut llonebot) = linked().await;
    let mut bot = gateway.bot().await;
    let deep = "[".repeat(10_000);
    let malformed = ["", "not JSON", "null", "[]", "5", r#"{"action":"x"}"#, &deep, r#"{"post_type":"#];
    for text in malformed {
        llonebot.send(text).await;
    }
    llonebot.send_message(Message::binary(&b"\xff\xfe"[..])).await;
    let answers = [
        r#"{"status":"ok","retcode":0,"data":null,"echo":"gw:999999"}"#,
        r#"{"status":"ok","retcode":0,"data":null,"echo":"gw:"}"#,
        r#"{"status":"ok","retcode":0,"data":null,"echo":1}"#,
        r#"{"status":"ok","retcode":0,"data":null,"echo":null}"#,
        r#"{"status":"ok","retcode":0,"data":null}"#,
        "{}",
    ];
    for text in answers {
        llonebot.send(text).await;
    }
    llonebot.send(event(1)).await;
    // Nothing of all that reached the bot.
    let first = bot.frame().await;
    assert_eq!(first["message_id"], 1, "{first}");
    let metrics = gateway.admin.metrics().await;
    let odd = |what| metrics.get("odd_frames_total", &[UPSTREAM, ("what", what)]);
    assert_eq!(odd("malformed"), malformed.len() as f64 + 1.0);
    assert_eq!(odd("unknown_echo") + odd("late") + odd("repeated"), answers.len() as f64);
    assert_eq!(metrics.get("link_connects_total", &[UPSTREAM]), 1.0);
}

#[tokio::test]
async fn an_answer_that_comes_twice_is_given_once() {
    let (_server, gateway, mut llonebot) = linked().await;
    let mut bot = gateway.bot().await;
    bot.send(call("get_group_list", "mine")).await;
    let asked = llonebot.taken_call().await;
    llonebot.reply(&asked, &json!(1)).await;
    llonebot.reply(&asked, &json!(2)).await;
    llonebot.send(event(5)).await;
    assert_eq!(bot.frame().await["data"], 1);
    assert_eq!(bot.frame().await["message_id"], 5);
    let metrics = gateway.admin.metrics().await;
    assert_eq!(metrics.get("odd_frames_total", &[UPSTREAM, ("what", "repeated")]), 1.0);
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_the_link_and_names_the_key() {
    let server = Server::start().await;
    let mut config = config(dial(server.address()));
    config.upstream.max_frame = 1 << 20;
    let gateway = Running::start(config).await;
    let (mut llonebot, _) = server.accept().await;
    llonebot.prove().await;
    gateway.admin.ready().await;
    llonebot.send_message(Message::text(" ".repeat((1 << 20) + 1))).await;
    let reason = gateway.admin.not_ready("max_frame").await;
    assert!(reason.contains("upstream.*.max_frame = 1048576"), "{reason}");
    server.accept().await.0.prove().await;
}

#[tokio::test]
async fn what_does_not_say_its_account_is_not_used() {
    let server = Server::start().await;
    let gateway = dialling(&server).await;
    let (mut stranger, _) = server.accept().await;
    gateway.admin.not_ready("waiting to learn which account").await;
    let mut bot = Wire::bot(gateway.address, "/").await;
    bot.send(call("get_group_list", "early")).await;
    // Only the gateway's own question goes to somebody who may be anybody.
    assert_eq!(stranger.frame().await["action"], "get_login_info");
    stranger.prove().await;
    assert_eq!(bot.frame().await["sub_type"], "connect");
    assert_eq!(stranger.taken_call().await["action"], "get_group_list");
}
