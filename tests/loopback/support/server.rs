//! A WebSocket server of a test: an LLOneBot written by hand, or a bot that listens.

use std::net::SocketAddr;

use http::{HeaderMap, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::wire::Wire;
use super::{anywhere, within};

/// Accepts one connection after the other, when it is told to.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

/// How somebody came in.
#[derive(Debug, Default)]
pub struct Visitor {
    pub target: Uri,
    pub headers: HeaderMap,
}

impl Visitor {
    /// The one value of a header.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("no header {name}"));
        assert!(values.next().is_none(), "several headers {name}");
        value.to_str().unwrap()
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_at(anywhere()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        Self { listener: TcpListener::bind(address).await.unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Waits for somebody and completes the handshake.
    pub async fn accept(&self) -> (Wire, Visitor) {
        let socket = self.socket().await;
        let mut visitor = Visitor::default();
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let note = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            visitor = Visitor { target: request.uri().clone(), headers: request.headers().clone() };
            Ok(response)
        };
        let socket = within("a handshake", accept_hdr_async(socket, note)).await.unwrap();
        (Wire::new(socket), visitor)
    }

    /// Waits for somebody, reads the head of the request and answers it with these bytes.
    pub async fn refuse(&self, answer: impl FnOnce(&str) -> String) {
        let mut socket = self.socket().await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("a request", socket.read_u8()).await.unwrap());
        }
        let answer = answer(std::str::from_utf8(&head).unwrap());
        socket.write_all(answer.as_bytes()).await.unwrap();
    }

    async fn socket(&self) -> TcpStream {
        within("somebody to connect", self.listener.accept()).await.unwrap().0
    }
}
