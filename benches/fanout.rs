//! Fan-out: CPU time of the gateway per delivery, beside the kernel's own limit in the same run.
//!
//! `cargo bench --bench fanout [-- CONSUMERS…]`. The limit is 64 frames, encoded beforehand, in
//! one write to each socket. With rules every consumer has ten of its own, which let every event through. All are
//! measured in turns, against the same reading side; the upstream sends the next events only when every consumer
//! has the last, so nobody skips.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    clippy::unchecked_time_subtraction,
    reason = "a bench prints figures of the machine's own time, and ends when it cannot run"
)]

mod support;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onebot_gateway::downstream::Consumer;
use onebot_gateway::policy::events::Conditions;
use support::{
    Running, accept, connect_as, consumer, cpu_of_threads, event, frame, lifecycle, median, on_thread,
    ten_rules,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const BATCH: usize = 64;
const ROUNDS: usize = 5;

fn main() {
    let chosen: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let consumers = if chosen.is_empty() { vec![1, 10, 100, 1000] } else { chosen };
    println!("CPU µs per delivery, median of {ROUNDS} interleaved rounds");
    println!(
        "{:>9} {:>6} {:>9} {:>9} {:>7} {:>14} {:>10} {:>7}",
        "consumers", "bytes", "limit", "gateway", "ratio", "deliveries/s", "with rules", "ratio"
    );
    for count in consumers {
        for size in [500, 4096] {
            let (mut limits, mut gateways, mut rates) = (Vec::new(), Vec::new(), Vec::new());
            let mut ruled = Vec::new();
            for _ in 0..ROUNDS {
                limits.push(limit(count, size).micros_per_delivery);
                let gateway = gateway_with(count, size, None);
                gateways.push(gateway.micros_per_delivery);
                rates.push(gateway.rate);
                ruled.push(gateway_with(count, size, Some(ten_rules)).micros_per_delivery);
            }
            let (limit, gateway, ruled) = (median(limits), median(gateways), median(ruled));
            println!(
                "{count:>9} {size:>6} {limit:>9.3} {gateway:>9.3} {:>7.2} {:>14.0} {ruled:>10.3} {:>7.2}",
                gateway / limit,
                median(rates),
                ruled / gateway
            );
        }
    }
}

struct Figure {
    micros_per_delivery: f64,
    rate: f64,
}

/// Batches that keep one measurement at about half a second.
fn batches(count: usize, size: usize) -> usize {
    (400_000_000 / (count * (size + 60) * BATCH)).clamp(4, 20_000)
}

/// The kernel's price: one write of 64 ready frames per consumer.
fn limit(count: usize, size: usize) -> Figure {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let readers = readers(address, count, Arc::default(), false);
    let wanted = batches(count, size);
    let batch = frame(&event(size), None).repeat(BATCH);
    let writer = on_thread("limit", move || async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let mut sockets = Vec::new();
        for _ in 0..count {
            sockets.push(listener.accept().await.unwrap().0);
        }
        let (cpu, clock) = (cpu_of_threads("limit"), Instant::now());
        for _ in 0..wanted {
            for socket in &mut sockets {
                socket.write_all(&batch).await.unwrap();
            }
        }
        (cpu_of_threads("limit") - cpu, clock.elapsed())
    });
    let (cpu, took) = writer.join().unwrap();
    readers.join().unwrap();
    figure(cpu, took, wanted * BATCH * count)
}

/// As many consumers, each with rules that `rules` makes.
fn gateway_with(count: usize, size: usize, rules: Option<fn() -> Conditions>) -> Figure {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let running = Running::start(listener.local_addr().unwrap(), move |config| {
        config.consumers = (0..count)
            .map(|n| Consumer {
                events: rules.map(|rules| Arc::new(rules())),
                ..consumer(&format!("bot{n}"), &token(n))
            })
            .collect();
    });
    let wanted = batches(count, size);
    let batch = frame(&event(size), None).repeat(BATCH);
    let received = Arc::new(AtomicU64::new(0));
    let first_frames = (lifecycle().len() * count) as u64;
    let readers = readers(running.address, count, Arc::clone(&received), true);
    let upstream = on_thread("upstream", move || async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let mut socket = accept(&listener).await.unwrap();
        socket.write_all(&lifecycle()).await.unwrap();
        wait_for(&received, first_frames).await;
        let (cpu, clock) = (cpu_of_threads("data-path"), Instant::now());
        let mut sent = first_frames;
        for _ in 0..wanted {
            socket.write_all(&batch).await.unwrap();
            sent += (batch.len() * count) as u64;
            wait_for(&received, sent.saturating_sub((8 * batch.len() * count) as u64)).await;
        }
        wait_for(&received, sent).await;
        (cpu_of_threads("data-path") - cpu, clock.elapsed())
    });
    let (cpu, took) = upstream.join().unwrap();
    drop(running);
    readers.join().unwrap();
    figure(cpu, took, wanted * BATCH * count)
}

fn token(n: usize) -> String {
    format!("bench-token-of-enough-length-{n}")
}

fn figure(cpu: Duration, took: Duration, deliveries: usize) -> Figure {
    let deliveries = deliveries as f64;
    Figure {
        micros_per_delivery: cpu.as_secs_f64() * 1e6 / deliveries,
        rate: deliveries / took.as_secs_f64(),
    }
}

async fn wait_for(received: &AtomicU64, bytes: u64) {
    while received.load(Ordering::Relaxed) < bytes {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

/// Reads and counts what `count` consumers get, until they are hung up on.
fn readers(
    address: SocketAddr,
    count: usize,
    received: Arc<AtomicU64>,
    websocket: bool,
) -> std::thread::JoinHandle<()> {
    on_thread("readers", move || async move {
        let mut sockets = tokio::task::JoinSet::new();
        for n in 0..count {
            let socket = if websocket {
                connect_as(address, "/", &token(n)).await.unwrap()
            } else {
                TcpStream::connect(address).await.unwrap()
            };
            let received = Arc::clone(&received);
            sockets.spawn(async move {
                let mut buffer = vec![0; 256 << 10];
                loop {
                    if socket.readable().await.is_err() {
                        return;
                    }
                    match socket.try_read(&mut buffer) {
                        Ok(0) => return,
                        Ok(n) => {
                            received.fetch_add(n as u64, Ordering::Relaxed);
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
            });
        }
        sockets.join_all().await;
    })
}
