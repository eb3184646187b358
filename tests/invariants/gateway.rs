//! The gateway as `app` puts it together, without the sockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use onebot_gateway::call::cache::{self, Answers};
use onebot_gateway::call::{Account, Background, Pacer, pace};
use onebot_gateway::downstream::{self, Channel, Consumer, run_session};
use onebot_gateway::hub::{self, Hub, LinkState, State};
use onebot_gateway::journal::{self, Journal, Seq};
use onebot_gateway::net::handshake::Established;
use onebot_gateway::net::websocket::Role;
use onebot_gateway::net::{Shutdown, Stream};
use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::Simulator;
use onebot_gateway::telemetry::Metrics;
use onebot_gateway::telemetry::audit::{self, Trail};
use onebot_gateway::upstream::{self as link, Endpoint, run_link};
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::bot::Bot;
use crate::upstream::Upstream;

/// Longer than anything in the gateway takes.
pub(crate) const HOUR: Duration = Duration::from_hours(1);
/// What an in-memory connection holds in each direction.
const PIPE: usize = 64 << 10;

/// What a test may change before the gateway stands.
pub(crate) struct Setup {
    pub(crate) calls: hub::Config,
    pub(crate) pace: pace::Config,
    pub(crate) cache: cache::Config,
    pub(crate) audit: Option<audit::Config>,
    pub(crate) journal: journal::Config,
    pub(crate) sessions: downstream::Config,
    pub(crate) link: link::Config,
}

/// One account's gateway.
pub(crate) struct Gateway {
    pub(crate) hub: Arc<Hub>,
    pacer: Pacer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: Shutdown,
    pub(crate) tasks: TaskTracker,
    answers: Answers,
    audit: Option<Trail>,
    setup: Setup,
}

/// A link under way: resolves to the sentence that says why it ended.
pub(crate) type Link = JoinHandle<String>;

impl Gateway {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(adjust: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            calls: hub::Config::default(),
            pace: pace::Config::default(),
            cache: cache::Config::default(),
            audit: None,
            journal: journal::Config::default(),
            sessions: downstream::Config::default(),
            link: link::Config::new("main", Endpoint::Accept("/llonebot".to_owned())),
        };
        adjust(&mut setup);
        let metrics = Metrics::new().unwrap();
        let journal = Journal::new(setup.journal.clone(), metrics.journal());
        let hub = Hub::new("main", setup.link.self_id, setup.calls.clone(), journal, metrics.link("main"));
        let (tasks, shutdown) = (TaskTracker::new(), Shutdown::default());
        tasks.spawn(Arc::clone(&hub).drive(shutdown.abort.clone()));
        let pacer =
            Pacer::new(Arc::clone(&hub), &setup.calls, setup.pace.clone(), |limit| metrics.limit(limit));
        tasks.spawn(pacer.clone().drive(shutdown.drain.clone()));
        let answers = Answers::new(setup.cache.clone(), Arc::clone(&hub), metrics.cache());
        let zone = setup.pace.time_zone.clone();
        let audit = setup.audit.as_ref().map(|config| Trail::open(config, zone, metrics.audit()).unwrap());
        Self { hub, pacer, metrics, shutdown, tasks, answers, audit, setup }
    }

    /// A consumer with the defaults.
    pub(crate) fn consumer(&self, name: &str) -> Arc<downstream::Bot> {
        self.consumer_with(name, |_| {})
    }

    pub(crate) fn consumer_with(
        &self,
        name: &str,
        adjust: impl FnOnce(&mut Consumer),
    ) -> Arc<downstream::Bot> {
        let mut consumer = Consumer::new(name, Secret::new(name));
        adjust(&mut consumer);
        let config = Arc::new(self.setup.sessions.clone());
        let metrics = self.metrics.consumer(name);
        let calls = &self.setup.calls;
        let account = Account {
            hub: Arc::clone(&self.hub),
            pacer: self.pacer.clone(),
            answers: self.answers.clone(),
            audit: self.audit.clone(),
            background: Background {
                tasks: self.tasks.clone(),
                drain: self.shutdown.drain.clone(),
                abort: self.shutdown.abort.clone(),
            },
        };
        downstream::Bot::new(consumer, config, &account, calls.in_flight, metrics)
    }

    /// A session of `consumer` that dialled `/`.
    pub(crate) fn attach(&self, consumer: &Arc<downstream::Bot>) -> Bot {
        self.attach_over(consumer, Channel::Universal, Role::Server, PIPE)
    }

    /// A session in which we have `role`, over a connection that holds `pipe` bytes each way.
    pub(crate) fn attach_over(
        &self,
        consumer: &Arc<downstream::Bot>,
        channel: Channel,
        role: Role,
        pipe: usize,
    ) -> Bot {
        let (ours, theirs) = duplex(pipe);
        let session =
            run_session(established(ours), role, channel, Arc::clone(consumer), self.shutdown.clone());
        Bot::new(theirs, role.peer(), self.tasks.spawn(session))
    }

    /// A link to whoever holds the returned end.
    pub(crate) fn link(&self) -> (DuplexStream, Link) {
        let (ours, theirs) = duplex(PIPE);
        let (hub, config) = (Arc::clone(&self.hub), self.setup.link.clone());
        let shutdown = self.shutdown.clone();
        let link = self
            .tasks
            .spawn(async move { run_link(established(ours), Role::Client, hub, &config, &shutdown).await });
        (theirs, link)
    }

    /// A link to the simulated LLOneBot, in use when this returns.
    pub(crate) async fn link_to(&self, simulator: &Simulator) -> Link {
        let (end, link) = self.link();
        simulator.serve(end);
        self.up().await;
        link
    }

    /// The same for a link that ends after everything else, as `app` has it.
    pub(crate) async fn link_that_outlives_drain(&self) -> (Upstream, Link) {
        let (ours, theirs) = duplex(PIPE);
        let (hub, config) = (Arc::clone(&self.hub), self.setup.link.clone());
        let shutdown = Shutdown { drain: self.shutdown.abort.clone(), abort: self.shutdown.abort.clone() };
        let link = self
            .tasks
            .spawn(async move { run_link(established(ours), Role::Client, hub, &config, &shutdown).await });
        let mut upstream = Upstream::new(theirs);
        upstream.lifecycle().await;
        self.up().await;
        (upstream, link)
    }

    /// A link whose other side the test speaks itself, in use when this returns.
    pub(crate) async fn link_by_hand(&self) -> (Upstream, Link) {
        let (mut upstream, link) = self.unproven_by_hand();
        upstream.lifecycle().await;
        self.up().await;
        (upstream, link)
    }

    /// The same before anything was said.
    pub(crate) fn unproven_by_hand(&self) -> (Upstream, Link) {
        let (end, link) = self.link();
        (Upstream::new(end), link)
    }

    pub(crate) async fn up(&self) {
        self.wait_for(|state| state.link == LinkState::Up).await;
    }

    pub(crate) async fn wait_for(&self, condition: impl FnMut(&State) -> bool) {
        let mut state = self.hub.watch();
        timeout(HOUR, state.wait_for(condition)).await.expect("the state never came").unwrap();
    }

    /// Waits until `count` events are in the journal or have been.
    pub(crate) async fn has_appended(&self, count: usize) {
        let mut end = self.hub.journal().watch();
        let appended = end.wait_for(|end| *end >= Seq(1).plus(count));
        timeout(HOUR, appended).await.expect("events were not appended").unwrap();
    }

    /// The lines of the audit log.
    pub(crate) async fn audited(&self) -> Vec<serde_json::Value> {
        self.audit.as_ref().unwrap().flush().await;
        let text = std::fs::read_to_string(&self.setup.audit.as_ref().unwrap().file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The value of a metric with these labels, as an operator reads it.
    pub(crate) fn metric(&self, name_and_labels: &str) -> u64 {
        let text = self.metrics.render().unwrap();
        let value = text.lines().find_map(|line| {
            let rest = line.strip_prefix("onebot_gateway_")?.strip_prefix(name_and_labels)?;
            rest.strip_prefix(' ')
        });
        value.unwrap_or_else(|| panic!("no metric {name_and_labels}")).parse().unwrap()
    }

    pub(crate) fn odd_frames(&self, what: &str) -> u64 {
        self.metric(&format!("odd_frames_total{{upstream=\"main\",what=\"{what}\"}}"))
    }

    /// All calls of all consumers, whatever became of them.
    pub(crate) fn calls_counted(&self) -> u64 {
        let text = self.metrics.render().unwrap();
        let lines = text.lines().filter(|line| line.starts_with("onebot_gateway_calls_total{"));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }
}

/// Sessions and links go with their gateway, so that one test's tasks do not outlive its loop.
impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.drain.cancel();
        self.shutdown.abort.cancel();
    }
}

fn established(io: DuplexStream) -> Established {
    Established { stream: Stream::other(io), early: Bytes::new() }
}
