//! Forward WebSocket: bots connect to us (standard, communication/ws.md).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::ORIGIN;
use http::{HeaderMap, StatusCode};
use tokio::time::{Duration, timeout};
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, info, warn};

use super::Config;
use super::bot::Bot;
use super::session::{self, Channel};
use crate::net::Shutdown;
use crate::net::handshake::{accept, established};
use crate::net::listener::{HttpRequest, HttpResponse, Peer, Place, plain};
use crate::net::websocket::Role;
use crate::policy::identity::{Refusal, authenticate, presented_token};
use crate::telemetry::Metrics;

/// Answers WebSocket handshakes of consumers, and runs their sessions.
#[derive(Debug, Clone)]
pub struct WsServer {
    bots: Arc<[Arc<Bot>]>,
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

impl WsServer {
    /// Time for the 101 to be written.
    const UPGRADE_LIMIT: Duration = Duration::from_secs(10);

    /// Serves `bots`. Sessions run on `tasks` until `shutdown`.
    #[must_use]
    pub fn new(
        bots: Arc<[Arc<Bot>]>,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
        shutdown: Shutdown,
    ) -> Self {
        Self { bots, config, metrics, tasks, shutdown }
    }

    fn answer(&self, mut request: HttpRequest) -> HttpResponse {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default();
        if self.shutdown.drain.is_cancelled() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the gateway is shutting down");
        }
        let bot = match self.admit(request.headers(), request.uri().query()) {
            Ok(bot) => Arc::clone(bot),
            Err(refusal) => {
                warn!(peer, path = request.uri().path(), "handshake refused: {}", refusal.sentence);
                self.metrics.refused_handshake(refusal.label);
                return plain(refusal.status, &refusal.sentence);
            }
        };
        let channel = Channel::of_path(request.uri().path());
        let (answer, upgrade) = match accept(&mut request) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.metrics.refused_handshake("not_websocket");
                return refusal;
            }
        };
        let place = request.extensions().get::<Place>().cloned();
        let shutdown = self.shutdown.clone();
        // The request is dropped here and not kept for the session: it weighs more than an idle
        // session does.
        drop(request);
        self.tasks.spawn(async move {
            let _place = place;
            let consumer = bot.consumer.name.clone();
            match timeout(Self::UPGRADE_LIMIT, established(upgrade)).await {
                Ok(Ok(connection)) => {
                    info!(consumer, peer, ?channel, "bot connected");
                    let reason = session::run(connection, Role::Server, channel, bot, shutdown).await;
                    info!(consumer, peer, reason = reason.label(), "bot disconnected");
                }
                Ok(Err(error)) => debug!(consumer, peer, %error, "handshake not completed"),
                Err(_) => debug!(consumer, peer, "handshake not completed in time"),
            }
        });
        answer
    }

    fn admit(&self, headers: &HeaderMap, query: Option<&str>) -> Result<&Arc<Bot>, Refused> {
        if let Some(origin) = headers.get(ORIGIN) {
            let allowed = self.config.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
            if !allowed {
                return Err(Refused {
                    status: StatusCode::FORBIDDEN,
                    label: "origin",
                    sentence: "browsers are refused (the handshake has an Origin header); if this page may \
                               connect, add its origin to server.origins"
                        .to_owned(),
                });
            }
        }
        let token = presented_token(headers, query);
        authenticate(token.as_deref(), self.bots.iter().map(|bot| (&bot.consumer.token, bot)))
            .map_err(Refused::from)
    }
}

struct Refused {
    status: StatusCode,
    label: &'static str,
    sentence: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Missing => StatusCode::UNAUTHORIZED,
            Refusal::Wrong => StatusCode::FORBIDDEN,
        };
        Self { status, label: refusal.label(), sentence: refusal.to_string() }
    }
}

impl Service<HttpRequest> for WsServer {
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = Ready<Result<HttpResponse, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        ready(Ok(self.answer(request)))
    }
}
