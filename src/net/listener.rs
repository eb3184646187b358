//! An HTTP/1.1 listener with bounds.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where to listen and what one peer may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at once; beyond it new ones are refused with 503.
    pub max_connections: usize,
    /// Time for a whole request head (and TLS handshake) to arrive.
    pub handshake_timeout: Duration,
    /// Bytes of a request head.
    pub max_header: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 6700)),
            max_connections: 4096,
            handshake_timeout: Duration::from_secs(10),
            max_header: 16 << 10,
        }
    }
}
