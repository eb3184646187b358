//! `onebot-gateway explain`: which rule decides, and what would change it?

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use bytes::Bytes;

use crate::config::{self, Config};
use crate::downstream::Consumer;
use crate::onebot::{Call, Head, Key, parse_call, scan};
use crate::policy::acl::Memory;
use crate::policy::events::EventRules;
use crate::policy::limit::{Excess, Limit, Per};
use crate::policy::target::{Target, Touched};

const FAILED: u8 = 1;
const BAD_USAGE: u8 = 64;

/// Says which rule decides about a call or an event of a bot, and what would change that.
///
/// Nothing is sent and no gateway has to run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", env = "ONEBOT_GATEWAY_CONFIG", default_value = "gateway.toml")]
    pub config: PathBuf,
    /// The bot, as it is named in the configuration
    #[arg(long, value_name = "NAME")]
    pub consumer: String,
    /// The chat of the message or request that the call names, which a running gateway would remember:
    /// group:ID or user:ID
    #[arg(long, value_name = "CHAT")]
    pub seen_in: Option<Seen>,
    /// A call or an event as JSON; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// A gateway that has seen every message and request in one chat.
#[derive(Debug, Clone, Copy)]
pub struct Seen(Target);

impl FromStr for Seen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let chat = text.split_once(':').and_then(|(kind, id)| match (kind, id.parse().ok()?) {
            ("group", id) => Some(Target::Group(id)),
            ("user", id) => Some(Target::User(id)),
            _ => None,
        });
        chat.map(Self).ok_or_else(|| "expected group:ID or user:ID, such as group:545402644".to_owned())
    }
}

impl Memory for Seen {
    fn message(&self, _: i64) -> Option<Target> {
        Some(self.0)
    }

    fn request(&self, _: &str) -> Option<Target> {
        Some(self.0)
    }
}

/// Exit code 0 and the explanation on stdout, whatever it says; 64 if the arguments, the configuration or
/// the JSON are wrong, 1 if the file cannot be read or the explanation not be written.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let (message, code) = match explain(args) {
        Ok(text) => {
            return match io::stdout().lock().write_all(text.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(FAILED),
                _ => ExitCode::SUCCESS,
            };
        }
        Err(refused) => refused,
    };
    // Nothing can be done about a terminal that is gone.
    let _ = writeln!(io::stderr().lock(), "{message}");
    ExitCode::from(code)
}

fn explain(args: &Args) -> Result<String, (String, u8)> {
    let config = config::load(&args.config, config::environment())
        .map_err(|problems| (problems.to_string(), BAD_USAGE))?;
    let consumer = config.consumers.iter().find(|consumer| consumer.name == args.consumer);
    let consumer = consumer.ok_or_else(|| {
        let names: Vec<&str> = config.consumers.iter().map(|consumer| consumer.name.as_str()).collect();
        let message =
            format!("--consumer: there is no consumer {:?}; there are {}", args.consumer, names.join(", "));
        (message, BAD_USAGE)
    })?;
    let text = read(&args.file).map_err(|error| (format!("{}: {error}", args.file.display()), FAILED))?;
    let memory: &dyn Memory = match &args.seen_in {
        Some(seen) => seen,
        None => &(),
    };
    about(&config, consumer, &text, memory).map_err(|message| (message, BAD_USAGE))
}

fn read(file: &Path) -> io::Result<Bytes> {
    if file.as_os_str() != "-" {
        return std::fs::read(file).map(Bytes::from);
    }
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(text.into())
}

/// The whole explanation of a call or an event.
fn about(config: &Config, consumer: &Consumer, text: &Bytes, memory: &dyn Memory) -> Result<String, String> {
    let envelope = scan(text).map_err(|malformed| format!("neither a call nor an event: {malformed}"))?;
    if envelope.get(Key::PostType).is_some() {
        return Ok(about_event(consumer, text, &Head::read(text, &envelope)));
    }
    let (call, _) = parse_call(text).map_err(|refused| {
        format!("neither an event (it has no `post_type`) nor a call that could be made: {}", refused.message)
    })?;
    Ok(about_call(config, consumer, &call, memory))
}

fn about_event(consumer: &Consumer, text: &[u8], head: &Head) -> String {
    let rules = EventRules { self_messages: consumer.self_messages, conditions: consumer.events.clone() };
    let explanation = rules.explain(text, head);
    let verdict = match explanation.wanted {
        Some(true) => "heard",
        Some(false) => "not heard",
        None => "it depends",
    };
    let rule = if explanation.key.is_empty() {
        String::new()
    } else {
        format!("rule      consumer.{}.{}\n", consumer.name, explanation.key)
    };
    format!("{verdict}: {}\n{rule}", explanation.sentence)
}

fn about_call(config: &Config, consumer: &Consumer, call: &Call, memory: &dyn Memory) -> String {
    let explanation = consumer.actions.explain(call, memory, &consumer.name);
    let verdict = if explanation.allowed { "allowed" } else { "refused" };
    let mut lines = vec![
        format!("{verdict}: {}", explanation.sentence),
        format!("rule      {}", explanation.rule),
        format!("change    {}", explanation.change),
    ];
    if explanation.allowed {
        let touched = Touched::read(&call.params);
        let target = touched.target(call.action.entry());
        let limits = config.pace.limits.iter();
        let applying = limits.filter(|limit| {
            limit.covers(&consumer.name) && limit.actions.matches(&call.action) && concerns(limit, target)
        });
        lines.extend(applying.map(|limit| format!("limit     {}", pace(limit))));
        let daily = consumer.daily.iter().filter(|allowance| allowance.actions.matches(&call.action));
        lines.extend(daily.map(|allowance| {
            format!("daily     consumer.{}.daily.{}: {} a day", consumer.name, allowance.key, allowance.most)
        }));
    }
    lines.join("\n") + "\n"
}

/// Whether a call for `target` takes from `limit`.
fn concerns(limit: &Limit, target: Option<Target>) -> bool {
    match limit.per {
        Per::Account | Per::Consumer => true,
        Per::Group => matches!(target, Some(Target::Group(_))),
        Per::Target => target.is_some(),
    }
}

fn pace(limit: &Limit) -> String {
    let Limit { name, pacing, .. } = limit;
    let shared = match limit.per {
        Per::Account => "of all bots together",
        Per::Consumer => "of this bot",
        Per::Group => "in this group, of all bots together",
        Per::Target => "in this chat, of all bots together",
    };
    let early = match limit.excess {
        Excess::Wait(longest) => format!("waits its turn, {longest:?} at most"),
        Excess::Reject => "is refused at once".to_owned(),
    };
    format!(
        "limit.{name}: one such call each {:?} {shared}, {} at once after a pause; one that comes too early {early}",
        pacing.interval, pacing.burst
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [upstream.main]
        dial = "ws://127.0.0.1:3001"
        [consumer.guest]
        token = "x"
        daily = { send = 7 }
        events = { groups = [5] }
        actions = { allow = ["@send", "delete_msg"], groups = [5] }
        [limit.account]
        rate = "30/1m"
        [limit.likes]
        actions = ["send_like"]
        rate = "1/1s"
    "#;

    fn explained(text: &str, seen: Option<&str>) -> String {
        let config = config::parse(CONFIG, "gateway.toml", std::iter::empty()).unwrap();
        let text = Bytes::copy_from_slice(text.as_bytes());
        let seen: Option<Seen> = seen.map(|seen| seen.parse().unwrap());
        let memory: &dyn Memory = match &seen {
            Some(seen) => seen,
            None => &(),
        };
        about(&config, &config.consumers[0], &text, memory).unwrap_or_else(|problem| problem)
    }

    #[test]
    fn a_permitted_call_is_explained_with_the_limits_it_meets() {
        let text =
            explained(r#"{"action":"send_group_msg_async","params":{"group_id":"5","message":"x"}}"#, None);
        assert_eq!(
            text,
            "allowed: guest may call send_group_msg: consumer.guest.actions allows it\n\
             rule      consumer.guest.actions.allow\n\
             change    name it in consumer.guest.actions.deny to forbid it\n\
             limit     limit.account: one such call each 2s of all bots together, 1 at once after a pause; one that \
             comes too early waits its turn, 30s at most\n\
             daily     consumer.guest.daily.send: 7 a day\n"
        );
    }

    #[test]
    fn a_refused_call_says_which_key_would_change_it() {
        let text = explained(r#"{"action":"send_group_msg","params":{"group_id":6,"message":"x"}}"#, None);
        assert!(text.starts_with("refused: "), "{text}");
        assert!(text.contains("rule      consumer.guest.actions.groups\n"), "{text}");
        let recall = r#"{"action":"delete_msg","params":{"message_id":-7}}"#;
        assert!(explained(recall, None).contains("has not seen a message it names"));
        assert!(explained(recall, Some("group:5")).starts_with("allowed: "));
        assert!(explained(recall, Some("user:5")).starts_with("refused: "));
    }

    #[test]
    fn an_event_is_explained_by_the_key_that_decides() {
        let event = |group: u32| {
            format!(
                r#"{{"post_type":"message","message_type":"group","group_id":{group},"raw_message":"x"}}"#
            )
        };
        assert!(explained(&event(5), None).starts_with("heard: "));
        let text = explained(&event(6), None);
        assert!(text.starts_with("not heard: ") && text.contains("consumer.guest.events.groups"), "{text}");
    }

    #[test]
    fn what_is_neither_is_said() {
        for text in ["", "{}", "[]", r#"{"action":5}"#] {
            assert!(explained(text, None).starts_with("neither "), "{text}");
        }
        assert!("room:5".parse::<Seen>().is_err() && "group:x".parse::<Seen>().is_err());
    }
}
