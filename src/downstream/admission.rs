//! Who may come in: the same door for every mounted transport.

use std::sync::Arc;

use http::header::ORIGIN;
use http::{HeaderMap, StatusCode};
use tracing::warn;

use super::{Bot, Config};
use crate::net::listener::{HttpRequest, Peer};
use crate::policy::identity::{Refusal, authenticate, presented_token};
use crate::telemetry::Metrics;

/// The consumers that may attach to one listener.
#[derive(Debug, Clone)]
pub struct Admission {
    bots: Arc<[Arc<Bot>]>,
    config: Arc<Config>,
    metrics: Arc<Metrics>,
}

/// What is said to somebody who may not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) sentence: String,
    label: &'static str,
}

impl Admission {
    /// Admits `bots`, each by its token.
    #[must_use]
    pub fn new(bots: Arc<[Arc<Bot>]>, config: Arc<Config>, metrics: Arc<Metrics>) -> Self {
        Self { bots, config, metrics }
    }

    /// Finds whose request this is; a refusal is counted and logged.
    pub(super) fn admit(&self, request: &HttpRequest) -> Result<Arc<Bot>, Refused> {
        let found = self.find(request.headers(), request.uri().query());
        if let Err(refused) = &found {
            let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default();
            warn!(peer, path = request.uri().path(), "refused: {}", refused.sentence);
            self.metrics.refused_handshake(refused.label);
        }
        found
    }

    /// Counts somebody who may come in but cannot: `reason` is one of a fixed set of words.
    pub(super) fn turned_away(&self, reason: &'static str) {
        self.metrics.refused_handshake(reason);
    }

    fn find(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Arc<Bot>, Refused> {
        if let Some(origin) = headers.get(ORIGIN) {
            let allowed = self.config.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
            if !allowed {
                return Err(Refused {
                    status: StatusCode::FORBIDDEN,
                    label: "origin",
                    sentence:
                        "web pages are refused (the request has an Origin header); if this page may come \
                               in, add its origin to server.origins"
                            .to_owned(),
                });
            }
        }
        let token = presented_token(headers, query);
        authenticate(token.as_deref(), self.bots.iter().map(|bot| (&bot.consumer.token, bot)))
            .map(Arc::clone)
            .map_err(Refused::from)
    }
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
