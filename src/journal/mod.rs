//! Events as a log.

use std::time::Duration;

/// `[journal]`: what is kept for readers that are behind. The oldest goes first, over any bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Events kept.
    pub events: usize,
    /// Bytes kept; the newest read of the link is kept whatever its size.
    pub bytes: usize,
    /// Time for which an event is kept.
    pub age: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { events: 10_000, bytes: 64 << 20, age: Duration::from_mins(10) }
    }
}
