//! What a user sees of the configuration: what it means, and what is said about one that is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use onebot_gateway::config::{self, Config, Problems};
use onebot_gateway::downstream::{Channel, Consumer, Lagging, Webhook};
use onebot_gateway::net::Target;
use onebot_gateway::net::tls::Trust;
use onebot_gateway::onebot::MessageFormat;
use onebot_gateway::policy::Secret;
use onebot_gateway::policy::bucket::{Breaker, Pacing};
use onebot_gateway::policy::events::SelfMessages;
use onebot_gateway::policy::limit::{Excess, Per};
use onebot_gateway::telemetry::logging::Format;
use onebot_gateway::upstream::{self, Endpoint};

/// The least that is a configuration; eight lines, so that what a test adds begins at line 9.
const LEAST: &str = r#"
[upstream.main]
dial = "ws://127.0.0.1:3001"

[consumer.bot]
token = "a-token-that-is-long"


"#;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    config::parse(text, "gateway.toml", environment)
}

fn lines(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let problems = parse(text, environment).expect_err("should be refused");
    problems.to_string().lines().map(str::to_owned).collect()
}

fn least_with(text: &str) -> String {
    format!("{LEAST}{text}")
}

fn token_of(config: &Config, name: &str) -> String {
    let consumer = config.consumers.iter().find(|consumer| consumer.name == name).unwrap();
    consumer.token.expose().to_owned()
}

#[test]
fn the_least_configuration_is_the_defaults() {
    let target = Target::parse("ws://127.0.0.1:3001").unwrap();
    let upstream = upstream::Config::new("main", Endpoint::Dial(target));
    let bot = Consumer::new("bot", Secret::new("a-token-that-is-long"));
    assert_eq!(parse(LEAST, &[]).unwrap(), Config::new(upstream, vec![bot]));
}

#[test]
fn what_is_kept_and_written_down_arrives() {
    let text = least_with(
        r#"
        [cache]
        all = true
        ttl = { get_group_info = "31s", get_version_info = "0s" }
        max_bytes = "320 KB"
        [audit]
        file = "/var/log/audit.jsonl"
        text = true
        max_size = "330 KB"
        max_age = "34h"
        keep = 35
        "#,
    );
    let config = config::parse(&text, "gateway.toml", [].into_iter()).unwrap();
    assert_eq!((config.cache.all, config.cache.max_bytes), (true, 320_000));
    assert_eq!(config.cache.ttl["get_group_info"], Duration::from_secs(31));
    assert_eq!(config.cache.ttl["get_version_info"], Duration::ZERO);
    let audit = config.audit.unwrap();
    assert_eq!((audit.file.to_str(), audit.text), (Some("/var/log/audit.jsonl"), true));
    assert_eq!((audit.max_size, audit.max_age, audit.keep), (330_000, Duration::from_hours(34), 35));
}

#[test]
fn every_key_arrives() {
    let text = r#"
        [server]
        listen = "[::1]:1"
        workers = 2
        drain = "3s"
        max_connections = 4
        handshake_timeout = "5s"
        max_header = "6 KiB"
        max_frame = "7 KiB"
        ping = "8s"
        write_timeout = "9s"
        origins = ["https://example.org"]
        [admin]
        listen = "[::1]:10"
        token = "admin"
        [upstream.qq]
        accept = "/llonebot"
        token = "up"
        self_id = 11
        max_frame = "12 KiB"
        ping = "13s"
        silence = "14s"
        max_backoff = "15s"
        [calls]
        timeout = "16s"
        timeouts = { upload_group_file = "17m" }
        wait_for_link = "0s"
        in_flight = 18
        rate_limited_interval = "29s"
        queue_bytes = "190 KB"
        [journal]
        events = 20
        bytes = "210 KB"
        age = "22h"
        [consumer.bot]
        token = "bot"
        reverse_ws = { url = "ws://bot/ws", api_url = "ws://bot/api", event_url = "ws://bot/event", max_backoff = "23s" }
        webhook = { url = "https://bot/hook", secret = "any 密 text", timeout = "25s", concurrency = 26, attempts = 27, max_backoff = "28s", heartbeat = true }
        heartbeat = "24s"
        message_format = "string"
        self_messages = true
        lagging = "disconnect"
        actions = { allow = ["send_msg"] }
        [log]
        level = "info,onebot_gateway::upstream=debug"
        format = "json"
    "#;
    let config = parse(text, &[]).unwrap();
    let seconds = Duration::from_secs;

    assert_eq!(config.server.listen, SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1)));
    assert_eq!((config.workers, config.drain), (2, seconds(3)));
    assert_eq!(config.server.max_connections, 4);
    assert_eq!((config.server.handshake_timeout, config.server.max_header), (seconds(5), 6 << 10));
    assert_eq!((config.sessions.max_frame, config.sessions.ping), (7 << 10, seconds(8)));
    assert_eq!((config.sessions.write_timeout, config.server.write_timeout), (seconds(9), seconds(9)));
    assert_eq!(config.sessions.origins, ["https://example.org"]);

    assert_eq!(config.admin.listen.port(), 10);
    assert_eq!(config.admin.token, Some(Secret::new("admin")));

    assert_eq!(config.upstream.name, "qq");
    assert_eq!(config.upstream.endpoint, Endpoint::Accept("/llonebot".to_owned()));
    assert_eq!(config.upstream.token, Some(Secret::new("up")));
    assert_eq!((config.upstream.self_id, config.upstream.max_frame), (Some(11), 12 << 10));
    assert_eq!((config.upstream.ping, config.upstream.silence), (seconds(13), seconds(14)));
    assert_eq!(config.upstream.max_backoff, seconds(15));

    assert_eq!((config.calls.timeout, config.calls.wait_for_link), (seconds(16), Duration::ZERO));
    assert_eq!(config.calls.timeouts["upload_group_file"], seconds(17 * 60));
    assert_eq!((config.calls.in_flight, config.calls.queue_bytes), (18, 190_000));
    assert_eq!(config.calls.rate_limited_interval, seconds(29));
    assert_eq!((config.journal.events, config.journal.bytes), (20, 210_000));
    assert_eq!(config.journal.age, seconds(22 * 3600));

    let bot = &config.consumers[0];
    let reverse = &bot.reverse_ws[0];
    assert_eq!((reverse.url.to_string().as_str(), reverse.max_backoff), ("ws://bot/ws", seconds(23)));
    let roles: Vec<Channel> = bot.reverse_ws.iter().map(|reverse| reverse.role).collect();
    assert_eq!(roles, [Channel::Universal, Channel::Api, Channel::Event]);
    let webhook = Webhook {
        url: Target::parse_http("https://bot/hook").unwrap(),
        trust: Trust::default(),
        secret: Some(Secret::new("any 密 text")),
        timeout: seconds(25),
        concurrency: 26,
        attempts: Some(27),
        max_backoff: seconds(28),
        heartbeat: true,
    };
    assert_eq!(bot.webhook, Some(webhook));
    assert_eq!(
        (bot.heartbeat, bot.self_messages, bot.lagging),
        (seconds(24), SelfMessages::All, Lagging::Disconnect)
    );
    assert_eq!(bot.message_format, MessageFormat::String);
    assert_eq!(config.log.level, "info,onebot_gateway::upstream=debug");
    assert_eq!(config.log.format, Format::Json);
}

#[test]
fn every_key_of_a_limit_arrives() {
    let text = r#"
        [upstream.main]
        dial = "ws://127.0.0.1:3001"
        [consumer.bot]
        token = "bot"
        priority = 37
        in_flight = 38
        max_frame = "39 KiB"
        daily = { send = 40, send_like = 41 }
        [calls]
        time_zone = "Asia/Shanghai"
        [limit.sends]
        actions = ["@send", "send_like"]
        consumers = ["bot"]
        per = "target"
        rate = "30/1m"
        burst = 31
        max_wait = "32s"
        jitter = "33ms"
        ramp = "34s"
        breaker = { failures = 35, hold = "36s" }
        [limit.asks]
        actions = ["@read"]
        rate = "5/s"
        excess = "reject"
        breaker = { failures = 0 }
    "#;
    let config = parse(text, &[]).unwrap();
    let seconds = Duration::from_secs;
    let [asks, sends] = &config.pace.limits[..] else { panic!("{:?}", config.pace.limits) };
    assert_eq!(sends.actions.written(), ["@send", "send_like"]);
    assert_eq!((sends.consumers.as_deref(), sends.per), (Some(&["bot".to_owned()][..]), Per::Target));
    let pacing = Pacing {
        interval: seconds(2),
        burst: 31,
        jitter: Duration::from_millis(33),
        ramp: seconds(34),
        breaker: Some(Breaker { failures: 35, hold: seconds(36) }),
    };
    assert_eq!((&sends.pacing, sends.excess), (&pacing, Excess::Wait(seconds(32))));
    assert_eq!((asks.consumers.as_ref(), asks.per, asks.excess), (None, Per::Account, Excess::Reject));
    assert_eq!((asks.pacing.interval, asks.pacing.burst), (Duration::from_millis(200), 1));
    assert_eq!((asks.pacing.ramp, asks.pacing.breaker), (Duration::ZERO, None));
    assert_eq!(config.pace.time_zone.iana_name(), Some("Asia/Shanghai"));

    let bot = &config.consumers[0];
    assert_eq!((bot.priority, bot.in_flight, bot.max_frame), (37, Some(38), Some(39 << 10)));
    let daily: Vec<(&str, u64)> =
        bot.daily.iter().map(|allowance| (allowance.key.as_str(), allowance.most)).collect();
    assert_eq!(daily, [("send", 40), ("send_like", 41)]);
}

/// A role's own table comes behind the consumer's; each that names chats or a list forbids local media.
#[test]
fn tables_of_permissions_arrive() {
    let text = least_with(
        r#"
        [role.guest]
        roles = ["chat"]
        [role.guest.actions]
        groups = [5]
        allow = ["*"]
        [role.chat]
        actions = { allow = ["@send"], deny = ["send_like"], local_media = true }
        [consumer.x]
        token = "x"
        roles = ["guest", "chat"]
        actions = { allow = ["get_msg"] }
        [consumer.y]
        token = "y"
        "#,
    );
    let config = parse(&text, &[]).unwrap();
    let tables = |name: &str| -> Vec<(String, String, bool)> {
        let consumer = config.consumers.iter().find(|consumer| consumer.name == name).unwrap();
        let rules = consumer.actions.rules().iter();
        rules.map(|rule| (rule.key.clone(), rule.allow.written().join(" "), rule.local_media)).collect()
    };
    let table = |key: &str, allow: &str, local_media| (key.to_owned(), allow.to_owned(), local_media);
    assert_eq!(
        tables("x"),
        [
            table("consumer.x.actions", "get_msg", false),
            table("role.guest.actions", "*", false),
            table("role.chat.actions", "@send", true),
        ]
    );
    assert_eq!(tables("y"), [table("consumer.y.actions", "*", true)]);
}

/// What is added to [`LEAST`], and what is said about it.
const MISTAKES: &[(&str, &str)] = &[
    ("[limit.x]", "9:8: limit.x.rate: missing; say how many calls in which time, such as rate = \"30/1m\""),
    ("[limit.x]\nrate = 30", r#"10:8: limit.x.rate: 30 says not in which time; write "30/1m""#),
    (
        "[limit.x]\nrate = \"0/1m\"",
        r#"10:8: limit.x.rate: "0/1m" would let nothing through; to forbid actions, use actions.deny"#,
    ),
    (
        "[limit.x]\nrate = \"30/60\"",
        r#"10:8: limit.x.rate: "30/60": "60" has no unit; write "60s" or "60ms""#,
    ),
    (
        "[limit.x]\nrate = \"1/1m\"",
        "10:8: limit.x.rate: at this rate a call may have to wait 60s for the one before it, longer than \
         limit.x.max_wait (30s); raise one of the two",
    ),
    (
        "[limit.x]\nrate = \"1/1s\"\nactions = [\"@sned\"]",
        r#"11:11: limit.x.actions: there is no set "@sned"; did you mean "@send"?"#,
    ),
    (
        "[limit.x]\nrate = \"1/1s\"\nactions = []",
        "11:11: limit.x.actions: is empty, so that the limit would never apply; remove the limit",
    ),
    (
        "[limit.x]\nrate = \"1/1s\"\nconsumers = [\"bto\"]",
        r#"11:13: limit.x.consumers: there is no consumer "bto"; did you mean "bot"?"#,
    ),
    (
        "[limit.x]\nrate = \"1/1s\"\nexcess = \"reject\"\nmax_wait = \"1s\"",
        r#"12:12: limit.x.max_wait: is of no use with excess = "reject", with which no call waits"#,
    ),
    (
        "[calls]\ntime_zone = \"Beijing\"",
        r#"10:13: calls.time_zone: there is no time zone "Beijing"; expected a name such as "Asia/Shanghai" or "UTC""#,
    ),
    ("[consumer.x]\ntoken = \"x\"\npriority = 0", "11:12: consumer.x.priority: must be from 1 to 100"),
    (
        "[consumer.x]\ntoken = \"x\"\ndaily = { sendlike = 5 }",
        r#"11:22: consumer.x.daily.sendlike: no OneBot implementation has an action "sendlike"; did you mean `send_like`?"#,
    ),
    (
        "[server]\nlisten = \"localhost:6700\"",
        r#"10:10: server.listen: "localhost:6700" is not IP:PORT, such as "127.0.0.1:6700" or "[::1]:6700""#,
    ),
    ("[server]\nworkers = 0", "10:11: server.workers: must be from 1 to 64"),
    ("[server]\nworkers = -1", "10:11: server.workers: -1 is negative"),
    ("[server]\nworkers = 2.5", "10:11: server.workers: is a number; expected a whole number"),
    ("[server]\nworkers = 99999999999999999999", "10:11: server.workers: is too large a number"),
    ("[server]\ndrain = 8", r#"10:9: server.drain: 8 has no unit; write "8s" or "8ms""#),
    ("[server]\nping = \"0s\"", "10:8: server.ping: must be longer than 0s"),
    ("[server]\nmax_frame = \"100 B\"", "10:13: server.max_frame: must be from 1 KiB to 1 GiB"),
    ("[server]\nlisen = \"x\"", "10:1: server.lisen: unknown key; did you mean `listen`?"),
    ("[server]\nListen = \"x\"", "10:1: server.Listen: unknown key; did you mean `listen`?"),
    (
        "[server]\norigins = [\"https://a\", 2]",
        "10:11: server.origins: item 2 is a number; expected a string",
    ),
    (
        "[server]\norigins = [\"https://a/b\"]",
        r#"10:11: server.origins: "https://a/b" is not an origin as browsers send it, such as "https://example.org", without a path"#,
    ),
    ("[sever]\nlisten = \"x\"", "9:2: sever: unknown key; did you mean `server`?"),
    (
        "[webhooks]",
        "9:2: webhooks: unknown key; the keys here are server, admin, upstream, calls, cache, journal, consumer, limit, role, audit, log",
    ),
    (
        "[admin]\nlisten = \"127.0.0.1:6700\"",
        "10:10: admin.listen: takes the address of server.listen (127.0.0.1:6700); choose another port",
    ),
    (
        "[admin]\nlisten = \"0.0.0.0:1\"",
        "9:2: admin.token: missing, and the network can reach admin.listen (0.0.0.0:1); make one with `openssl rand -hex 16`",
    ),
    (
        "[admin]\nlisten = \"0.0.0.0:1\"\ntoken = \"short\"",
        "11:9: admin.token: has less than 16 characters, and the network can reach admin.listen (0.0.0.0:1); make one with `openssl rand -hex 16`",
    ),
    (
        "[upstream.other]\ndial = \"ws://a\"",
        "9:11: upstream.other: this version serves one account, which is `upstream.main` already; remove one of the two",
    ),
    (
        "[upstream.main.x]\n",
        "9:16: upstream.main.x: unknown key; the keys here are dial, accept, ca, token, self_id, max_frame, ping, silence, max_backoff",
    ),
    ("[calls]\nin_flight = 0", "10:13: calls.in_flight: must be from 1 to 100000"),
    ("[calls]\ntimeouts = { send_msg = \"0s\" }", "10:25: calls.timeouts.send_msg: must be longer than 0s"),
    (
        "[calls]\ntimeouts = { send_msg_async = \"1s\" }",
        "10:31: calls.timeouts.send_msg_async: names a form of an action; write `send_msg`",
    ),
    (
        "[cache]\nttl = { set_group_card = \"1s\" }",
        "10:26: cache.ttl.set_group_card: an answer to `set_group_card` cannot be kept: it changes something, or its answer changes without notice",
    ),
    ("[cache]\nmax_bytes = \"1 KiB\"", "10:13: cache.max_bytes: must be from 64 KiB to 4 GiB"),
    (
        "[audit]\nfile = \"\"",
        "10:8: audit.file: is empty; expected a path such as \"/var/log/onebot-gateway/audit.jsonl\"",
    ),
    ("[audit]\nkeep = 0", "10:8: audit.keep: must be from 1 to 1000"),
    ("[audit]\nmax_size = \"1 KiB\"", "10:12: audit.max_size: must be from 64 KiB to 64 GiB"),
    ("[journal]\nevents = 0", "10:10: journal.events: must be from 1 to 10000000"),
    ("[journal]\nbytes = \"1 KiB\"", "10:9: journal.bytes: must be at least 64 KiB"),
    (
        "[journal]\nage = \"10 min\"",
        r#"10:7: journal.age: "10 min" has an unknown unit; the units are ms, s, m and h"#,
    ),
    (
        "[consumer.x]",
        "9:11: consumer.x.token: missing; the bot proves with it who it is, make one with `openssl rand -hex 16`",
    ),
    (
        "[consumer.x]\ntoken = \"\"",
        "10:9: consumer.x.token: is empty; make a token with `openssl rand -hex 16`",
    ),
    (
        "[consumer.x]\ntoken = 12345",
        r#"10:9: consumer.x.token: is a number; expected a string in quotes, { env = "NAME" } or { file = "/path" }"#,
    ),
    (
        "[consumer.x]\ntoken = {}",
        r#"10:9: consumer.x.token: names no source; expected { env = "NAME" } or { file = "/path" }"#,
    ),
    (
        "[consumer.x]\ntoken = { env = \"A\", file = \"B\" }",
        "10:9: consumer.x.token: names both `env` and `file`; remove one of them",
    ),
    (
        "[consumer.x]\ntoken = { env = \"NO_SUCH\" }",
        r#"10:9: consumer.x.token: environment variable "NO_SUCH" is not set"#,
    ),
    (
        "[consumer.x]\ntoken = \"two words\"",
        "10:9: consumer.x.token: has characters that an HTTP header cannot carry; use printable ASCII without blanks",
    ),
    (
        "[consumer.x]\ntoken = \"a-token-that-is-long\"",
        "10:9: consumer.x.token: is the token of `consumer.bot` too, so nobody could tell the two bots apart; give each its own",
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nheartbeat = \"30s\"",
        "11:13: consumer.x.heartbeat: must be from 1s to under 30s: NoneBot hangs up after 30s without a frame",
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nlagging = \"wait\"",
        r#"11:11: consumer.x.lagging: unknown value; expected "skip" or "disconnect""#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nself_messages = 1",
        r#"11:17: consumer.x.self_messages: is a number; expected "none", "own", "siblings", "all", false or true"#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nself_messages = \"sibling\"",
        r#"11:17: consumer.x.self_messages: "sibling" is not "none", "own", "siblings", "all", false or true"#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nmessage_format = \"cq\"",
        r#"11:18: consumer.x.message_format: unknown value; expected "array" or "string""#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nreverse_ws = { url = \"http://a\" }",
        r#"11:22: consumer.x.reverse_ws.url: scheme "http" is not ws or wss"#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nreverse_ws = { api_url = \"ws://a\", event_url = \"b\" }",
        "11:48: consumer.x.reverse_ws.event_url: no scheme; expected ws://host:port/path",
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nreverse_ws = {}",
        r#"11:14: consumer.x.reverse_ws.url: missing; expected the address the bot listens on, such as "ws://127.0.0.1:8080/onebot/v11/ws""#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nreverse_ws = \"ws://a\"",
        "11:14: consumer.x.reverse_ws: is a string; expected a table",
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nwebhook = { url = \"ws://a\" }",
        r#"11:19: consumer.x.webhook.url: scheme "ws" is not http or https"#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nwebhook = { secret = \"s\" }",
        r#"11:11: consumer.x.webhook.url: missing; expected the address the bot listens on, such as "http://127.0.0.1:8080/onebot""#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nwebhook = { url = \"http://a\", concurrency = 0, attempts = 1 }",
        "11:45: consumer.x.webhook.concurrency: must be from 1 to 256",
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nwebhook = { url = \"http://a\", secret = \"\" }",
        "11:40: consumer.x.webhook.secret: is empty; make a token with `openssl rand -hex 16`",
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nactions = { allow = [\"\"] }",
        r#"11:21: consumer.x.actions.allow: no OneBot implementation has an action ""; expected a name such as `send_group_msg`"#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nactions = { allow = [\"*\", \"get_cookie\"] }",
        r#"11:21: consumer.x.actions.allow: no OneBot implementation has an action "get_cookie"; did you mean `get_cookies`?"#,
    ),
    (
        "[role.a.actions]\nallow = [\"@sends\"]",
        r#"10:9: role.a.actions.allow: there is no set "@sends"; did you mean "@send"?"#,
    ),
    (
        "[role.a.actions]\ndeny = [\"get_zebra_*\"]",
        r#"10:8: role.a.actions.deny: no action is like "get_zebra_*"; `onebot-gateway actions` lists them, without _async and _rate_limited"#,
    ),
    (
        "[role.a.actions]\ngroups = [5, 6]\nexcept_groups = [6]",
        "11:17: role.a.actions.except_groups: 6 is in `groups` too; take it out of one of the two",
    ),
    (
        "[role.a.actions]\nusers = [0]",
        "10:9: role.a.actions.users: item 1 0 is not a QQ number, such as 10001",
    ),
    (
        "[role.a.actions]\nusers = 5",
        "10:9: role.a.actions.users: is a number; expected a list of QQ numbers, in the file: the environment cannot set lists",
    ),
    (
        "[role.a.actions.where]\nset_grop_ban = { duration = 1 }",
        r#"10:16: role.a.actions.where.set_grop_ban: no OneBot implementation has an action "set_grop_ban"; did you mean `set_group_ban`?"#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nroles = [\"chta\"]\n[role.chat.actions]\nallow = [\"@send\"]",
        r#"11:9: consumer.x.roles: there is no role "chta"; did you mean "chat"?"#,
    ),
    (
        "[consumer.x]\ntoken = \"x\"\nroles = [\"chat\"]\nactions = { groups = [5] }\n[role.chat.actions]\nallow = [\"@send\"]",
        "12:11: consumer.x.actions: bounds what its own `allow` lists, and with `roles` there is none by default; add `allow`, or write this into the roles",
    ),
    (
        "[role.b]\nroles = [\"c\"]\n[role.a]\nroles = [\"b\"]\n[role.c]\nroles = [\"b\"]",
        "10:9: role.b.roles: include each other in a circle, b → c → b; take one of them out",
    ),
    ("[role.a]", "9:7: role.a: permits nothing; add a table [role.a.actions]"),
    (
        "[calls]\ntimeouts = { send_grop_msg = \"1s\" }",
        r#"10:30: calls.timeouts.send_grop_msg: no OneBot implementation has an action "send_grop_msg"; did you mean `send_group_msg`?"#,
    ),
    (
        "[consumer.NoneBot]\ntoken = \"x\"",
        "9:11: consumer.NoneBot: is no name; use up to 64 of a-z, 0-9 and _, so that the environment can override its keys",
    ),
    (
        "[consumer.a__b]\ntoken = \"x\"",
        "9:11: consumer.a__b: is no name; use single _ between other characters: __ separates the parts of a variable's name",
    ),
    ("[log]\nlevel = \"inof\"", r#"10:9: log.level: "inof" is not a level; did you mean "info"?"#),
    (
        "[log]\nlevel = \"onebot_gateway=loud\"",
        "10:9: log.level: error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5; expected a level, or directives such as \"info,onebot_gateway::upstream=debug\"",
    ),
    ("[log]\nformat = \"jsn\"", r#"10:10: log.format: unknown value; did you mean "json"?"#),
    (
        "[log]\nlevel = \"info,,warn\"",
        r#"10:9: log.level: "" is not a level; the levels are off, error, warn, info, debug, trace"#,
    ),
    ("# 中文\n[log]\n\"日志\" = 1", "11:1: log.日志: unknown key; the keys here are level, format"),
    (
        "# 中文\ncalls = { \"超时\" = 1 }",
        "10:1: consumer.bot.calls: unknown key; the keys here are token, reverse_ws, webhook, heartbeat, message_format, self_messages, lagging, priority, in_flight, max_frame, daily, roles, events, actions",
    ),
    ("[log]\nlevel = info", "10:9: not TOML: invalid float, expected `inf`; text goes in quotes"),
    ("[log]\nlevel = \"info\"\nlevel = \"warn\"", "11:1: not TOML: duplicate key"),
    ("[\"a[99999999999]\"]", "9:2: a[99999999999]: unknown key; keys are made of a-z, 0-9 and _"),
];

#[test]
fn each_mistake_is_told_with_its_place_and_its_cure() {
    for (text, expected) in MISTAKES {
        assert_eq!(lines(&least_with(text), &[]), [format!("gateway.toml:{expected}")], "{text}");
    }
}

#[test]
fn mistakes_of_the_account() {
    let bot = "[consumer.bot]\ntoken = \"x\"\n[upstream.main]\n";
    let cases = [
        (
            "",
            "3:11: upstream.main.dial: missing; set `dial` to LLOneBot's address, or `accept` to the path it connects to",
        ),
        (
            "dial = \"ws://a\"\naccept = \"/b\"",
            "5:10: upstream.main.accept: `dial` is set too; keep the one that says who connects to whom",
        ),
        ("dial = \"127.0.0.1:3001\"", "4:8: upstream.main.dial: no scheme; expected ws://host:port/path"),
        (
            "accept = \"llonebot\"",
            r#"4:10: upstream.main.accept: "llonebot" is not a path; it starts with /, such as "/llonebot""#,
        ),
        (
            "accept = \"/\"",
            r#"4:10: upstream.main.accept: "/" is where bots connect; choose another path, such as "/llonebot""#,
        ),
        (
            "accept = \"/api\"",
            r#"4:10: upstream.main.accept: "/api" is where bots connect; choose another path, such as "/llonebot""#,
        ),
        (
            "accept = \"/event/\"",
            r#"4:10: upstream.main.accept: "/event/" is where bots connect; choose another path, such as "/llonebot""#,
        ),
        (
            "accept = \"/a?b\"",
            r#"4:10: upstream.main.accept: "/a?b" is not a plain path, such as "/llonebot""#,
        ),
        ("dial = \"ws://a\"\nself_id = 0", "5:11: upstream.main.self_id: is not a QQ number"),
        (
            "dial = \"ws://a\"\nping = \"45s\"",
            "5:8: upstream.main.ping: `ping` (45s) must be shorter than `silence` (45s), or a quiet link is taken for dead",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(lines(&format!("{bot}{text}"), &[]), [format!("gateway.toml:{expected}")], "{text}");
    }
}

#[test]
fn an_empty_file_is_told_what_it_lacks() {
    assert_eq!(
        lines("", &[]),
        [
            "gateway.toml: consumer: nothing could ever connect; add a table [consumer.NAME] with a `token` for each bot",
            "gateway.toml: upstream: no account; add a table [upstream.main] with `dial` or `accept`",
        ]
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let text = r#"
[server]
listen = 5
lisen = "127.0.0.1:1"
workers = 99
[consumer.a]
token = 7
heartbeat = "1m"
[consumer.b]
tokn = "x"
[upstream]
main = "ws://127.0.0.1:3001"
[calls]
timeouts = { get_msg = 1, send_msg = "2s", delete_msg = "3" }
"#;
    let told =
        lines(text, &[("ONEBOT_GATEWAY__JOURNAL__EVENTS", "many"), ("ONEBOT_GATEWAY__JOURNAL__EVNTS", "1")]);
    let expected = [
        "gateway.toml:3:10: server.listen: is a number",
        "gateway.toml:4:1: server.lisen: unknown key",
        "gateway.toml:5:11: server.workers: must be",
        "gateway.toml:7:9: consumer.a.token: is a number",
        "gateway.toml:8:13: consumer.a.heartbeat: must be",
        "gateway.toml:9:11: consumer.b.token: missing",
        "gateway.toml:10:1: consumer.b.tokn: unknown key; did you mean `token`?",
        "gateway.toml:12:8: upstream.main: is a string; expected a table",
        "gateway.toml:14:24: calls.timeouts.get_msg: 1 has no unit",
        "gateway.toml:14:57: calls.timeouts.delete_msg: \"3\" has no unit",
        "environment variable ONEBOT_GATEWAY__JOURNAL__EVENTS: journal.events: \"many\" is not a whole number",
        "environment variable ONEBOT_GATEWAY__JOURNAL__EVNTS: journal.evnts: unknown key; did you mean `events`?",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\nshould start with\n{expected}");
    }
}

#[test]
fn self_messages_are_chosen_by_a_word_or_a_switch() {
    for (value, expected) in [
        ("false", SelfMessages::None),
        ("\"none\"", SelfMessages::None),
        ("true", SelfMessages::All),
        ("\"all\"", SelfMessages::All),
        ("\"own\"", SelfMessages::Own),
        ("\"siblings\"", SelfMessages::Siblings),
    ] {
        let text = format!("{LEAST}\n[consumer.x]\ntoken = \"x\"\nself_messages = {value}");
        assert_eq!(parse(&text, &[]).unwrap().consumers[1].self_messages, expected, "{value}");
    }
}

#[test]
fn the_environment_overrides_the_file_and_keeps_text_as_it_is() {
    for text in ["007", "1e5", "True", "null"] {
        let config = parse(LEAST, &[("ONEBOT_GATEWAY__CONSUMER__BOT__TOKEN", text)]).unwrap();
        assert_eq!(token_of(&config, "bot"), text);
    }
    let environment = [
        ("ONEBOT_GATEWAY__SERVER__LISTEN", "127.0.0.1:9"),
        ("ONEBOT_GATEWAY__CALLS__IN_FLIGHT", "9"),
        ("ONEBOT_GATEWAY__CONSUMER__BOT__SELF_MESSAGES", "true"),
        ("ONEBOT_GATEWAY__CONSUMER__BOT__MESSAGE_FORMAT", "string"),
        ("ONEBOT_GATEWAY__CONSUMER__NEW__TOKEN", "from-outside"),
        ("ONEBOT_GATEWAY__CALLS__TIMEOUT", ""),
        ("ONEBOT_GATEWAY_CONFIG", "the command line's"),
    ];
    let config = parse(LEAST, &environment).unwrap();
    assert_eq!(config.server.listen.port(), 9);
    assert_eq!(config.calls.in_flight, 9);
    assert_eq!(config.calls.timeout, Duration::from_secs(30), "an empty variable counts as unset");
    assert_eq!(config.consumers[0].self_messages, SelfMessages::All);
    assert_eq!(config.consumers[0].message_format, MessageFormat::String);
    assert_eq!(token_of(&config, "new"), "from-outside");
}

#[test]
fn variables_that_are_wrong_are_named() {
    let cases = [
        (("ONEBOT_GATEWAY__SERVER__LISEN", "x"), "server.lisen: unknown key; did you mean `listen`?"),
        (("ONEBOT_GATEWAY__SERVER__PING", "20"), r#"server.ping: "20" has no unit; write "20s" or "20ms""#),
        (
            ("ONEBOT_GATEWAY__SERVER__ORIGINS", "https://a"),
            "server.origins: is a string; expected a list of strings, in the file: the environment cannot set lists",
        ),
        (("ONEBOT_GATEWAY__SERVER__WORKERS__X", "1"), "server.workers: is a table; expected a whole number"),
        (
            ("ONEBOT_GATEWAY__A[99999999999]", "x"),
            "a[99999999999]: names no key; expected ONEBOT_GATEWAY__SECTION__KEY",
        ),
        (("ONEBOT_GATEWAY__SERVER__", "x"), "server.: names no key; expected ONEBOT_GATEWAY__SECTION__KEY"),
        (
            ("ONEBOT_GATEWAY__CONSUMER__X__HEARTBEAT", "5s"),
            "consumer.x.token: missing; the bot proves with it who it is, make one with `openssl rand -hex 16`",
        ),
    ];
    for ((name, value), expected) in cases {
        assert_eq!(lines(LEAST, &[(name, value)]), [format!("environment variable {name}: {expected}")]);
    }
    let twice = [("ONEBOT_GATEWAY__CALLS__TIMEOUT", "1s"), ("ONEBOT_GATEWAY__calls__timeout", "2s")];
    assert_eq!(
        lines(LEAST, &twice),
        ["environment variable ONEBOT_GATEWAY__calls__timeout: calls.timeout: sets the same key as \
          ONEBOT_GATEWAY__CALLS__TIMEOUT; remove one of them"]
    );
}

#[test]
fn depth_is_bounded() {
    let path = |separator: &str| vec!["a"; 100_000].join(separator);
    let lists = format!("a = {}", "[".repeat(100_000));
    for text in [format!("{} = 1", path(".")), format!("[{}]", path(".")), lists] {
        assert!(lines(&text, &[])[0].starts_with("gateway.toml:1:"));
    }
    let variable = format!("ONEBOT_GATEWAY__{}", path("__"));
    assert!(lines(LEAST, &[(&variable, "x")])[0].contains(": names no key; expected"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_answered(
        pieces in proptest::collection::vec(piece(), 0..12),
        name in "[A-Z_\\[\\].é]{0,12}",
        value in ".{0,8}",
    ) {
        let variable = format!("ONEBOT_GATEWAY__{name}");
        if let Err(problems) = parse(&pieces.concat(), &[(&variable, &value)]) {
            proptest::prop_assert!(problems.iter().count() > 0);
            proptest::prop_assert!(problems.iter().all(|problem| !problem.message.is_empty()));
        }
    }
}

/// Lines that belong in a file, somewhere, and noise.
fn piece() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let line = proptest::sample::select(
        LEAST.lines().chain(include_str!("../gateway.toml").lines()).collect::<Vec<_>>(),
    );
    prop_oneof![
        4 => line.prop_map(|line| format!("{}\n", line.trim_start_matches("# "))),
        2 => "\\[[a-z]{1,3}(\\.[a-z]{1,3})?\\]\n",
        2 => "[a-z]{1,6} = (1|-1|1.5|true|\"x\"|\\[1, \"\"\\]|\\{ env = 1 \\}|1979-05-27)\n",
        1 => ".{0,8}",
    ]
}

#[test]
fn secrets_come_from_variables_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "from-a-file\n").unwrap();
    let text = format!(
        "{}[consumer.v]\ntoken = {{ env = \"BOT\" }}\n[consumer.f]\ntoken = {{ file = {path:?} }}",
        least_with("")
    );
    let config = parse(&text, &[("BOT", "from-a-variable")]).unwrap();
    assert_eq!(token_of(&config, "v"), "from-a-variable");
    assert_eq!(token_of(&config, "f"), "from-a-file");

    fs::remove_file(&path).unwrap();
    let told = lines(&text, &[("BOT", "from-a-variable")]);
    assert!(told[0].starts_with("gateway.toml:12:9: consumer.f.token: file "), "{told:?}");
    assert!(told[0].contains("cannot be read"), "{told:?}");
}

#[test]
fn what_the_network_can_reach_needs_real_tokens() {
    let text = r#"
[server]
listen = "0.0.0.0:6700"
[upstream.main]
accept = "/llonebot"
[consumer.placeholder]
token = "change-me-to-something-else"
[consumer.short]
token = "short"
[consumer.good]
token = "0123456789abcdef"
"#;
    let reach =
        "and the network can reach server.listen (0.0.0.0:6700); make one with `openssl rand -hex 16`";
    assert_eq!(
        lines(text, &[]),
        [
            format!("gateway.toml:4:11: upstream.main.token: missing, {reach}"),
            format!(
                "gateway.toml:7:9: consumer.placeholder.token: is the placeholder that everybody knows, {reach}"
            ),
            format!("gateway.toml:9:9: consumer.short.token: has less than 16 characters, {reach}"),
        ]
    );
    parse(&text.replace("0.0.0.0", "127.0.0.1"), &[]).expect("a loopback address is nobody else's business");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.toml");
    let told = || config::load(&path, std::iter::empty()).unwrap_err().to_string();
    assert!(told().starts_with(&format!("{}: cannot be read: ", path.display())), "{}", told());
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(told(), format!("{}: is not UTF-8; save it as UTF-8", path.display()));
    fs::write(&path, LEAST.replace('\n', "\r\n")).unwrap();
    assert_eq!(config::load(&path, std::iter::empty()), parse(LEAST, &[]));
    fs::write(&path, format!("\u{feff}{LEAST}")).unwrap();
    assert_eq!(config::load(&path, std::iter::empty()), parse(LEAST, &[]));
}

#[test]
fn no_secret_in_any_log_or_error() {
    const SECRET: &str = "hunter2-hunter2-hunter2";
    let misplaced = [
        // where a secret belongs, and something else is wrong
        "[admin]\nlisten = \"0.0.0.0:1\"\n[consumer.x]\ntoken = \"SECRET\"\n[consumer.y]\ntoken = \"SECRET\"",
        "[consumer.x]\ntoken = \"SECRET and more\"",
        "[consumer.x]\ntoken = [\"SECRET\"]",
        "[consumer.x]\ntoken = { end = \"SECRET\" }",
        // one level too high
        "[consumer]\nx = \"SECRET\"",
        "[admin]\ntokn = \"SECRET\"",
        "admin = \"SECRET\"",
        // in an address
        "[consumer.x]\ntoken = \"x\"\nreverse_ws = { url = \"http://a/?access_token=SECRET\" }",
        "[consumer.x]\ntoken = \"x\"\nreverse_ws = { url = \"ws://me:SECRET@a/\" }",
        "[consumer.x]\ntoken = \"x\"\nwebhook = { url = \"ws://me:SECRET@a/\", secret = \"SECRET x\" }",
        // not TOML at all
        "[consumer.x]\ntoken = SECRET",
        "[consumer.x]\ntoken = \"SECRET",
        "[consumer.x]\ntoken = 'SECRET' x",
    ];
    for text in misplaced {
        let text = text.replace("SECRET", SECRET);
        // In front, as the top level cannot follow a table.
        let problems = parse(&format!("{text}\n{LEAST}"), &[]).expect_err(&text);
        for shown in [problems.to_string(), format!("{problems:?}")] {
            assert!(!shown.contains("hunter2"), "{text}\n{shown}");
        }
    }

    let variables = [
        ("ONEBOT_GATEWAY__CONSUMER__BOT__TOKEN", SECRET),
        ("ONEBOT_GATEWAY__ADMIN__TOKEN", SECRET),
        ("ONEBOT_GATEWAY__UPSTREAM__MAIN__DIAL", "ws://a/?access_token=hunter2-hunter2-hunter2"),
    ];
    let config = parse(LEAST, &variables).unwrap();
    assert_eq!(token_of(&config, "bot"), SECRET);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2"), "{shown}");

    let problems = parse(LEAST, &[("ONEBOT_GATEWAY__ADMIN", SECRET)]).unwrap_err();
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
}
