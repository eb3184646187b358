//! `onebot-gateway simulate`: an LLOneBot to try things on.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::simulator::{Activity, Behaviour, Config, Profile, RecordedCall, Simulator};

/// Longest text of call parameters on one line, in characters.
const SHOWN_PARAMS: usize = 100;

/// Run a simulated LLOneBot: no QQ account needed.
///
/// It invents an account with friends, groups and messages, answers every action of LLOneBot 8.1.7 from it, and
/// tells each connection and call in one line. Point a bot or the gateway at it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  onebot-gateway simulate --rate 2 --token secret
      then connect to ws://127.0.0.1:3001/?access_token=secret
      and send {\"action\":\"get_group_list\",\"echo\":1}

  onebot-gateway simulate --reverse ws://127.0.0.1:8080/onebot/v11/ws
      dials a bot that waits for LLOneBot (NoneBot, Koishi, AstrBot)

  onebot-gateway simulate --profile napcat
      speaks as NapCat does: its refusals, heartbeats, stream actions and limits

  onebot-gateway simulate --delay 50ms --reorder --drop 0.01 --silence send_like
      is an LLOneBot on a bad day")]
pub struct Args {
    /// The implementation to be: llonebot, llonebot7, napcat, lagrange or go-cqhttp
    #[arg(long, value_name = "NAME", default_value = "llonebot")]
    profile: Profile,
    /// Serve forward WebSocket here; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3001")]
    listen: SocketAddr,
    /// Dial this ws:// address as LLOneBot's reverse WebSocket does; may be repeated
    #[arg(long, value_name = "URL")]
    reverse: Vec<String>,
    /// Dial each --reverse address twice, for calls and for events, as lagrange and go-cqhttp can
    #[arg(long, requires = "reverse")]
    split_roles: bool,
    /// The access token, both ways
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true,
        env = "SIMULATE_TOKEN",
        hide_env_values = true
    )]
    token: Token,
    /// The account's QQ number
    #[arg(long, value_name = "NUMBER", default_value_t = Config::default().self_id)]
    self_id: i64,
    /// Invented events per second, 0 for none
    #[arg(long, value_name = "EVENTS", default_value_t = 1.0, value_parser = parse_rate, allow_negative_numbers = true)]
    rate: f64,
    /// Time between heartbeats; each profile has its own default, llonebot's is 60s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    heartbeat: Option<Duration>,
    /// Wait this long before each reply
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    delay: Duration,
    /// Shuffle the order of replies
    #[arg(long)]
    reorder: bool,
    /// Never answer this action; may be repeated
    #[arg(long, value_name = "ACTION")]
    silence: Vec<String>,
    /// Lose this share of all replies
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share, allow_negative_numbers = true)]
    drop: f64,
    /// Report the account's own messages too, as `message_sent`
    #[arg(long)]
    self_messages: bool,
    /// The account has lost its line to QQ: heartbeats say online:false
    #[arg(long)]
    offline: bool,
    /// The same seed gives the same account, events and ids
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// A token that does not show up in debug output.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("…")
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        Self(token.to_owned())
    }
}

/// Runs the simulator until Ctrl-C. Exit code 0 after Ctrl-C, 1 if it could not start.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    match runtime.block_on(simulate(args, &mut io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(reason: &str) -> ExitCode {
    // Nobody is left to be told if stderr is gone.
    let _ = writeln!(io::stderr(), "simulate: {reason}");
    ExitCode::FAILURE
}

async fn simulate(args: Args, out: &mut impl Write) -> Result<(), String> {
    let (listen, offline, protected) = (args.listen, args.offline, !args.token.0.is_empty());
    let self_id = args.self_id;
    let simulator = Simulator::start(args.into_config())
        .await
        .map_err(|error| format!("cannot start (--listen {listen}): {error}"))?;
    simulator.control().offline(offline);
    let activities = simulator.control().activities();
    if let Some(address) = simulator.address() {
        let token = if protected { "with the token" } else { "no token" };
        // A closed standard output ends the lines, not the simulator.
        let _ =
            writeln!(out, "account {self_id} · forward WebSocket on ws://{address} · {token} · Ctrl-C stops");
    }
    tokio::select! {
        biased; // Ctrl-C must not wait for a quiet moment
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
        }
        () = narrate(activities, out) => {}
    }
    simulator.stop().await;
    Ok(())
}

async fn narrate(mut activities: broadcast::Receiver<Activity>, out: &mut impl Write) {
    loop {
        let line = match activities.recv().await {
            Ok(activity) => line_of(&activity),
            Err(RecvError::Lagged(missed)) => format!("… {missed} lines left out"),
            Err(RecvError::Closed) => return,
        };
        // A closed standard output ends the lines, not the simulator.
        let _ = writeln!(out, "{line}");
    }
}

fn line_of(activity: &Activity) -> String {
    match activity {
        Activity::Opened { connection, via } => format!("#{connection} open   {via}"),
        Activity::Closed { connection } => format!("#{connection} closed"),
        Activity::Failed { reason } => format!("!  {reason}"),
        Activity::Called(RecordedCall { number, connection, action, params, .. }) => {
            let params = params.to_string();
            let mut shown: String = params.chars().take(SHOWN_PARAMS).collect();
            if shown.len() < params.len() {
                shown.push('…');
            }
            format!("#{connection} call {number} {action} {shown}")
        }
        Activity::Answered { number, action, retcode, took, sent } => {
            let outcome = if *retcode == 0 { "ok".to_owned() } else { format!("failed {retcode}") };
            let fate = if *sent { "" } else { " (reply withheld)" };
            format!("   reply {number} {action} {outcome} after {took:.1?}{fate}")
        }
    }
}

impl Args {
    fn into_config(self) -> Config {
        let usual = Config::of(self.profile);
        Config {
            listen: Some(self.listen),
            reverse: self.reverse,
            split_roles: self.split_roles,
            token: self.token.0,
            self_id: self.self_id,
            heartbeat: self.heartbeat.unwrap_or(usual.heartbeat),
            events_per_second: self.rate,
            seed: self.seed,
            report_self_message: self.self_messages,
            behaviour: Behaviour {
                delay: self.delay..=self.delay,
                reorder: self.reorder,
                silence: self.silence.into_iter().collect(),
                drop: self.drop,
                ..Behaviour::default()
            },
            ..usual
        }
    }
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).unwrap_or((text, ""));
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("'{text}' needs a unit: write 500ms, 10s or 1m")),
    };
    let number: f64 =
        number.trim().parse().map_err(|_| format!("'{number}' is not a number; write 500ms, 10s or 1m"))?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| format!("'{text}' is not a possible duration"))
}

fn parse_rate(text: &str) -> Result<f64, String> {
    parse_within(text, 100_000.0)
}

fn parse_share(text: &str) -> Result<f64, String> {
    parse_within(text, 1.0)
}

pub(super) fn parse_within(text: &str, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=most).contains(number));
    number.ok_or_else(|| format!("'{text}' must be a number from 0 to {most}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(arguments: &[&str]) -> Result<Args, String> {
        let all = ["simulate"].iter().chain(arguments);
        Command::try_parse_from(all).map(|command| command.args).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_become_a_configuration() {
        let config = parse(&[
            "--rate",
            "2.5",
            "--heartbeat",
            "1m",
            "--delay",
            "50ms",
            "--silence",
            "send_like",
            "--drop",
            "0.5",
            "--reverse",
            "ws://a/",
            "--reverse",
            "ws://b/",
            "--token",
            "t",
            "--reorder",
        ])
        .unwrap()
        .into_config();
        assert_eq!(config.listen, Some(SocketAddr::from(([127, 0, 0, 1], 3001))));
        assert_eq!((config.events_per_second, config.heartbeat.as_secs()), (2.5, 60));
        assert_eq!(config.behaviour.delay, Duration::from_millis(50)..=Duration::from_millis(50));
        assert!(config.behaviour.silence.contains("send_like") && config.behaviour.reorder);
        assert_eq!((config.reverse.len(), config.token.as_str()), (2, "t"));

        let config = parse(&["--profile", "lagrange"]).unwrap().into_config();
        assert_eq!((config.profile, config.heartbeat.as_secs()), (Profile::Lagrange, 5));
    }

    #[test]
    fn impossible_arguments_are_explained() {
        for (arguments, hint) in [
            (["--delay", "50"], "needs a unit: write 500ms, 10s or 1m"),
            (["--heartbeat", "..s"], "is not a number"),
            (["--drop", "1.5"], "must be a number from 0 to 1"),
            (["--rate", "-1"], "from 0 to 100000"),
            (["--rate", "NaN"], "from 0 to 100000"),
            (["--profile", "gocq"], "llonebot, llonebot7, napcat, lagrange, go-cqhttp"),
        ] {
            let error = parse(&arguments).expect_err("refused");
            assert!(error.contains(hint), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn the_token_stays_out_of_debug_output() {
        let args = parse(&["--token", "hunter2"]).unwrap();
        assert!(!format!("{args:?}").contains("hunter2"));
    }

    #[test]
    fn each_activity_is_one_line() {
        let call = RecordedCall {
            number: 3,
            connection: 1,
            action: "send_group_msg".to_owned(),
            params: serde_json::json!({"message": format!("{}\n", "长".repeat(200))}),
            echo: None,
            bytes: 0,
        };
        let answered = Activity::Answered {
            number: 3,
            action: "send_group_msg".to_owned(),
            retcode: 1200,
            took: Duration::from_millis(50),
            sent: false,
        };
        let line = line_of(&Activity::Called(call));
        assert!(
            line.starts_with("#1 call 3 send_group_msg {\"message\":\"长") && line.ends_with('…'),
            "{line}"
        );
        assert!(line.chars().count() < 140 && !line.contains('\n'));
        assert_eq!(line_of(&answered), "   reply 3 send_group_msg failed 1200 after 50.0ms (reply withheld)");
    }
}
