//! Forward WebSocket: bots connect to us (standard, communication/ws.md).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::StatusCode;
use tokio::time::{Duration, timeout};
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, info};

use super::admission::Admission;
use super::session::{self, Channel};
use crate::net::Shutdown;
use crate::net::handshake::{accept, established};
use crate::net::listener::{HttpRequest, HttpResponse, Peer, Place, plain};
use crate::net::websocket::Role;

/// Answers WebSocket handshakes of consumers, and runs their sessions.
#[derive(Debug, Clone)]
pub struct WsServer {
    admission: Admission,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

impl WsServer {
    /// Time for the 101 to be written.
    const UPGRADE_LIMIT: Duration = Duration::from_secs(10);

    /// Lets in whom `admission` admits. Sessions run on `tasks` until `shutdown`.
    #[must_use]
    pub fn new(admission: Admission, tasks: TaskTracker, shutdown: Shutdown) -> Self {
        Self { admission, tasks, shutdown }
    }

    fn answer(&self, mut request: HttpRequest) -> HttpResponse {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default();
        if self.shutdown.drain.is_cancelled() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the gateway is shutting down");
        }
        let bot = match self.admission.admit(&request) {
            Ok(bot) => bot,
            Err(refused) => return plain(refused.status, &refused.sentence),
        };
        let channel = Channel::of_path(request.uri().path());
        let (answer, upgrade) = match accept(&mut request) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.admission.turned_away("not_websocket");
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
