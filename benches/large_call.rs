//! What a call of 10 MB costs: the gateway's memory, and the time of everybody else's calls.
//!
//! `cargo bench --bench large_call [-- Direct|WebSocket|ReverseWebSocket|Http]`. One consumer sends images of 10 MB in base64, the next as soon
//! as the last is answered; another makes a small call every millisecond, whether or not the last
//! is answered. The gateway is the real program, anew for each transport, so that its peak
//! memory is its own. Without a gateway both callers have the responder to themselves: what is lost
//! there is lost to the machine.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    clippy::unchecked_time_subtraction,
    reason = "a bench prints figures of the machine's own time, and ends when it cannot run"
)]

mod support;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use support::http::{post, read_answer};
use support::program::Program;
use support::{
    accept, connect, connect_as, frame, frames, lifecycle, median, number_after, on_thread, respond,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::interval;

const SIZE: usize = 10 << 20;
const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(1);
const LARGE_TOKEN: &str = "large-token-of-enough-length";
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

fn main() {
    println!("median of {ROUNDS} rounds, large calls of {} MiB, small ones one each millisecond", SIZE >> 20);
    println!(
        "{:<20} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "milliseconds",
        "p99 alone",
        "beside",
        "added",
        "p50 beside",
        "max beside",
        "each large",
        "peak/frame"
    );
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    for way in [Way::Direct, Way::WebSocket, Way::ReverseWebSocket, Way::Http] {
        if only.as_ref().is_none_or(|only| format!("{way:?}") == *only) {
            row(way);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Direct,
    WebSocket,
    ReverseWebSocket,
    Http,
}

fn row(way: Way) {
    let (upstream, bot) = (bound(), bound());
    let responder = upstream.local_addr().unwrap();
    // It ends with the bench.
    drop(on_thread("responder", move || respond_to_all(upstream)));
    let gateway = (way != Way::Direct).then(|| {
        let listens = match way {
            Way::ReverseWebSocket => {
                format!("reverse_ws = {{ url = \"ws://{}\" }}", bot.local_addr().unwrap())
            }
            _ => String::new(),
        };
        Program::start(responder, &format!("[consumer.large]\ntoken = \"{LARGE_TOKEN}\"\n{listens}"))
    });
    let address = gateway.as_ref().map_or(responder, |gateway| gateway.address);
    let (order, orders) = mpsc::channel(1);
    let (report, reports) = std::sync::mpsc::channel();
    let large = on_thread("large", move || large_calls(way, address, bot, orders, report));

    let (mut alone, mut beside, mut large_ms) = (Vec::new(), Vec::new(), Vec::new());
    alone.push(small_calls(address));
    let before = gateway.as_ref().map(Program::resident);
    let cpu = || gateway.as_ref().map_or(0.0, |gateway| gateway.cpu().as_secs_f64() * 1e3);
    let mut cpu_ms = Vec::new();
    for _ in 0..ROUNDS {
        let begun = cpu();
        alone.push(small_calls(address));
        let small_only = cpu();
        order.blocking_send(MEASURED).unwrap();
        beside.push(small_calls(address));
        let calls = reports.recv().unwrap();
        large_ms.push(calls.took.as_secs_f64() * 1e3 / calls.number);
        // What the small ones cost is known.
        cpu_ms.push((cpu() - small_only - (small_only - begun)) / calls.number);
    }
    let peak = gateway.as_ref().map(Program::peak);
    drop(order);
    large.join().unwrap();

    let of = |figures: &[Figure], get: fn(&Figure) -> f64| median(figures.iter().map(get).collect());
    let (p99_alone, p99_beside) = (of(&alone, |figure| figure.p99), of(&beside, |figure| figure.p99));
    let memory = before
        .zip(peak)
        .map_or("-".to_owned(), |(before, peak)| format!("{:.2}", (peak - before) / SIZE as f64));
    println!(
        "{:<18} {p99_alone:>9.2} {p99_beside:>9.2} {:>9.2} {:>10.2} {:>10.2} {:>10.1} {:>10.1} {memory:>10}",
        format!("{way:?}"),
        p99_beside - p99_alone,
        of(&beside, |figure| figure.p50),
        of(&beside, |figure| figure.max),
        median(large_ms),
        median(cpu_ms),
    );
}

/// Milliseconds.
struct Figure {
    p50: f64,
    p99: f64,
    max: f64,
}

/// A call every millisecond. Each one's time counts from when it is sent, and none waits for another.
fn small_calls(address: SocketAddr) -> Figure {
    let measure = move || async move {
        let mut socket = connect(address, "/").await.unwrap();
        let (mut sent, mut took) = (VecDeque::new(), Vec::new());
        let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
        let mut ticks = interval(Duration::from_millis(1));
        let (mut next, end) = (0, Instant::now() + MEASURED);
        while Instant::now() < end || !sent.is_empty() {
            tokio::select! {
                biased;
                read = socket.read(&mut buffer[filled..]) => {
                    let read = read.unwrap();
                    assert!(read > 0, "hung up on");
                    filled += read;
                    let used = frames(&mut buffer[..filled], |_, text| {
                        if is_answer(text) {
                            let (number, at): (usize, Instant) = sent.pop_front().unwrap();
                            assert_eq!(number_after(text, b"\"message_id\":"), number, "another call's answer");
                            took.push(at.elapsed().as_secs_f64() * 1e3);
                        }
                    });
                    buffer.copy_within(used..filled, 0);
                    filled -= used;
                }
                _ = ticks.tick(), if Instant::now() < end => {
                    sent.push_back((next, Instant::now()));
                    let call = format!(
                        r#"{{"action":"send_private_msg","params":{{"user_id":{next},"message":"{}"}},"echo":{next}}}"#,
                        "x".repeat(210)
                    );
                    socket.write_all(&frame(call.as_bytes(), Some(MASK))).await.unwrap();
                    next += 1;
                }
            }
        }
        took.sort_by(f64::total_cmp);
        Figure { p50: took[took.len() / 2], p99: took[took.len() * 99 / 100], max: took[took.len() - 1] }
    };
    on_thread("small", measure).join().unwrap()
}

struct LargeCalls {
    number: f64,
    took: Duration,
}

/// Makes large calls, one after the other, for as long as each order says.
async fn large_calls(
    way: Way,
    address: SocketAddr,
    bot: std::net::TcpListener,
    mut orders: mpsc::Receiver<Duration>,
    report: std::sync::mpsc::Sender<LargeCalls>,
) {
    let image = "A".repeat(SIZE);
    let params = format!(
        r#"{{"user_id":7,"group_id":7,"message":[{{"type":"image","data":{{"file":"base64://{image}"}}}}]}}"#
    );
    let call = format!(r#"{{"action":"send_group_msg","params":{params},"echo":1}}"#);
    let (mut socket, request) = match way {
        Way::Http => {
            let socket = TcpStream::connect(address).await.unwrap();
            (socket, post("/send_group_msg", LARGE_TOKEN, params.as_bytes()))
        }
        Way::ReverseWebSocket => {
            let listener = TcpListener::from_std(bot).unwrap();
            (accept(&listener).await.unwrap(), frame(call.as_bytes(), None))
        }
        Way::Direct | Way::WebSocket => {
            (connect_as(address, "/", LARGE_TOKEN).await.unwrap(), frame(call.as_bytes(), Some(MASK)))
        }
    };
    drop((image, params, call));
    let mut buffer = vec![0; 64 << 10];
    while let Some(time) = orders.recv().await {
        let (start, mut calls) = (Instant::now(), 0);
        while start.elapsed() < time {
            socket.write_all(&request).await.unwrap();
            if way == Way::Http {
                assert!(is_answer(read_answer(&mut socket, &mut buffer).await));
            } else {
                read_reply(&mut socket, &mut buffer).await;
            }
            calls += 1;
        }
        report.send(LargeCalls { number: f64::from(calls), took: start.elapsed() }).unwrap();
    }
}

/// Waits for the one reply that is due, past lifecycle and heartbeats.
async fn read_reply(socket: &mut TcpStream, buffer: &mut [u8]) {
    let (mut filled, mut answered) = (0, false);
    while !answered {
        let read = socket.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "hung up on");
        filled += read;
        let used = frames(&mut buffer[..filled], |_, text| answered |= is_answer(text));
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
}

fn is_answer(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"\"message_id\":").is_some()
}

/// Greets and answers whoever connects.
async fn respond_to_all(upstream: std::net::TcpListener) {
    let listener = TcpListener::from_std(upstream).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let mut socket = accept(&listener).await.unwrap();
        socket.write_all(&lifecycle()).await.unwrap();
        connections.spawn(respond(socket, SIZE + (1 << 20)));
    }
}

fn bound() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}
