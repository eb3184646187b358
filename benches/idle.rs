//! Memory of an idle consumer: user memory of the real program per attached WebSocket.
//!
//! `cargo bench --bench idle [-- CONSUMERS]`, 10,000 by default; `ulimit -n` must allow twice as
//! many descriptors in all.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_macros,
    clippy::cast_precision_loss,
    reason = "a bench prints its figures, and ends when it cannot run"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use support::program::Program;
use support::{accept, connect, frames, lifecycle, on_thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

fn main() {
    let consumers = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let (before, after) = on_thread("load", move || measure(consumers)).join().unwrap();
    println!("resident before  {:>10.1} KiB", before / 1024.0);
    println!("resident with {consumers} idle consumers  {:>10.1} KiB", after / 1024.0);
    println!("per consumer     {:>10.2} KiB", (after - before) / 1024.0 / consumers as f64);
}

async fn measure(consumers: usize) -> (f64, f64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Program::start(listener.local_addr().unwrap(), "");
    let mut upstream = accept(&listener).await.unwrap();
    upstream.write_all(&lifecycle()).await.unwrap();
    // The first consumer pays for what all share.
    let first = attached(gateway.address).await;
    let before = gateway.resident();
    let mut sockets = vec![first];
    for _ in 0..consumers {
        sockets.push(attached(gateway.address).await);
    }
    // What the handshakes needed is freed by then.
    sleep(Duration::from_secs(2)).await;
    let after = gateway.resident();
    drop(sockets);
    (before, after)
}

/// A consumer that has got its lifecycle event.
async fn attached(address: SocketAddr) -> TcpStream {
    let mut socket = connect(address, "/").await.unwrap();
    let mut buffer = [0; 512];
    let mut filled = 0;
    while frames(&mut buffer[..filled], |_, _| {}) == 0 {
        filled += socket.read(&mut buffer[filled..]).await.unwrap();
    }
    socket
}
