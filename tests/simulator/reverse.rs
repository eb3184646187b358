//! Dialling out.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use onebot_gateway::simulator::{Config, Simulator};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::io::duplex;
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::peer::{call, read_head, reply};

#[tokio::test]
async fn the_handshake_is_llonebots_and_the_dialling_never_ends() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let simulator = Simulator::start(Config {
        reverse: vec![format!("ws://{address}/onebot/v11/ws?x=1")],
        reconnect: Duration::from_millis(1),
        self_id: 10_001_000,
        ..Config::default()
    })
    .await
    .unwrap();

    // Whatever becomes of a connection, there is a next one.
    drop(listener.accept().await.unwrap());
    let (mut refused, _) = listener.accept().await.unwrap();
    read_head(&mut refused).await;
    refused.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    drop(refused);

    let (mut io, _) = listener.accept().await.unwrap();
    let head = read_head(&mut io).await;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap().to_owned();
    assert_eq!(
        head.replace(&key, "KEY"),
        format!(
            "GET /onebot/v11/ws?x=1 HTTP/1.1\r\nX-Self-ID: 10001000\r\nAuthorization: Bearer\r\n\
             x-client-role: Universal\r\nUser-Agent: LLOneBot/8.1.7\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: KEY\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nHost: {address}\r\n\r\n"
        )
    );
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    io.write_all(answer.as_bytes()).await.unwrap();
    let mut server = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    assert_eq!(reply(&mut server).await["meta_event_type"], "lifecycle");
    server.send(call("get_login_info", &json!({}), 7)).await.unwrap();
    assert_eq!(reply(&mut server).await["data"]["user_id"], 10_001_000);

    // Even a refusal by close code does not stop it.
    let refusal = CloseFrame { code: CloseCode::Policy, reason: "Duplicate X-Self-ID".into() };
    server.close(Some(refusal)).await.unwrap();
    while server.next().await.is_some_and(|frame| frame.is_ok()) {}
    drop(server);
    listener.accept().await.unwrap();
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn in_memory_it_is_a_client() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let (ours, theirs) = duplex(1 << 16);
    simulator.connect(theirs);
    let mut server = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
    assert_eq!(reply(&mut server).await["meta_event_type"], "lifecycle");
    server.send(call("can_send_record", &json!({}), 1)).await.unwrap();
    assert_eq!(reply(&mut server).await["data"], json!({"yes": true}));
    simulator.stop().await;
}

#[tokio::test]
async fn an_address_it_cannot_dial_is_refused_at_the_start() {
    for url in ["wss://127.0.0.1/", "http://127.0.0.1/", "127.0.0.1:1", "ws://a b/"] {
        let config = Config { reverse: vec![url.to_owned()], ..Config::default() };
        let error = Simulator::start(config).await.err().expect("refused");
        assert!(error.to_string().contains(url), "{error}");
    }
}

#[test]
fn it_waits_as_long_as_llonebot() {
    assert_eq!(Config::default().reconnect, Duration::from_secs(3));
}
