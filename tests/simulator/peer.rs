//! The other end of the wire.

use std::net::{Ipv4Addr, SocketAddr};

use futures_util::StreamExt;
use onebot_gateway::simulator::{Config, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A group of the simulated account.
pub(crate) const GROUP: i64 = 618_204_977;

pub(crate) type Client<S> = WebSocketStream<S>;

pub(crate) async fn listening(config: Config) -> Simulator {
    let listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Simulator::start(Config { listen, ..config }).await.unwrap()
}

/// A simulator without a network, and one client whose lifecycle event has been read.
pub(crate) async fn in_memory(config: Config) -> (Simulator, Client<DuplexStream>) {
    let simulator = Simulator::start(config).await.unwrap();
    let client = join(&simulator).await;
    (simulator, client)
}

pub(crate) async fn join(simulator: &Simulator) -> Client<DuplexStream> {
    let (ours, theirs) = duplex(1 << 16);
    simulator.serve(theirs);
    let mut client = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    assert_eq!(reply(&mut client).await["meta_event_type"], "lifecycle");
    client
}

pub(crate) async fn dial(simulator: &Simulator, path: &str, headers: &[(&str, &str)]) -> Client<TcpStream> {
    let address = simulator.address().unwrap();
    let mut request = http::Request::get(format!("ws://{address}{path}"))
        .header("Host", address.to_string())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let io = TcpStream::connect(address).await.unwrap();
    client_async(request.body(()).unwrap(), io).await.unwrap().0
}

/// Sends raw HTTP and reads what comes back, up to the end or the first frame.
pub(crate) async fn exchange(simulator: &Simulator, request: &str) -> String {
    let mut io = TcpStream::connect(simulator.address().unwrap()).await.unwrap();
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while io.read_buf(&mut answer).await.unwrap() > 0 {
        if answer.starts_with(b"HTTP/1.1 101") && answer.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

pub(crate) async fn read_head(io: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(io.read_buf(&mut head).await.unwrap() > 0, "the head ends early");
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn call(action: &str, params: &Value, echo: impl Into<Value>) -> Message {
    Message::text(json!({"action": action, "params": params, "echo": echo.into()}).to_string())
}

/// The next text frame.
pub(crate) async fn next<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>) -> String {
    loop {
        match client.next().await.expect("an open connection").expect("a frame") {
            Message::Text(text) => return text.as_str().to_owned(),
            Message::Close(close) => panic!("closed: {close:?}"),
            _ => {}
        }
    }
}

pub(crate) async fn reply<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>) -> Value {
    serde_json::from_str(&next(client).await).unwrap()
}

/// Code and reason of the close frame that comes next; `None` if it has no code.
pub(crate) async fn closing<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
) -> Option<(u16, String)> {
    loop {
        if let Message::Close(close) = client.next().await.expect("a close frame").expect("a frame") {
            return close.map(|close| (close.code.into(), close.reason.to_string()));
        }
    }
}
