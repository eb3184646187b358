//! Composition: the rooms put together into one gateway, and taken apart again.

mod router;

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::tz::TimeZone;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use self::router::Router;
use crate::admin::{Admin, AdminThread};
use crate::call::{self, Pacer};
use crate::config::Config;
use crate::downstream::admission::Admission;
use crate::downstream::http_api::HttpApi;
use crate::downstream::sse::Sse;
use crate::downstream::{self, Bot};
use crate::hub::Hub;
use crate::journal::Journal;
use crate::net::{Shutdown, listener};
use crate::telemetry::Metrics;
use crate::telemetry::audit::{self, Trail};
use crate::upstream::{self, Endpoint};

/// A running gateway. Dropping it ends everything at once; [`Gateway::drain`] does it in order.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    admin: AdminThread,
    hub: Arc<Hub>,
    drain_limit: Duration,
    /// Ends the listener; connections that are HTTP still finish their request.
    accepting: CancellationToken,
    connections: TaskTracker,
    /// Ends the sessions of consumers, and the dialling of those we connect to.
    sessions: Shutdown,
    session_tasks: TaskTracker,
    /// Ends the link, which goes last.
    link: Shutdown,
    link_tasks: TaskTracker,
    /// Written to the end when everything that could add to it has ended.
    audit: Option<Trail>,
}

/// Why a gateway did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{key} = {address}: cannot listen there: {source}")]
    Listen {
        /// The key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The audit log cannot be written.
    #[error("audit.file = {}: cannot be opened for writing: {source}; its folder must exist", file.display())]
    Audit {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The metrics contradict each other.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Tasks that had not ended within the deadline and were ended hard.
    pub tasks_left: usize,
    /// Calls that had no answer by then.
    pub calls_left: usize,
}

impl Gateway {
    /// Starts everything `config` describes, and returns once the listeners are bound.
    ///
    /// # Errors
    /// When an address cannot be bound; then nothing is left running.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let metrics = Metrics::new()?;
        let zone = config.pace.time_zone.clone();
        let audit = config.audit.map(|config| open_audit(&config, zone, &metrics)).transpose()?;
        let server = bind("server.listen", config.server.listen).await?;
        let address = server.local_addr().unwrap_or(config.server.listen);
        let (sessions, link) = (Shutdown::default(), Shutdown::default());
        let (session_tasks, link_tasks, connections) =
            (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());
        let accepting = CancellationToken::new();

        let hub = Hub::new(
            &config.upstream.name,
            config.upstream.self_id,
            config.calls.clone(),
            Journal::new(config.journal, metrics.journal()),
            metrics.link(&config.upstream.name),
        );
        let admin = Admin::new(Arc::clone(&hub), Arc::clone(&metrics), config.admin.token, accepting.clone());
        let admin = admin.spawn(config.admin.listen, config.admin.tls).map_err(|source| {
            StartError::Listen { key: "admin.listen", address: config.admin.listen, source }
        })?;

        let (driven, until) = (Arc::clone(&hub), link.drain.clone());
        link_tasks.spawn(supervised("deadlines", move || Arc::clone(&driven).drive(until.clone())));
        let accept = meet_llonebot(config.upstream, &hub, &link_tasks, &link);

        let session_config = Arc::new(config.sessions);
        let pacer = Pacer::new(Arc::clone(&hub), &config.calls, config.pace, |limit| metrics.limit(limit));
        let (limits, until) = (pacer.clone(), sessions.drain.clone());
        link_tasks.spawn(supervised("limits", move || limits.clone().drive(until.clone())));
        let account = call::Account {
            hub: Arc::clone(&hub),
            pacer,
            answers: call::cache::Answers::new(config.cache, Arc::clone(&hub), metrics.cache()),
            audit: audit.clone(),
            background: call::Background {
                tasks: session_tasks.clone(),
                drain: sessions.drain.clone(),
                abort: sessions.abort.clone(),
            },
        };
        let bots: Arc<[Arc<Bot>]> = config
            .consumers
            .into_iter()
            .map(|consumer| {
                let metrics = metrics.consumer(&consumer.name);
                let session_config = Arc::clone(&session_config);
                Bot::new(consumer, session_config, &account, config.calls.in_flight, metrics)
            })
            .collect();
        for bot in bots.iter() {
            go_to(bot, &session_tasks, &sessions);
        }
        let admission = Admission::new(bots, Arc::clone(&session_config), metrics);
        let router = Router {
            accept,
            sessions: downstream::ws_server::WsServer::new(
                admission.clone(),
                session_tasks.clone(),
                sessions.clone(),
            ),
            sse: Sse::new(admission.clone(), sessions.clone()),
            http_api: HttpApi::new(admission, session_config, sessions.clone()),
        };
        let service = listener::mount(router);
        let serve = listener::serve(server, config.server, service, connections.clone(), accepting.clone());
        connections.spawn(serve);
        info!(%address, admin = %admin.address(), "listening");

        Ok(Self {
            address,
            admin,
            hub,
            drain_limit: config.drain,
            accepting,
            connections,
            sessions,
            session_tasks,
            link,
            link_tasks,
            audit,
        })
    }

    /// Where bots connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the operator looks.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The account's middle, to watch its state.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Ends in order, within the configured time: not ready, no new connections, pending calls
    /// finish, sessions close with 1001, the link goes last. The last quarter of the time is kept
    /// for goodbyes: calls that are open by then are answered by the gateway.
    pub async fn drain(self) -> Drained {
        let start = Instant::now();
        let deadline = start + self.drain_limit;
        self.accepting.cancel();
        self.hub.drain();
        self.sessions.drain.cancel();
        for tasks in [&self.connections, &self.session_tasks, &self.link_tasks] {
            tasks.close();
        }
        // A connection may still become a session, so connections are waited for first.
        let ended = async {
            self.connections.wait().await;
            self.session_tasks.wait().await;
        };
        let mut ended = std::pin::pin!(ended);
        let mut calls_left = 0;
        if timeout_at(start + self.drain_limit * 6 / 8, ended.as_mut()).await.is_err() {
            calls_left = self.hub.open_calls();
            self.hub.give_up_open_calls();
            if timeout_at(start + self.drain_limit * 7 / 8, ended).await.is_err() {
                warn!(
                    connections = self.connections.len(),
                    sessions = self.session_tasks.len(),
                    calls = calls_left,
                    "still alive near the end of server.drain; ended hard"
                );
            }
        }
        let tasks_left = self.connections.len() + self.session_tasks.len();
        self.sessions.abort.cancel();
        self.link.drain.cancel();
        let link_ended = timeout_at(deadline, self.link_tasks.wait()).await.is_ok();
        if let Some(audit) = &self.audit
            && timeout_at(deadline.max(Instant::now() + LAST_LINES), audit.flush()).await.is_err()
        {
            warn!("the last lines of the audit log could not be written in time");
        }
        Drained { tasks_left: tasks_left + usize::from(!link_ended), calls_left }
    }
}

/// Time for the last lines of the audit log, whatever the deadline.
const LAST_LINES: Duration = Duration::from_millis(500);

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.cancel();
        self.sessions.abort.cancel();
        self.link.abort.cancel();
    }
}

/// Goes to LLOneBot for as long as `shutdown` lets it, or returns where LLOneBot comes to us.
fn meet_llonebot(
    config: upstream::Config,
    hub: &Arc<Hub>,
    tasks: &TaskTracker,
    shutdown: &Shutdown,
) -> Option<(String, upstream::ws_server::WsServer)> {
    let (hub, shutdown) = (Arc::clone(hub), shutdown.clone());
    match config.endpoint.clone() {
        Endpoint::Dial(target) => {
            tasks.spawn(supervised("link", move || {
                upstream::ws_client::run(Arc::clone(&hub), config.clone(), target.clone(), shutdown.clone())
            }));
            None
        }
        Endpoint::Accept(path) => {
            Some((path, upstream::ws_server::WsServer::new(hub, config, tasks.clone(), shutdown)))
        }
    }
}

/// Starts what we do to reach a bot, rather than wait for it.
fn go_to(bot: &Arc<Bot>, tasks: &TaskTracker, shutdown: &Shutdown) {
    for reverse in bot.reverse_ws() {
        let (bot, reverse, shutdown) = (Arc::clone(bot), reverse.clone(), shutdown.clone());
        tasks.spawn(supervised("reverse_ws", move || {
            downstream::ws_client::run(Arc::clone(&bot), reverse.clone(), shutdown.clone())
        }));
    }
    if let Some(webhook) = bot.webhook().cloned() {
        let (bot, shutdown) = (Arc::clone(bot), shutdown.clone());
        tasks.spawn(supervised("webhook", move || {
            downstream::webhook::run(Arc::clone(&bot), webhook.clone(), shutdown.clone())
        }));
    }
}

/// Runs a task that must live as long as the gateway. A panic in it is a bug; it must not be an
/// outage as well.
async fn supervised<F: Future<Output = ()>>(what: &'static str, start: impl Fn() -> F) {
    while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
        error!("the task of {what} panicked, which is a bug of the gateway; starting it again");
        sleep(Duration::from_secs(1)).await;
    }
}

fn open_audit(config: &audit::Config, zone: TimeZone, metrics: &Metrics) -> Result<Trail, StartError> {
    Trail::open(config, zone, metrics.audit())
        .map_err(|source| StartError::Audit { file: config.file.clone(), source })
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { key, address, source })
}
