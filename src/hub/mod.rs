//! The middle of one account: the state of its link, the calls under way, who is attached.
//!
//! [`Hub`] is the handle that everybody shares. What it decides is in `core`, which is
//! synchronous and pure; the handle adds the lock, the wake-ups and the journal.

mod attach;
mod core;
mod reply;
mod seen;
mod selection;
mod sends;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub use self::attach::Attachment;
use self::core::Core;
pub use self::core::{CallId, LinkId, UpstreamReply};
pub use self::reply::{Outcome, Parts, Pending, Reply};
use self::seen::Seen;
pub use self::selection::{Hold, Selection};
pub use self::sends::Sends;
use crate::journal::Journal;
use crate::onebot::{Call, Envelope, Head};
use crate::policy::acl::Memory;
use crate::policy::target::Target;
use crate::telemetry::metrics::LinkMetrics;

/// `[calls]`: how long calls live and how many may be open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// No answer within this time is answered with retcode 1504.
    pub timeout: Duration,
    /// Exceptions to `timeout`, by action name without suffix.
    pub timeouts: BTreeMap<String, Duration>,
    /// A call issued while the link is down waits this long for it, then gets retcode 1502.
    pub wait_for_link: Duration,
    /// Open calls per consumer; a session at the cap stops reading its socket.
    pub in_flight: usize,
    /// Time between two calls of `_rate_limited` actions, over all consumers of the account.
    pub rate_limited_interval: Duration,
    /// Bytes of calls that may wait for the link (down, or slower than the consumers).
    pub queue_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            timeouts: BTreeMap::new(),
            wait_for_link: Duration::from_secs(5),
            in_flight: 256,
            rate_limited_interval: Duration::from_millis(500),
            queue_bytes: 64 << 20,
        }
    }
}

/// What the edges and the operator can see of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The link.
    pub link: LinkState,
    /// The QQ number, once it is known.
    pub self_id: Option<i64>,
    /// Whether the account is online in QQ; false while the link is not up.
    pub online: bool,
    /// `app_version` of the upstream, once it is known.
    pub version: Option<Arc<str>>,
}

/// The link of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// There is none; the reason is a sentence for people.
    Down(Arc<str>),
    /// A connection exists and has not shown yet which account is behind it.
    Proving,
    /// Calls and events flow.
    Up,
}

/// A link is refused because another account is behind it than the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the account behind this link is {found}, but self_id is configured as {expected}")]
pub struct WrongAccount {
    /// From the configuration.
    pub expected: i64,
    /// From the link.
    pub found: i64,
}

/// One account's middle.
#[derive(Debug)]
pub struct Hub {
    name: String,
    core: Mutex<Core>,
    journal: Journal,
    state: watch::Sender<State>,
    /// Fires when a deadline was set before the one [`Hub::drive`] sleeps towards.
    deadline_moved: Notify,
    /// Fires when calls left the queue after it was full.
    room: Notify,
    attached: Mutex<attach::Roster>,
    /// Which chats messages and requests are in; kept once somebody needs to know.
    seen: OnceLock<Arc<Seen>>,
    /// Counts what happens to links.
    link_changes: AtomicU64,
    configured_self_id: Option<i64>,
    metrics: LinkMetrics,
}

impl Hub {
    /// The middle of the account `name`, without a link yet.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        self_id: Option<i64>,
        config: Config,
        journal: Journal,
        metrics: LinkMetrics,
    ) -> Arc<Self> {
        let state = State {
            link: LinkState::Down("not connected yet".into()),
            self_id,
            online: false,
            version: None,
        };
        Arc::new(Self {
            name: name.into(),
            core: Mutex::new(Core::new(config)),
            journal,
            state: watch::Sender::new(state),
            deadline_moved: Notify::new(),
            room: Notify::new(),
            attached: Mutex::default(),
            seen: OnceLock::new(),
            link_changes: AtomicU64::new(0),
            configured_self_id: self_id,
            metrics,
        })
    }

    /// The account's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's events.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The account's metrics.
    #[must_use]
    pub fn metrics(&self) -> &LinkMetrics {
        &self.metrics
    }

    /// What can be seen of the account now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Another number since a link was opened, proven or lost: who remembers something of LLOneBot cannot know
    /// any more that it is so.
    #[must_use]
    pub fn link_changes(&self) -> u64 {
        self.link_changes.load(Ordering::Acquire)
    }

    /// Tells when what can be seen of the account has changed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Keeps deadlines until `cancel`: pending calls, calls that wait for the link, old events.
    pub async fn drive(self: Arc<Self>, cancel: CancellationToken) {
        const JOURNAL_INTERVAL: Duration = Duration::from_secs(1);
        const SHORTEST: Duration = Duration::from_millis(10);
        loop {
            let now = Instant::now();
            self.journal.expire(now);
            let next = {
                let mut core = self.core();
                let next = self.making_room(&mut core, |core| core.expire(now, &self.metrics));
                self.report(&core);
                next
            };
            // Not more often than every 10 ms: a pass looks at every pending call.
            let next = next.max(now + SHORTEST).min(now + JOURNAL_INTERVAL);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = self.deadline_moved.notified() => {}
                () = sleep_until(next) => {}
            }
        }
    }
}

/// What consumers do.
impl Hub {
    /// Sends a call up, or lets it wait for the link. The answer comes whatever happens. Calls
    /// reach LLOneBot in the order in which this is called. If the call puts a message into a
    /// chat, `sends` learns which, even when nobody waits for the answer any more.
    pub fn dispatch(&self, call: Call, sends: Option<&Arc<Sends>>) -> Pending {
        let sends = sends.filter(|_| call.action.entry().is_some_and(|action| action.sends));
        let noting = self.seen.get().and_then(|seen| seen.expect(&call));
        let (slot, pending) = Pending::new(sends.map(|sends| sends.begin(self.journal.end())), noting);
        let mut core = self.core();
        if core.dispatch(call, slot, Instant::now()) {
            self.deadline_moved.notify_one();
        }
        self.report(&core);
        pending
    }

    /// Whether calls may be added to what waits for the link.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.core().has_room()
    }

    /// What a call is answered that waited for the link in vain.
    #[must_use]
    pub fn down_reply(&self) -> Reply {
        self.core().down_reply()
    }

    /// Waits until [`Hub::has_room`].
    pub async fn room(self: Arc<Self>) {
        loop {
            let mut left = std::pin::pin!(self.room.notified());
            // Registered before the check, so that room made in between is not overlooked.
            left.as_mut().enable();
            if self.has_room() {
                return;
            }
            left.await;
        }
    }
}

/// What consumers that are bound to some chats need.
impl Hub {
    /// From now on the chats of messages and requests are remembered.
    pub fn remember_chats(&self) {
        self.seen.get_or_init(Arc::default);
    }
}

impl Memory for Hub {
    fn message(&self, id: i64) -> Option<Target> {
        self.seen.get()?.message(id)
    }

    fn request(&self, flag: &str) -> Option<Target> {
        self.seen.get()?.request(flag)
    }
}

/// What the link's session does.
impl Hub {
    /// A connection to LLOneBot exists. It takes the place of the one before, whose pending
    /// calls fail; it is not used until it is proven. `wake` fires when there are calls to send.
    pub fn link_opened(&self, wake: Arc<Notify>) -> LinkId {
        let mut core = self.core();
        let link = self.making_room(&mut core, |core| {
            core.open_link(wake, "a new connection from LLOneBot took its place")
        });
        self.report(&core);
        self.link_changes.fetch_add(1, Ordering::Release);
        self.update(|state| {
            state.link = LinkState::Proving;
            state.online = false;
        });
        link
    }

    /// Takes note of which chat an event is from, if somebody needs to know.
    pub fn note_event(&self, text: &[u8], envelope: &Envelope, head: &Head) {
        if let Some(seen) = self.seen.get() {
            seen.note_event(text, envelope, head);
        }
    }

    /// A call of the gateway itself, sent also while the link is unproven.
    pub fn probe(&self, link: LinkId, call: Call) -> Pending {
        let (slot, pending) = Pending::new(None, None);
        let mut core = self.core();
        if core.probe(link, call, slot, Instant::now()) {
            self.deadline_moved.notify_one();
        }
        pending
    }

    /// The link has shown which account is behind it: calls may flow, waiting ones first.
    ///
    /// # Errors
    /// When that is not the account of the configuration.
    pub fn link_proven(&self, link: LinkId, self_id: i64) -> Result<(), WrongAccount> {
        if let Some(expected) = self.configured_self_id.filter(|expected| *expected != self_id) {
            return Err(WrongAccount { expected, found: self_id });
        }
        let mut core = self.core();
        if self.making_room(&mut core, |core| core.prove_link(link, Instant::now())) {
            self.deadline_moved.notify_one();
            self.metrics.connects.inc();
            self.report(&core);
            self.update(|state| {
                state.link = LinkState::Up;
                state.self_id = Some(self_id);
                // Until a heartbeat or get_status says otherwise: a link that answers for its
                // account is online in all but rare cases.
                state.online = true;
            });
            // Behind the account's number, so that who sees this sees that.
            self.link_changes.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// The link is gone: its pending calls fail at once. A link that was replaced already, or
    /// never opened, changes nothing but the reason shown.
    pub fn link_lost(&self, link: LinkId, why: &str) {
        let mut core = self.core();
        if self.making_room(&mut core, |core| core.close_link(link, why)) {
            self.link_changes.fetch_add(1, Ordering::Release);
            self.report(&core);
            self.show_down(why);
        }
    }

    /// Says why there is no link, while there is none.
    pub fn link_down(&self, why: &str) {
        self.core().explain_down(why);
        self.show_down(why);
    }

    fn show_down(&self, why: &str) {
        self.update(|state| {
            state.link = LinkState::Down(why.into());
            state.online = false;
        });
    }

    /// Whether `link` is still the one in use.
    #[must_use]
    pub fn is_current(&self, link: LinkId) -> bool {
        self.core().is_current(link)
    }

    /// Moves calls that are due to `calls`, until their size reaches `bytes`. Returns `false` if
    /// `link` is not the one in use any more.
    #[must_use]
    pub fn take_calls(&self, link: LinkId, bytes: usize, calls: &mut Vec<(CallId, Call)>) -> bool {
        self.making_room(&mut self.core(), |core| core.take_calls(link, bytes, calls))
    }

    /// Hands replies to those who wait for them, in order.
    pub fn complete(&self, link: LinkId, replies: impl IntoIterator<Item = UpstreamReply>) {
        let now = Instant::now();
        let mut core = self.core();
        for reply in replies {
            core.complete(link, reply, now, &self.metrics);
        }
        self.report(&core);
    }

    /// What a heartbeat or `get_status` of the current link says.
    pub fn account_online(&self, link: LinkId, online: bool) {
        if self.is_current(link) {
            self.update(|state| state.online = online);
        }
    }

    /// What `get_version_info` says.
    pub fn upstream_version(&self, version: &str) {
        self.update(|state| state.version = Some(version.into()));
    }
}

/// What shutdown does.
impl Hub {
    /// From now on new calls are answered with 1503; pending ones may finish.
    pub fn drain(&self) {
        self.core().drain();
    }

    /// Answers every call that is still open: the time to wait for LLOneBot is over.
    pub fn give_up_open_calls(&self) {
        let mut core = self.core();
        self.making_room(&mut core, Core::give_up_open);
        self.report(&core);
    }

    /// Calls that have no answer yet.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.core().open_calls()
    }
}

impl Hub {
    fn core(&self) -> MutexGuard<'_, Core> {
        // The core never panics between changes that belong together.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what may take calls out of the queue, and wakes those who wait for room in it.
    fn making_room<T>(&self, core: &mut Core, change: impl FnOnce(&mut Core) -> T) -> T {
        let was_full = !core.has_room();
        let result = change(core);
        if was_full && core.has_room() {
            self.room.notify_waiters();
        }
        result
    }

    fn report(&self, core: &Core) {
        self.metrics.pending.set(core.pending_calls().cast_signed() as i64);
        self.metrics.waiting.set(core.waiting_calls().cast_signed() as i64);
    }

    /// Changes the visible state and wakes its readers, but only if something is different.
    fn update(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
        let state = self.state.borrow();
        self.metrics.up.set(i64::from(state.link == LinkState::Up));
        self.metrics.online.set(i64::from(state.online));
    }
}
