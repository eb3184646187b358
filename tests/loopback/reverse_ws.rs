//! Reverse WebSocket to a bot: it listens and we connect, as LLOneBot does.

use std::time::Duration;

use onebot_gateway::downstream::ReverseWs;
use onebot_gateway::simulator::Simulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::{Running, config, dial, target};
use crate::support::server::Server;
use crate::support::wire::Wire;
use crate::support::{SELF_ID, TOKEN, anywhere, event, simulator, within};

/// A gateway that connects to a bot at `path` of `server`, and the simulator behind it.
async fn start(server: &Server, path: &str) -> (Simulator, Running) {
    let simulator = simulator(anywhere()).await;
    let mut config = config(dial(simulator.address().unwrap()));
    let url = target(&format!("ws://{}{path}", server.address()));
    config.consumers[0].reverse_ws =
        vec![ReverseWs { max_backoff: Duration::from_millis(50), ..ReverseWs::new(url) }];
    (simulator, Running::start(config).await)
}

#[tokio::test]
async fn the_handshake_and_the_first_frame_are_llonebots() {
    let server = Server::start().await;
    let (simulator, gateway) = start(&server, "/onebot/v11/ws?x=y").await;
    let (mut bot, visitor) = server.accept().await;
    assert_eq!(visitor.target, "/onebot/v11/ws?x=y");
    assert_eq!(visitor.header("x-self-id"), SELF_ID.to_string());
    assert_eq!(visitor.header("x-client-role"), "Universal");
    assert_eq!(visitor.header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(visitor.header("user-agent"), "LLOneBot/8.1.7");
    assert_eq!(visitor.header("host"), server.address().to_string());
    for absent in ["origin", "sec-websocket-protocol", "sec-websocket-extensions"] {
        assert!(!visitor.headers.contains_key(absent), "{absent}");
    }

    let first = bot.frame().await;
    assert_eq!((&first["sub_type"], &first["self_id"]), (&"connect".into(), &SELF_ID.into()));
    assert_eq!(bot.ask("get_login_info", 1).await["data"]["user_id"], SELF_ID);
    simulator.control().emit(event(1)).await;
    bot.expect_events(1..2).await;
    assert_eq!(gateway.admin.metric("sessions", &[("consumer", "bot")]).await, 1.0);
}

/// As node-napcat-ts and ncatbot write their addresses.
#[tokio::test]
async fn a_token_in_the_url_is_sent_even_without_a_slash_before_it() {
    let server = Server::start().await;
    let _running = start(&server, "?access_token=in-the-url").await;
    let (_bot, visitor) = server.accept().await;
    assert_eq!(visitor.target, "/?access_token=in-the-url");
}

/// A client masks every frame, each with a key of its own (RFC 6455, 5.3).
#[tokio::test]
async fn what_we_send_to_a_bot_is_masked() {
    let server = Server::start().await;
    let (simulator, _gateway) = start(&server, "/").await;
    let (bot, _) = server.accept().await;
    let mut socket = bot.into_socket();
    let (lifecycle, first_key) = frame(&mut socket).await;
    assert!(lifecycle.contains(r#""sub_type":"connect""#), "{lifecycle}");
    simulator.control().emit(event(1)).await;
    let (message, second_key) = frame(&mut socket).await;
    assert_eq!(message, event(1));
    assert_ne!(first_key, second_key);
    // And a frame that is not masked is right in the other direction.
    let call = br#"{"action":"get_status","echo":1}"#;
    socket.write_all(&[0x81, call.len() as u8]).await.unwrap();
    socket.write_all(call).await.unwrap();
    assert!(frame(&mut socket).await.0.contains(r#""status":"ok""#));
}

/// Reads one masked text frame of less than 64 KiB: its text and its key.
async fn frame(socket: &mut TcpStream) -> (String, [u8; 4]) {
    let read = async {
        assert_eq!(socket.read_u8().await.unwrap(), 0x81);
        let second = socket.read_u8().await.unwrap();
        assert_eq!(second & 0x80, 0x80, "not masked");
        let length = match second & 0x7f {
            126 => socket.read_u16().await.unwrap(),
            short => u16::from(short),
        };
        let mut key = [0; 4];
        socket.read_exact(&mut key).await.unwrap();
        let mut payload = vec![0; usize::from(length)];
        socket.read_exact(&mut payload).await.unwrap();
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        (String::from_utf8(payload).unwrap(), key)
    };
    within("a masked frame", read).await
}

#[tokio::test]
async fn a_bot_that_restarts_is_found_again() {
    let server = Server::start().await;
    let address = server.address();
    let (simulator, gateway) = start(&server, "/").await;
    let (mut bot, _) = server.accept().await;
    assert_eq!(bot.frame().await["sub_type"], "connect");
    drop((bot, server));
    // While it is away nobody listens there.
    gateway.admin.reaches("dial_failures_total", &[("consumer", "bot")], 2.0).await;

    let server = Server::start_at(address).await;
    let (mut bot, _) = server.accept().await;
    assert_eq!(bot.frame().await["sub_type"], "connect");
    simulator.control().emit(event(1)).await;
    bot.expect_events(1..2).await;
    // One that says goodbye is visited again as well.
    bot.close().await;
    let (mut bot, _) = server.accept().await;
    assert_eq!(bot.ask("get_status", 1).await["status"], "ok");
    assert_eq!(simulator.control().total_connections(), 1);
}

#[tokio::test]
async fn nobody_is_visited_before_the_account_is_known() {
    let (server, llonebot) = (Server::start().await, Server::start().await);
    let mut config = config(dial(llonebot.address()));
    let url = target(&format!("ws://{}/", server.address()));
    config.consumers[0].reverse_ws =
        vec![ReverseWs { max_backoff: Duration::from_millis(50), ..ReverseWs::new(url) }];
    let gateway = Running::start(config).await;
    let (mut link, _) = llonebot.accept().await;
    gateway.admin.not_ready("waiting to learn which account").await;
    link.prove().await;
    let (_bot, visitor): (Wire, _) = server.accept().await;
    assert_eq!(visitor.header("x-self-id"), SELF_ID.to_string());
    assert_eq!(gateway.admin.metric("dial_failures_total", &[("consumer", "bot")]).await, 0.0);
}
