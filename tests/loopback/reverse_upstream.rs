//! Reverse WebSocket upstream: LLOneBot connects to us.

use std::time::Duration;

use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::{self, Simulator};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::gateway::{Running, accept, config};
use crate::support::http::shake_hands;
use crate::support::wire::Wire;
use crate::support::{SELF_ID, call, event, within};

const LLONEBOT: &str = "token-of-llonebot-itself";

async fn start() -> Running {
    let mut config = config(accept());
    config.upstream.token = Some(Secret::new(LLONEBOT));
    Running::start(config).await
}

async fn simulator(gateway: &Running) -> Simulator {
    let config = simulator::Config {
        reverse: vec![format!("ws://{}/llonebot", gateway.address)],
        token: LLONEBOT.to_owned(),
        self_id: SELF_ID,
        reconnect: Duration::from_millis(20),
        ..Default::default()
    };
    Simulator::start(config).await.unwrap()
}

/// Connects as LLOneBot does, by hand.
async fn llonebot(gateway: &Running) -> Wire {
    let url = format!("ws://{}/llonebot", gateway.address);
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer {LLONEBOT}").parse().unwrap());
    headers.insert("x-self-id", SELF_ID.into());
    headers.insert("x-client-role", "Universal".parse().unwrap());
    Wire::connect(gateway.address, request).await.unwrap().0
}

#[tokio::test]
async fn llonebot_that_dials_serves_bots_and_comes_back_after_a_break() {
    let gateway = start().await;
    let waiting = gateway.admin.readiness().await;
    assert_eq!(waiting.0, 503);
    let simulator = simulator(&gateway).await;
    gateway.admin.ready().await;
    let mut bot = gateway.bot().await;
    assert_eq!(bot.ask("get_login_info", 1).await["data"]["user_id"], SELF_ID);
    simulator.control().emit(event(1)).await;
    bot.expect_events(1..2).await;

    simulator.control().disconnect();
    within("LLOneBot to come back", simulator.control().wait_for(|control| control.total_connections() == 2))
        .await;
    gateway.admin.ready().await;
    assert_eq!(bot.ask("get_login_info", 2).await["data"]["user_id"], SELF_ID);
    simulator.control().emit(event(2)).await;
    bot.expect_events(2..3).await;
}

#[tokio::test]
async fn llonebot_has_to_prove_itself_at_the_handshake() {
    let gateway = start().await;
    let wrong = "Authorization: Bearer wrong\r\n";
    let bot = crate::support::http::bearer();
    let right = format!("Authorization: Bearer {LLONEBOT}\r\n");
    for (target, headers, status) in [
        ("/llonebot", "", 401),
        // How LLOneBot says that it has none.
        ("/llonebot", "Authorization: Bearer\r\n", 401),
        ("/llonebot", wrong, 403),
        // A bot is no LLOneBot, and LLOneBot no bot.
        ("/llonebot", bot.as_str(), 403),
        ("/", right.as_str(), 403),
        ("/llonebot", right.as_str(), 101),
        ("/llonebot/", right.as_str(), 101),
    ] {
        assert_eq!(shake_hands(gateway.address, target, headers).await.status, status, "{target} {headers}");
    }
    let refused = &[("upstream", "main"), ("reason", "refused")];
    assert_eq!(gateway.admin.metric("link_losses_total", refused).await, 4.0);
}

#[tokio::test]
async fn a_refused_llonebot_is_explained_in_readyz() {
    let gateway = start().await;
    shake_hands(gateway.address, "/llonebot", "").await;
    let reason = gateway.admin.not_ready("refused").await;
    assert!(reason.contains("upstream.*.token is set"), "{reason}");
    shake_hands(gateway.address, "/llonebot", "Authorization: Bearer wrong\r\n").await;
    let reason = gateway.admin.not_ready("its token is not").await;
    assert!(reason.contains("upstream.*.token"), "{reason}");
}

#[tokio::test]
async fn another_account_is_refused_at_the_handshake() {
    let mut config = config(accept());
    config.upstream.token = Some(Secret::new(LLONEBOT));
    config.upstream.self_id = Some(SELF_ID);
    let gateway = Running::start(config).await;
    let headers = format!("Authorization: Bearer {LLONEBOT}\r\nX-Self-ID: 42\r\n");
    let answer = shake_hands(gateway.address, "/llonebot", &headers).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("42") && answer.body.contains(&SELF_ID.to_string()), "{}", answer.body);
    let mut right = llonebot(&gateway).await;
    right.prove().await;
    gateway.admin.ready().await;
}

/// A restarted LLOneBot comes back while its old connection still looks alive.
#[tokio::test]
async fn a_second_connection_takes_the_place_of_the_first() {
    let gateway = start().await;
    let mut first = llonebot(&gateway).await;
    first.prove().await;
    gateway.admin.ready().await;
    let mut bot = gateway.bot().await;
    bot.send(call("get_group_list", "lost")).await;
    assert_eq!(first.taken_call().await["action"], "get_group_list");

    let mut second = llonebot(&gateway).await;
    second.prove().await;
    // What the first was asked is answered at once, and never asked again.
    assert_eq!(bot.answer("lost").await["retcode"], 1502);
    assert_eq!(first.closed().await, Some(1008));
    bot.send(call("get_stranger_info", "new")).await;
    let call = second.taken_call().await;
    assert_eq!(call["action"], "get_stranger_info");
    second.reply(&call, &serde_json::json!(7)).await;
    assert_eq!(bot.answer("new").await["data"], 7);
    second.send(event(3)).await;
    bot.expect_events(3..4).await;
}
