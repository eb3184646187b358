//! Log lines.

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
