//! Webhook: we post each event to the bot (standard, communication/http-post.md).
//!
//! LLOneBot posts all at once, forgets what fails and never tries again. Here a webhook is a
//! reader of the journal like every other: what it could not deliver is still there when the
//! endpoint is back, in order. It reads nothing of the upstream, so an endpoint that hangs delays
//! only itself.

mod endpoint;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::info;

use self::endpoint::{Delivery, Endpoint};
use super::bot::Bot;
use super::tail::Tail;
use crate::hub::State;
use crate::journal::{Event, Run, Seq};
use crate::net::tls::Trust;
use crate::net::{Shutdown, Target};
use crate::onebot::event::meta;
use crate::policy::Secret;

/// `consumer.NAME.webhook`: the bot is an HTTP server, and we post to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where to.
    pub url: Target,
    /// Whom we believe to be the bot when we post to `https://`.
    pub trust: Trust,
    /// Signs each body (`X-Signature`).
    pub secret: Option<Secret>,
    /// Time for one post, its answer included; an event that was not answered by then is posted
    /// again. Longer than the bot's slowest handler, then: many answer only when that is done.
    pub timeout: Duration,
    /// Posts under way at once; with more than one, events may overtake each other.
    pub concurrency: usize,
    /// How often one event is posted at most; `None`: as long as it is in the journal.
    pub attempts: Option<usize>,
    /// Upper bound of the growing delay between attempts.
    pub max_backoff: Duration,
    /// Whether heartbeats are posted too, each `consumer.NAME.heartbeat`.
    pub heartbeat: bool,
}

impl Webhook {
    /// The defaults for the address `url`.
    #[must_use]
    pub fn new(url: Target) -> Self {
        Self {
            url,
            trust: Trust::default(),
            secret: None,
            timeout: Duration::from_secs(30),
            concurrency: 1,
            attempts: None,
            max_backoff: Duration::from_secs(5),
            heartbeat: false,
        }
    }
}

/// Posts the bot's events, until `shutdown`: first lifecycle `enable`, last lifecycle `disable`.
pub async fn run(bot: Arc<Bot>, webhook: Webhook, shutdown: Shutdown) {
    let posting = async {
        // From here on nothing is missed, also while the account is not known yet.
        let tail = Tail::attach(&bot);
        if let Some(self_id) = account(&bot, &shutdown).await {
            Poster::new(bot, webhook, tail, self_id, shutdown.clone()).run().await;
        }
    };
    tokio::select! {
        biased;
        () = shutdown.abort.cancelled() => {}
        () = posting => {}
    }
}

/// The QQ number, which every post names, once it is known.
async fn account(bot: &Bot, shutdown: &Shutdown) -> Option<i64> {
    let mut state = bot.hub.watch();
    tokio::select! {
        biased;
        () = shutdown.drain.cancelled() => None,
        state = state.wait_for(|state| state.self_id.is_some()) => state.ok()?.self_id,
    }
}

struct Poster {
    bot: Arc<Bot>,
    tail: Tail,
    state: watch::Receiver<State>,
    self_id: i64,
    shutdown: Shutdown,
    /// One for each post that may be under way; those that are not.
    idle: Vec<Endpoint>,
    heartbeat: Option<Interval>,
}

impl Poster {
    fn new(bot: Arc<Bot>, webhook: Webhook, tail: Tail, self_id: i64, shutdown: Shutdown) -> Self {
        let heartbeat = webhook.heartbeat.then(|| {
            let mut ticks = interval(bot.consumer.heartbeat);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let webhook = Arc::new(webhook);
        let endpoint = |_| Endpoint::new(Arc::clone(&bot), Arc::clone(&webhook), shutdown.drain.clone());
        let idle = (0..webhook.concurrency).map(endpoint).collect();
        info!(consumer = bot.consumer.name, url = %webhook.url, "events are posted to the bot");
        let state = bot.hub.watch();
        Self { bot, tail, state, self_id, shutdown, idle, heartbeat }
    }

    async fn run(mut self) {
        let enabled = self.announce(meta::lifecycle_enable(unix_time(), self.self_id)).await;
        if enabled == Delivery::Done {
            self.post_all().await;
            self.announce(meta::lifecycle_disable(unix_time(), self.self_id)).await;
        }
    }

    /// Posts a lifecycle event, as often as it takes.
    async fn announce(&mut self, event: String) -> Delivery {
        match self.idle.first_mut() {
            Some(endpoint) => endpoint.deliver_own(event.into(), self.self_id).await,
            None => Delivery::Stopped,
        }
    }

    /// Posts what is in the journal until a shutdown, and then what was in it at that moment.
    async fn post_all(&mut self) {
        let mut posts = FuturesUnordered::new();
        let mut last: Option<Seq> = None;
        loop {
            let up_to = last.unwrap_or_else(|| self.bot.hub.journal().end());
            while !self.idle.is_empty()
                && let Some(seq) = self.next_wanted(up_to)
                && let Some(endpoint) = self.idle.pop()
            {
                posts.push(post(endpoint, Item::Event(seq), self.self_id));
            }
            let held = self.tail.is_held_before(up_to);
            if last.is_some() && posts.is_empty() && !held {
                return;
            }
            tokio::select! {
                biased;
                Some((endpoint, delivery)) = posts.next(), if !posts.is_empty() => {
                    self.idle.push(endpoint);
                    match delivery {
                        Delivery::Done => {}
                        Delivery::Gone => self.tail.note_gap(1),
                        Delivery::Stopped => last = Some(self.tail.next()),
                    }
                }
                () = self.shutdown.drain.cancelled(), if last.is_none() => last = Some(self.bot.hub.journal().end()),
                () = self.tail.moved(), if !self.idle.is_empty() && (last.is_none() || held) => {}
                () = tick(&mut self.heartbeat), if !self.idle.is_empty() && last.is_none() => {
                    if let Some(endpoint) = self.idle.pop() {
                        let beat = self.beat();
                        posts.push(post(endpoint, Item::Beat(beat), self.self_id));
                    }
                }
            }
        }
    }

    /// Moves on to the next event the bot wants. Only its number is taken: what cannot be posted
    /// now stays in the journal and nowhere else.
    fn next_wanted(&mut self, up_to: Seq) -> Option<Seq> {
        let mut runs: Vec<Run> = Vec::new();
        while self.tail.has_more(up_to) {
            self.tail.read(self.tail.next().plus(1), usize::MAX, &mut runs);
            let wanted = |event: &Event<'_>| self.bot.events.wants(*event);
            if let Some(event) = runs.iter().flat_map(Run::events).find(wanted) {
                return Some(event.seq);
            }
            runs.clear();
        }
        None
    }

    fn beat(&self) -> Bytes {
        let online = self.state.borrow().online;
        let interval = self.bot.consumer.heartbeat.as_millis() as u64;
        meta::heartbeat(unix_time(), self.self_id, online, interval).into()
    }
}

/// What is posted.
enum Item {
    Event(Seq),
    Beat(Bytes),
}

async fn post(mut endpoint: Endpoint, item: Item, self_id: i64) -> (Endpoint, Delivery) {
    let delivery = match item {
        Item::Event(seq) => endpoint.deliver(seq, self_id).await,
        Item::Beat(beat) => {
            // One that does not arrive is no loss: the next comes soon.
            endpoint.try_once(&beat, self_id).await;
            Delivery::Done
        }
    };
    (endpoint, delivery)
}

/// Resolves when a heartbeat is due; never if none are posted.
async fn tick(heartbeat: &mut Option<Interval>) {
    match heartbeat {
        Some(interval) => {
            interval.tick().await;
        }
        None => pending().await,
    }
}

fn unix_time() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().cast_signed()
}
