//! `onebot-gateway demo`: the gateway at work, without QQ.

mod bot;
mod caption;
mod metrics;
mod question;
mod show;
mod stage;
mod story;
mod tally;
mod yours;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use self::bot::Report;
use self::metrics::Metrics;
use self::show::{Screen, Show};
use self::stage::Stage;
use self::story::{ACCOUNT, ACCOUNT_NAME, Story};
use self::tally::{Tally, Witness};
use self::yours::Yours;
use super::FAILED;
use super::simulate::{parse_duration, parse_within};
use crate::simulator::Control;
use crate::telemetry::logging;

/// Reports of bots that may wait to be shown; beyond it the bots wait.
const REPORTS: usize = 1024;
/// How often the user's own bot is looked for.
const LOOK: Duration = Duration::from_millis(500);
/// At the end the last events and answers may take this long to arrive.
const SETTLING: Duration = Duration::from_secs(5);
const MOST_EVENTS_PER_SECOND: f64 = 100.0;

/// See the gateway at work: no QQ, no configuration.
///
/// Starts a simulated LLOneBot, the gateway and four example bots in this process, all on 127.0.0.1, and shows
/// every event, who received it, and what each bot asked and was answered. The bots number their calls alike
/// on purpose: each must get its own answers all the same. A fifth place, "yours", is kept for a bot of your
/// own; its address and token are printed at the start.
///
/// Ends on Ctrl-C with a summary. Exit code 0 if every promise in it was kept, else 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  onebot-gateway demo
      until Ctrl-C, one event a second
  onebot-gateway demo --for 10s --rate 20
      a short, busy one
  onebot-gateway demo --events 12
      every kind of event that the demo knows, once

Next: `onebot-gateway simulate` is the same LLOneBot alone, to try your own gateway.toml on.")]
pub struct Args {
    /// Events per second
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0, value_parser = parse_rate, allow_negative_numbers = true)]
    rate: f64,
    /// End after this time, such as 10s or 2m
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    lasting: Option<Duration>,
    /// End after this many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = parse_within(text, MOST_EVENTS_PER_SECOND)?;
    if rate >= 0.01 { Ok(rate) } else { Err(format!("'{text}' is too slow to watch; 0.01 is the least")) }
}

/// Exit code 0 if all promises were kept, else 1.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    logging::init(&logging::Config { level: "warn".to_owned(), ..logging::Config::default() });
    let played = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(play(args, &mut io::stdout().lock())));
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            // Nobody is left to be told if stderr is gone.
            let _ = writeln!(io::stderr(), "demo: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn play(args: &Args, out: &mut dyn Write) -> Result<bool> {
    // Registered before anything runs, so that no signal is met by the default, which kills.
    let mut signals = Signals::register()?;
    let mut screen = Screen::new(out);
    let (reports, mut heard) = mpsc::channel(REPORTS);
    let stage = tokio::select! {
        biased; // whoever wants to leave need not wait for the start
        () = signals.any() => return Ok(true),
        stage = Stage::set(&reports, &mut heard) => stage?,
    };
    introduce(&stage, &mut screen)?;

    let started = Instant::now();
    let mut audience = Audience { heard, tally: Tally::begin(), show: Show::begin(), told: 0 };
    tokio::select! {
        biased;
        () = signals.any() => {}
        () = sleep(args.lasting.unwrap_or(Duration::MAX)) => {}
        watched = audience.watch(&stage, args, &mut screen) => watched?,
    }
    let rest = async {
        let metrics = audience.settle(stage.gateway.admin_address(), &mut screen).await?;
        let Audience { heard, tally, told, .. } = audience;
        // From here on nothing is counted, and no bot must wait to tell something.
        drop(heard);
        let (events, own_messages) = events(&metrics);
        let (yours, lasted) = (Yours::of(&metrics), started.elapsed());
        let llonebot = stage.llonebot.control().clone();
        let ended = stage.end().await;
        let connections = llonebot.total_connections();
        let witness = Witness { told, events, own_messages, connections, yours, lasted, ended };
        Ok(tally.conclude(&witness, &mut screen)?)
    };
    tokio::select! {
        biased;
        ended = rest => ended,
        () = signals.any() => Ok(false),
    }
}

fn introduce(stage: &Stage, screen: &mut Screen<'_>) -> io::Result<()> {
    let (bots, operator) = (stage.gateway.address(), format!("http://{}", stage.gateway.admin_address()));
    let token = stage.token.expose();
    let llonebot = stage.llonebot.address().map(|address| address.to_string()).unwrap_or_default();
    let (llonebot, server) = (format!("ws://{llonebot}"), format!("ws://{bots}"));
    screen.line(format_args!(
        "\
One QQ account, shared by several bots. All of this runs in this process, on 127.0.0.1;
QQ itself is simulated.

  LLOneBot   {llonebot:24}  account {ACCOUNT} {ACCOUNT_NAME}
  gateway    {server:24}  for bots
             {operator:24}  for the operator
  bots       echo     connects to /                 answers whoever mentions it
             greeter  connects to /?access_token=…  looks up who speaks in a group
             archive  connects to /event            only listens
             reverse  waits for the gateway         looks up the profile of who speaks

LLOneBot sees one client. Every bot hears every event, and calls as if it were alone: about
event #7 they all use \"echo\":\"7\", and each must get the answer to its own question.

To attach a bot of your own:

  address    {server}
  token      {token}
  NoneBot    DRIVER=~aiohttp
  (.env)     ONEBOT_WS_URLS=[\"{server}\"]
             ONEBOT_ACCESS_TOKEN={token}

To look inside:

  curl {operator}/readyz
  curl {operator}/metrics

Ctrl-C ends the demo and sums it up.
"
    ))
}

/// Those who watch the bots.
struct Audience {
    heard: mpsc::Receiver<Report>,
    tally: Tally,
    show: Show,
    /// Events that were made to happen.
    told: u64,
}

impl Audience {
    /// Lets things happen and shows them, until as many have happened as `args` asks for or nobody looks.
    async fn watch(&mut self, stage: &Stage, args: &Args, screen: &mut Screen<'_>) -> Result<()> {
        let llonebot: &Control = stage.llonebot.control();
        let mut story = Story::begin();
        let most = args.events.unwrap_or(u64::MAX);
        let mut ticks = interval(Duration::from_secs_f64(args.rate.recip()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut yours = Yours::default();
        while self.told < most && !screen.is_closed() {
            tokio::select! {
                biased; // what has happened is shown before more happens
                Some(report) = self.heard.recv() => self.note(report),
                _ = ticks.tick() => {
                    story.go_on(llonebot).await;
                    self.told += 1;
                }
                _ = looks.tick() => {
                    let metrics = Metrics::read(stage.gateway.admin_address()).await?;
                    yours.look(&metrics, &self.show, screen)?;
                }
            }
            self.show.catch_up(screen)?;
        }
        Ok(())
    }

    /// Waits until every event has arrived and every call is answered, or for as long as that may take.
    /// Returns the gateway's own numbers from then.
    async fn settle(&mut self, operator: SocketAddr, screen: &mut Screen<'_>) -> Result<Metrics> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let metrics = Metrics::read(operator).await?;
            while let Ok(report) = self.heard.try_recv() {
                self.note(report);
            }
            self.show.catch_up(screen)?;
            let (events, _) = events(&metrics);
            let settled = events >= self.told && self.tally.is_settled(events);
            if settled || Instant::now() > deadline {
                return Ok(metrics);
            }
            if let Ok(Some(report)) = timeout(LOOK, self.heard.recv()).await {
                self.note(report);
            }
        }
    }

    fn note(&mut self, report: Report) {
        self.tally.note(&report);
        self.show.note(report);
    }
}

/// Events from LLOneBot that are for every bot, and those about the account's own messages.
fn events(metrics: &Metrics) -> (u64, u64) {
    let of = |kind| metrics.sum("events_total", &[&format!("type=\"{kind}\"")]);
    let all = ["message", "notice", "request", "other"].map(of);
    (all.iter().sum(), of("message_sent"))
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn register() -> Result<Self> {
        let of = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
