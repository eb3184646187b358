//! HTTP by hand, so that a test can also speak it badly.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{TOKEN, within};

/// The answer to one request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    /// A header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim()))
    }

    /// Reads an answer, with its body unless it is a 101.
    pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("an answer", io.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Self { status, head, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        within("a body", io.read_exact(&mut body)).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }
}

/// Sends `request` as it is and reads the answer.
pub async fn exchange(address: SocketAddr, request: &str) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    Answer::read(&mut socket).await
}

/// A plain GET with these header lines, each ending in `\r\n`.
pub async fn get(address: SocketAddr, target: &str, headers: &str) -> Answer {
    exchange(address, &format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n")).await
}

/// A WebSocket handshake with additional header lines.
pub async fn shake_hands(address: SocketAddr, target: &str, headers: &str) -> Answer {
    exchange(address, &handshake(target, headers)).await
}

/// The text of a WebSocket handshake.
pub fn handshake(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// The header that proves the bot.
pub fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}
