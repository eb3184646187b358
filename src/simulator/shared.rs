//! What every task of one simulator sees.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Config;
use super::account::Account;
use super::behaviour::Behaviour;
use super::connection::{QUEUE, Role, Seat};
use super::events;
use super::meta;
use super::object::put;
use super::profile::Dialect;
use super::random::Random;
use super::record::{Activity, CallLog};

/// Activities a slow observer may fall behind before it misses some.
const ACTIVITIES: usize = 1024;

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) dialect: &'static Dialect,
    pub(crate) tracker: TaskTracker,
    /// Ends everything politely.
    pub(crate) shutdown: CancellationToken,
    /// Ends every connection at once; each has a child of it.
    pub(crate) abort: CancellationToken,
    /// While true, nobody reads from a socket.
    pub(crate) stalled: watch::Sender<bool>,
    /// Counts changes, for whoever waits for a condition.
    pub(crate) changes: watch::Sender<u64>,
    activities: broadcast::Sender<Activity>,
    clock: Clock,
    state: Mutex<State>,
}

/// Everything that changes. The lock is never held across an await.
pub(crate) struct State {
    pub(crate) account: Account,
    pub(crate) behaviour: Behaviour,
    /// Draws for [`Behaviour`], apart from the account's, so that delays do not change message ids.
    pub(crate) random: Random,
    pub(crate) connections: BTreeMap<u64, Handle>,
    pub(crate) opened: u64,
    pub(crate) refused: u64,
    pub(crate) calls: CallLog,
    pub(crate) refusing: bool,
    /// The recorded events, the next one first.
    samples: VecDeque<Value>,
}

/// How others reach an open connection.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) queue: mpsc::Sender<Message>,
    pub(crate) events: bool,
    pub(crate) abort: CancellationToken,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let clock = Clock::start();
        let dialect = config.profile.dialect();
        let state = State {
            account: Account::new(config.self_id, config.seed, clock.now()),
            behaviour: config.behaviour.clone(),
            random: Random::new(!config.seed),
            connections: BTreeMap::new(),
            opened: 0,
            refused: 0,
            calls: CallLog::default(),
            refusing: false,
            samples: events::samples_of(dialect, config.self_id).into(),
        };
        Arc::new(Self {
            config,
            dialect,
            tracker: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            abort: CancellationToken::new(),
            stalled: watch::Sender::new(false),
            changes: watch::Sender::new(0),
            activities: broadcast::Sender::new(ACTIVITIES),
            clock,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since 1970 on a clock that stands still when tokio's does.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Tells waiting conditions and observers that something happened.
    pub(crate) fn note(&self, activity: Activity) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        // An error only means that nobody is watching.
        let _ = self.activities.send(activity);
    }

    pub(crate) fn activities(&self) -> broadcast::Receiver<Activity> {
        self.activities.subscribe()
    }

    /// Opens a connection: its lifecycle event is queued before anybody else can reach it.
    pub(crate) fn seat(self: &Arc<Self>, role: Role, via: &str) -> Seat {
        let (queue, frames) = mpsc::channel(QUEUE);
        let abort = self.abort.child_token();
        if role.events {
            // The queue is new and has room.
            let _ = queue.try_send(Message::text(self.lifecycle()));
        }
        let handle = Handle { queue: queue.clone(), events: role.events, abort: abort.clone() };
        let number = {
            let mut state = self.state();
            state.opened += 1;
            let number = state.opened;
            state.connections.insert(number, handle);
            number
        };
        self.note(Activity::Opened { connection: number, via: via.to_owned() });
        Seat { number, role, queue, frames: Some(frames), abort, shared: Arc::clone(self) }
    }

    /// Queues an event on every connection that takes events and returns how many those were. Waits for
    /// room where a queue is full.
    pub(crate) async fn emit(&self, event: Utf8Bytes) -> usize {
        let queues: Vec<_> = {
            let state = self.state();
            state
                .connections
                .values()
                .filter(|handle| handle.events)
                .map(|handle| handle.queue.clone())
                .collect()
        };
        let mut reached = 0;
        for queue in queues {
            reached += usize::from(queue.send(Message::Text(event.clone())).await.is_ok());
        }
        reached
    }

    /// Emits what an action or the generator did to the account.
    pub(crate) async fn emit_all(&self, events: Vec<Value>) {
        for event in events {
            let own = event.get("post_type").is_some_and(|kind| kind == "message_sent");
            if !own || self.config.report_self_message {
                self.emit(self.dressed(event)).await;
            }
        }
    }

    /// The next recorded event; they come round and round.
    pub(crate) fn next_sample(&self) -> Utf8Bytes {
        let sample = {
            let mut state = self.state();
            state.samples.rotate_left(1);
            state.samples.back().cloned().unwrap_or_default()
        };
        self.dressed(sample)
    }

    pub(crate) fn heartbeat(&self) -> String {
        let interval = self.config.heartbeat.as_millis() as u64;
        meta::heartbeat(self.dialect.meta, &self.state().account, self.now(), interval).to_string()
    }

    /// Counts a connection that was turned away.
    pub(crate) fn note_refusal(&self) {
        self.state().refused += 1;
        self.note(Activity::Failed { reason: "refused a connection: wrong or missing token".to_owned() });
    }

    /// When the simulator was started.
    pub(crate) fn started(&self) -> Instant {
        self.clock.started
    }

    /// An event as this implementation writes it.
    pub(crate) fn dressed(&self, mut event: Value) -> Utf8Bytes {
        if self.dialect.seq_is_id
            && let Some(seq) = event.get("message_seq").cloned()
        {
            let id = event.get("message_id").cloned().unwrap_or_default();
            put(&mut event, "message_seq", id.clone());
            put(&mut event, "real_id", id);
            put(&mut event, "real_seq", seq.to_string());
        }
        event.to_string().into()
    }

    fn lifecycle(&self) -> String {
        meta::lifecycle(self.dialect.meta, &self.state().account, self.now()).to_string()
    }
}

/// The date at the start, carried on by tokio's clock.
struct Clock {
    started: Instant,
    date: i64,
}

impl Clock {
    fn start() -> Self {
        let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), date: date.as_secs().cast_signed() }
    }

    fn now(&self) -> i64 {
        self.date + self.started.elapsed().as_secs().cast_signed()
    }
}
