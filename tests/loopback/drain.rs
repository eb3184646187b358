//! A shutdown in order, inside this process.

use std::time::Duration;

use onebot_gateway::app::Drained;
use onebot_gateway::simulator::Behaviour;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::gateway::{Running, config, dial};
use crate::support::http::{Answer, bearer, handshake};
use crate::support::server::Server;
use crate::support::wire::Wire;
use crate::support::{anywhere, call, padded_event, simulator, within};

/// Nothing was left behind.
const CLEAN: Drained = Drained { tasks_left: 0, calls_left: 0 };

/// A drain that needs this long has waited for its deadline.
const DEADLINE: Duration = Duration::from_secs(30);

/// Handshakes before, in the middle of and after the beginning of a drain: each ends in a session that is closed
/// with 1001, or is refused, and none is forgotten.
#[tokio::test]
async fn upgrade_during_drain_is_drained() {
    let simulator = simulator(anywhere()).await;
    for round in 0..10 {
        let mut config = config(dial(simulator.address().unwrap()));
        config.drain = DEADLINE;
        let gateway = Running::start(config).await;
        gateway.admin.ready().await;
        let address = gateway.address;
        let mut upgrades = JoinSet::new();
        for number in 0..20 {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let whole = handshake("/", &bearer());
            let (head, tail) = whole.split_at(number * whole.len() / 20);
            socket.write_all(head.as_bytes()).await.unwrap();
            let tail = tail.to_owned();
            upgrades.spawn(async move { finish(socket, &tail, number).await });
        }
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let started = Instant::now();
        assert_eq!(gateway.drain().await, CLEAN);
        assert!(started.elapsed() < DEADLINE);
        while let Some(ended) = upgrades.join_next().await {
            ended.unwrap();
        }
    }
}

/// Sends the rest of a handshake and reads what becomes of it.
async fn finish(mut socket: TcpStream, tail: &str, yields: usize) {
    for _ in 0..yields {
        tokio::task::yield_now().await;
    }
    if socket.write_all(tail.as_bytes()).await.is_err() {
        return;
    }
    let mut status = [0; 12];
    match within("an answer", socket.read_exact(&mut status)).await {
        // The listener was closed before this connection had its turn.
        Err(_) => {}
        Ok(_) if &status == b"HTTP/1.1 503" => {}
        Ok(_) => {
            assert_eq!(&status, b"HTTP/1.1 101");
            within("the rest of the head", async {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
            })
            .await;
            let socket = WebSocketStream::from_raw_socket(socket, Role::Client, None).await;
            assert_eq!(Wire::new(socket).closed().await, Some(1001));
        }
    }
}

#[tokio::test]
async fn half_a_handshake_does_not_hold_up_a_shutdown() {
    let mut config = config(dial(anywhere()));
    (config.drain, config.server.handshake_timeout) = (DEADLINE, 2 * DEADLINE);
    let gateway = Running::start(config).await;
    let _silent = TcpStream::connect(gateway.address).await.unwrap();
    let mut half = TcpStream::connect(gateway.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    // Both have been accepted: a third that came later has its answer.
    let mut whole = TcpStream::connect(gateway.address).await.unwrap();
    whole.write_all(handshake("/", "").as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut whole).await.status, 401);
    let started = Instant::now();
    assert_eq!(gateway.drain().await, CLEAN);
    assert!(started.elapsed() < DEADLINE, "the shutdown waited for half a handshake");
}

#[tokio::test]
async fn calls_under_way_finish_and_new_ones_are_told_to_come_later() {
    let simulator = simulator(anywhere()).await;
    let slow = Duration::from_millis(300);
    simulator.control().set_behaviour(Behaviour { delay: slow..=slow, ..Behaviour::default() });
    let gateway = Running::ready(simulator.address().unwrap()).await;
    let mut bot = gateway.bot().await;
    let known = simulator.control().call_count();
    bot.send(call("get_group_list", "before")).await;
    within("the call to arrive", simulator.control().wait_for(|control| control.call_count() > known)).await;
    let (admin, draining) = (gateway.admin, JoinSet::from_iter([gateway.drain()]));
    admin.not_ready("shutting down").await;
    assert_eq!(bot.answer("before").await["status"], "ok");
    assert_eq!(bot.closed().await, Some(1001));
    assert_eq!(draining.join_all().await, [CLEAN]);
    assert_eq!(simulator.control().connections(), 0);
}

#[tokio::test]
async fn the_link_is_closed_last_and_in_order() {
    let server = Server::start().await;
    let gateway = Running::start(config(dial(server.address()))).await;
    let (mut llonebot, _) = server.accept().await;
    llonebot.prove().await;
    gateway.admin.ready().await;
    let mut bot = gateway.bot().await;
    bot.send(call("get_group_list", "last")).await;
    let asked = llonebot.taken_call().await;
    let draining = JoinSet::from_iter([gateway.drain()]);
    llonebot.reply(&asked, &json!([])).await;
    assert_eq!(bot.answer("last").await["status"], "ok");
    assert_eq!(bot.closed().await, Some(1001));
    assert_eq!(llonebot.closed().await, Some(1001));
    assert_eq!(draining.join_all().await, [CLEAN]);
}

/// The bot is told that nobody knows, and the link still says goodbye.
#[tokio::test]
async fn a_call_that_is_open_at_the_deadline_is_answered() {
    let server = Server::start().await;
    let mut config = config(dial(server.address()));
    config.drain = Duration::from_millis(400);
    let gateway = Running::start(config).await;
    let (mut llonebot, _) = server.accept().await;
    llonebot.prove().await;
    gateway.admin.ready().await;
    let mut bot = gateway.bot().await;
    bot.send(call("get_group_list", "never")).await;
    llonebot.taken_call().await;
    let draining = JoinSet::from_iter([gateway.drain()]);
    assert_eq!(bot.answer("never").await["retcode"], 1503);
    assert_eq!(bot.closed().await, Some(1001));
    assert_eq!(llonebot.closed().await, Some(1001));
    let drained = draining.join_all().await;
    assert_eq!(drained.iter().map(|drained| drained.calls_left).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn drain_ends_within_its_deadline_and_names_what_was_alive() {
    let server = Server::start().await;
    let mut config = config(dial(server.address()));
    config.drain = Duration::from_millis(400);
    let gateway = Running::start(config).await;
    let (mut llonebot, _) = server.accept().await;
    llonebot.prove().await;
    gateway.admin.ready().await;
    let bot = gateway.bot().await;
    // More than the connection holds, to a bot that does not read.
    for number in 0..2000 {
        llonebot.send(padded_event(number, 10_000)).await;
    }
    let drained = gateway.drain().await;
    assert!(drained.tasks_left >= 1, "{drained:?}");
    drop(bot);
}
