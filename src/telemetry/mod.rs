//! What the program tells its operator: typed metrics and log lines.

pub mod logging;
pub mod metrics;
mod process;

pub use metrics::Metrics;
