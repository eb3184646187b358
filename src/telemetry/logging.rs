//! Log lines, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// `[log]`: what is logged and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A level, or directives such as `info,onebot_gateway::upstream=debug`.
    pub level: String,
    /// How a line looks.
    pub format: Format,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::default() }
    }
}

/// Starts logging for this process. A second call changes nothing.
///
/// The WebSocket and HTTP libraries stay at `info`: below it they write whole frames, and with
/// them tokens and private chats.
pub fn init(config: &Config) {
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let quiet = ["tungstenite=info", "tokio_tungstenite=info", "hyper=info"];
    let filter = quiet.iter().filter_map(|quiet| quiet.parse().ok()).fold(filter, EnvFilter::add_directive);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    // An error means that somebody logs already, which is as good.
    let _ = match config.format {
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        Format::Text => {
            let lines = lines.with_ansi(io::stderr().is_terminal()).with_target(false);
            if under_journald() {
                // journald writes the time itself.
                registry.with(lines.without_time()).try_init()
            } else {
                registry.with(lines).try_init()
            }
        }
    };
}

fn under_journald() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal()
}
