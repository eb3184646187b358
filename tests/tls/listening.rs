//! Peers that connect to us: `[server] tls`, `[admin] tls`.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use onebot_gateway::net::tls::{Certificate, Trust};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::authority::{Authority, Issued};
use crate::stage::{PATIENCE, TOKEN, gateway_with, readyz};

fn certificate(issued: &Issued) -> Certificate {
    Certificate::load(&issued.cert, &issued.key).unwrap()
}

async fn connect(address: SocketAddr, trust: &Trust) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(address).await.unwrap();
    trust.connect("localhost", socket).await.unwrap()
}

async fn bot(address: SocketAddr, trust: &Trust) -> WebSocketStream<TlsStream<TcpStream>> {
    let mut request = format!("wss://localhost:{}/", address.port()).into_client_request().unwrap();
    let bearer = HeaderValue::try_from(format!("Bearer {TOKEN}")).unwrap();
    request.headers_mut().insert(AUTHORIZATION, bearer);
    client_async(request, connect(address, trust).await).await.unwrap().0
}

/// Reads until the reply with this echo.
async fn reply<S>(bot: &mut WebSocketStream<S>, echo: &str) -> Value
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let reading = async {
        loop {
            let Message::Text(text) = bot.next().await.unwrap().unwrap() else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["echo"] == echo {
                return frame;
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("no reply")
}

#[tokio::test]
async fn a_bot_speaks_wss() {
    let authority = Authority::new();
    let (_llonebot, gateway) = gateway_with(certificate(&authority.issue("localhost")), |_| {}).await;
    let mut bot = bot(gateway.address(), &authority.trust()).await;

    let Some(Ok(Message::Text(first))) = bot.next().await else { panic!("no first frame") };
    assert!(first.contains(r#""sub_type":"connect""#), "{first}");

    let call = json!({ "action": "get_login_info", "echo": "e" }).to_string();
    bot.send(Message::text(call)).await.unwrap();
    assert_eq!(reply(&mut bot, "e").await["retcode"], 0);

    bot.close(None).await.unwrap();
    let ended = async { while let Some(Ok(_)) = bot.next().await {} };
    timeout(PATIENCE, ended).await.expect("the close is never answered");
}

#[tokio::test]
async fn frames_larger_than_every_buffer_pass_in_both_directions() {
    let authority = Authority::new();
    let (_llonebot, gateway) = gateway_with(certificate(&authority.issue("localhost")), |_| {}).await;
    let mut bot = bot(gateway.address(), &authority.trust()).await;

    let text = "长".repeat(1 << 20);
    let call = json!({ "action": "send_private_msg", "params": { "user_id": 10_001, "message": text }, "echo": "send" });
    bot.send(Message::text(call.to_string())).await.unwrap();
    let sent = reply(&mut bot, "send").await;
    let call =
        json!({ "action": "get_msg", "params": { "message_id": sent["data"]["message_id"] }, "echo": "get" });
    bot.send(Message::text(call.to_string())).await.unwrap();
    let got = reply(&mut bot, "get").await.to_string();
    assert!(got.contains(&text), "{} bytes: {}", got.len(), got.chars().take(300).collect::<String>());
}

#[tokio::test]
async fn the_http_api_speaks_https() {
    let authority = Authority::new();
    let (_llonebot, gateway) = gateway_with(certificate(&authority.issue("localhost")), |_| {}).await;
    let mut stream = connect(gateway.address(), &authority.trust()).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request = format!(
        "GET /get_login_info HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // Without a goodbye of TLS this is an error: an answer could have been cut off.
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""retcode":0"#), "{answer}");
}

#[tokio::test]
async fn the_operator_speaks_https_where_configured() {
    let authority = Authority::new();
    let issued = authority.issue("localhost");
    let (_llonebot, gateway) =
        gateway_with(certificate(&issued), |config| config.admin.tls = Some(certificate(&issued))).await;
    let mut stream = connect(gateway.admin_address(), &authority.trust()).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(readyz(&gateway).await.starts_with("HTTP/1.1 400"), "without TLS");
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_the_right_scheme() {
    let authority = Authority::new();
    let (_llonebot, gateway) = gateway_with(certificate(&authority.issue("localhost")), |_| {}).await;
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
    let handshake = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    socket.write_all(handshake.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer)).await.expect("kept open").unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("wss://"), "{answer}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_closed_and_holds_up_nobody() {
    // The beginning of a ClientHello; nothing at all; the beginning of a request without TLS.
    let beginnings: [&[u8]; 3] = [&[22, 3, 1, 2, 0, 1], &[], b"GET / HT"];
    let authority = Authority::new();
    let (_llonebot, gateway) = gateway_with(certificate(&authority.issue("localhost")), |config| {
        config.server.handshake_timeout = Duration::from_secs(2);
    })
    .await;
    let mut slow = Vec::new();
    for beginning in beginnings {
        let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
        socket.write_all(beginning).await.unwrap();
        slow.push(socket);
    }
    bot(gateway.address(), &authority.trust()).await;
    for mut socket in slow {
        let mut rest = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut rest)).await.expect("never closed").unwrap();
    }
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_ends_that_connection_only() {
    let authority = Authority::new();
    let (_llonebot, gateway) = gateway_with(certificate(&authority.issue("localhost")), |_| {}).await;
    for garbage in [&[0; 64][..], &[22, 3, 1, 0xff, 0xff, 9, 9, 9], &[22, 3, 1, 0, 4, 1, 0, 0, 0], b"\xff"] {
        let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
        // An alert and an end, or a reset.
        drop(ended.expect("never closed"));
    }
    bot(gateway.address(), &authority.trust()).await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_handshakes() {
    let authority = Authority::new();
    let (_llonebot, gateway) = gateway_with(certificate(&authority.issue("localhost")), |config| {
        config.server.handshake_timeout = 2 * PATIENCE;
        config.drain = PATIENCE;
    })
    .await;
    let mut half = TcpStream::connect(gateway.address()).await.unwrap();
    half.write_all(&[22, 3, 1]).await.unwrap();
    // Accepted behind the half one, so that one is accepted too.
    let whole = connect(gateway.address(), &authority.trust()).await;
    drop(whole);
    assert_eq!(gateway.drain().await.tasks_left, 0);
}
