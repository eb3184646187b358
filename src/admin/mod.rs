//! The operator edge: is it alive, is it ready, what does it do.
//!
//! It runs on a thread and a listener of its own, so that it answers while the data path is busy.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN};
use http::{Method, StatusCode};
use serde::Serialize;
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceBuilder};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::hub::{Hub, LinkState};
use crate::net::listener::{self, HttpRequest, HttpResponse, body, mount, plain};
use crate::net::tls::Certificate;
use crate::policy::Secret;
use crate::policy::identity::{authenticate, presented_token};
use crate::telemetry::Metrics;

/// `[admin]`: the operator's own listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Demanded for `/metrics`; must be set when `listen` is not a loopback address.
    pub token: Option<Secret>,
    /// What is shown to the operator's browser and scraper, who have to speak TLS then.
    pub tls: Option<Certificate>,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 6701)), token: None, tls: None }
    }
}

/// The operator's pages.
#[derive(Debug, Clone)]
pub struct Admin {
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    token: Option<Secret>,
    /// Cancelled when a shutdown begins.
    draining: CancellationToken,
}

/// The thread they are served on. It ends when this is dropped or told to.
#[derive(Debug)]
pub struct AdminThread {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// The pages of one account.
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        metrics: Arc<Metrics>,
        token: Option<Secret>,
        draining: CancellationToken,
    ) -> Self {
        Self { hub, metrics, token, draining }
    }

    /// Serves the pages at `listen`, with TLS if there is a certificate, on a thread of their own.
    ///
    /// # Errors
    /// When the address cannot be bound, or no thread can be had.
    pub fn spawn(self, listen: SocketAddr, tls: Option<Certificate>) -> io::Result<AdminThread> {
        let socket = TcpListener::bind(listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let service = ServiceBuilder::new()
            .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")))
            .service(self);
        let serve = async move {
            let Ok(socket) = tokio::net::TcpListener::from_std(socket) else { return };
            let config = listener::Config { listen: address, max_connections: 64, tls, ..Default::default() };
            listener::serve(socket, config, mount(service), TaskTracker::new(), stopped).await;
        };
        let thread =
            std::thread::Builder::new().name("admin".to_owned()).spawn(move || runtime.block_on(serve))?;
        Ok(AdminThread { address, stop, thread: Some(thread) })
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        if request.headers().contains_key(ORIGIN) {
            return plain(StatusCode::FORBIDDEN, "requests of web pages are refused");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here");
        }
        match request.uri().path() {
            "/healthz" => plain(StatusCode::OK, "ok"),
            "/readyz" => self.readiness(),
            "/metrics" => self.scrape(request),
            _ => plain(StatusCode::NOT_FOUND, "not found; there are /healthz, /readyz and /metrics"),
        }
    }

    /// 200 while bots can be served, else 503 with the reasons.
    fn readiness(&self) -> HttpResponse {
        let state = self.hub.state();
        let mut reasons = Vec::new();
        if self.draining.is_cancelled() {
            reasons.push("the gateway is shutting down".to_owned());
        }
        match &state.link {
            LinkState::Up => {}
            LinkState::Proving => {
                reasons.push("connected to LLOneBot, waiting to learn which account it is".to_owned());
            }
            LinkState::Down(why) => reasons.push(format!("no link to LLOneBot: {why}")),
        }
        let report = Readiness {
            ready: reasons.is_empty(),
            reasons,
            upstream: self.hub.name(),
            self_id: state.self_id,
            online: state.online,
            version: state.version.as_deref(),
        };
        let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut response = plain(status, "");
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = body(serde_json::to_string(&report).unwrap_or_default());
        response
    }

    fn scrape(&self, request: &HttpRequest) -> HttpResponse {
        if let Some(token) = &self.token {
            let presented = presented_token(request.headers(), request.uri().query());
            if authenticate(presented.as_deref(), [(token, ())]).is_err() {
                return plain(
                    StatusCode::UNAUTHORIZED,
                    "send admin.token as `Authorization: Bearer <token>`",
                );
            }
        }
        self.hub.report_lag();
        match self.metrics.render() {
            Ok(text) => {
                let mut response = plain(StatusCode::OK, "");
                let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, format);
                *response.body_mut() = body(text);
                response
            }
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

/// What `/readyz` says.
#[derive(Serialize)]
struct Readiness<'a> {
    ready: bool,
    reasons: Vec<String>,
    upstream: &'a str,
    self_id: Option<i64>,
    online: bool,
    version: Option<&'a str>,
}

impl AdminThread {
    /// Where the pages are.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for AdminThread {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say; a panic in it was logged when it happened.
            let _ = thread.join();
        }
    }
}

impl Service<HttpRequest> for Admin {
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = Ready<Result<HttpResponse, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}
