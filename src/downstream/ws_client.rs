//! Reverse WebSocket: we connect to the bot (standard, communication/ws-reverse.md).

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::ReverseWs;
use super::bot::Bot;
use super::session::{self, Channel};
use crate::net::Shutdown;
use crate::net::backoff::Backoff;
use crate::net::handshake::dial;
use crate::net::websocket::Role;

/// Time for one attempt.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// Time for LLOneBot to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(1);
/// A session that lived this long was a success: the next attempt is immediate again.
const SETTLED: Duration = Duration::from_secs(10);

/// Keeps one connection to the bot, for ever. Waits until the account is known, since
/// the handshake has to name it.
pub async fn run(bot: Arc<Bot>, reverse: ReverseWs, shutdown: Shutdown) {
    tokio::select! {
        biased;
        () = shutdown.abort.cancelled() => {}
        () = keep_connected(&bot, &reverse, &shutdown) => {}
    }
}

async fn keep_connected(bot: &Arc<Bot>, reverse: &ReverseWs, shutdown: &Shutdown) {
    let consumer = bot.consumer.name.as_str();
    let mut backoff = Backoff::new(reverse.max_backoff);
    let mut said = String::new();
    loop {
        let attempt = async {
            sleep(backoff.next_delay(rand::random())).await;
            let headers = handshake_headers(bot, reverse.role).await;
            dial(&reverse.url, &reverse.trust, headers, DIAL_LIMIT).await
        };
        let connection = tokio::select! {
            biased;
            () = shutdown.drain.cancelled() => return,
            connection = attempt => connection,
        };
        match connection {
            Ok(connection) => {
                said.clear();
                info!(consumer, url = %reverse.url, "connected to the bot");
                let since = Instant::now();
                let (bot, shutdown) = (Arc::clone(bot), shutdown.clone());
                let reason = session::run(connection, Role::Client, reverse.role, bot, shutdown).await;
                info!(consumer, url = %reverse.url, reason = reason.label(), "connection to the bot ended");
                if since.elapsed() >= SETTLED {
                    backoff.reset();
                }
            }
            Err(error) => {
                bot.metrics.dial_failed();
                // Once per cause: a bot that is switched off for a week must not fill the log.
                let sentence = error.to_string();
                if sentence != said {
                    warn!(consumer, url = %reverse.url, "cannot reach the bot, trying again for ever: {sentence}");
                    said = sentence;
                }
            }
        }
    }
}

/// What LLOneBot sends in a reverse handshake.
async fn handshake_headers(bot: &Bot, role: Channel) -> HeaderMap {
    let mut state = bot.hub.watch();
    let self_id = match state.wait_for(|state| state.self_id.is_some()).await {
        Ok(state) => state.self_id.unwrap_or_default(),
        Err(_) => 0,
    };
    // Asked for as soon as the account is known; who does not tell is not waited for.
    let _ = timeout(VERSION_LIMIT, state.wait_for(|state| state.version.is_some())).await;
    let mut headers = HeaderMap::new();
    let mut insert = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    insert(HeaderName::from_static("x-self-id"), self_id.to_string());
    // Standard, communication/ws-reverse.md.
    let role = match role {
        Channel::Universal => "Universal",
        Channel::Api => "API",
        Channel::Event => "Event",
    };
    insert(HeaderName::from_static("x-client-role"), role.to_owned());
    insert(AUTHORIZATION, format!("Bearer {}", bot.consumer.token.expose()));
    insert(USER_AGENT, bot.user_agent());
    headers
}
