//! The bot edge: the link to LLOneBot, the mirror of the consumer edge.
//!
//! [`ws_client`] dials LLOneBot, [`ws_server`] is dialled by it; both end in the same session, and
//! at any moment at most one of them is the link.

mod ending;
mod session;
pub mod ws_client;
pub mod ws_server;

use std::sync::Arc;
use std::time::Duration;

use crate::hub::Hub;
use crate::net::handshake::Established;
use crate::net::tls::Trust;
use crate::net::websocket::Role;
use crate::net::{Shutdown, Target};
use crate::policy::Secret;

/// `[upstream.NAME]`: one QQ account behind LLOneBot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name in the configuration, a metric label.
    pub name: String,
    /// Who connects to whom.
    pub endpoint: Endpoint,
    /// Whom we believe to be LLOneBot when we dial `wss://`.
    pub trust: Trust,
    /// Sent when we dial, demanded when LLOneBot dials.
    pub token: Option<Secret>,
    /// The QQ number, if it is known before the first connection.
    pub self_id: Option<i64>,
    /// Bytes of one frame from LLOneBot.
    pub max_frame: usize,
    /// Interval of our pings on the link.
    pub ping: Duration,
    /// A link without any byte for this long is dead.
    pub silence: Duration,
    /// Upper bound of the growing delay between attempts to connect.
    pub max_backoff: Duration,
}

/// Which side opens the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Forward WebSocket: the gateway connects to LLOneBot.
    Dial(Target),
    /// Reverse WebSocket: LLOneBot connects to this path of `[server]`.
    Accept(String),
}

impl Config {
    /// The defaults for an account named `name` behind `endpoint`.
    #[must_use]
    pub fn new(name: impl Into<String>, endpoint: Endpoint) -> Self {
        Self {
            name: name.into(),
            endpoint,
            trust: Trust::default(),
            token: None,
            self_id: None,
            max_frame: 64 << 20,
            ping: Duration::from_secs(15),
            silence: Duration::from_secs(45),
            max_backoff: Duration::from_secs(30),
        }
    }
}

/// Runs one link over a connection whose handshake is done, to its end. Returns why it ended, in
/// a sentence for people.
pub async fn run_link(
    connection: Established,
    role: Role,
    hub: Arc<Hub>,
    config: &Config,
    shutdown: &Shutdown,
) -> String {
    session::run(connection, role, hub, config, shutdown).await.to_string()
}
