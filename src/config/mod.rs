//! The configuration: raw file and environment in, typed values out.

use std::time::Duration;

use crate::{admin, downstream, hub, journal, net, telemetry, upstream};

/// A whole, checked configuration. Each room's part is that room's own type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where bots connect.
    pub server: net::listener::Config,
    /// Worker threads of the data path.
    pub workers: usize,
    /// How long a shutdown may take in all.
    pub drain: Duration,
    /// What holds for every consumer's session.
    pub sessions: downstream::Config,
    /// The operator's listener.
    pub admin: admin::Config,
    /// The account.
    pub upstream: upstream::Config,
    /// Deadlines and caps of calls.
    pub calls: hub::Config,
    /// What is kept for readers that are behind.
    pub journal: journal::Config,
    /// The bots, in the order of their names.
    pub consumers: Vec<downstream::Consumer>,
    /// Logging.
    pub log: telemetry::logging::Config,
}
