//! An example bot: a WebSocket peer of the gateway, like any other bot.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use super::question::{Part, Question, Verdict};
use crate::policy::Secret;

/// The end of the wire that a bot holds.
pub(super) type Wire = WebSocketStream<TcpStream>;

/// What a bot tells the stage.
#[derive(Debug)]
pub(super) enum Report {
    /// It is attached: its first frame came.
    Ready(Part),
    /// It heard its `number`-th event; `digest` stands for the texts of all so far, in their order.
    Heard { part: Part, number: u64, digest: u64, text: Utf8Bytes, asks: bool },
    /// An answer to what it asked about event `number`.
    Answered { part: Part, number: u64, answer: Answer, asks: bool },
    /// An answer whose echo it has no question open under.
    Stray(Part),
    /// Its connection has ended.
    Left(Part),
}

/// An answer to a question.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) action: &'static str,
    pub(super) took: Duration,
    pub(super) verdict: Verdict,
}

/// Connects to the gateway at `address`.
pub(super) async fn connect(part: Part, address: SocketAddr, token: &Secret) -> tungstenite::Result<Wire> {
    let io = TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    let token = token.expose();
    let url = match part {
        Part::Greeter => format!("ws://{address}/?access_token={token}"),
        Part::Archive => format!("ws://{address}/event"),
        Part::Echo | Part::Reverse => format!("ws://{address}/"),
    };
    let mut request = url.into_client_request()?;
    // Bots differ in where they put the token, and both places are right.
    if part != Part::Greeter {
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}"))?);
    }
    Ok(client_async(request, io).await?.0)
}

/// Waits until the gateway connects and shows `token`.
pub(super) async fn accept(listener: TcpListener, token: Secret) -> io::Result<Wire> {
    let bearer = format!("Bearer {}", token.expose());
    #[expect(clippy::result_large_err, reason = "the signature is the WebSocket library's")]
    let admit = |request: &Request, answer: Response| {
        if request.headers().get(AUTHORIZATION).is_some_and(|shown| shown.as_bytes() == bearer.as_bytes()) {
            return Ok(answer);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::UNAUTHORIZED;
        Err(refusal)
    };
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        // Somebody else's mistake must not keep the gateway out.
        if let Ok(wire) = accept_hdr_async(io, admit).await {
            return Ok(wire);
        }
    }
}

/// One bot at work.
pub(super) struct Bot {
    part: Part,
    wire: Wire,
    reports: mpsc::Sender<Report>,
    heard: u64,
    texts: DefaultHasher,
    /// What it waits for, by echo.
    open: BTreeMap<String, Open>,
}

struct Open {
    question: Question,
    about: u64,
    since: Instant,
}

impl Bot {
    pub(super) fn new(part: Part, wire: Wire, reports: mpsc::Sender<Report>) -> Self {
        Self { part, wire, reports, heard: 0, texts: DefaultHasher::new(), open: BTreeMap::new() }
    }

    /// Works until the connection ends. Returns the close code the gateway said goodbye with.
    pub(super) async fn work(mut self) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(message)) = self.wire.next().await {
            match message {
                Message::Text(text) => {
                    let Ok(()) = self.take(text).await else { break };
                }
                Message::Close(close) => code = close.map(|close| close.code.into()),
                _ => {}
            }
        }
        self.tell(Report::Left(self.part)).await;
        code
    }

    async fn take(&mut self, text: Utf8Bytes) -> tungstenite::Result<()> {
        let frame: Value = serde_json::from_str(&text).unwrap_or_default();
        match frame.get("post_type").and_then(Value::as_str) {
            Some("meta_event") => {
                if frame.get("sub_type").is_some_and(|kind| kind == "connect") {
                    self.tell(Report::Ready(self.part)).await;
                }
                Ok(())
            }
            Some(_) => self.hear(text, &frame).await,
            None => self.understand(&frame).await,
        }
    }

    async fn hear(&mut self, text: Utf8Bytes, event: &Value) -> tungstenite::Result<()> {
        self.heard += 1;
        self.texts.write(text.as_bytes());
        // No byte of UTF-8: the borders between texts count too.
        self.texts.write_u8(0xff);
        let (part, number, digest) = (self.part, self.heard, self.texts.finish());
        let question = part.question(event);
        self.tell(Report::Heard { part, number, digest, text, asks: question.is_some() }).await;
        match question {
            Some(question) => self.ask(question, number).await,
            None => Ok(()),
        }
    }

    /// Every bot calls with the number of the event as its echo, so that echoes are never unique.
    async fn ask(&mut self, question: Question, about: u64) -> tungstenite::Result<()> {
        let echo = about.to_string();
        let frame = question.frame(&echo);
        self.open.insert(echo, Open { question, about, since: Instant::now() });
        self.wire.send(Message::text(frame)).await
    }

    async fn understand(&mut self, reply: &Value) -> tungstenite::Result<()> {
        let echo = reply.get("echo").and_then(Value::as_str).unwrap_or_default();
        let part = self.part;
        let Some(Open { question, about, since }) = self.open.remove(echo) else {
            self.tell(Report::Stray(part)).await;
            return Ok(());
        };
        let verdict = question.judge(reply);
        let next = if matches!(verdict, Verdict::Own(_)) { question.and_then(reply) } else { None };
        let answer = Answer { action: question.action, took: since.elapsed(), verdict };
        self.tell(Report::Answered { part, number: about, answer, asks: next.is_some() }).await;
        match next {
            Some(next) => self.ask(next, about).await,
            None => Ok(()),
        }
    }

    async fn tell(&self, report: Report) {
        // Nobody listens any more once the demo has settled.
        let _ = self.reports.send(report).await;
    }
}
