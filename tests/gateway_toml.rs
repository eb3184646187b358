//! `gateway.toml` is the reference: every key, its default, and it runs as it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use onebot_gateway::config::{self, Config, Problems};
use onebot_gateway::downstream::Consumer;
use onebot_gateway::net::Target;
use onebot_gateway::policy::Secret;
use onebot_gateway::upstream::{self, Endpoint};

const REFERENCE: &str = include_str!("../gateway.toml");

/// The text with every `# key = value` made real that `wanted` takes; counts them.
fn uncommented(wanted: impl Fn(&str) -> bool) -> (String, usize) {
    let mut count = 0;
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let lines: Vec<&str> = REFERENCE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting)
                if setting.split_once(" = ").is_some_and(|(key, _)| is_key(key)) && wanted(setting) =>
            {
                count += 1;
                setting
            }
            _ => line,
        })
        .collect();
    (lines.join("\n"), count)
}

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    config::parse(text, "gateway.toml", environment)
}

fn has_default(line: &str) -> bool {
    !line.contains("# no default")
}

#[test]
fn runs_as_it_is() {
    let config = parse(REFERENCE, &[]).unwrap();
    let target = Target::parse("ws://127.0.0.1:3001").unwrap();
    let upstream = upstream::Config::new("main", Endpoint::Dial(target));
    let nonebot = Consumer::new("nonebot", Secret::new("change-me-nonebot"));
    let script = Consumer::new("script", Secret::new("change-me-script"));
    let [limit] = &config.pace.limits[..] else { panic!("{:?}", config.pace.limits) };
    assert_eq!(
        (&*limit.name, limit.pacing.interval, limit.pacing.burst),
        ("account", Duration::from_millis(1500), 5)
    );
    let unused = ["chat", "guest"].map(|role| {
        format!("role.{role}: no bot has this role; name it in consumer.NAME.roles, or remove it")
    });
    assert_eq!(config.warnings, unused);
    let (pace, warnings) = (config.pace.clone(), config.warnings.clone());
    assert_eq!(config, Config { pace, warnings, ..Config::new(upstream, vec![nonebot, script]) });
}

#[test]
fn shows_the_defaults_as_they_are() {
    let (text, count) = uncommented(has_default);
    assert!(count > 25, "{count} keys seen");
    assert_eq!(parse(&text, &[]).unwrap(), parse(REFERENCE, &[]).unwrap());
}

#[test]
fn shows_examples_that_load() {
    // What names files is tested where there are some, in tests/tls.
    let names_files = |line: &str| line.contains("/etc/onebot-gateway/");
    let (text, count) =
        uncommented(|line| !has_default(line) && !line.starts_with("accept") && !names_files(line));
    assert!(count >= 5, "{count} keys seen");
    let config = parse(&text, &[("ADMIN_TOKEN", "x"), ("LLONEBOT_TOKEN", "y")]).unwrap();
    assert_eq!(config.upstream.self_id, Some(10001));
    assert_eq!(config.consumers[0].reverse_ws.len(), 1);
    assert!(config.consumers[0].webhook.is_some());
    assert!(config.consumers.iter().all(|consumer| consumer.events.is_some()));

    let (text, _) = uncommented(|line| line.starts_with("accept"));
    let config = parse(&text.replace("\ndial = ", "\n# "), &[]).unwrap();
    assert_eq!(config.upstream.endpoint, Endpoint::Accept("/llonebot".to_owned()));
}

#[test]
fn shows_every_key() {
    let (text, _) = uncommented(|_| true);
    let document: toml::Table = toml::from_str(&text).unwrap();
    let sections = [
        ("server", "/server"),
        ("admin", "/admin"),
        ("upstream", "/upstream/main"),
        ("calls", "/calls"),
        ("cache", "/cache"),
        ("journal", "/journal"),
        ("consumer", "/consumer/nonebot"),
        ("reverse_ws", "/consumer/*/reverse_ws"),
        ("webhook", "/consumer/*/webhook"),
        ("tls", "/server/tls"),
        ("tls", "/admin/tls"),
        ("events", "/consumer/*/events"),
        ("limit", "/limit/account"),
        ("breaker", "/limit/account/breaker"),
        ("role", "/role/guest"),
        ("actions", "/role/guest/actions"),
        ("audit", "/audit"),
        ("log", "/log"),
    ];
    for (section, pointer) in sections {
        let keys = keys_of(section);
        assert!(!keys.is_empty());
        for key in keys {
            let path: Vec<&str> = pointer.split('/').skip(1).chain([key.as_str()]).collect();
            assert!(is_shown(&document, &path), "gateway.toml does not show {pointer}/{key}");
        }
    }
}

/// Whether `path` leads to something, `*` being any key.
fn is_shown(table: &toml::Table, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    table.iter().filter(|(key, _)| *first == "*" || key == first).any(|(_, value)| match value {
        toml::Value::Table(table) => is_shown(table, rest),
        _ => rest.is_empty(),
    })
}

/// The keys of a section, as the message about an unknown one lists them.
fn keys_of(section: &str) -> Vec<String> {
    let text = match section {
        "reverse_ws" | "webhook" | "events" | "actions" => {
            format!("[consumer.bot.{section}]\nwhatsoever = 1")
        }
        "tls" => "[server.tls]\nwhatsoever = 1".to_owned(),
        "upstream" => "[upstream.main]\nwhatsoever = 1".to_owned(),
        "consumer" => "[consumer.bot]\nwhatsoever = 1".to_owned(),
        "limit" => "[limit.x]\nwhatsoever = 1".to_owned(),
        "breaker" => "[limit.x.breaker]\nwhatsoever = 1".to_owned(),
        "role" => "[role.guest]\nwhatsoever = 1".to_owned(),
        section => format!("[{section}]\nwhatsoever = 1"),
    };
    let problems = parse(&text, &[]).unwrap_err().to_string();
    let line = problems.lines().find(|line| line.contains("whatsoever: unknown key")).unwrap();
    let (_, keys) = line.split_once("the keys here are ").unwrap();
    keys.split(", ").map(str::to_owned).collect()
}
