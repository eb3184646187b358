//! What one peer may cost before it has said who it is.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::{Running, config, dial};
use crate::support::http::{Answer, bearer, exchange, handshake, shake_hands};
use crate::support::wire::Wire;
use crate::support::{anywhere, eventually, within};

#[tokio::test]
async fn a_request_head_over_the_limit_is_refused_and_costs_nobody_else() {
    let mut config = config(dial(anywhere()));
    config.server.max_header = 8 << 10;
    let gateway = Running::start(config).await;
    let fitting = format!("X-Filling: {}\r\n{}", "x".repeat(6 << 10), bearer());
    assert_eq!(shake_hands(gateway.address, "/", &fitting).await.status, 101);
    let endless = format!("X-Filling: {}\r\n{}", "x".repeat(9 << 10), bearer());
    assert_eq!(shake_hands(gateway.address, "/", &endless).await.status, 431);
    let many = "X-Filling: x\r\n".repeat(500) + &bearer();
    assert_eq!(shake_hands(gateway.address, "/", &many).await.status, 431);
    assert_eq!(exchange(gateway.address, "\u{16}\u{3}\u{1} not HTTP at all\r\n\r\n").await.status, 400);
    assert_eq!(shake_hands(gateway.address, "/", &bearer()).await.status, 101);
}

#[tokio::test]
async fn half_a_handshake_is_hung_up_on_after_the_handshake_timeout() {
    let mut config = config(dial(anywhere()));
    config.server.handshake_timeout = Duration::from_millis(300);
    let gateway = Running::start(config).await;
    let whole = handshake("/", &bearer());
    for half in ["", "GET / HT", &whole[..whole.len() - 2]] {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        socket.write_all(half.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // Whether hyper says 408 first or not: the connection ends.
        let _ = within("the gateway to hang up", socket.read_to_end(&mut rest)).await;
    }
    // A whole one may come in pieces.
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    for piece in whole.as_bytes().chunks(40) {
        socket.write_all(piece).await.unwrap();
    }
    assert_eq!(Answer::read(&mut socket).await.status, 101);
}

#[tokio::test]
async fn over_the_connection_limit_is_503_until_somebody_leaves() {
    let mut config = config(dial(anywhere()));
    config.server.max_connections = 2;
    let gateway = Running::start(config).await;
    let first = Wire::bot(gateway.address, "/").await;
    let _second = TcpStream::connect(gateway.address).await.unwrap();
    eventually("a third connection to be refused", async || {
        let mut third = TcpStream::connect(gateway.address).await.unwrap();
        // Nothing is sent: a listener that is full asks for nothing.
        let mut answer = [0; 12];
        let read = tokio::time::timeout(Duration::from_millis(50), third.read_exact(&mut answer)).await;
        matches!(read, Ok(Ok(_)) if &answer == b"HTTP/1.1 503")
    })
    .await;
    first.close().await;
    eventually("a place to be free again", async || {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        let written = socket.write_all(handshake("/", &bearer()).as_bytes()).await;
        let mut status = [0; 12];
        written.is_ok() && socket.read_exact(&mut status).await.is_ok() && &status == b"HTTP/1.1 101"
    })
    .await;
}
