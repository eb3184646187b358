//! The consumer edge: every way a bot attaches.
//!
//! A transport has one of two shapes. *Mounted* ([`ws_server`], [`http_api`], [`sse`]): bots come
//! to us, and it answers requests on the listener. *Running* ([`ws_client`], [`webhook`]): we go to them, and it
//! is a future that lives as long as the gateway. Whatever carries them, events come through a
//! `Tail` of the journal and calls go through the bot's `Caller`.

pub mod admission;
mod bot;
mod http_answer;
pub mod http_api;
mod open_call;
mod reader;
mod session;
pub mod sse;
mod tail;
pub mod webhook;
pub mod ws_client;
pub mod ws_server;

use std::sync::Arc;
use std::time::Duration;

pub use self::bot::Bot;
pub use self::session::{Channel, run as run_session};
pub use self::webhook::Webhook;
use crate::call::Share;
use crate::net::Target;
use crate::net::tls::Trust;
use crate::onebot::MessageFormat;
use crate::policy::Secret;
use crate::policy::acl::{Permissions, Rule};
use crate::policy::budget::Allowance;
use crate::policy::events::{Conditions, SelfMessages};

/// What holds for every session, from `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Bytes of one frame from a consumer.
    pub max_frame: usize,
    /// Interval of our keep-alive pings.
    pub ping: Duration,
    /// A consumer that takes no byte of what is due for this long is disconnected.
    pub write_timeout: Duration,
    /// Values of `Origin` that a handshake may carry; browsers send it, bots do not.
    pub origins: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame: 48 << 20,
            ping: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            origins: Vec::new(),
        }
    }
}

/// `[consumer.NAME]`: one bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The name in the configuration, a metric label.
    pub name: String,
    /// How the bot proves who it is when it connects, and what we show when we connect to it.
    pub token: Secret,
    /// Where we connect to the bot.
    pub reverse_ws: Vec<ReverseWs>,
    /// Where we post events to.
    pub webhook: Option<Webhook>,
    /// Interval of the heartbeat events of each session; under 30 s, after which `NoneBot` hangs up.
    pub heartbeat: Duration,
    /// How messages are written, in events and in replies.
    pub message_format: MessageFormat,
    /// Which of the account's own messages (`message_sent`) are delivered.
    pub self_messages: SelfMessages,
    /// Which events it receives beside that; `None` lets all through.
    pub events: Option<Arc<Conditions>>,
    /// What happens to a session that fell off the journal.
    pub lagging: Lagging,
    /// What it may call.
    pub actions: Permissions,
    /// Its turns at a limit it shares, for each turn of a consumer with 1.
    pub priority: u32,
    /// How many of its calls may be open; `None` for `calls.in_flight`.
    pub in_flight: Option<usize>,
    /// Bytes of one frame or body from it; `None` for `server.max_frame`.
    pub max_frame: Option<usize>,
    /// What it may do in a day.
    pub daily: Vec<Allowance>,
}

impl Consumer {
    /// The defaults for a bot named `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, token: Secret) -> Self {
        let name = name.into();
        let actions = Rule::open(format!("consumer.{name}.actions"));
        Self {
            name,
            token,
            reverse_ws: Vec::new(),
            webhook: None,
            heartbeat: Duration::from_secs(15),
            message_format: MessageFormat::default(),
            self_messages: SelfMessages::default(),
            events: None,
            lagging: Lagging::Skip,
            actions: Permissions::new(vec![actions]),
            priority: 1,
            in_flight: None,
            max_frame: None,
            daily: Vec::new(),
        }
    }
}

impl Consumer {
    /// Its part of the account's pace.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { consumer: self.name.clone(), weight: self.priority, daily: self.daily.clone() }
    }
}

/// One connection of `consumer.NAME.reverse_ws`: the bot listens and we connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReverseWs {
    /// The bot's address.
    pub url: Target,
    /// Whom we believe to be the bot when we dial `wss://`.
    pub trust: Trust,
    /// What it carries: everything, or calls and events on one each.
    pub role: Channel,
    /// Upper bound of the growing delay between attempts to connect.
    pub max_backoff: Duration,
}

impl ReverseWs {
    /// The defaults for a bot at `url`.
    #[must_use]
    pub fn new(url: Target) -> Self {
        Self { url, trust: Trust::default(), role: Channel::Universal, max_backoff: Duration::from_secs(30) }
    }
}

/// `consumer.NAME.lagging`: a session whose next event has left the journal …
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lagging {
    /// … goes on with the oldest event that is left; the gap is counted and logged.
    #[default]
    Skip,
    /// … is closed, for bots that would rather reconnect than miss something.
    Disconnect,
}
