//! Forward WebSocket: we connect to LLOneBot.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use super::ending::Ending;
use super::{Config, session};
use crate::hub::Hub;
use crate::net::backoff::Backoff;
use crate::net::handshake::dial;
use crate::net::websocket::Role;
use crate::net::{Shutdown, Target};

/// Time for one attempt.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// A link that lived this long was a success: the next attempt is immediate again.
const SETTLED: Duration = Duration::from_secs(10);

/// Keeps the link to `target` until `shutdown`: reconnects at once, then with growing, jittered
/// delay, for ever.
pub async fn run(hub: Arc<Hub>, config: Config, target: Target, shutdown: Shutdown) {
    let mut backoff = Backoff::new(config.max_backoff);
    let mut said = String::new();
    loop {
        let attempt = async {
            sleep(backoff.next_delay(rand::random())).await;
            dial(&target, &config.trust, headers(&config), DIAL_LIMIT).await
        };
        let connection = tokio::select! {
            biased;
            () = shutdown.drain.cancelled() => return,
            connection = attempt => connection,
        };
        let (sentence, needs_a_person) = match connection {
            Ok(connection) => {
                let since = Instant::now();
                let ending =
                    session::run(connection, Role::Client, Arc::clone(&hub), &config, &shutdown).await;
                if ending == Ending::Shutdown {
                    return;
                }
                if since.elapsed() >= SETTLED {
                    backoff.reset();
                    said.clear();
                }
                (ending.to_string(), ending.needs_a_person())
            }
            Err(refused) if refused.is_token_refusal() => (Ending::TokenRefused.to_string(), true),
            Err(error) => {
                hub.metrics().lost("dial");
                (error.to_string(), false)
            }
        };
        hub.link_down(&sentence);
        if needs_a_person {
            backoff.slowest();
        }
        // One line per cause: an LLOneBot that is off for a week must not fill the log.
        if sentence == said {
            continue;
        }
        if needs_a_person {
            error!(upstream = hub.name(), url = %target, "{sentence}");
        } else {
            warn!(upstream = hub.name(), url = %target, "no link, trying again for ever: {sentence}");
        }
        said = sentence;
    }
}

fn headers(config: &Config) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let bearer = config.token.as_ref().map(|token| format!("Bearer {}", token.expose()));
    // The configuration admits only tokens that a header can carry.
    if let Some(Ok(mut value)) = bearer.map(HeaderValue::try_from) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let agent = concat!("onebot-gateway/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers
}
