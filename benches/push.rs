//! What a delivery costs where HTTP carries it: server-sent events and webhooks.
//!
//! `cargo bench --bench push`. The upstream sends the next events only when most of the last have
//! arrived, so nobody skips; CPU time is that of the data path alone.

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

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onebot_gateway::downstream::Webhook;
use onebot_gateway::net::Target;
use support::{Running, TOKEN, accept, cpu_of_threads, event, frame, lifecycle, median, on_thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const SIZE: usize = 500;
const BATCH: usize = 64;
const ROUNDS: usize = 5;

fn main() {
    println!("events of {SIZE} bytes, median of {ROUNDS} rounds");
    println!("{:<28} {:>12} {:>20} {:>14}", "", "CPU us each", "per CPU-second", "deliveries/s");
    for streams in [1, 10, 100] {
        row(&format!("SSE, {streams} streams"), || sse(streams));
    }
    for concurrency in [1, 8] {
        row(&format!("webhook, {concurrency} under way"), || webhook(concurrency));
    }
}

struct Figure {
    micros: f64,
    rate: f64,
}

fn row(name: &str, measure: impl Fn() -> Figure) {
    let figures: Vec<Figure> = (0..ROUNDS).map(|_| measure()).collect();
    let micros = median(figures.iter().map(|figure| figure.micros).collect());
    let rate = median(figures.iter().map(|figure| figure.rate).collect());
    println!("{name:<28} {micros:>12.2} {:>20.0} {rate:>14.0}", 1e6 / micros);
}

fn sse(streams: usize) -> Figure {
    let upstream = bound();
    let running = Running::start(upstream.local_addr().unwrap(), |_| {});
    let (address, ready, received) = (running.address, Arc::<AtomicU64>::default(), Arc::default());
    let (attached, counted) = (Arc::clone(&ready), Arc::clone(&received));
    let readers = on_thread("readers", move || async move {
        let mut tasks = JoinSet::new();
        for _ in 0..streams {
            tasks.spawn(read_events(address, Arc::clone(&attached), Arc::clone(&counted)));
        }
        tasks.join_all().await;
    });
    let batches = (60_000 / (streams * BATCH)).max(20);
    let figure = drive(upstream, (&ready, streams), &received, batches, streams);
    drop(running);
    readers.join().unwrap();
    figure
}

/// Counts events: each ends with an empty line, and nothing else has one.
async fn read_events(address: SocketAddr, ready: Arc<AtomicU64>, received: Arc<AtomicU64>) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /_events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let (mut buffer, mut last) = (vec![0; 256 << 10], 0);
    socket.read_exact(&mut buffer[..12]).await.unwrap();
    ready.fetch_add(1, Ordering::Relaxed);
    while let Ok(read @ 1..) = socket.read(&mut buffer).await {
        let mut events = 0;
        for &byte in &buffer[..read] {
            events += u64::from(byte == b'\n' && last == b'\n');
            last = byte;
        }
        received.fetch_add(events, Ordering::Relaxed);
    }
}

fn webhook(concurrency: usize) -> Figure {
    let (upstream, endpoint) = (bound(), bound());
    let url = Target::parse_http(&format!("http://{}/", endpoint.local_addr().unwrap())).unwrap();
    let running = Running::start(upstream.local_addr().unwrap(), move |config| {
        config.consumers[0].webhook = Some(Webhook { concurrency, ..Webhook::new(url) });
    });
    let (ready, received) = (Arc::<AtomicU64>::default(), Arc::default());
    let (enabled, counted) = (Arc::clone(&ready), Arc::clone(&received));
    let server = on_thread("endpoint", move || async move {
        let listener = TcpListener::from_std(endpoint).unwrap();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let socket = accepted.unwrap().0;
                    connections.spawn(take_posts(socket, Arc::clone(&enabled), Arc::clone(&counted)));
                }
                // The last connection ends with the gateway.
                Some(_) = connections.join_next(), if !connections.is_empty() => {
                    if connections.is_empty() {
                        return;
                    }
                }
            }
        }
    });
    let figure = drive(upstream, (&ready, 1), &received, 200, 1);
    drop(running);
    server.join().unwrap();
    figure
}

/// Answers every post with 204; the first is lifecycle.
async fn take_posts(mut socket: TcpStream, ready: Arc<AtomicU64>, received: Arc<AtomicU64>) {
    socket.set_nodelay(true).unwrap();
    let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
    while let Ok(read @ 1..) = socket.read(&mut buffer[filled..]).await {
        filled += read;
        while let Some(head) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length = text.split("content-length: ").nth(1).unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            let post = head + 4 + length;
            if post > filled {
                break;
            }
            let is_event = length == SIZE;
            let count = if is_event { &received } else { &ready };
            count.fetch_add(1, Ordering::Relaxed);
            buffer.copy_within(post..filled, 0);
            filled -= post;
            if socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                return;
            }
        }
    }
}

/// Plays LLOneBot and measures, once `ready` says that everybody is there.
fn drive(
    upstream: std::net::TcpListener,
    (ready, wanted): (&Arc<AtomicU64>, usize),
    received: &Arc<AtomicU64>,
    batches: usize,
    readers: usize,
) -> Figure {
    let (ready, received) = (Arc::clone(ready), Arc::clone(received));
    let batch = frame(&event(SIZE), None).repeat(BATCH);
    let (cpu, took) = on_thread("upstream", move || async move {
        let listener = TcpListener::from_std(upstream).unwrap();
        let mut socket = accept(&listener).await.unwrap();
        socket.write_all(&lifecycle()).await.unwrap();
        reach(&ready, wanted as u64).await;
        let (cpu, clock) = (cpu_of_threads("data-path"), Instant::now());
        let each = (BATCH * readers) as u64;
        for sent in 1..=batches as u64 {
            socket.write_all(&batch).await.unwrap();
            reach(&received, (sent * each).saturating_sub(8 * each)).await;
        }
        reach(&received, batches as u64 * each).await;
        (cpu_of_threads("data-path") - cpu, clock.elapsed())
    })
    .join()
    .unwrap();
    let deliveries = (batches * BATCH * readers) as f64;
    Figure { micros: cpu.as_secs_f64() * 1e6 / deliveries, rate: deliveries / took.as_secs_f64() }
}

async fn reach(count: &AtomicU64, wanted: u64) {
    while count.load(Ordering::Relaxed) < wanted {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

fn bound() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}
