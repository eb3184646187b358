//! Who gets in: tokens, origins, subprotocols, and the status of every refusal.

use onebot_gateway::simulator::Simulator;

use crate::support::gateway::{Running, config, dial};
use crate::support::http::{Answer, bearer, exchange, get, shake_hands};
use crate::support::{TOKEN, anywhere, simulator};

async fn start() -> (Simulator, Running) {
    let simulator = simulator(anywhere()).await;
    let gateway = Running::ready(simulator.address().unwrap()).await;
    (simulator, gateway)
}

/// Status and body of a handshake on `target` with these header lines.
async fn attempt(gateway: &Running, target: &str, headers: &str) -> (u16, String) {
    let Answer { status, body, .. } = shake_hands(gateway.address, target, headers).await;
    (status, body)
}

#[tokio::test]
async fn a_token_is_read_in_every_form_that_bots_send() {
    let (_simulator, gateway) = start().await;
    for scheme in ["Bearer ", "bearer ", "Token ", "token ", ""] {
        let header = format!("Authorization: {scheme}{TOKEN}\r\n");
        assert_eq!(attempt(&gateway, "/", &header).await.0, 101, "{header}");
    }
    let encoded = TOKEN.replace('-', "%2D");
    for target in [
        format!("/?access_token={TOKEN}"),
        format!("/?access_token={encoded}"),
        format!("/?a=b&access_token={TOKEN}&c"),
        format!("/event?access_token={TOKEN}"),
        format!("/onebot/v11/ws/?access_token={TOKEN}"),
    ] {
        assert_eq!(attempt(&gateway, &target, "").await.0, 101, "{target}");
    }
}

#[tokio::test]
async fn a_missing_token_is_401_and_a_wrong_one_403_at_the_handshake() {
    let (_simulator, gateway) = start().await;
    for (target, headers, status, advice) in [
        ("/", "", 401, "send the header `Authorization: Bearer <token>`"),
        ("/?access_token=", "", 401, "?access_token=<token>"),
        ("/?token=x", "", 401, "no token"),
        ("/", "Authorization: Bearer\r\n", 401, "no token"),
        ("/", "Authorization: \r\n", 401, "no token"),
        ("/", "Authorization: Bearer wrong\r\n", 403, "belongs to no consumer"),
        ("/", "Authorization: Basic dG9rZW4=\r\n", 403, "belongs to no consumer"),
        ("/api?access_token=wrong", "", 403, "compare it with consumer.*.token"),
    ] {
        let (found, body) = attempt(&gateway, target, headers).await;
        assert_eq!(found, status, "{target} {headers}");
        assert!(body.contains(advice), "{target} {headers}: {body}");
    }
    let metrics = gateway.admin.metrics().await;
    assert_eq!(metrics.get("refused_handshakes_total", &[("reason", "token_missing")]), 5.0);
    assert_eq!(metrics.get("refused_handshakes_total", &[("reason", "token_wrong")]), 3.0);
    assert_eq!(metrics.get("sessions", &[("consumer", "bot")]), 0.0);
}

#[tokio::test]
async fn the_header_wins_over_the_query() {
    let (_simulator, gateway) = start().await;
    let right_query = format!("/?access_token={TOKEN}");
    assert_eq!(attempt(&gateway, &right_query, "Authorization: Bearer wrong\r\n").await.0, 403);
    assert_eq!(attempt(&gateway, "/?access_token=wrong", &bearer()).await.0, 101);
}

#[tokio::test]
async fn web_pages_are_refused_unless_their_origin_is_configured() {
    let simulator = simulator(anywhere()).await;
    let mut config = config(dial(simulator.address().unwrap()));
    config.sessions.origins = vec!["https://console.example".to_owned()];
    let gateway = Running::start(config).await;
    for (origin, status) in [
        ("https://console.example", 101),
        ("https://evil.example", 403),
        ("https://console.example.evil.example", 403),
        ("http://console.example", 403),
        ("null", 403),
        ("", 403),
    ] {
        let headers = format!("Origin: {origin}\r\n{}", bearer());
        let (found, body) = attempt(&gateway, "/", &headers).await;
        assert_eq!(found, status, "{origin}");
        assert!(status == 101 || body.contains("server.origins"), "{body}");
    }
}

#[tokio::test]
async fn the_first_subprotocol_offered_is_chosen_and_extensions_are_not() {
    let (_simulator, gateway) = start().await;
    let headers = format!(
        "Sec-WebSocket-Protocol: onebot.v11, onebot\r\nSec-WebSocket-Extensions: permessage-deflate\r\n{}",
        bearer()
    );
    let answer = shake_hands(gateway.address, "/", &headers).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-protocol"), Some("onebot.v11"));
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    let answer = shake_hands(gateway.address, "/", &bearer()).await;
    assert_eq!(answer.header("sec-websocket-protocol"), None);
}

#[tokio::test]
async fn what_is_no_websocket_handshake_is_refused_as_llonebot_refuses_it() {
    let (_simulator, gateway) = start().await;
    // Plain HTTP is for the HTTP API, where "/" names no action.
    assert_eq!(get(gateway.address, "/", &bearer()).await.status, 404);

    let request = |key: &str, version: &str, method: &str| {
        format!(
            "{method} / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
             {version}{key}{}\r\n",
            bearer()
        )
    };
    let (key, version) = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Version: 13\r\n");
    for (key, version, method, status, about) in [
        ("", version, "GET", 400, "Sec-WebSocket-Key"),
        ("Sec-WebSocket-Key: short==\r\n", version, "GET", 400, "Sec-WebSocket-Key"),
        (key, "", "GET", 400, "Sec-WebSocket-Version"),
        (key, "Sec-WebSocket-Version: 8\r\n", "GET", 400, "Sec-WebSocket-Version"),
        (key, version, "POST", 405, "GET"),
    ] {
        let answer = exchange(gateway.address, &request(key, version, method)).await;
        assert_eq!(answer.status, status, "{key}{version}{method}");
        assert!(answer.body.contains(about), "{}", answer.body);
    }
    let wrong_version = exchange(gateway.address, &request(key, "Sec-WebSocket-Version: 8\r\n", "GET")).await;
    assert_eq!(wrong_version.header("sec-websocket-version"), Some("13"));
    assert_eq!(exchange(gateway.address, &request(key, version, "GET")).await.status, 101);
    let refused = gateway.admin.metric("refused_handshakes_total", &[("reason", "not_websocket")]).await;
    assert_eq!(refused, 6.0);
}
