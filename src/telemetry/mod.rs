//! What the program tells its operator: typed metrics, log lines, and the audit log.

pub mod audit;
pub mod logging;
pub mod metrics;
mod process;

pub use metrics::Metrics;
