//! The WebSocket handshake, on the side that is dialled and on the side that dials.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{client, server};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::listener::{HttpRequest, HttpResponse, body, plain};
use super::tls::{TlsError, Trust};
use super::{Stream, Target, WriteDeadline};

/// Bytes of a refusal's body that are read to explain it.
const EXPLANATION: usize = 4 << 10;

/// An established connection: the stream, and what came in one piece with the handshake.
#[derive(Debug)]
pub struct Established {
    /// The bytes in both directions.
    pub stream: Stream,
    /// To be decoded before anything read from `stream`.
    pub early: Bytes,
}

/// Checks an upgrade request and makes the 101 that answers it. The connection is
/// [`established`] once that answer has been written.
///
/// # Errors
/// The answer that refuses the request: 426 for plain HTTP, 400 for a malformed handshake, as
/// LLOneBot's server does.
#[expect(clippy::result_large_err, reason = "the error is the answer, made once per connection")]
pub fn accept(request: &mut HttpRequest) -> Result<(HttpResponse, OnUpgrade), HttpResponse> {
    let headers = request.headers();
    if !is_upgrade(headers) {
        let mut refusal = plain(StatusCode::UPGRADE_REQUIRED, "Upgrade Required");
        refusal.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        return Err(refusal);
    }
    if request.method() != Method::GET {
        return Err(plain(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket handshake is a GET request"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut refusal = plain(StatusCode::BAD_REQUEST, "Missing or invalid Sec-WebSocket-Version header");
        refusal.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(refusal);
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|key| is_key(key)) else {
        return Err(plain(StatusCode::BAD_REQUEST, "Missing or invalid Sec-WebSocket-Key header"));
    };

    let mut answer = Response::new(body(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = accept {
        answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    // A client that offers subprotocols gives up unless one is chosen; LLOneBot takes the first.
    if let Some(first) = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(first_of) {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, first);
    }
    Ok((answer, hyper::upgrade::on(request)))
}

/// Whether a request asks for WebSocket.
#[must_use]
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    let has = |name, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    has(UPGRADE, "websocket") && has(CONNECTION, "upgrade")
}

/// 16 bytes in base64 (RFC 6455, 4.2.1).
fn is_key(key: &HeaderValue) -> bool {
    let key = key.as_bytes();
    key.len() == 24
        && key.ends_with(b"==")
        && key.iter().take(22).all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn first_of(offered: &HeaderValue) -> Option<HeaderValue> {
    let first = offered.to_str().ok()?.split(',').next()?.trim();
    HeaderValue::from_str(first).ok().filter(|first| !first.is_empty())
}

/// Takes the connection out of hyper's hands.
///
/// # Errors
/// When the 101 could not be written.
pub async fn established(upgrade: OnUpgrade) -> Result<Established, hyper::Error> {
    Ok(unwrap(upgrade.await?))
}

/// The socket itself rather than hyper's wrapper around it: no dynamic dispatch, and hyper's read
/// buffer is freed.
fn unwrap(upgraded: Upgraded) -> Established {
    let server = |stream: WriteDeadline<TcpStream>| Stream::Tcp(stream.into_inner());
    let tls_server =
        |stream: WriteDeadline<Box<server::TlsStream<TcpStream>>>| Stream::Other(stream.into_inner());
    taken_out(upgraded, server)
        .or_else(|upgraded| taken_out(upgraded, tls_server))
        .or_else(|upgraded| taken_out(upgraded, Stream::Tcp))
        .or_else(|upgraded| taken_out::<client::TlsStream<TcpStream>>(upgraded, Stream::other))
        .unwrap_or_else(|upgraded| Established {
            stream: Stream::other(TokioIo::new(upgraded)),
            early: Bytes::new(),
        })
}

/// The connection, if `I` is what it runs over.
fn taken_out<I>(upgraded: Upgraded, stream: fn(I) -> Stream) -> Result<Established, Upgraded>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let parts = upgraded.downcast::<TokioIo<I>>()?;
    let early = Bytes::copy_from_slice(&parts.read_buf);
    Ok(Established { stream: stream(parts.io.into_inner()), early })
}

/// Why a dial did not lead to a connection.
#[derive(Debug, Error)]
pub enum DialError {
    /// Name resolution or TCP failed.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("no TLS with the peer: {0}")]
    Tls(#[from] TlsError),
    /// The peer does not speak HTTP.
    #[error("the peer does not answer like a WebSocket server: {0}")]
    Http(#[source] hyper::Error),
    /// The peer answered, but not with 101.
    #[error("the peer refused the handshake with HTTP {status}{explanation}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// The first line of its body in parentheses, or nothing.
        explanation: String,
    },
    /// The 101 does not fit our key.
    #[error("the peer's answer is not a WebSocket handshake (wrong Sec-WebSocket-Accept)")]
    NotWebSocket,
    /// It took too long.
    #[error("no answer to the handshake within {0:?}")]
    Timeout(Duration),
}

impl DialError {
    /// Whether the peer says that our token is wrong or missing.
    #[must_use]
    pub fn is_token_refusal(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }
}

/// Connects to `target` and completes the client's handshake with these additional `headers`,
/// all within `limit`. Where the address says TLS, the peer has to convince `trust`. Redirects are
/// not followed and no proxy is used.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(
    target: &Target,
    trust: &Trust,
    headers: HeaderMap,
    limit: Duration,
) -> Result<Established, DialError> {
    timeout(limit, connect(target, trust, headers)).await.map_err(|_| DialError::Timeout(limit))?
}

async fn connect(target: &Target, trust: &Trust, headers: HeaderMap) -> Result<Established, DialError> {
    let socket = TcpStream::connect((target.host(), target.port())).await.map_err(DialError::Connect)?;
    socket.set_nodelay(true).map_err(DialError::Connect)?;
    if !target.tls() {
        return upgrade(TokioIo::new(socket), target, headers).await;
    }
    let tls = trust.connect(target.host(), socket).await?;
    upgrade(TokioIo::new(tls), target, headers).await
}

async fn upgrade<I>(io: I, target: &Target, headers: HeaderMap) -> Result<Established, DialError>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let key = generate_key();
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = target.path_and_query().parse().unwrap_or_default();
    *request.headers_mut() = headers.clone();
    for (name, value) in [
        (HOST, target.authority()),
        (CONNECTION, "Upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_VERSION, "13"),
        (SEC_WEBSOCKET_KEY, &key),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            request.headers_mut().insert(name, value);
        }
    }

    let (mut sender, connection) = http1::handshake(io).await.map_err(DialError::Http)?;
    let exchange = async {
        let mut response = sender.send_request(request).await.map_err(DialError::Http)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status();
            let explanation = explanation(response.into_body()).await;
            let explanation = explanation.filter(|line| !repeats_a_secret(line, &headers, target));
            return Err(DialError::Refused {
                status,
                explanation: explanation.as_deref().map(shown).unwrap_or_default(),
            });
        }
        let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(DialError::NotWebSocket);
        }
        Ok(hyper::upgrade::on(&mut response))
    };
    // The connection is driven here and not on a task of its own: dropping a dial ends it all.
    let mut connection = std::pin::pin!(connection.with_upgrades());
    let mut exchange = std::pin::pin!(exchange);
    let upgrade = tokio::select! {
        biased;
        upgrade = exchange.as_mut() => upgrade?,
        ended = connection.as_mut() => match ended {
            // The 101 ends the HTTP connection; its response is ready by then.
            Ok(()) => exchange.await?,
            Err(error) => return Err(DialError::Http(error)),
        },
    };
    let mut upgrade = std::pin::pin!(upgrade);
    let upgraded = tokio::select! {
        biased;
        upgraded = upgrade.as_mut() => upgraded,
        _ = connection => upgrade.await,
    };
    Ok(unwrap(upgraded.map_err(DialError::Http)?))
}

/// The first line of a refusal's body, if there is one.
async fn explanation(body: hyper::body::Incoming) -> Option<String> {
    let body = Limited::new(body, EXPLANATION).collect().await.ok()?.to_bytes();
    let line = String::from_utf8_lossy(&body).lines().next()?.trim().to_owned();
    Some(line).filter(|line| !line.is_empty())
}

/// Whether a peer tells us our own token. Some servers put the request into their error pages, and
/// what they say is shown in logs and to bots.
fn repeats_a_secret(text: &str, headers: &HeaderMap, target: &Target) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query = target.query().unwrap_or_default();
    let raw = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1));
    let decoded = form_urlencoded::parse(query.as_bytes()).map(|(_, value)| value);
    let secrets = header.split(' ').next_back().into_iter().chain(raw).map(Cow::Borrowed).chain(decoded);
    secrets.filter(|secret| !secret.is_empty()).any(|secret| text.contains(&*secret))
}

fn shown(line: &str) -> String {
    format!(" ({})", line.chars().take(200).collect::<String>())
}
