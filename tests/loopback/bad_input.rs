//! What a bot may send that is no call: each gets its answer and is counted, and nobody else notices.

use onebot_gateway::simulator::Simulator;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::gateway::{Running, config, dial};
use crate::support::wire::Wire;
use crate::support::{anywhere, event, simulator, within};

const BOT: &[(&str, &str)] = &[("consumer", "bot")];

/// A bot that behaves well beside one that does not.
struct Witness {
    simulator: Simulator,
    gateway: Running,
    bot: Wire,
    seen: usize,
}

impl Witness {
    async fn start() -> Self {
        let simulator = simulator(anywhere()).await;
        let mut config = config(dial(simulator.address().unwrap()));
        config.sessions.max_frame = 1 << 20;
        let gateway = Running::start(config).await;
        gateway.admin.ready().await;
        let bot = gateway.witness().await;
        Self { simulator, gateway, bot, seen: 0 }
    }

    /// The next events arrive in order, and calls are answered.
    async fn is_not_disturbed(&mut self) {
        for number in self.seen..self.seen + 3 {
            self.simulator.control().emit(event(number)).await;
        }
        self.bot.expect_events(self.seen..self.seen + 3).await;
        self.seen += 3;
        assert_eq!(self.bot.ask("get_status", self.seen).await["status"], "ok");
    }
}

#[tokio::test]
async fn a_frame_that_is_no_call_is_answered_with_its_echo_and_counted() {
    let mut witness = Witness::start().await;
    let deep = format!(r#"{{"echo":"deep","action":"get_status","params":{}"#, "[".repeat(10_000));
    let deep_and_whole = format!("{deep}{}}}", "]".repeat(10_000));
    let cases: &[(&str, u16, Option<Value>)] = &[
        ("", 1400, None),
        ("not JSON", 1400, None),
        (r#"{"action":"get_status","echo":"cut"#, 1400, None),
        (r#"{"action":"get_status","echo":"cut","params":{"#, 1400, Some(json!("cut"))),
        (r#"{"action":"get_status","echo":{"seq":7},,}"#, 1400, Some(json!({"seq": 7}))),
        (r#"{"action":"get_status"} trailing"#, 1400, None),
        ("null", 1400, None),
        ("[]", 1404, None),
        (r#"[{"action":"get_status","echo":1}]"#, 1404, None),
        ("5", 1404, None),
        (r#""get_status""#, 1404, None),
        (r#"{"echo":0}"#, 1404, Some(json!(0))),
        (r#"{"action":null,"echo":false}"#, 1404, Some(json!(false))),
        (r#"{"action":["get_status"],"echo":""}"#, 1404, Some(json!(""))),
        (r#"{"action":"get_status","params":[],"echo":[1]}"#, 1400, Some(json!([1]))),
        (r#"{"action":"get_status","params":"x","echo":1.5}"#, 1400, Some(json!(1.5))),
        (r#"{"action":"\ud800","echo":"lone"}"#, 1404, Some(json!("lone"))),
        (&deep, 1400, Some(json!("deep"))),
        (&deep_and_whole, 1400, Some(json!("deep"))),
    ];
    let mut bot = witness.gateway.bot().await;
    for (number, (text, retcode, echo)) in cases.iter().enumerate() {
        bot.send(*text).await;
        let answer = bot.frame().await;
        let shown: String = text.chars().take(60).collect();
        assert_eq!((&answer["status"], &answer["retcode"]), (&json!("failed"), &json!(retcode)), "{shown}");
        assert_eq!(answer.get("echo"), echo.as_ref(), "{shown}");
        assert!(!answer["message"].as_str().unwrap().is_empty() && answer["message"] == answer["wording"]);
        let counted = witness.gateway.admin.metric("bad_frames_total", BOT).await;
        assert_eq!(counted, (number + 1) as f64, "{shown}");
    }
    assert_eq!(bot.ask("get_status", "still here").await["status"], "ok");
    witness.is_not_disturbed().await;
}

#[tokio::test]
async fn the_key_that_is_decided_on_is_the_key_that_is_sent() {
    let mut witness = Witness::start().await;
    let mut bot = witness.gateway.bot().await;
    // In JSON.parse the last of equal keys wins; so it does here, in whatever spelling.
    for (text, outcome) in [
        (r#"{"action":"get_status","action":"get_cookies","echo":1}"#, "1403"),
        (r#"{"action":"get_cookies","action":"get_status","echo":1}"#, "ok"),
        (r#"{"action":"get_status","\u0061ction":"get_cookies","echo":1}"#, "1403"),
        (r#"{"action":"get_status","action":"get\u005fcookies_async","echo":1}"#, "1403"),
        (r#"{"\u0061ction":"get_\u0073tatus","echo":2,"\u0065cho":1}"#, "ok"),
    ] {
        bot.send(text).await;
        let answer = bot.answer(1).await;
        let found = if answer["status"] == "ok" { json!("ok") } else { answer["retcode"].to_string().into() };
        assert_eq!(found, outcome, "{text}: {answer}");
    }
    let reached: Vec<_> = witness.simulator.control().calls().into_iter().map(|call| call.action).collect();
    assert!(!reached.iter().any(|action| action.contains("cookies")), "{reached:?}");
    witness.is_not_disturbed().await;
}

#[tokio::test]
async fn binary_frames_are_calls_if_they_are_utf8() {
    let mut witness = Witness::start().await;
    let mut bot = witness.gateway.bot().await;
    bot.send_message(Message::binary(r#"{"action":"get_status","echo":"b"}"#)).await;
    assert_eq!(bot.frame().await["echo"], "b");
    bot.send_message(Message::binary(&b"{\"action\":\"get_status\",\"echo\":\"\xff\"}"[..])).await;
    assert_eq!(bot.frame().await["retcode"], 1400);
    assert_eq!(witness.gateway.admin.metric("bad_frames_total", BOT).await, 1.0);
    witness.is_not_disturbed().await;
}

#[tokio::test]
async fn a_call_may_come_in_fragments_with_pings_between_them() {
    let mut witness = Witness::start().await;
    let mut bot = witness.gateway.bot().await;
    let text = r#"{"action":"get_status","echo":"碎片"}"#.as_bytes();
    // Cut inside a character, which only the whole message has to have right.
    let (head, tail) = text.split_at(32);
    let (middle, tail) = tail.split_at(1);
    let fragment =
        |data: &[u8], code, last| Message::Frame(Frame::message(data.to_vec(), OpCode::Data(code), last));
    bot.send_message(fragment(head, Data::Text, false)).await;
    bot.send_message(Message::Ping("between".into())).await;
    bot.send_message(fragment(middle, Data::Continue, false)).await;
    bot.send_message(fragment(tail, Data::Continue, true)).await;
    assert_eq!(bot.frame().await["echo"], "碎片");
    witness.is_not_disturbed().await;
}

/// Sends these bytes on a connection of its own and returns the code of the close that follows.
async fn code_after(gateway: &Running, bytes: &[u8]) -> Option<u16> {
    let mut socket = gateway.bot().await.into_socket();
    // The gateway may have hung up before the last byte.
    let _ = socket.write_all(bytes).await;
    upgraded(socket).await.closed().await
}

async fn upgraded(socket: TcpStream) -> Wire {
    Wire::new(WebSocketStream::from_raw_socket(socket, Role::Client, None).await)
}

#[tokio::test]
async fn a_breach_of_websocket_ends_the_session_with_the_right_code() {
    let mut witness = Witness::start().await;
    let masked = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, 0x80 | payload.len() as u8];
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    };
    let cases: &[(&str, Vec<u8>, u16)] = &[
        ("text that is not UTF-8", masked(0x81, b"{\"echo\":\"\xff\"}"), 1007),
        ("text that ends inside a character", masked(0x81, "好".as_bytes().split_at(2).0), 1007),
        ("a frame that is not masked", vec![0x81, 0x02, b'{', b'}'], 1002),
        ("a reserved opcode", masked(0x83, b"{}"), 1002),
        ("a reserved bit", masked(0xc1, b"{}"), 1002),
        ("a continuation of nothing", masked(0x80, b"{}"), 1002),
        ("a ping in fragments", masked(0x09, b""), 1002),
    ];
    for (what, bytes, code) in cases {
        assert_eq!(code_after(&witness.gateway, bytes).await, Some(*code), "{what}");
    }
    let metrics = witness.gateway.admin.metrics().await;
    let ended = |reason| metrics.get("session_ends_total", &[("consumer", "bot"), ("reason", reason)]);
    assert_eq!((ended("bad_text"), ended("protocol")), (2.0, 5.0));
    witness.is_not_disturbed().await;
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_by_its_header_alone() {
    let mut witness = Witness::start().await;
    let before = resident();
    // 100 MB are announced and not one of them is sent.
    let announced = [&[0x81, 0xff][..], &100_000_000_u64.to_be_bytes(), &[0; 4]].concat();
    for _ in 0..8 {
        assert_eq!(code_after(&witness.gateway, &announced).await, Some(1009));
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 50 << 20, "{grown} bytes were taken for frames that were only announced");

    // Nor is a length that no memory has.
    let absurd = [&[0x81, 0xff][..], &(i64::MAX as u64).to_be_bytes(), &[0; 4]].concat();
    assert_eq!(code_after(&witness.gateway, &absurd).await, Some(1009));
    // The limit holds for a message of many small fragments too.
    let fragment = [&[0x01, 0xfe, 0xff, 0xff][..], &[0; 4], &vec![b' '; 0xffff]].concat();
    let mut fragments = fragment.clone();
    for _ in 0..16 {
        fragments.push(0x00);
        fragments.extend(&fragment[1..]);
    }
    assert_eq!(code_after(&witness.gateway, &fragments).await, Some(1009));
    let ends = &[("consumer", "bot"), ("reason", "too_large")];
    assert_eq!(witness.gateway.admin.metric("session_ends_total", ends).await, 10.0);
    witness.is_not_disturbed().await;
}

/// A peer that sends all of it before it reads must find the reason, not a reset connection.
#[tokio::test]
async fn the_reason_reaches_a_peer_that_sends_the_whole_frame_first() {
    let witness = Witness::start().await;
    let mut socket = witness.gateway.bot().await.into_socket();
    let size = 4 << 20;
    let header = [&[0x81, 0xff][..], &(size as u64).to_be_bytes(), &[0; 4]].concat();
    within("the gateway to take the header", socket.write_all(&header)).await.unwrap();
    let payload = vec![b' '; size];
    within("the gateway to take the rest", socket.write_all(&payload)).await.unwrap();
    assert_eq!(upgraded(socket).await.closed().await, Some(1009));
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}
