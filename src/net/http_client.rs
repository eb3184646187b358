//! Posting to one address, over a connection that is kept.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::tls::{TlsError, Trust};
use super::{Stream, Target};

/// Bytes of an answer that are read.
const LARGEST_ANSWER: usize = 64 << 10;
/// A connection that was idle for longer is not used again: Node closes its own after 5 s, and a
/// request that crosses with that is lost.
const KEEP: Duration = Duration::from_secs(4);

/// One poster. It sends one request at a time.
pub struct HttpClient {
    target: Target,
    trust: Trust,
    kept: Option<Connection>,
}

/// What the endpoint said.
#[derive(Debug)]
pub struct Answer {
    /// Its status; redirects are not followed.
    pub status: StatusCode,
    /// Its body; `None` if that is too large, or breaks off.
    pub body: Option<Bytes>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum PostError {
    /// Name resolution or TCP failed.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("no TLS with the peer: {0}")]
    Tls(#[from] TlsError),
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke before the answer: {0}")]
    Broken(#[source] hyper::Error),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// What moves the bytes. Driven by whoever uses the connection, so that dropping that is enough
    /// to end it all. Fused: its end may be seen in the middle of an exchange.
    driver: BoxFuture<'static, hyper::Result<()>>,
    used: Instant,
}

impl HttpClient {
    /// Posts to `target`, which has to convince `trust` if it speaks TLS.
    #[must_use]
    pub fn new(target: Target, trust: Trust) -> Self {
        Self { target, trust, kept: None }
    }

    /// Posts `body` and reads the answer, all within `limit`.
    ///
    /// # Errors
    /// See [`PostError`]. The endpoint may have got the body nevertheless, unless it is
    /// [`PostError::Connect`] or [`PostError::Tls`].
    pub async fn post(
        &mut self,
        headers: &HeaderMap,
        body: &Bytes,
        limit: Duration,
    ) -> Result<Answer, PostError> {
        timeout(limit, self.try_post(headers, body)).await.map_err(|_| PostError::Timeout(limit))?
    }

    async fn try_post(&mut self, headers: &HeaderMap, body: &Bytes) -> Result<Answer, PostError> {
        if let Some(kept) = self.kept.take().and_then(Connection::usable)
            && let Ok(answer) = self.exchange(kept, headers, body).await
        {
            return Ok(answer);
        }
        // A kept connection may have been closed while it was idle: that says nothing yet.
        let fresh = Connection::open(&self.target, &self.trust).await?;
        self.exchange(fresh, headers, body).await.map_err(PostError::Broken)
    }

    async fn exchange(
        &mut self,
        mut connection: Connection,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Answer, hyper::Error> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.path_and_query().parse().unwrap_or_default();
        *request.headers_mut() = headers.clone();
        if let Ok(host) = HeaderValue::from_str(self.target.authority()) {
            request.headers_mut().insert(HOST, host);
        }
        let sender = &mut connection.sender;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
            Ok::<_, hyper::Error>(Answer { status, body: body.ok().map(Collected::to_bytes) })
        };
        let answer = drive(connection.driver.as_mut(), exchange).await?;
        // What was not read to its end cannot be followed by anything.
        if answer.body.is_some() {
            connection.used = Instant::now();
            self.kept = Some(connection);
        }
        Ok(answer)
    }
}

impl Connection {
    async fn open(target: &Target, trust: &Trust) -> Result<Self, PostError> {
        let (host, port) = (target.host(), target.port());
        let socket = TcpStream::connect((host, port)).await.map_err(PostError::Connect)?;
        socket.set_nodelay(true).map_err(PostError::Connect)?;
        let stream = if target.tls() {
            Stream::other(trust.connect(host, socket).await?)
        } else {
            Stream::Tcp(socket)
        };
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(PostError::Broken)?;
        Ok(Self { sender, driver: driver.fuse().boxed(), used: Instant::now() })
    }

    /// Whether the endpoint will take another request on it, as far as can be known.
    fn usable(mut self) -> Option<Self> {
        let open = self.used.elapsed() < KEEP && self.driver.as_mut().now_or_never().is_none();
        Some(self).filter(|connection| open && connection.sender.is_ready())
    }
}

/// Waits for `exchange` while `driver` moves its bytes.
async fn drive<T>(
    driver: Pin<&mut (impl Future<Output = hyper::Result<()>> + ?Sized)>,
    exchange: impl Future<Output = T>,
) -> T {
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        answer = exchange.as_mut() => answer,
        // The end of the connection is told to the exchange.
        _ = driver => exchange.await,
    }
}
