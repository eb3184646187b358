//! The strings to pull on a running simulator.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::account::messages::Chat;
use super::behaviour::Behaviour;
use super::cq;
use super::record::{Activity, RecordedCall};
use super::shared::{Handle, Shared};

/// Makes a running [`Simulator`](super::Simulator) do things, and tells what it saw. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Sends one event, byte for byte, to every connection that takes events, and returns how many those are.
    /// The text is made once and shared. Waits where a connection already holds 16 384 frames.
    pub async fn emit(&self, event: impl Into<Utf8Bytes>) -> usize {
        self.shared.emit(event.into()).await
    }

    /// Sends the next of about forty recorded events of every kind, in turn; other implementations have some
    /// of their own at the end of the round.
    pub async fn emit_sample(&self) -> usize {
        let sample = self.shared.next_sample();
        self.shared.emit(sample).await
    }

    /// Somebody says `text` (CQ codes allowed) in a group; returns the message id. Bots can fetch, quote and
    /// recall it. Unknown groups and members are invented on the spot.
    pub async fn say_in_group(&self, group_id: i64, user_id: i64, text: &str) -> i32 {
        self.hear(Chat::Group(group_id), user_id, text).await
    }

    /// Somebody says `text` (CQ codes allowed) to the account in private; returns the message id.
    pub async fn say_privately(&self, user_id: i64, text: &str) -> i32 {
        self.hear(Chat::Private(user_id), user_id, text).await
    }

    /// How calls are treated from now on. Calls that are already waiting keep what was decided for them.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.state().behaviour = behaviour;
    }

    /// Hangs up on everybody at once, without a close frame. Reverse connections will be dialled again.
    pub fn disconnect(&self) {
        for handle in self.handles() {
            handle.abort.cancel();
        }
    }

    /// Closes every connection: with a code, or without one as LLOneBot does when it quits.
    pub async fn close(&self, code: Option<u16>) {
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: "".into() });
        for handle in self.handles() {
            // An error means that it has ended on its own.
            let _ = handle.queue.send(Message::Close(frame.clone())).await;
        }
    }

    /// Refuses new connections as a wrong token is refused: by LLOneBot with 101, a 1403 frame, close 1008.
    pub fn refuse(&self, refuse: bool) {
        self.shared.state().refusing = refuse;
    }

    /// The account loses its line to QQ (or gets it back): heartbeats and `get_status` say so.
    pub fn offline(&self, offline: bool) {
        self.shared.state().account.online = !offline;
    }

    /// Stops reading from every connection, or goes on. Events are still written.
    pub fn stall(&self, stall: bool) {
        self.shared.stalled.send_replace(stall);
    }

    /// Connections open now, the mute ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Connections ever opened.
    #[must_use]
    pub fn total_connections(&self) -> u64 {
        self.shared.state().opened
    }

    /// Connections ever refused for their token.
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        self.shared.state().refused
    }

    /// The last calls, oldest first: at most 10 000 and 64 MiB of frames.
    #[must_use]
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.shared.state().calls.calls()
    }

    /// Calls ever received.
    #[must_use]
    pub fn call_count(&self) -> u64 {
        self.shared.state().calls.count
    }

    /// Waits until `condition` holds. It is asked again whenever a connection opens, ends or is refused, or
    /// a call arrives or is answered. Waits for ever if it never holds: give it a timeout.
    pub async fn wait_for(&self, mut condition: impl FnMut(&Self) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !condition(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Everything that happens from now on; who falls 1024 behind misses some.
    #[must_use]
    pub fn activities(&self) -> broadcast::Receiver<Activity> {
        self.shared.activities()
    }

    async fn hear(&self, chat: Chat, user_id: i64, text: &str) -> i32 {
        let now = self.shared.now();
        let (message_id, event) = self.shared.state().account.hear(chat, user_id, &cq::decode(text), now);
        self.shared.emit(self.shared.dressed(event)).await;
        message_id
    }

    fn handles(&self) -> Vec<Handle> {
        self.shared.state().connections.values().cloned().collect()
    }
}
