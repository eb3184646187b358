//! What the benches share: a gateway on a thread of its own, raw peers, and CPU time by thread.
//!
//! The peers speak just enough WebSocket to keep up with the kernel; they check what they count.

#![allow(dead_code, unreachable_pub, reason = "each bench uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a bench that cannot run ends"
)]

pub mod http;
pub mod program;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use onebot_gateway::app::Gateway;
use onebot_gateway::config::Config;
use onebot_gateway::downstream::Consumer;
use onebot_gateway::net::Target;
use onebot_gateway::onebot::PostType;
use onebot_gateway::policy::Secret;
use onebot_gateway::policy::events::Conditions;
use onebot_gateway::policy::filter::Filter;
use onebot_gateway::upstream::{self, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;

pub const SELF_ID: i64 = 10_001_000;
pub const TOKEN: &str = "bench-token-of-enough-length";

/// A gateway in this process, its data path on one thread named `data-path`.
pub struct Running {
    pub address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a gateway that dials `upstream`, with one consumer whose token is [`TOKEN`]. `adjust` may add
    /// more, see [`consumer`].
    pub fn start(upstream: SocketAddr, adjust: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        let stop = CancellationToken::new();
        let (stopped, (tell, told)) = (stop.clone(), mpsc::channel());
        let main = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("data-path")
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let target = Target::parse(&format!("ws://{upstream}/")).unwrap();
                let consumers = vec![consumer("bench", TOKEN)];
                let mut config =
                    Config::new(upstream::Config::new("main", Endpoint::Dial(target)), consumers);
                config.server.listen = "127.0.0.1:0".parse().unwrap();
                config.server.max_connections = 20_000;
                config.admin.listen = "127.0.0.1:0".parse().unwrap();
                config.calls.in_flight = 4096;
                adjust(&mut config);
                let gateway = Gateway::start(config).await.unwrap();
                tell.send(gateway.address()).unwrap();
                stopped.cancelled().await;
            });
        };
        let thread = std::thread::Builder::new().name("gateway".to_owned()).spawn(main).unwrap();
        Self { address: told.recv().unwrap(), stop, thread: Some(thread) }
    }
}

/// A consumer that is not disturbed by heartbeats.
pub fn consumer(name: &str, token: &str) -> Consumer {
    let mut consumer = Consumer::new(name, Secret::new(token));
    consumer.heartbeat = Duration::from_secs(29);
    consumer
}

/// Ten conditions that every [`event`] fulfils.
pub fn ten_rules() -> Conditions {
    let filter = serde_json::json!({
        "sub_type": {"$ne": "anonymous"}, "time": {"$gt": 1_700_000_000}, "raw_message": {"$regex": "^x|help"},
    });
    Conditions {
        post_types: Some([PostType::Message, PostType::Notice].into_iter().collect()),
        detail_types: Some(["private", "group_recall", "group"].map(str::to_owned).into()),
        groups: Some((618_204_950..618_205_000).collect()),
        users: Some((1_639_027_700..1_639_027_800).collect()),
        except_groups: Some((1..50).collect()),
        except_users: Some((1..50).collect()),
        prefixes: Some(["/", "#", "x"].iter().collect()),
        mentioned: false,
        filter: Some(Filter::compile(&filter).unwrap()),
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// CPU time used by the threads of this process that are named `name`.
pub fn cpu_of_threads(name: &str) -> Duration {
    cpu_of("/proc/self/task", |thread| thread == name)
}

fn cpu_of(tasks: &str, wanted: impl Fn(&str) -> bool) -> Duration {
    let mut total = 0;
    for task in fs::read_dir(tasks).unwrap().flatten() {
        let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if wanted(comm.trim()) {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            total += schedstat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    Duration::from_nanos(total)
}

/// Runs `work` on a thread named `name`, with a runtime of its own.
pub fn on_thread<T: Send + 'static, F: Future<Output = T>>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<T> {
    let main = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work())
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(main).unwrap()
}

/// Accepts one WebSocket connection and answers its handshake. Returns the headers' text too.
pub async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (mut socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    let head = read_head(&mut socket).await?;
    let key = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().starts_with("sec-websocket-key:").then(|| &line[18..]))
        .unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.trim().as_bytes())
    );
    socket.write_all(answer.as_bytes()).await?;
    Ok(socket)
}

/// Connects as the bot [`TOKEN`] belongs to; resolves once the 101 has been read.
pub async fn connect(address: SocketAddr, path: &str) -> io::Result<TcpStream> {
    connect_as(address, path, TOKEN).await
}

/// The same as the bot with `token`.
pub async fn connect_as(address: SocketAddr, path: &str, token: &str) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let head = read_head(&mut socket).await?;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    Ok(socket)
}

/// Byte by byte, so that nothing behind the head is taken.
pub async fn read_head(socket: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The lifecycle event, with which the upstream proves its account.
pub fn lifecycle() -> Vec<u8> {
    let text = format!(
        r#"{{"time":1795399223,"self_id":{SELF_ID},"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}}"#
    );
    frame(text.as_bytes(), None)
}

/// A group message whose frame's payload has exactly `size` bytes.
pub fn event(size: usize) -> Vec<u8> {
    let before = format!(
        r#"{{"self_id":{SELF_ID},"user_id":1639027745,"time":1795368196,"message_id":-1307745921,"message_seq":48211,"message_type":"group","sender":{{"user_id":1639027745,"nickname":"n","card":"","role":"owner","level":"87","title":""}},"raw_message":""#
    );
    let after = r#"","font":14,"sub_type":"normal","message":[],"message_format":"array","post_type":"message","group_id":618204977}"#;
    let filling = "x".repeat(size - before.len() - after.len());
    format!("{before}{filling}{after}").into_bytes()
}

/// One text frame, masked with `mask` if there is one.
pub fn frame(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![0x81];
    match payload.len() {
        n @ 0..=125 => frame.push(bit | n as u8),
        n @ 126..=0xffff => {
            frame.push(bit | 0x7e);
            frame.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            frame.push(bit | 0x7f);
            frame.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    match mask {
        None => frame.extend_from_slice(payload),
        Some(mask) => {
            frame.extend_from_slice(&mask);
            frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
    }
    frame
}

/// Cuts whole frames off the front of `buffer` and hands their unmasked payloads to `take`.
/// Returns how many bytes they were.
pub fn frames(buffer: &mut [u8], mut take: impl FnMut(u8, &[u8])) -> usize {
    let mut at = 0;
    loop {
        let rest = &mut buffer[at..];
        let [first, second, ..] = *rest else { return at };
        let (mut head, short) = (2, usize::from(second & 0x7f));
        let length = match short {
            126 if rest.len() >= 4 => {
                head = 4;
                usize::from(u16::from_be_bytes([rest[2], rest[3]]))
            }
            127 if rest.len() >= 10 => {
                head = 10;
                u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize
            }
            126 | 127 => return at,
            short => short,
        };
        let masked = second & 0x80 != 0;
        let body = head + if masked { 4 } else { 0 };
        if rest.len() < body + length {
            return at;
        }
        if masked {
            let mask: [u8; 4] = rest[head..body].try_into().unwrap();
            unmask(&mut rest[body..body + length], mask);
        }
        take(first & 0x0f, &rest[body..body + length]);
        at += body + length;
    }
}

pub fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let (blocks, rest) = bytes.as_chunks_mut::<8>();
    for block in blocks {
        *block = (u64::from_ne_bytes(*block) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= mask;
    }
}

/// A responder that does nothing but answer: with the call's `user_id` for a `message_id`. It takes
/// calls that fit into `largest` bytes.
pub async fn respond(mut socket: TcpStream, largest: usize) {
    let (mut buffer, mut filled) = (vec![0; largest], 0);
    loop {
        let Ok(read @ 1..) = socket.read(&mut buffer[filled..]).await else { return };
        filled += read;
        let mut answers = Vec::new();
        let used = frames(&mut buffer[..filled], |opcode, text| {
            if opcode != 1 {
                return;
            }
            let at = memchr::memmem::rfind(text, b"\"echo\":").unwrap() + 7;
            let echo = &text[at..text.len() - 1];
            // The gateway's own questions name no user.
            let user = if text.len() < 100 { 0 } else { number_after(text, b"\"user_id\":") };
            let before = format!(
                r#"{{"status":"ok","retcode":0,"data":{{"message_id":{user}}},"message":"","wording":"","echo":"#
            );
            answers.extend_from_slice(&frame(&[before.as_bytes(), echo, b"}"].concat(), None));
        });
        buffer.copy_within(used..filled, 0);
        filled -= used;
        if socket.write_all(&answers).await.is_err() {
            return;
        }
    }
}

/// The digits behind `key` in `text`.
pub fn number_after(text: &[u8], key: &[u8]) -> usize {
    let at = memchr::memmem::find(text, key).unwrap() + key.len();
    text[at..].iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |n, d| n * 10 + usize::from(d - b'0'))
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
