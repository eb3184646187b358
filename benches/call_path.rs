//! Calls through the gateway, beside no gateway at all in the same run.
//!
//! `cargo bench --bench call_path`. Callers send 300-byte calls to a bare responder, directly and
//! through the gateway; both ways the callers are on one thread and what is measured on another
//! (the responder joins the callers' thread when the gateway is between). Every answer is
//! checked: its echo must be one that is outstanding on that connection, and its content must
//! answer that very call.

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
use std::time::{Duration, Instant};

use support::{
    Running, accept, connect, cpu_of_threads, frame, frames, lifecycle, median, number_after, on_thread,
    respond,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_millis(1500);

fn main() {
    println!("median of {ROUNDS} interleaved rounds");
    println!("{:<28} {:>12} {:>12} {:>7}", "", "direct", "gateway", "ratio");
    let load = Load { connections: 16, outstanding: 64 };
    let (direct, gateway) = compare(load);
    row("calls/s, 16 x 64 outstanding", &direct, &gateway, |figure| figure.rate);
    row("CPU us per call, same", &direct, &gateway, |figure| figure.cpu_micros);
    for callers in [1, 64] {
        let (direct, gateway) = compare(Load { connections: callers, outstanding: 1 });
        row(&format!("p50 us, {callers} callers"), &direct, &gateway, |figure| figure.p50_micros);
    }
}

fn row(name: &str, direct: &[Figure], gateway: &[Figure], of: impl Fn(&Figure) -> f64) {
    let direct = median(direct.iter().map(&of).collect());
    let gateway = median(gateway.iter().map(&of).collect());
    println!("{name:<28} {direct:>12.2} {gateway:>12.2} {:>7.2}", gateway / direct);
}

#[derive(Clone, Copy)]
struct Load {
    connections: usize,
    outstanding: usize,
}

struct Figure {
    rate: f64,
    cpu_micros: f64,
    p50_micros: f64,
}

fn compare(load: Load) -> (Vec<Figure>, Vec<Figure>) {
    (0..ROUNDS).map(|_| (direct(load), through_gateway(load))).unzip()
}

fn direct(load: Load) -> Figure {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = on_thread("responder", move || async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let mut connections = JoinSet::new();
        for _ in 0..load.connections {
            connections.spawn(respond(accept(&listener).await.unwrap(), 256 << 10));
        }
        connections.join_all().await;
    });
    let figure = on_thread("load", move || callers(address, load, "responder", 0)).join().unwrap();
    server.join().unwrap();
    figure
}

fn through_gateway(load: Load) -> Figure {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let running = Running::start(listener.local_addr().unwrap(), |_| {});
    let address = running.address;
    let figure = on_thread("load", move || async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let mut upstream = accept(&listener).await.unwrap();
        upstream.write_all(&lifecycle()).await.unwrap();
        let mut responder = JoinSet::new();
        responder.spawn(respond(upstream, 256 << 10));
        callers(address, load, "data-path", 1).await
    });
    let figure = figure.join().unwrap();
    drop(running);
    figure
}

/// Runs all callers for a while. `skip` frames (lifecycle) precede the answers on each connection.
async fn callers(address: SocketAddr, load: Load, measured: &str, skip: usize) -> Figure {
    let mut connections = JoinSet::new();
    for number in 0..load.connections {
        let socket = connect(address, "/").await.unwrap();
        connections.spawn(caller(socket, number, load.outstanding, skip));
    }
    let (cpu, clock) = (cpu_of_threads(measured), Instant::now());
    // The sockets stay open until the CPU time is read: a responder without any ends.
    let (latencies, _sockets): (Vec<Vec<u32>>, Vec<TcpStream>) =
        connections.join_all().await.into_iter().unzip();
    let mut latencies = latencies.concat();
    let (cpu, took) = (cpu_of_threads(measured) - cpu, clock.elapsed());
    latencies.sort_unstable();
    Figure {
        rate: latencies.len() as f64 / took.as_secs_f64(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / latencies.len() as f64,
        p50_micros: f64::from(latencies[latencies.len() / 2]) / 1e3,
    }
}

/// Keeps `outstanding` calls open on one connection. Returns each call's latency in nanoseconds.
async fn caller(
    mut socket: TcpStream,
    number: usize,
    outstanding: usize,
    mut skip: usize,
) -> (Vec<u32>, TcpStream) {
    // Every connection uses the same echoes: only the parameters tell the calls apart.
    let calls: Vec<Vec<u8>> = (0..outstanding).map(|slot| call(number, slot)).collect();
    let mut sent_at = vec![Some(Instant::now()); outstanding];
    socket.write_all(&calls.concat()).await.unwrap();
    let (mut latencies, mut buffer, mut filled) = (Vec::new(), vec![0; 256 << 10], 0);
    let end = Instant::now() + MEASURED;
    let mut open = outstanding;
    while open > 0 {
        let read = socket.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "hung up on");
        filled += read;
        let now = Instant::now();
        let mut next = Vec::new();
        let used = frames(&mut buffer[..filled], |opcode, text| {
            if opcode != 1 || skip > 0 {
                skip -= usize::from(opcode == 1);
                return;
            }
            let slot = number_after(text, b"\"echo\":");
            assert_eq!(number_after(text, b"\"message_id\":"), number * 1000 + slot, "another call's answer");
            let sent = sent_at[slot].take().unwrap();
            latencies.push((now - sent).as_nanos() as u32);
            if now < end {
                sent_at[slot] = Some(now);
                next.extend_from_slice(&calls[slot]);
            } else {
                open -= 1;
            }
        });
        buffer.copy_within(used..filled, 0);
        filled -= used;
        socket.write_all(&next).await.unwrap();
    }
    (latencies, socket)
}

/// About 300 bytes on the wire.
fn call(number: usize, slot: usize) -> Vec<u8> {
    let user = number * 1000 + slot;
    let text = "x".repeat(210);
    let call = format!(
        r#"{{"action":"send_private_msg","params":{{"user_id":{user},"message":"{text}"}},"echo":{slot}}}"#
    );
    frame(call.as_bytes(), Some([0x12, 0x34, 0x56, 0x78]))
}
