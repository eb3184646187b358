//! The same question with and without `[cache]`, through a whole gateway.
//!
//! `cargo bench --bench cache`. One bot asks for the members of a group again and again, one question at a
//! time, of a responder that has the answer ready; LLOneBot itself takes longer. Every answer is checked.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::unchecked_time_subtraction,
    reason = "a bench prints figures of the machine's own time, and ends when it cannot run"
)]

mod support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use support::{Running, accept, connect, frame, frames, lifecycle, median, on_thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(1);
const ACTION: &str = "get_group_member_list";

fn main() {
    println!("median of {ROUNDS} interleaved rounds, p50 in us of one question");
    println!("{:<28} {:>12} {:>12} {:>7}", "", "asked", "kept", "ratio");
    for members in [1, 120, 3000] {
        let rounds = (0..ROUNDS).map(|_| (round(members, false), round(members, true)));
        let (asked, kept): (Vec<f64>, Vec<f64>) = rounds.unzip();
        let (asked, kept) = (median(asked), median(kept));
        let name = format!("{members} members, {} KB", answer(members).len() / 1000);
        println!("{name:<28} {asked:>12.2} {kept:>12.2} {:>7.2}", kept / asked);
    }
}

fn round(members: usize, keep: bool) -> f64 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let running = Running::start(listener.local_addr().unwrap(), move |config| {
        if keep {
            config.cache.ttl.insert(ACTION.to_owned(), Duration::from_hours(1));
        }
    });
    let address = running.address;
    let p50 = on_thread("load", move || async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let mut upstream = accept(&listener).await.unwrap();
        upstream.write_all(&lifecycle()).await.unwrap();
        let mut responder = JoinSet::new();
        responder.spawn(respond(upstream, answer(members)));
        ask(connect(address, "/").await.unwrap(), answer(members).len()).await
    });
    let p50 = p50.join().unwrap();
    drop(running);
    p50
}

/// As LLOneBot tells them, about 340 bytes each.
fn answer(members: usize) -> String {
    let mut list = String::new();
    for n in 0..members {
        let comma = if n > 0 { "," } else { "" };
        write!(
            list,
            r#"{comma}{{"group_id":618204977,"user_id":{},"nickname":"青瓷","card":"学徒","card_or_nickname":"学徒","sex":"unknown","age":0,"area":"","level":"1","qq_level":0,"join_time":1651244569,"last_sent_time":1795334521,"title_expire_time":0,"unfriendly":false,"card_changeable":true,"is_robot":false,"shut_up_timestamp":0,"role":"member","title":""}}"#,
            1_000_200_000 + n
        )
        .unwrap();
    }
    format!("[{list}]")
}

/// Asks until the time is over, and returns the median in microseconds.
async fn ask(mut socket: TcpStream, answer: usize) -> f64 {
    let question = format!(r#"{{"action":"{ACTION}","params":{{"group_id":618204977}},"echo":1}}"#);
    let question = frame(question.as_bytes(), Some([0x12, 0x34, 0x56, 0x78]));
    let (mut buffer, mut filled) = (vec![0; 4 << 20], 0);
    let (mut latencies, end) = (Vec::new(), Instant::now() + MEASURED);
    // Behind the lifecycle event, and once for the answer that is kept.
    let mut skip = 2;
    socket.write_all(&question).await.unwrap();
    let mut sent = Instant::now();
    while Instant::now() < end {
        let read = socket.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "hung up on");
        filled += read;
        let mut answers = 0;
        let used = frames(&mut buffer[..filled], |opcode, text| {
            if opcode == 1 && text.len() > answer {
                assert!(text.ends_with(b"\"echo\":1}"), "another echo");
                answers += 1;
            }
        });
        buffer.copy_within(used..filled, 0);
        filled -= used;
        if answers > 0 {
            if skip > 0 {
                skip -= 1;
            } else {
                latencies.push(sent.elapsed().as_secs_f64() * 1e6);
            }
            sent = Instant::now();
            socket.write_all(&question).await.unwrap();
        }
    }
    median(latencies)
}

/// A responder that has its answer ready.
async fn respond(mut socket: TcpStream, answer: String) {
    let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
    loop {
        let Ok(read @ 1..) = socket.read(&mut buffer[filled..]).await else { return };
        filled += read;
        let mut answers = Vec::new();
        let used = frames(&mut buffer[..filled], |opcode, text| {
            if opcode != 1 {
                return;
            }
            let at = memchr::memmem::rfind(text, b"\"echo\":").unwrap() + 7;
            let echo = std::str::from_utf8(&text[at..text.len() - 1]).unwrap();
            let asked = memchr::memmem::find(text, ACTION.as_bytes()).is_some();
            let data = if asked { answer.as_str() } else { r#"{"user_id":10001000}"# };
            let text = format!(
                r#"{{"status":"ok","retcode":0,"data":{data},"message":"","wording":"","echo":{echo}}}"#
            );
            answers.extend_from_slice(&frame(text.as_bytes(), None));
        });
        buffer.copy_within(used..filled, 0);
        filled -= used;
        if socket.write_all(&answers).await.is_err() {
            return;
        }
    }
}
