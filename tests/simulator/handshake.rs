//! Paths, tokens and what is no WebSocket.

use futures_util::{SinkExt, StreamExt};
use onebot_gateway::simulator::Config;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::peer::{closing, dial, exchange, listening, next};

#[tokio::test]
async fn each_path_has_its_own_use() {
    let simulator = listening(Config::default()).await;
    // path, lifecycle first, calls answered
    let table = [
        ("/", true, true),
        ("/?x=1", true, true),
        ("/api", false, true),
        ("/api/", false, true),
        ("/event", true, false),
        ("/event/", true, false),
        ("/foo", false, false),
        ("/event/x", false, false),
    ];
    for (path, events, calls) in table {
        let mut client = dial(&simulator, path, &[]).await;
        if events {
            let lifecycle = next(&mut client).await;
            assert!(lifecycle.starts_with(r#"{"time":"#), "{path}");
            assert!(
                lifecycle.ends_with(
                    r#","self_id":2847190563,"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}"#
                ),
                "{path}: {lifecycle}"
            );
        }
        client.send(Message::text(r#"{"action":"can_send_image","echo":1}"#)).await.unwrap();
        // A ping is answered after whatever came before it.
        client.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
        let mut answered = false;
        while let Some(frame) = client.next().await {
            match frame.unwrap() {
                Message::Text(_) => answered = true,
                Message::Pong(payload) if payload.is_empty() => break,
                _ => {}
            }
        }
        assert_eq!(answered, calls, "{path}");
    }
    simulator.stop().await;
}

#[tokio::test]
async fn the_token_is_judged_as_llonebot_does() {
    let simulator = listening(Config { token: "t k".to_owned(), ..Config::default() }).await;
    let table = [
        ("/", Some("Bearer t k"), true),
        ("/", Some("t k"), true),
        ("/", Some("bearer t k"), false),
        ("/", Some("Token t k"), false),
        ("/", Some("Bearer other"), false),
        ("/", None, false),
        ("/?access_token=t%20k", None, true),
        ("/?a=b&access_token=t%20k", None, true),
        ("/?access_token=tk", None, false),
        // The header wins, even when it is wrong.
        ("/?access_token=t%20k", Some("Bearer other"), false),
    ];
    for (path, header, welcome) in table {
        let headers: Vec<_> = header.map(|value| ("Authorization", value)).into_iter().collect();
        let mut client = dial(&simulator, path, &headers).await;
        let first = next(&mut client).await;
        if welcome {
            assert!(first.contains("lifecycle"), "{path} {header:?}: {first}");
            continue;
        }
        assert_eq!(
            first,
            r#"{"status":"failed","retcode":1403,"data":null,"message":"token验证失败","wording":"token验证失败"}"#
        );
        let close = closing(&mut client).await.expect("a close with a code");
        assert_eq!((close.0, close.1.as_str()), (1008, "invalid access token"));
    }
    assert_eq!(simulator.control().refused_connections(), 6);
    simulator.stop().await;
}

#[tokio::test]
async fn the_first_subprotocol_is_taken_and_no_extension() {
    let simulator = listening(Config::default()).await;
    let answer = exchange(
        &simulator,
        "GET /x HTTP/1.1\r\nHost: h\r\nOrigin: http://evil\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: a, b\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(answer.contains("Sec-WebSocket-Protocol: a\r\n"));
    assert!(!answer.contains("Extensions"));
    simulator.stop().await;
}

#[tokio::test]
async fn what_is_no_websocket_is_told_so() {
    let simulator = listening(Config::default()).await;
    let plain = exchange(&simulator, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(plain.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{plain}");
    assert!(plain.ends_with("\r\n\r\nUpgrade Required"));

    let upgrade = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let keyless = exchange(&simulator, &format!("{upgrade}Sec-WebSocket-Version: 13\r\n\r\n")).await;
    assert!(keyless.starts_with("HTTP/1.1 400 "));
    assert!(keyless.ends_with("Missing or invalid Sec-WebSocket-Key header"));

    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let old = exchange(&simulator, &format!("{upgrade}{key}Sec-WebSocket-Version: 7\r\n\r\n")).await;
    assert!(old.contains("Sec-WebSocket-Version: 13, 8\r\n"), "{old}");
    simulator.stop().await;
}
