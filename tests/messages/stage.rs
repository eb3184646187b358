//! A gateway without sockets, an upstream that the test speaks itself, and bots.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use onebot_gateway::call::cache::{self, Answers};
use onebot_gateway::call::{Account, Background, Pacer, pace};
use onebot_gateway::downstream::{self, Bot, Channel, Consumer, run_session};
use onebot_gateway::hub::{self, Hub, LinkState};
use onebot_gateway::journal::{self, Journal};
use onebot_gateway::net::handshake::Established;
use onebot_gateway::net::websocket::Role;
use onebot_gateway::net::{Shutdown, Stream};
use onebot_gateway::policy::Secret;
use onebot_gateway::telemetry::Metrics;
use onebot_gateway::upstream::{self, Endpoint, run_link};
use serde_json::Value;
use tokio::io::{DuplexStream, duplex};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;
use tokio_util::task::TaskTracker;

/// Longer than anything in the gateway takes.
const HOUR: Duration = Duration::from_hours(1);
const PIPE: usize = 1 << 20;

pub(crate) struct Stage {
    pub(crate) upstream: Peer,
    pub(crate) metrics: Arc<Metrics>,
    account: Account,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

impl Stage {
    /// A gateway whose link is up.
    pub(crate) async fn new() -> Self {
        let metrics = Metrics::new().unwrap();
        let journal = Journal::new(journal::Config::default(), metrics.journal());
        let hub = Hub::new("main", None, hub::Config::default(), journal, metrics.link("main"));
        let (tasks, shutdown) = (TaskTracker::new(), Shutdown::default());
        tasks.spawn(Arc::clone(&hub).drive(shutdown.abort.clone()));

        let (ours, theirs) = duplex(PIPE);
        let (linked, stop) = (Arc::clone(&hub), shutdown.clone());
        tasks.spawn(async move {
            let config = upstream::Config::new("main", Endpoint::Accept("/llonebot".to_owned()));
            run_link(established(ours), Role::Client, linked, &config, &stop).await
        });
        let mut upstream = Peer::new(theirs, Side::Server);
        upstream.send(r#"{"time":1,"self_id":10001000,"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}"#).await;
        let mut state = hub.watch();
        timeout(HOUR, state.wait_for(|state| state.link == LinkState::Up)).await.unwrap().unwrap();
        let answers = Answers::new(cache::Config::default(), Arc::clone(&hub), metrics.cache());
        let pacer = Pacer::new(Arc::clone(&hub), &hub::Config::default(), pace::Config::default(), |limit| {
            metrics.limit(limit)
        });
        tasks.spawn(pacer.clone().drive(shutdown.drain.clone()));
        let account = Account { hub, pacer, answers, audit: None, background: Background::default() };
        Self { upstream, metrics, account, tasks, shutdown }
    }

    pub(crate) fn consumer(&self, name: &str, adjust: impl FnOnce(&mut Consumer)) -> Arc<Bot> {
        let mut consumer = Consumer::new(name, Secret::new(name));
        adjust(&mut consumer);
        let config = Arc::new(downstream::Config::default());
        Bot::new(consumer, config, &self.account, 256, self.metrics.consumer(name))
    }

    /// A session of `bot`, behind its lifecycle event.
    pub(crate) async fn attach(&self, bot: &Arc<Bot>) -> Peer {
        self.attach_as(bot, Role::Server).await
    }

    pub(crate) async fn attach_as(&self, bot: &Arc<Bot>, role: Role) -> Peer {
        let (ours, theirs) = duplex(PIPE);
        let session =
            run_session(established(ours), role, Channel::Universal, Arc::clone(bot), self.shutdown.clone());
        self.tasks.spawn(session);
        let side = if role == Role::Server { Side::Client } else { Side::Server };
        let mut peer = Peer::new(theirs, side);
        assert!(peer.any_text().await.contains("lifecycle"));
        peer
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.abort.cancel();
    }
}

/// The other end of a connection to the gateway.
pub(crate) struct Peer(WebSocketStream<DuplexStream>);

impl Peer {
    fn new(end: DuplexStream, side: Side) -> Self {
        Self(WebSocketStream::from_raw_socket(end, side, None).now_or_never().unwrap())
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    /// The next frame that is no heartbeat.
    pub(crate) async fn hear(&mut self) -> String {
        loop {
            let text = self.any_text().await;
            if !text.contains(r#""heartbeat""#) {
                return text;
            }
        }
    }

    /// The next `count` frames, each by the field that tells it: `message_id` or `echo`.
    pub(crate) async fn hear_ids(&mut self, count: usize) -> Vec<i64> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let frame: Value = serde_json::from_str(&self.hear().await).unwrap();
            let id = frame.get("message_id").or_else(|| frame.get("echo")).and_then(Value::as_i64);
            ids.push(id.unwrap_or_else(|| panic!("neither event nor reply: {frame}")));
        }
        ids
    }

    /// Waits on the clock for `time` and finds that nothing was said.
    pub(crate) async fn hears_nothing_for(&mut self, time: Duration) {
        if let Ok(text) = timeout(time, self.hear()).await {
            panic!("heard {text}");
        }
    }

    /// For the upstream: the gateway's echo of the next call of `action`; its own questions are skipped.
    pub(crate) async fn call_of(&mut self, action: &str) -> Value {
        loop {
            let call: Value = serde_json::from_str(&self.any_text().await).unwrap();
            if call["action"] == action {
                return call["echo"].clone();
            }
        }
    }

    async fn any_text(&mut self) -> String {
        let text = async {
            loop {
                if let Message::Text(text) = self.0.next().await.expect("closed").unwrap() {
                    return text.to_string();
                }
            }
        };
        timeout(HOUR, text).await.expect("nothing was said for an hour")
    }
}

fn established(io: DuplexStream) -> Established {
    Established { stream: Stream::other(io), early: Bytes::new() }
}
