//! Everything the demo runs: a simulated LLOneBot, the gateway, the example bots.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::bot::{self, Bot, Report};
use super::question::Part;
use super::story::ACCOUNT;
use super::yours::YOURS;
use crate::app::{Drained, Gateway, StartError};
use crate::config::Config;
use crate::downstream::{Consumer, ReverseWs};
use crate::net::Target;
use crate::policy::Secret;
use crate::simulator::{self, Simulator};
use crate::upstream::{self, Endpoint};

/// The usual ports, taken if they are free: those of `gateway.toml`.
const SERVER_PORT: u16 = 6700;
const ADMIN_PORT: u16 = 6701;
/// Everything is on this machine: what takes longer will not happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running whole.
pub(super) struct Stage {
    pub(super) llonebot: Simulator,
    pub(super) gateway: Gateway,
    /// The token of [`YOURS`].
    pub(super) token: Secret,
    tasks: TaskTracker,
    bots: Vec<JoinHandle<Option<u16>>>,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) drained: Drained,
    /// Bots the gateway said goodbye to as the standard of WebSocket has it: 1001, going away.
    pub(super) farewells: usize,
}

impl Stage {
    /// Starts everything, and returns once every bot is attached.
    pub(super) async fn set(
        reports: &mpsc::Sender<Report>,
        heard: &mut mpsc::Receiver<Report>,
    ) -> Result<Self> {
        let llonebot_token = random_token()?;
        let llonebot = Simulator::start(simulator::Config {
            listen: Some(loopback(0)),
            token: llonebot_token.expose().to_owned(),
            self_id: ACCOUNT,
            report_self_message: true,
            ..simulator::Config::default()
        })
        .await
        .context("cannot start the simulated LLOneBot")?;

        let listener = TcpListener::bind(loopback(0)).await.context("cannot listen for the gateway")?;
        let url = format!("ws://{}/onebot/v11/ws", listener.local_addr()?);
        let reverse = ReverseWs { max_backoff: Duration::from_secs(1), ..ReverseWs::new(target(&url)?) };
        let mut tokens = Vec::new();
        let mut consumers = Vec::new();
        for part in Part::ALL {
            let token = random_token()?;
            let mut consumer = Consumer::new(part.name(), token.clone());
            consumer.reverse_ws.extend(Some(reverse.clone()).filter(|_| part == Part::Reverse));
            consumers.push(consumer);
            tokens.push((part, token));
        }
        let token = random_token()?;
        consumers.push(Consumer::new(YOURS, token.clone()));

        let address = llonebot.address().context("the simulated LLOneBot has no address")?;
        let endpoint = Endpoint::Dial(target(&format!("ws://{address}/"))?);
        let mut upstream = upstream::Config::new("main", endpoint);
        upstream.token = Some(llonebot_token);
        let gateway = start_gateway(Config::new(upstream, consumers)).await?;

        let tasks = TaskTracker::new();
        let mut bots = Vec::new();
        let mut listener = Some(listener);
        for (part, token) in tokens {
            let wire = match listener.take_if(|_| part == Part::Reverse) {
                Some(listener) => in_time(part, bot::accept(listener, token)).await??,
                None => in_time(part, bot::connect(part, gateway.address(), &token)).await??,
            };
            bots.push(tasks.spawn(Bot::new(part, wire, reports.clone()).work()));
        }
        let ready = async {
            for _ in Part::ALL {
                match heard.recv().await {
                    Some(Report::Ready(_)) => {}
                    other => return Err(anyhow!("a bot was not welcomed: {other:?}")),
                }
            }
            Ok(())
        };
        timeout(PATIENCE, ready).await.context("the bots were not welcomed in time")??;
        Ok(Self { llonebot, gateway, token, tasks, bots })
    }

    /// Ends everything in order: the gateway says goodbye to its bots, then to LLOneBot, which goes last.
    pub(super) async fn end(self) -> Ended {
        let drained = self.gateway.drain().await;
        self.tasks.close();
        let mut farewells = 0;
        for bot in self.bots {
            farewells += usize::from(matches!(timeout(PATIENCE, bot).await, Ok(Ok(Some(1001)))));
        }
        self.llonebot.stop().await;
        Ended { drained, farewells }
    }
}

/// Listens on the usual ports, or on any where those are taken.
async fn start_gateway(mut config: Config) -> Result<Gateway> {
    config.server.listen = loopback(SERVER_PORT);
    config.admin.listen = loopback(ADMIN_PORT);
    loop {
        match Gateway::start(config.clone()).await {
            Err(StartError::Listen { address, source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && address.port() != 0 =>
            {
                let taken = if address == config.server.listen {
                    &mut config.server.listen
                } else {
                    &mut config.admin.listen
                };
                taken.set_port(0);
            }
            other => return other.context("cannot start the gateway"),
        }
    }
}

async fn in_time<T>(part: Part, attaching: impl Future<Output = T>) -> Result<T> {
    timeout(PATIENCE, attaching).await.with_context(|| format!("{} did not attach in time", part.name()))
}

fn random_token() -> Result<Secret> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    Ok(Secret::new(format!("{:032x}", u128::from_be_bytes(bytes))))
}

fn target(url: &str) -> Result<Target> {
    Target::parse(url).map_err(|problem| anyhow!("{url}: {problem}"))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
