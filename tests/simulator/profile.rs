//! What other implementations do differently on the wire.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use onebot_gateway::simulator::{Config, Profile, Simulator};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::peer::{call, closing, dial, exchange, in_memory, listening, next, read_head, reply};

fn upgrade(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn each_refuses_a_token_in_its_own_way() {
    for (profile, missing, wrong) in [
        (Profile::Lagrange, "HTTP/1.1 403 Forbidden\r\n", "HTTP/1.1 403 Forbidden\r\n"),
        (Profile::GoCqhttp, "HTTP/1.1 401 Unauthorized\r\n", "HTTP/1.1 403 Forbidden\r\n"),
    ] {
        let simulator = listening(Config { token: "t".to_owned(), ..Config::of(profile) }).await;
        assert!(exchange(&simulator, &upgrade("/", "")).await.starts_with(missing));
        assert!(exchange(&simulator, &upgrade("/", "Authorization: Bearer x\r\n")).await.starts_with(wrong));
        simulator.stop().await;
    }
    for profile in [Profile::Llonebot7, Profile::Napcat] {
        let simulator = listening(Config { token: "t".to_owned(), ..Config::of(profile) }).await;
        let mut client = dial(&simulator, "/", &[]).await;
        assert_eq!(reply(&mut client).await["retcode"], 1403);
        assert_eq!(closing(&mut client).await, None);
        simulator.stop().await;
    }
}

#[tokio::test]
async fn each_looks_for_the_token_in_its_own_places() {
    // header, query, who lets that in
    let table = [
        ("Bearer t", "x", vec!["llonebot", "llonebot7", "lagrange", "go-cqhttp"]),
        ("Bearer x", "t", vec!["napcat"]),
        ("Token t", "", vec!["go-cqhttp"]),
        ("t", "", vec!["llonebot", "llonebot7", "napcat", "go-cqhttp"]),
        ("", "t", vec!["llonebot", "llonebot7", "napcat", "lagrange", "go-cqhttp"]),
    ];
    for (header, query, expected) in table {
        let mut welcomed = Vec::new();
        for profile in Profile::ALL {
            let simulator = listening(Config { token: "t".to_owned(), ..Config::of(profile) }).await;
            let path = if query.is_empty() { "/".to_owned() } else { format!("/?access_token={query}") };
            let authorization =
                if header.is_empty() { String::new() } else { format!("Authorization: {header}\r\n") };
            let mut io = TcpStream::connect(simulator.address().unwrap()).await.unwrap();
            io.write_all(upgrade(&path, &authorization).as_bytes()).await.unwrap();
            let control = simulator.control();
            control.wait_for(|control| control.total_connections() + control.refused_connections() > 0).await;
            if control.total_connections() > 0 {
                welcomed.push(profile.name());
            }
            drop(simulator);
        }
        assert_eq!(welcomed, expected, "{header:?} and {query:?}");
    }
}

#[tokio::test]
async fn each_has_its_own_paths() {
    // path, who sends events there, who takes calls there
    let table = [
        ("/api", vec!["lagrange"], Profile::ALL.map(Profile::name).to_vec()),
        ("/event", Profile::ALL.map(Profile::name).to_vec(), vec!["napcat"]),
        ("/x", vec!["napcat", "lagrange", "go-cqhttp"], vec!["napcat", "lagrange", "go-cqhttp"]),
    ];
    for (path, events, calls) in table {
        let mut seen = (Vec::new(), Vec::new());
        for profile in Profile::ALL {
            let simulator = listening(Config::of(profile)).await;
            let mut client = dial(&simulator, path, &[]).await;
            client.send(call("can_send_image", &json!({}), 1)).await.unwrap();
            // Answered behind whatever comes at once.
            client.send(Message::Ping("p".into())).await.unwrap();
            let mut text = String::new();
            while let Some(frame) = client.next().await {
                match frame.unwrap() {
                    Message::Text(frame) => text.push_str(&frame),
                    Message::Pong(payload) if payload.is_empty() => break,
                    _ => {}
                }
            }
            if text.contains("lifecycle") {
                seen.0.push(profile.name());
            }
            if text.contains(r#""yes""#) {
                seen.1.push(profile.name());
            }
            drop(simulator);
        }
        assert_eq!(seen, (events, calls), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn hearts_beat_in_their_own_time_and_words() {
    for (profile, first, status) in [
        (Profile::Llonebot, 60, json!({"online": true, "good": true})),
        (Profile::Napcat, 30, json!({"online": true, "good": true})),
        (
            Profile::Lagrange,
            0,
            json!({
                "app_initialized": true, "app_enabled": true, "app_good": true, "online": true, "good": true,
            }),
        ),
    ] {
        let (simulator, mut client) = in_memory(Config::of(profile)).await;
        let begun = tokio::time::Instant::now();
        let beat = reply(&mut client).await;
        assert_eq!(begun.elapsed().as_secs(), first, "{}", profile.name());
        assert_eq!(beat["status"], status);
        simulator.stop().await;
    }
    let (simulator, mut client) = in_memory(Config::of(Profile::GoCqhttp)).await;
    let beat = reply(&mut client).await;
    assert_eq!(beat["interval"], 5000);
    assert!(beat["status"]["stat"]["packet_received"].is_number(), "{beat}");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn replies_have_their_own_keys_and_echoes() {
    let call = r#"{"action":"can_send_image"}"#;
    let unknown = r#"{"action":"nope"}"#;
    let yes = r#""data":{"yes":true}"#;
    for (profile, success, failure) in [
        (
            Profile::Llonebot7,
            format!(r#"{{"status":"ok","retcode":0,{yes},"message":"","wording":""}}"#),
            r#"{"status":"failed","retcode":1404,"data":null,"message":"nope API 不存在","wording":"nope API 不存在"}"#,
        ),
        (
            Profile::Napcat,
            format!(
                r#"{{"status":"ok","retcode":0,{yes},"message":"","wording":"","echo":"","stream":"normal-action"}}"#
            ),
            r#"{"status":"failed","retcode":1404,"data":null,"message":"不支持的API nope","wording":"不支持的API nope","echo":null,"stream":"normal-action"}"#,
        ),
        (
            Profile::Lagrange,
            format!(r#"{{"status":"ok","retcode":0,{yes},"echo":null}}"#),
            r#"{"status":"failed","retcode":404,"data":null,"echo":null}"#,
        ),
        (
            Profile::GoCqhttp,
            format!(r#"{{{yes},"message":"","retcode":0,"status":"ok"}}"#),
            r#"{"data":null,"message":"API不存在","msg":"API_NOT_FOUND","retcode":404,"status":"failed","wording":"API不存在"}"#,
        ),
    ] {
        // No heartbeat comes in between.
        let config = Config { heartbeat: Duration::ZERO, ..Config::of(profile) };
        let config = if profile == Profile::Llonebot7 { Config::of(profile) } else { config };
        let (simulator, mut client) = in_memory(config).await;
        for (frame, expected) in [(call, success.as_str()), (unknown, failure)] {
            client.send(Message::text(frame)).await.unwrap();
            assert_eq!(next(&mut client).await, expected);
        }
        simulator.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_json_and_what_is_not_text_is_met_in_four_ways() {
    for (profile, broken, binary_is_read) in [
        (Profile::Llonebot, Some((1400, json!("e"))), true),
        (Profile::Napcat, Some((1400, Value::Null)), true),
        (Profile::Lagrange, None, true),
        (Profile::GoCqhttp, Some((404, json!("e"))), false),
    ] {
        let heartbeat = Duration::from_hours(1);
        let (simulator, mut client) = in_memory(Config { heartbeat, ..Config::of(profile) }).await;
        if profile == Profile::Lagrange {
            assert_eq!(reply(&mut client).await["meta_event_type"], "heartbeat");
        }
        client.send(Message::text(r#"{"echo":"e","action"#)).await.unwrap();
        client.send(Message::binary(r#"{"action":"get_status","echo":"b"}"#)).await.unwrap();
        client.send(call("get_status", &json!({}), "end")).await.unwrap();
        let mut answered = Vec::new();
        while answered.last() != Some(&(0, json!("end"))) {
            let reply = reply(&mut client).await;
            answered.push((reply["retcode"].as_i64().unwrap(), reply["echo"].clone()));
        }
        let mut expected: Vec<_> = broken.into_iter().collect();
        expected.extend(binary_is_read.then(|| (0, json!("b"))));
        expected.push((0, json!("end")));
        assert_eq!(answered, expected, "{}", profile.name());
        simulator.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn suffixes_are_not_known_everywhere() {
    for (profile, expected) in [
        (Profile::Llonebot, [0, 0]),
        (Profile::Napcat, [1404, 1404]),
        (Profile::Lagrange, [404, 404]),
        (Profile::GoCqhttp, [0, 404]),
    ] {
        let heartbeat = Duration::from_hours(1);
        let (simulator, mut client) = in_memory(Config { heartbeat, ..Config::of(profile) }).await;
        let mut retcodes = Vec::new();
        for action in ["get_status_async", "get_status_rate_limited"] {
            client.send(call(action, &json!({}), action)).await.unwrap();
            let mut frame = reply(&mut client).await;
            while frame["echo"] != action {
                frame = reply(&mut client).await;
            }
            retcodes.push(frame["retcode"].as_i64().unwrap());
        }
        assert_eq!(retcodes, expected, "{}", profile.name());
        simulator.stop().await;
    }
}

#[tokio::test]
async fn the_handshake_of_a_dialler_names_its_kind() {
    for (profile, split_roles, expected) in [
        (Profile::Napcat, true, vec![("Authorization: Bearer", "Universal", "OneBot/11")]),
        (Profile::Lagrange, true, vec![("", "Api", "Lagrange.OneBot"), ("", "Event", "Lagrange.OneBot")]),
        (Profile::GoCqhttp, false, vec![("", "Universal", "CQHttp/4.15.0")]),
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let reverse = vec![format!("ws://{}/", listener.local_addr().unwrap())];
        let simulator =
            Simulator::start(Config { reverse, split_roles, ..Config::of(profile) }).await.unwrap();
        for (authorization, role, agent) in expected {
            let (mut io, _) = listener.accept().await.unwrap();
            let head = read_head(&mut io).await;
            let find = |name: &str| head.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            assert_eq!(find("Authorization"), authorization);
            assert_eq!(find("x-client-role"), format!("x-client-role: {role}"));
            assert_eq!(find("User-Agent"), format!("User-Agent: {agent}"));
        }
        drop(simulator);
    }
}
