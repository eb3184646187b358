//! The operator edge.

use std::net::{Ipv4Addr, SocketAddr};

use crate::policy::Secret;

/// `[admin]`: the operator's own listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Demanded for `/metrics`; must be set when `listen` is not a loopback address.
    pub token: Option<Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 6701)), token: None }
    }
}
