//! Calls through the gateway's HTTP API, beside a server of its kind that has no gateway behind it.
//!
//! `cargo bench --bench http_api`. The simulator speaks WebSocket only, so the yardstick is the least
//! that an HTTP API can be: a bare hyper server that reads the body, finds the one number it
//! needs and answers with the very bytes the gateway passes on. It checks no token, reads no JSON
//! and has nobody to ask; the gateway has all of that to do and a WebSocket hop besides.
//!
//! Callers keep their connections and have one call open on each. They are on one thread and what
//! is measured on another; the responder behind the gateway joins the callers' thread. Every answer
//! is checked to be that of its call.

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

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use support::http::{post, read_answer};
use support::{Running, TOKEN, accept, cpu_of_threads, lifecycle, median, number_after, on_thread, respond};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(1);

fn main() {
    println!("median of {ROUNDS} interleaved rounds");
    println!("{:<28} {:>12} {:>12} {:>7}", "", "direct", "gateway", "ratio");
    for connections in [1, 16, 64] {
        let (direct, gateway): (Vec<_>, Vec<_>) =
            (0..ROUNDS).map(|_| (direct(connections), through_gateway(connections))).unzip();
        let row = |name: &str, of: fn(&Figure) -> f64| {
            let name = format!("{name}, {connections} callers");
            let direct = median(direct.iter().map(of).collect());
            let gateway = median(gateway.iter().map(of).collect());
            println!("{name:<28} {direct:>12.2} {gateway:>12.2} {:>7.2}", gateway / direct);
        };
        row("calls/s", |figure| figure.rate);
        row("p50 us", |figure| figure.p50_micros);
        row("CPU us per call", |figure| figure.cpu_micros);
    }
}

struct Figure {
    rate: f64,
    cpu_micros: f64,
    p50_micros: f64,
}

fn direct(connections: usize) -> Figure {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = on_thread("responder", move || async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let mut served = JoinSet::new();
        for _ in 0..connections {
            let socket = listener.accept().await.unwrap().0;
            socket.set_nodelay(true).unwrap();
            served.spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer)));
        }
        served.join_all().await;
    });
    let figure = on_thread("load", move || callers(address, connections, "responder")).join().unwrap();
    server.join().unwrap();
    figure
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let user = number_after(&body, b"\"user_id\":");
    let text =
        format!(r#"{{"status":"ok","retcode":0,"data":{{"message_id":{user}}},"message":"","wording":""}}"#);
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn through_gateway(connections: usize) -> Figure {
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
        callers(address, connections, "data-path").await
    });
    let figure = figure.join().unwrap();
    drop(running);
    figure
}

async fn callers(address: SocketAddr, connections: usize, measured: &str) -> Figure {
    let mut calling = JoinSet::new();
    for number in 0..connections {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        calling.spawn(caller(socket, number));
    }
    let (cpu, clock) = (cpu_of_threads(measured), Instant::now());
    // The sockets stay open until the CPU time is read: a responder without any ends.
    let (latencies, _sockets): (Vec<Vec<u32>>, Vec<TcpStream>) = calling.join_all().await.into_iter().unzip();
    let mut latencies = latencies.concat();
    let (cpu, took) = (cpu_of_threads(measured) - cpu, clock.elapsed());
    latencies.sort_unstable();
    Figure {
        rate: latencies.len() as f64 / took.as_secs_f64(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / latencies.len() as f64,
        p50_micros: f64::from(latencies[latencies.len() / 2]) / 1e3,
    }
}

/// One call after the other. Returns each one's latency in nanoseconds.
async fn caller(mut socket: TcpStream, number: usize) -> (Vec<u32>, TcpStream) {
    // The JSON of a 300-byte WebSocket call.
    let body = format!(r#"{{"user_id":{number},"message":"{}"}}"#, "x".repeat(210));
    let request = post("/send_private_msg", TOKEN, body.as_bytes());
    let (mut latencies, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
    let end = Instant::now() + MEASURED;
    loop {
        let sent = Instant::now();
        if sent >= end {
            return (latencies, socket);
        }
        socket.write_all(&request).await.unwrap();
        let answer = read_answer(&mut socket, &mut buffer).await;
        latencies.push(sent.elapsed().as_nanos() as u32);
        assert_eq!(number_after(answer, b"\"message_id\":"), number, "another call's answer");
    }
}
