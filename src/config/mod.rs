//! The configuration: raw file and environment in, typed values out.
//!
//! `gateway.toml` at the root of the repository is the reference of every key. A variable
//! `ONEBOT_GATEWAY__SECTION__KEY` overrides the file; it is kept as the text it is, so that a token `007`
//! stays `007`. Lists cannot be set from the environment, and an empty variable counts as unset. Variables
//! with a single underscore, such as `ONEBOT_GATEWAY_CONFIG`, belong to the command line.

mod audit;
mod cache;
mod event_rules;
mod exposure;
mod human;
mod limits;
mod permissions;
mod problem;
mod raw;
mod read;
mod resolve;
mod secret;
mod source;
mod tls;
mod warnings;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

pub use problem::{Location, Problem, Problems};

use crate::{admin, call, downstream, hub, journal, net, telemetry, upstream};
use problem::Report;
use source::Sources;

/// One thread carries the data path of one account; more are the operator's choice.
const WORKERS: usize = 1;
/// `docker stop` kills after 10 s.
const DRAIN: Duration = Duration::from_secs(8);

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
    /// How fast they may go.
    pub pace: call::pace::Config,
    /// Which answers are given again.
    pub cache: call::cache::Config,
    /// What is kept for readers that are behind.
    pub journal: journal::Config,
    /// The bots, in the order of their names.
    pub consumers: Vec<downstream::Consumer>,
    /// The audit log, if there is to be one.
    pub audit: Option<telemetry::audit::Config>,
    /// Logging.
    pub log: telemetry::logging::Config,
    /// What is written and has no effect, a sentence each.
    pub warnings: Vec<String>,
}

impl Config {
    /// The defaults around what has none: the account and the bots.
    #[must_use]
    pub fn new(upstream: upstream::Config, consumers: Vec<downstream::Consumer>) -> Self {
        Self {
            server: net::listener::Config::default(),
            workers: WORKERS,
            drain: DRAIN,
            sessions: downstream::Config::default(),
            admin: admin::Config::default(),
            upstream,
            calls: hub::Config::default(),
            pace: call::pace::Config::default(),
            cache: call::cache::Config::default(),
            journal: journal::Config::default(),
            consumers,
            audit: None,
            log: telemetry::logging::Config::default(),
            warnings: Vec::new(),
        }
    }
}

/// Reads and checks the file at `path`, overridden by `environment` (see [`environment`]).
///
/// # Errors
/// Everything that is wrong, not only the first thing. No secret is in it.
pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Config, Problems> {
    let name = path.display().to_string();
    let unreadable = |message: String| Problems::of_file(&name, &message);
    let bytes = fs::read(path)
        .map_err(|error| unreadable(format!("cannot be read: {error}; name another file with --config")))?;
    let text =
        String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8; save it as UTF-8".to_owned()))?;
    parse(&text, &name, environment)
}

/// Like [`load`], from `text`; `name` is what problems call the file.
///
/// # Errors
/// Everything that is wrong, not only the first thing. No secret is in it.
pub fn parse(
    text: &str,
    name: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Problems> {
    let environment: BTreeMap<String, String> = environment.collect();
    let sources = Sources::new(name, text, &environment)?;
    let mut report = Report::new(&sources);
    let raw = read::all(sources.merge()?, &mut report);
    let config = resolve::resolve(raw, &environment, &mut report);
    report.finish(config)
}

/// The variables of this process; those that are not UTF-8 are nobody's configuration.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
