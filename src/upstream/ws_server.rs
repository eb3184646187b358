//! Reverse WebSocket: LLOneBot connects to us.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{error, info, warn};

use super::{Config, session};
use crate::hub::{Hub, LinkState};
use crate::net::Shutdown;
use crate::net::handshake::{accept, established};
use crate::net::listener::{HttpRequest, HttpResponse, Peer, Place, plain};
use crate::net::websocket::Role;
use crate::policy::identity::{Refusal, authenticate, presented_token};

/// Answers LLOneBot's handshake and runs the link.
///
/// LLOneBot gives up after 2 s without the 101; nothing here waits before it. A second
/// connection takes the place of the first, which is how one notices a restarted LLOneBot whose
/// old connection never ended.
#[derive(Debug, Clone)]
pub struct WsServer {
    hub: Arc<Hub>,
    config: Arc<Config>,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

impl WsServer {
    const UPGRADE_LIMIT: Duration = Duration::from_secs(10);

    /// Takes links for the account of `hub`. They run on `tasks` until `shutdown`.
    #[must_use]
    pub fn new(hub: Arc<Hub>, config: Config, tasks: TaskTracker, shutdown: Shutdown) -> Self {
        Self { hub, config: Arc::new(config), tasks, shutdown }
    }

    fn answer(&self, mut request: HttpRequest) -> HttpResponse {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default();
        if self.shutdown.drain.is_cancelled() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the gateway is shutting down");
        }
        if let Err((status, sentence)) = self.admit(&request) {
            // Where everybody looks who wonders why it does not connect.
            error!(upstream = self.hub.name(), peer, "LLOneBot's connection refused: {sentence}");
            self.hub.metrics().lost("refused");
            self.explain(&sentence);
            return plain(status, &sentence);
        }
        let (answer, upgrade) = match accept(&mut request) {
            Ok(accepted) => accepted,
            Err(refusal) => return refusal,
        };
        let place = request.extensions().get::<Place>().cloned();
        let (hub, config, shutdown) =
            (Arc::clone(&self.hub), Arc::clone(&self.config), self.shutdown.clone());
        drop(request);
        self.tasks.spawn(async move {
            let _place = place;
            let Ok(Ok(connection)) = timeout(Self::UPGRADE_LIMIT, established(upgrade)).await else {
                warn!(upstream = hub.name(), peer, "LLOneBot's handshake was not completed");
                return;
            };
            if hub.state().link == LinkState::Up {
                warn!(
                    upstream = hub.name(),
                    peer, "a second connection from LLOneBot takes the first one's place"
                );
            }
            let ending = session::run(connection, Role::Server, Arc::clone(&hub), &config, &shutdown).await;
            if ending.needs_a_person() {
                error!(upstream = hub.name(), peer, "{ending}");
            } else {
                info!(upstream = hub.name(), peer, "link ended: {ending}");
            }
        });
        answer
    }

    fn admit(&self, request: &HttpRequest) -> Result<(), (StatusCode, String)> {
        if let Some(token) = &self.config.token {
            let presented = presented_token(request.headers(), request.uri().query());
            authenticate(presented.as_deref(), [(token, ())]).map_err(|refusal| match refusal {
                Refusal::Missing => (
                    StatusCode::UNAUTHORIZED,
                    "its reverse WebSocket has no token, but upstream.*.token is set".to_owned(),
                ),
                Refusal::Wrong => {
                    (StatusCode::FORBIDDEN, "its token is not the one in upstream.*.token".to_owned())
                }
            })?;
        }
        let role = request.headers().get("x-client-role").and_then(|role| role.to_str().ok());
        if let Some(role) = role.filter(|role| !role.eq_ignore_ascii_case("universal")) {
            // Calls on one connection and events on another would take each other's place for ever.
            return Err((
                StatusCode::BAD_REQUEST,
                format!(
                    "it connects as {role:?} (X-Client-Role), but calls and events have to share one \
                     connection here: configure one Universal address instead of one for API and one for Event"
                ),
            ));
        }
        let said = request.headers().get("x-self-id").and_then(|id| id.to_str().ok()?.parse::<i64>().ok());
        let state = self.hub.state();
        // While there is no link, another account may log in, unless one is configured.
        let expected = self.config.self_id.or(state.self_id.filter(|_| state.link == LinkState::Up));
        match (expected, said) {
            (Some(expected), Some(said)) if expected != said => Err((
                StatusCode::FORBIDDEN,
                format!("it is account {said}, but this upstream is account {expected}"),
            )),
            _ => Ok(()),
        }
    }

    /// Shows the reason in `/readyz`, unless a link is up.
    fn explain(&self, sentence: &str) {
        if let LinkState::Down(_) = self.hub.state().link {
            self.hub.link_down(&format!("LLOneBot's connection was refused: {sentence}"));
        }
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
