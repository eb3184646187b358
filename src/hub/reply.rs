//! The answer to a call, and the place where it is awaited.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::coop::unconstrained;

use super::seen::Noting;
use super::sends::Sending;
use crate::journal::Seq;
use crate::onebot::reply::{Retcode, deferred, failed, ok};
use crate::onebot::{Echo, EchoSpan, Spliced, splice};

/// How a call ended, for the meter.
pub use crate::telemetry::metrics::CallOutcome as Outcome;

/// The one answer to a call.
#[derive(Debug)]
pub struct Reply {
    /// The exact text, with the gateway's echo where `echo_at` says.
    pub text: Bytes,
    /// Where the echo is.
    pub echo_at: Option<EchoSpan>,
    /// Events before this number arrived before the reply did.
    pub after: Seq,
    /// How the call ended.
    pub outcome: Outcome,
    /// Why the gateway itself refused it; `None` for an answer of LLOneBot.
    pub refused: Option<Retcode>,
    /// When it is worth asking again, if it was refused for a limit.
    pub retry_after: Option<Duration>,
    /// The frames that follow, for a stream action of `NapCat`.
    pub rest: Option<Parts>,
}

impl Reply {
    /// A successful answer of the gateway itself. `data` must be valid JSON.
    #[must_use]
    pub fn own(data: &str) -> Self {
        Self::made(ok(data))
    }

    /// The answer to a call that is done without its caller.
    #[must_use]
    pub fn deferred() -> Self {
        Self::made(deferred())
    }

    fn made(text: Bytes) -> Self {
        Self {
            text,
            echo_at: None,
            after: Seq(0),
            outcome: Outcome::Ok,
            refused: None,
            retry_after: None,
            rest: None,
        }
    }

    /// A refusal by the gateway itself.
    #[must_use]
    pub fn refusal(retcode: Retcode, outcome: Outcome, message: &str) -> Self {
        let text = failed(retcode, message);
        Self { outcome, refused: Some(retcode), ..Self::made(text) }
    }

    /// The text as the consumer gets it: with its own echo, or without any.
    #[must_use]
    pub fn with_echo<'a>(&'a self, echo: Option<&'a Echo>) -> Spliced<'a> {
        splice(&self.text, self.echo_at, echo)
    }
}

/// The frames of a stream action after the first. Bounded in number, and in bytes by
/// `calls.queue_bytes`.
#[derive(Debug)]
pub struct Parts {
    frames: mpsc::Receiver<Part>,
    held: Arc<AtomicUsize>,
    finished: bool,
    slot: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Part {
    reply: Reply,
    last: bool,
}

impl Parts {
    /// Frames that may wait for one asker.
    const FRAMES: usize = 1024;

    pub(super) fn new() -> (PartSender, Self) {
        let (sender, frames) = mpsc::channel(Self::FRAMES);
        let held = Arc::new(AtomicUsize::new(0));
        let parts = Self { frames, held: Arc::clone(&held), finished: false, slot: None };
        (PartSender { frames: sender, held }, parts)
    }

    /// Keeps the call's in-flight slot taken until the last frame.
    pub fn hold(&mut self, slot: OwnedSemaphorePermit) {
        self.slot = Some(slot);
    }

    /// The next frame, or `None` after the last. A stream that was given up because its asker
    /// was too slow ends with a refusal.
    pub async fn next(&mut self) -> Option<Reply> {
        if self.finished {
            return None;
        }
        // A frame that is there is there: if tokio's budget said otherwise, the asker would see what
        // arrived behind it first.
        let Some(part) = unconstrained(self.frames.recv()).await else {
            self.finished = true;
            let message = "the stream was given up: its frames came faster than they were taken";
            return Some(Reply::refusal(Retcode::Overloaded, Outcome::Overloaded, message));
        };
        self.finished = part.last;
        self.held.fetch_sub(part.reply.text.len(), Ordering::Relaxed);
        Some(part.reply)
    }
}

#[derive(Debug)]
pub(super) struct PartSender {
    frames: mpsc::Sender<Part>,
    held: Arc<AtomicUsize>,
}

impl PartSender {
    /// Queues a frame; fails if the asker is gone or has `limit` bytes waiting.
    pub(super) fn send(&self, reply: Reply, limit: usize) -> Result<(), ()> {
        if self.held.load(Ordering::Relaxed) + reply.text.len() > limit {
            return Err(());
        }
        if self.queue(reply, false) { Ok(()) } else { Err(()) }
    }

    /// Queues the last frame; `false` if the asker is gone or too slow.
    pub(super) fn finish(self, reply: Reply) -> bool {
        self.queue(reply, true)
    }

    fn queue(&self, reply: Reply, last: bool) -> bool {
        self.held.fetch_add(reply.text.len(), Ordering::Relaxed);
        self.frames.try_send(Part { reply, last }).is_ok()
    }
}

/// Resolves to the answer of one dispatched call.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Reply>);

impl Pending {
    /// With the slot that is to be answered; `sending` learns what the call has sent, if it sends.
    /// `noting` notes in which chat that is.
    pub(super) fn new(sending: Option<Sending>, noting: Option<Noting>) -> (Slot, Self) {
        let (reply, pending) = oneshot::channel();
        (Slot { reply, sending, noting }, Self(pending))
    }
}

/// Where the answer to one call goes.
#[derive(Debug)]
pub(super) struct Slot {
    reply: oneshot::Sender<Reply>,
    sending: Option<Sending>,
    noting: Option<Noting>,
}

impl Slot {
    /// Gives the answer out; `false` if the asker is gone.
    pub(super) fn answer(self, reply: Reply) -> bool {
        // First, so that whoever reads on because of the answer finds it noted.
        if let Some(sending) = self.sending {
            sending.answered(&reply.text);
        }
        if let Some(noting) = self.noting {
            noting.answered(&reply.text);
        }
        self.reply.send(reply).is_ok()
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }
}

impl Future for Pending {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        Pin::new(&mut self.0).poll(cx).map(|reply| {
            // The hub answers every slot it holds; one that was dropped went with the hub.
            reply
                .unwrap_or_else(|_| Reply::refusal(Retcode::Overloaded, Outcome::Overloaded, "shutting down"))
        })
    }
}
