//! An HTTP/1.1 listener with bounds on what one peer may cost.

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{debug, warn};

use super::WriteDeadline;
use super::tls::Certificate;

/// Where to listen and what one peer may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at once, upgraded ones included; beyond it new ones are refused with 503.
    pub max_connections: usize,
    /// Time for a TLS handshake, for a whole request head to arrive, and for a connection to become
    /// a session.
    pub handshake_timeout: Duration,
    /// Bytes of a request head, at least 8 KiB.
    pub max_header: usize,
    /// What is shown to peers, who have to speak TLS then.
    pub tls: Option<Certificate>,
    /// A peer that takes no byte of a response for this long is hung up on.
    pub write_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 6700)),
            max_connections: 4096,
            handshake_timeout: Duration::from_secs(10),
            max_header: 16 << 10,
            tls: None,
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// How long a shutdown waits for responses that were begun to leave; endless ones end by themselves.
const FLUSH_GRACE: Duration = Duration::from_millis(500);

/// A request as it arrives. Its extensions carry [`Peer`] and [`Place`].
pub type HttpRequest = Request<Incoming>;
/// An answer.
pub type HttpResponse = Response<Body>;
/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;
/// Why a body could not be read or made to its end.
pub type BoxError = Box<dyn Error + Send + Sync>;
/// What answers requests: the shape of every mounted adapter.
pub type HttpService = BoxCloneSyncService<HttpRequest, HttpResponse, Infallible>;

/// The address a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// A place among `max_connections`. A session that outlives its HTTP connection keeps it.
#[derive(Debug, Clone)]
pub struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Accepts connections until `cancel`, one task each on `tasks`. Cancelling lets requests that
/// are being answered finish; upgraded connections are their sessions' own. The files of a
/// certificate are followed all the while.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    service: HttpService,
    tasks: TaskTracker,
    cancel: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(config.max_connections));
    if let Some(certificate) = config.tls.clone() {
        tasks.spawn(cancel.clone().run_until_cancelled_owned(certificate.follow_files()));
    }
    loop {
        let accepted = tokio::select! {
            biased;
            // A listener that is busy accepting must still stop.
            () = cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely. Ending would make a passing fault permanent.
                warn!(%error, "cannot accept a connection; trying again in 100 ms");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = socket.set_nodelay(true) {
            debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let Ok(permit) = Arc::clone(&places).try_acquire_owned() else {
            warn!(%peer, limit = config.max_connections, "connection refused: server.max_connections is reached");
            // Within TLS the answer would cost the handshake that is to be saved.
            if config.tls.is_none() {
                tasks.spawn(refuse(socket));
            }
            continue;
        };
        let place = Place { _permit: Arc::new(permit) };
        tasks.spawn(connection(socket, Peer(peer), place, config.clone(), service.clone(), cancel.clone()));
    }
}

/// One connection from its first byte. Everything a peer can be slow at happens here, on a task of
/// its own, and within `handshake_timeout`.
async fn connection(
    socket: TcpStream,
    peer: Peer,
    place: Place,
    config: Config,
    service: HttpService,
    cancel: CancellationToken,
) {
    let Some(certificate) = &config.tls else {
        return http(socket, peer, place, &config, service, cancel).await;
    };
    // Boxed, so that connections without TLS do not carry the room for it.
    let opening = Box::pin(timeout(config.handshake_timeout, open(socket, certificate)));
    match cancel.run_until_cancelled(opening).await {
        None => {}
        Some(Ok(Ok(Opened::Tls(stream)))) => {
            Box::pin(http(stream, peer, place, &config, service, cancel)).await;
        }
        Some(Ok(Ok(Opened::Plain(socket)))) => {
            http(socket, peer, place, &config, tls_only(), cancel).await;
        }
        Some(Ok(Err(error))) => debug!(peer = %peer.0, %error, "TLS handshake failed"),
        Some(Err(_)) => debug!(peer = %peer.0, "no TLS handshake within server.handshake_timeout"),
    }
}

/// What a peer speaks where TLS is spoken.
enum Opened {
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
}

async fn open(socket: TcpStream, certificate: &Certificate) -> io::Result<Opened> {
    let mut first = [0];
    socket.peek(&mut first).await?;
    // A request begins with the letters of its method, TLS with the byte 22.
    if first.iter().all(u8::is_ascii_uppercase) {
        return Ok(Opened::Plain(socket));
    }
    Ok(Opened::Tls(Box::new(certificate.accept(socket).await?)))
}

/// Tells a peer with the wrong address what is right.
fn tls_only() -> HttpService {
    let sentence = "this port speaks TLS: the address begins with wss:// or https://";
    mount(tower::service_fn(move |_| ready(Ok(plain(StatusCode::BAD_REQUEST, sentence)))))
}

async fn http<I>(
    io: I,
    peer: Peer,
    place: Place,
    config: &Config,
    service: HttpService,
    cancel: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answering = TaskTracker::new();
    let requests = answering.clone();
    let service = service_fn(move |mut request: HttpRequest| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(place.clone());
        requests.track_future(service.clone().oneshot(request))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.handshake_timeout)
        .max_buf_size(config.max_header.max(8 << 10))
        .serve_connection(TokioIo::new(WriteDeadline::new(io, config.write_timeout)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            answering.close();
            tokio::select! {
                biased;
                // A request that is there is answered.
                ended = connection.as_mut() => ended,
                // Half of one would hold up the shutdown for as long as its peer likes. What was
                // answered may still be on its way.
                () = answering.wait() => match timeout(FLUSH_GRACE, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                },
            }
        }
    };
    if let Err(error) = ended {
        debug!(peer = %peer.0, %error, "HTTP connection ended");
    }
}

/// Says why, to a peer that may not read it.
async fn refuse(mut socket: TcpStream) {
    const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let _ = timeout(Duration::from_secs(1), socket.write_all(BUSY)).await;
}

/// Makes a service what [`serve`] takes. A panic in it costs the request a 500, nothing more.
pub fn mount<S>(service: S) -> HttpService
where
    S: Service<HttpRequest, Response = HttpResponse, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let service = ServiceBuilder::new()
        .map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync))
        .layer(CatchPanicLayer::custom(|_| {
            plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the log")
        }))
        .service(service);
    BoxCloneSyncService::new(service)
}

/// A body that is there as a whole.
pub fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A plain-text answer of one sentence.
#[must_use]
pub fn plain(status: StatusCode, sentence: &str) -> HttpResponse {
    let mut response = Response::new(body(format!("{sentence}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status.is_client_error() || status.is_server_error() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
