//! Bots that read slowly, or not at all: they wait for themselves, and nobody waits for them.

use std::net::SocketAddr;
use std::time::Duration;

use onebot_gateway::simulator::Simulator;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::gateway::{Running, config, dial};
use crate::support::http::{Answer, bearer, handshake};
use crate::support::wire::Wire;
use crate::support::{TOKEN, anywhere, call, padded_event, simulator, within};

const BOT: &[(&str, &str)] = &[("consumer", "bot")];
const EVENTS: usize = 400;

async fn start(write_timeout: Duration) -> (Simulator, Running) {
    let simulator = simulator(anywhere()).await;
    let mut config = config(dial(simulator.address().unwrap()));
    config.sessions.write_timeout = write_timeout;
    let gateway = Running::start(config).await;
    gateway.admin.ready().await;
    (simulator, gateway)
}

/// A connection that holds little.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    SockRef::from(&socket).set_recv_buffer_size(8 << 10).unwrap();
    socket.connect(address).await.unwrap()
}

/// 4 MB of events, which the witness gets one by one.
async fn events_pass(simulator: &Simulator, witness: &mut Wire) {
    for number in 0..EVENTS {
        simulator.control().emit(padded_event(number, 10_000)).await;
        witness.expect_events(number..number + 1).await;
        if number % 100 == 0 {
            assert_eq!(witness.ask("get_status", number).await["status"], "ok");
        }
    }
}

#[tokio::test]
async fn a_bot_that_calls_and_never_reads_is_not_read_either() {
    let (simulator, gateway) = start(Duration::from_mins(10)).await;
    let mut witness = gateway.witness().await;
    let mut socket = narrow(gateway.address).await;
    socket.write_all(handshake("/", &bearer()).as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut socket).await.status, 101);

    // Until the gateway takes no more: its answers fill what it holds, so it stops reading calls.
    let frame = masked(&call("get_group_list", "x".repeat(100)));
    let burst: Vec<u8> = frame.iter().copied().cycle().take(frame.len() * 1000).collect();
    let mut sent = 0;
    while let Ok(Ok(written)) = tokio::time::timeout(Duration::from_millis(500), socket.write(&burst)).await {
        sent += written;
        assert!(sent < 256 << 20, "the gateway reads calls of a bot that takes no answers");
    }
    let pending = gateway.admin.metric("calls_pending", &[("upstream", "main")]).await;
    assert!(pending <= 256.0, "{pending} calls are open");
    events_pass(&simulator, &mut witness).await;
    assert_eq!(gateway.admin.metric("sessions", BOT).await, 1.0, "the silent one is still attached");
}

#[tokio::test]
async fn a_bot_that_takes_nothing_for_the_write_timeout_is_disconnected() {
    let (simulator, gateway) = start(Duration::from_millis(200)).await;
    let mut witness = gateway.witness().await;
    let mut socket = narrow(gateway.address).await;
    socket.write_all(handshake("/event", &bearer()).as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut socket).await.status, 101);
    events_pass(&simulator, &mut witness).await;
    let ends = &[("consumer", "bot"), ("reason", "write_timeout")];
    gateway.admin.reaches("session_ends_total", ends, 1.0).await;
    assert_eq!(gateway.admin.metric("sessions", BOT).await, 0.0);
}

#[tokio::test]
async fn a_bot_that_reads_one_byte_at_a_time_gets_everything_in_its_own_time() {
    let (simulator, gateway) = start(Duration::from_mins(10)).await;
    let mut witness = gateway.witness().await;
    let mut socket = narrow(gateway.address).await;
    socket.write_all(handshake("/event", &bearer()).as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut socket).await.status, 101);
    for number in 0..50 {
        simulator.control().emit(padded_event(number, 1000)).await;
    }
    witness.expect_events(0..50).await;

    let lifecycle = within("the first frame", frame(&mut socket)).await;
    assert!(lifecycle.contains(r#""sub_type":"connect""#), "{lifecycle}");
    for number in 0..50 {
        assert_eq!(within("a frame", frame(&mut socket)).await, padded_event(number, 1000));
    }
    assert_eq!(gateway.admin.metric("missed_events_total", BOT).await, 0.0);
}

/// Reads a text frame of less than 64 KiB, byte by byte.
async fn frame(socket: &mut TcpStream) -> String {
    assert_eq!(socket.read_u8().await.unwrap(), 0x81);
    let length = match socket.read_u8().await.unwrap() {
        126 => socket.read_u16().await.unwrap(),
        short => u16::from(short),
    };
    let mut text = Vec::new();
    for _ in 0..length {
        text.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// The kernel buffers of a healthy bot are no part of what is tested above.
#[tokio::test]
async fn a_narrow_connection_is_no_hindrance() {
    let (simulator, gateway) = start(Duration::from_mins(10)).await;
    let mut request = format!("ws://{}/", gateway.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", TOKEN.parse().unwrap());
    let socket = narrow(gateway.address).await;
    let (mut bot, _) = Wire::over(socket, request).await.unwrap();
    assert_eq!(bot.frame().await["sub_type"], "connect");
    for number in 0..50 {
        simulator.control().emit(padded_event(number, 10_000)).await;
    }
    bot.expect_events(0..50).await;
}

fn masked(text: &str) -> Vec<u8> {
    let (length, mask) = (u16::try_from(text.len()).unwrap(), [0; 4]);
    [&[0x81, 0xfe][..], &length.to_be_bytes(), &mask, text.as_bytes()].concat()
}
