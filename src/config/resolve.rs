//! From what was written to what it means: defaults and bounds. Rules between sections are in `exposure`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeBounds;
use std::time::Duration;

use super::human::{Count, Interval, Size};
use super::permissions::Roles;
use super::problem::Report;
use super::raw::{self, Raw};
use super::secret::RawSecret;
use super::source::Spot;
use super::tls::{self, Trusts};
use super::{Config, DRAIN, WORKERS, event_rules, exposure, warnings};
use crate::downstream::{self, Channel, Consumer, Lagging, ReverseWs, Webhook};
use crate::net::{self, Target};
use crate::onebot::MessageFormat;
use crate::policy::Secret;
use crate::policy::actions::action_named;
use crate::policy::spelling::closest;
use crate::telemetry::logging;
use crate::upstream::{self, Endpoint};
use crate::{admin, hub, journal};

/// Reads `raw` into the rooms' own types. Every problem goes to `report`; `None` if no account is left.
pub(super) fn resolve(
    mut raw: Raw,
    environment: &BTreeMap<String, String>,
    report: &mut Report<'_>,
) -> Option<Config> {
    let mut resolver = Resolver { environment, report, trusts: Trusts::default() };
    let server = resolver.listener(&mut raw.server);
    let (workers, drain) = resolver.process(&raw.server);
    let sessions = resolver.sessions(raw.server);
    let admin = resolver.admin(raw.admin);
    let upstream = resolver.upstreams(raw.upstream);
    let names: Vec<String> = raw.consumer.keys().cloned().collect();
    let named_roles: Vec<String> =
        raw.consumer.values().filter_map(|raw| raw.roles.as_ref()).flat_map(|list| list.0.clone()).collect();
    let roles = resolver.roles(raw.role);
    let consumers = resolver.consumers(raw.consumer, &roles);
    let pace = resolver.pace(raw.limit, raw.calls.time_zone.as_deref(), &names);
    let calls = resolver.calls(raw.calls);
    let cache = resolver.cache(raw.cache);
    let journal = resolver.journal(&raw.journal);
    let audit = resolver.audit(raw.audit);
    let log = resolver.log(raw.log);
    exposure::check(&server, &admin, upstream.as_ref(), &consumers, report);
    let config = Config {
        server,
        workers,
        drain,
        sessions,
        admin,
        upstream: upstream?,
        calls,
        pace,
        cache,
        journal,
        consumers,
        audit,
        log,
        warnings: Vec::new(),
    };
    let warnings = warnings::of(&config, &roles.unused(&named_roles));
    Some(Config { warnings, ..config })
}

pub(super) struct Resolver<'a, 'r> {
    environment: &'a BTreeMap<String, String>,
    pub(super) report: &'a mut Report<'r>,
    trusts: Trusts,
}

/// One function for each section.
impl Resolver<'_, '_> {
    fn listener(&mut self, raw: &mut raw::Server) -> net::listener::Config {
        let defaults = net::listener::Config::default();
        let key = |key| ["server", key];
        net::listener::Config {
            listen: self.address(&key("listen"), raw.listen.as_deref(), defaults.listen),
            max_connections: self.count(
                &key("max_connections"),
                raw.max_connections,
                defaults.max_connections,
                1..=1_000_000,
                "must be from 1 to 1000000",
            ),
            handshake_timeout: self.interval(
                &key("handshake_timeout"),
                raw.handshake_timeout,
                defaults.handshake_timeout,
            ),
            max_header: self.size(
                &key("max_header"),
                raw.max_header,
                defaults.max_header,
                1 << 10..=1 << 20,
                "must be from 1 KiB to 1 MiB",
            ),
            tls: tls::certificate("server", raw.tls.take(), self.report),
            // A problem with it is reported where the sessions' is.
            write_timeout: raw.write_timeout.as_ref().map_or(defaults.write_timeout, |Interval(time)| *time),
        }
    }

    fn process(&mut self, raw: &raw::Server) -> (usize, Duration) {
        let workers =
            self.count(&["server", "workers"], raw.workers, WORKERS, 1..=64, "must be from 1 to 64");
        (workers, self.interval(&["server", "drain"], raw.drain, DRAIN))
    }

    fn sessions(&mut self, raw: raw::Server) -> downstream::Config {
        let defaults = downstream::Config::default();
        let key = |key| ["server", key];
        let origins = raw.origins.map_or(defaults.origins, |list| list.0);
        for origin in origins.iter().filter(|origin| !is_origin(origin)) {
            let message = format!(
                "{origin:?} is not an origin as browsers send it, such as \"https://example.org\", without a path"
            );
            self.report.refuse(&key("origins"), message);
        }
        downstream::Config {
            max_frame: self.max_frame(&key("max_frame"), raw.max_frame, defaults.max_frame),
            ping: self.interval(&key("ping"), raw.ping, defaults.ping),
            write_timeout: self.interval(&key("write_timeout"), raw.write_timeout, defaults.write_timeout),
            origins,
        }
    }

    fn admin(&mut self, raw: raw::Admin) -> admin::Config {
        let defaults = admin::Config::default();
        admin::Config {
            listen: self.address(&["admin", "listen"], raw.listen.as_deref(), defaults.listen),
            token: self.token(&["admin", "token"], raw.token),
            tls: tls::certificate("admin", raw.tls, self.report),
        }
    }

    fn upstreams(&mut self, raw: BTreeMap<String, raw::Upstream>) -> Option<upstream::Config> {
        if raw.is_empty() {
            let message = "no account; add a table [upstream.main] with `dial` or `accept`";
            self.report.missing(&["upstream"], message);
        }
        let mut served: Option<String> = None;
        let mut first = None;
        for (name, raw) in raw {
            self.name(&["upstream", &name], &name);
            let upstream = self.upstream(&name, raw);
            if let Some(served) = &served {
                let message = format!(
                    "this version serves one account, which is `upstream.{served}` already; remove one of the two"
                );
                self.report.refuse(&["upstream", &name], message);
            } else {
                served = Some(name);
                first = upstream;
            }
        }
        first
    }

    fn upstream(&mut self, name: &str, raw: raw::Upstream) -> Option<upstream::Config> {
        let key = |key| ["upstream", name, key];
        let endpoint = self.endpoint(name, raw.dial, raw.accept);
        // The defaults do not depend on the endpoint.
        let defaults = upstream::Config::new(name, Endpoint::Accept(String::new()));
        let ping = self.interval(&key("ping"), raw.ping, defaults.ping);
        let silence = self.interval(&key("silence"), raw.silence, defaults.silence);
        if ping >= silence {
            let written = if raw.silence.is_some() { "silence" } else { "ping" };
            let message = format!(
                "`ping` ({ping:?}) must be shorter than `silence` ({silence:?}), or a quiet link is taken for dead"
            );
            self.report.refuse(&key(written), message);
        }
        let self_id = raw.self_id.map(|Count(number)| i64::try_from(number).unwrap_or(0));
        if self_id.is_some_and(|number| number <= 0) {
            self.report.refuse(&key("self_id"), "is not a QQ number");
        }
        // An address that cannot be read is told already.
        let is_tls = endpoint.as_ref().is_none_or(|endpoint| match endpoint {
            Endpoint::Dial(target) => target.tls(),
            Endpoint::Accept(_) => false,
        });
        let config = upstream::Config {
            trust: self.trusts.of(&key("ca"), raw.ca, is_tls, self.report),
            token: self.token(&key("token"), raw.token),
            self_id,
            max_frame: self.max_frame(&key("max_frame"), raw.max_frame, defaults.max_frame),
            ping,
            silence,
            max_backoff: self.interval(&key("max_backoff"), raw.max_backoff, defaults.max_backoff),
            ..defaults
        };
        Some(upstream::Config { endpoint: endpoint?, ..config })
    }

    fn endpoint(&mut self, name: &str, dial: Option<String>, accept: Option<String>) -> Option<Endpoint> {
        let key = |key| ["upstream", name, key];
        match (dial, accept) {
            (Some(url), None) => self.target(&key("dial"), &url).map(Endpoint::Dial),
            (None, Some(path)) => {
                if let Some(message) = path_problem(&path) {
                    self.report.refuse(&key("accept"), message);
                }
                Some(Endpoint::Accept(path))
            }
            (None, None) => {
                let message =
                    "missing; set `dial` to LLOneBot's address, or `accept` to the path it connects to";
                self.report.missing(&key("dial"), message);
                None
            }
            (Some(_), Some(_)) => {
                let message = "`dial` is set too; keep the one that says who connects to whom";
                self.report.refuse(&key("accept"), message);
                None
            }
        }
    }

    fn roles(&mut self, raw: BTreeMap<String, raw::Role>) -> Roles {
        for name in raw.keys() {
            self.name(&["role", name], name);
        }
        Roles::read(raw, self.report)
    }

    fn consumers(&mut self, raw: BTreeMap<String, raw::Consumer>, roles: &Roles) -> Vec<Consumer> {
        if raw.is_empty() {
            let message =
                "nothing could ever connect; add a table [consumer.NAME] with a `token` for each bot";
            self.report.missing(&["consumer"], message);
        }
        raw.into_iter().filter_map(|(name, raw)| self.consumer(&name, raw, roles)).collect()
    }

    fn consumer(&mut self, name: &str, raw: raw::Consumer, roles: &Roles) -> Option<Consumer> {
        self.name(&["consumer", name], name);
        let key = |key| ["consumer", name, key];
        let token = self.token(&key("token"), raw.token);
        if token.is_none() {
            let message = "missing; the bot proves with it who it is, make one with `openssl rand -hex 16`";
            self.report.missing(&key("token"), message);
        }
        let defaults = Consumer::new(name, Secret::new(""));
        let self_messages = raw.self_messages.map_or(defaults.self_messages, |which| which.0);
        let consumer = Consumer {
            reverse_ws: raw.reverse_ws.map_or_else(Vec::new, |raw| self.reverse_ws(name, raw)),
            webhook: raw.webhook.and_then(|raw| self.webhook(name, raw)),
            heartbeat: self.within(
                &key("heartbeat"),
                raw.heartbeat.map(|Interval(time)| time),
                defaults.heartbeat,
                Duration::from_secs(1)..Duration::from_secs(30),
                "must be from 1s to under 30s: NoneBot hangs up after 30s without a frame",
            ),
            message_format: raw.message_format.map_or(defaults.message_format, |format| match format {
                raw::MessageFormat::Array => MessageFormat::Array,
                raw::MessageFormat::String => MessageFormat::String,
            }),
            self_messages,
            events: event_rules::resolve(name, raw.events, self_messages, self.report),
            lagging: raw.lagging.map_or(defaults.lagging, |lagging| match lagging {
                raw::Lagging::Skip => Lagging::Skip,
                raw::Lagging::Disconnect => Lagging::Disconnect,
            }),
            actions: roles.permissions(name, raw.actions, raw.roles, self.report),
            priority: self.within(
                &key("priority"),
                raw.priority.map(|Count(turns)| u32::try_from(turns).unwrap_or(u32::MAX)),
                defaults.priority,
                1..=100,
                "must be from 1 to 100",
            ),
            in_flight: raw.in_flight.map(|in_flight| self.in_flight(&key("in_flight"), Some(in_flight), 1)),
            max_frame: raw.max_frame.map(|size| self.max_frame(&key("max_frame"), Some(size), 1)),
            daily: self.daily(name, raw.daily),
            ..defaults
        };
        Some(Consumer { token: token?, ..consumer })
    }

    /// One connection for each address: for everything, or one for calls and one for events.
    fn reverse_ws(&mut self, consumer: &str, raw: raw::ReverseWs) -> Vec<ReverseWs> {
        let key = |key| ["consumer", consumer, "reverse_ws", key];
        if raw.url.is_none() && raw.api_url.is_none() && raw.event_url.is_none() {
            let message = "missing; expected the address the bot listens on, such as \"ws://127.0.0.1:8080/onebot/v11/ws\"";
            self.report.missing(&key("url"), message);
            return Vec::new();
        }
        let max_backoff = self.interval(&key("max_backoff"), raw.max_backoff, Duration::from_secs(30));
        let mut connections = Vec::new();
        for (name, url, role) in [
            ("url", raw.url, Channel::Universal),
            ("api_url", raw.api_url, Channel::Api),
            ("event_url", raw.event_url, Channel::Event),
        ] {
            if let Some(url) = url.and_then(|url| self.target(&key(name), &url)) {
                connections.push(ReverseWs { role, max_backoff, ..ReverseWs::new(url) });
            }
        }
        if !connections.is_empty() {
            let is_tls = connections.iter().any(|connection| connection.url.tls());
            let trust = self.trusts.of(&key("ca"), raw.ca, is_tls, self.report);
            for connection in &mut connections {
                connection.trust = trust.clone();
            }
        }
        connections
    }

    fn webhook(&mut self, consumer: &str, raw: raw::Webhook) -> Option<Webhook> {
        let key = |key| ["consumer", consumer, "webhook", key];
        let url = if let Some(url) = raw.url {
            let parsed = Target::parse_http(&url);
            parsed.map_err(|message| self.report.refuse(&key("url"), message)).ok()
        } else {
            let message =
                "missing; expected the address the bot listens on, such as \"http://127.0.0.1:8080/onebot\"";
            self.report.missing(&key("url"), message);
            None
        };
        let is_tls = url.as_ref().is_some_and(Target::tls);
        let trust = self.trusts.of(&key("ca"), raw.ca, is_tls, self.report);
        let secret = self.secret(&key("secret"), raw.secret);
        // The defaults do not depend on the address.
        let defaults = Webhook::new(Target::parse_http("http://localhost/").ok()?);
        let webhook = Webhook {
            trust,
            secret,
            timeout: self.interval(&key("timeout"), raw.timeout, defaults.timeout),
            concurrency: self.count(
                &key("concurrency"),
                raw.concurrency,
                defaults.concurrency,
                1..=256,
                "must be from 1 to 256",
            ),
            attempts: raw.attempts.map(|attempts| {
                self.count(&key("attempts"), Some(attempts), 1, 1..=1_000_000, "must be from 1 to 1000000")
            }),
            max_backoff: self.interval(&key("max_backoff"), raw.max_backoff, defaults.max_backoff),
            heartbeat: raw.heartbeat.map_or(defaults.heartbeat, |switch| switch.0),
            ..defaults
        };
        Some(Webhook { url: url?, ..webhook })
    }

    /// A name that no action has would be a rule that never applies.
    pub(super) fn action(&mut self, path: &[&str], name: &str) {
        if let Err(problem) = action_named(name) {
            self.report.refuse(path, problem);
        }
    }

    fn calls(&mut self, raw: raw::Calls) -> hub::Config {
        let defaults = hub::Config::default();
        let key = |key| ["calls", key];
        let mut timeouts = BTreeMap::new();
        for (action, Interval(timeout)) in raw.timeouts {
            let path = ["calls", "timeouts", &action];
            self.action(&path, &action);
            let timeout = self.interval(&path, Some(Interval(timeout)), defaults.timeout);
            timeouts.insert(action, timeout);
        }
        hub::Config {
            timeout: self.interval(&key("timeout"), raw.timeout, defaults.timeout),
            timeouts,
            // No waiting at all is a choice.
            wait_for_link: raw.wait_for_link.map_or(defaults.wait_for_link, |Interval(time)| time),
            in_flight: self.in_flight(&key("in_flight"), raw.in_flight, defaults.in_flight),
            rate_limited_interval: self.interval(
                &key("rate_limited_interval"),
                raw.rate_limited_interval,
                defaults.rate_limited_interval,
            ),
            queue_bytes: self.size(
                &key("queue_bytes"),
                raw.queue_bytes,
                defaults.queue_bytes,
                64 << 10..,
                "must be at least 64 KiB",
            ),
        }
    }

    fn journal(&mut self, raw: &raw::Journal) -> journal::Config {
        let defaults = journal::Config::default();
        let key = |key| ["journal", key];
        journal::Config {
            events: self.count(
                &key("events"),
                raw.events,
                defaults.events,
                1..=10_000_000,
                "must be from 1 to 10000000",
            ),
            bytes: self.size(&key("bytes"), raw.bytes, defaults.bytes, 64 << 10.., "must be at least 64 KiB"),
            age: self.interval(&key("age"), raw.age, defaults.age),
        }
    }

    fn log(&mut self, raw: raw::Log) -> logging::Config {
        let defaults = logging::Config::default();
        if let Some(message) = raw.level.as_deref().and_then(level_problem) {
            self.report.refuse(&["log", "level"], message);
        }
        logging::Config {
            level: raw.level.unwrap_or(defaults.level),
            format: raw.format.map_or(defaults.format, |format| match format {
                raw::Format::Text => logging::Format::Text,
                raw::Format::Json => logging::Format::Json,
            }),
        }
    }
}

/// One function for each kind of value.
impl Resolver<'_, '_> {
    fn within<T: PartialOrd>(
        &mut self,
        path: &[&str],
        written: Option<T>,
        default: T,
        allowed: impl RangeBounds<T>,
        rule: &str,
    ) -> T {
        let Some(value) = written else { return default };
        if !allowed.contains(&value) {
            self.report.refuse(path, rule);
        }
        value
    }

    pub(super) fn interval(
        &mut self,
        path: &[&str],
        written: Option<Interval>,
        default: Duration,
    ) -> Duration {
        let shortest = Duration::from_millis(1);
        self.within(path, written.map(|Interval(time)| time), default, shortest.., "must be longer than 0s")
    }

    pub(super) fn count(
        &mut self,
        path: &[&str],
        written: Option<Count>,
        default: usize,
        allowed: impl RangeBounds<usize>,
        rule: &str,
    ) -> usize {
        self.within(path, written.map(Count::get), default, allowed, rule)
    }

    pub(super) fn size(
        &mut self,
        path: &[&str],
        written: Option<Size>,
        default: usize,
        allowed: impl RangeBounds<usize>,
        rule: &str,
    ) -> usize {
        self.within(path, written.map(|Size(bytes)| bytes), default, allowed, rule)
    }

    fn in_flight(&mut self, path: &[&str], written: Option<Count>, default: usize) -> usize {
        self.count(path, written, default, 1..=100_000, "must be from 1 to 100000")
    }

    fn max_frame(&mut self, path: &[&str], written: Option<Size>, default: usize) -> usize {
        self.size(path, written, default, 1 << 10..=1 << 30, "must be from 1 KiB to 1 GiB")
    }

    fn address(&mut self, path: &[&str], written: Option<&str>, default: SocketAddr) -> SocketAddr {
        let Some(text) = written else { return default };
        text.parse().unwrap_or_else(|_| {
            let message =
                format!("{text:?} is not IP:PORT, such as \"{default}\" or \"[::1]:{}\"", default.port());
            self.report.refuse(path, message);
            default
        })
    }

    fn target(&mut self, path: &[&str], url: &str) -> Option<Target> {
        Target::parse(url).map_err(|message| self.report.refuse(path, message)).ok()
    }

    /// The names of tables are metric labels, and parts of the names of variables.
    pub(super) fn name(&mut self, path: &[&str], name: &str) {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            let message =
                "is no name; use up to 64 of a-z, 0-9 and _, so that the environment can override its keys";
            self.report.refuse(path, message);
        } else if name.starts_with('_') || name.ends_with('_') || name.contains("__") {
            let message = "is no name; use single _ between other characters: __ separates the parts of a variable's name";
            self.report.refuse(path, message);
        }
    }

    /// A secret that is sent in a header.
    fn token(&mut self, path: &[&str], written: Option<RawSecret>) -> Option<Secret> {
        let secret = self.secret(path, written)?;
        if secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(secret);
        }
        let message = "has characters that an HTTP header cannot carry; use printable ASCII without blanks";
        self.report.fault(path, Spot::Value, message);
        None
    }

    fn secret(&mut self, path: &[&str], written: Option<RawSecret>) -> Option<Secret> {
        let message = match written?.fetch(self.environment) {
            Ok(Some(secret)) if secret.expose().is_empty() => {
                "is empty; make a token with `openssl rand -hex 16`".to_owned()
            }
            Ok(Some(secret)) => return Some(secret),
            Ok(None) => {
                let message = r#"names no source; expected { env = "NAME" } or { file = "/path" }"#;
                self.report.missing(path, message);
                return None;
            }
            Err(message) => message,
        };
        self.report.fault(path, Spot::Value, message);
        None
    }
}

fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, host)| {
        !scheme.is_empty() && !host.is_empty() && !host.contains(|c: char| c == '/' || c.is_whitespace())
    })
}

fn path_problem(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!("{path:?} is not a path; it starts with /, such as \"/llonebot\""));
    }
    if path.contains(|c: char| !c.is_ascii_graphic() || c == '?' || c == '#') {
        return Some(format!("{path:?} is not a plain path, such as \"/llonebot\""));
    }
    let taken = ["", "/api", "/event", "/_events"].contains(&path.trim_end_matches('/'));
    taken.then(|| format!("{path:?} is where bots connect; choose another path, such as \"/llonebot\""))
}

fn level_problem(text: &str) -> Option<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A lone word that is no level would be taken as the name of a module that logs everything.
    let is_misspelt = |word: &&str| {
        word.chars().all(|c| c.is_ascii_alphabetic()) && !LEVELS.contains(&word.to_lowercase().as_str())
    };
    if let Some(word) = text.split(',').map(str::trim).find(is_misspelt) {
        return Some(match closest(word, &LEVELS) {
            Some(level) => format!("{word:?} is not a level; did you mean {level:?}?"),
            None => format!("{word:?} is not a level; the levels are {}", LEVELS.join(", ")),
        });
    }
    let parsed = tracing_subscriber::EnvFilter::builder().parse(text);
    let example = "such as \"info,onebot_gateway::upstream=debug\"";
    parsed.err().map(|error| format!("{error}; expected a level, or directives {example}"))
}
