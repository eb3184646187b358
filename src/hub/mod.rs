//! The middle of one account.

use std::collections::BTreeMap;
use std::time::Duration;

/// `[calls]`: how long calls live and how many may be open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// No answer within this time is answered with retcode 1504.
    pub timeout: Duration,
    /// Exceptions to `timeout`, by action name without suffix.
    pub timeouts: BTreeMap<String, Duration>,
    /// A call issued while the link is down waits this long for it, then gets retcode 1502.
    pub wait_for_link: Duration,
    /// Open calls per consumer; a session at the cap stops reading its socket.
    pub in_flight: usize,
    /// Bytes of calls that may wait for the link (down, or slower than the consumers).
    pub queue_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            timeouts: BTreeMap::new(),
            wait_for_link: Duration::from_secs(5),
            in_flight: 256,
            queue_bytes: 64 << 20,
        }
    }
}
