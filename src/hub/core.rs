//! What the middle decides: where a call goes and which answer is whose. Synchronous and pure:
//! no socket, no clock of its own, no task.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Config;
use super::reply::{Outcome, PartSender, Parts, Reply, Slot};
use crate::journal::Seq;
use crate::onebot::reply::Retcode;
use crate::onebot::{Call, EchoSpan};
use crate::telemetry::metrics::{LinkMetrics, OddFrame};

/// The gateway's own echo upstream. Counts up and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(u64);

impl CallId {
    /// How call ids begin on the wire, so that a person reading LLOneBot's log knows whose they are.
    const PREFIX: &'static str = "gw:";

    /// Reads the raw JSON of an echo; `None` if it is not one of ours.
    #[must_use]
    pub fn from_echo(raw: &[u8]) -> Option<Self> {
        let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let digits = inner.strip_prefix(Self::PREFIX.as_bytes())?;
        std::str::from_utf8(digits).ok()?.parse().ok().map(Self)
    }
}

/// As it is sent: the text of a JSON string, without quotes. A string, because numbers pass through
/// a double in LLOneBot.
impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

/// One connection to LLOneBot. Counts up and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkId(u64);

/// A reply as it came from the link.
#[derive(Debug)]
pub struct UpstreamReply {
    /// The call it answers; `None` if its echo is not one of ours.
    pub id: Option<CallId>,
    /// The exact text.
    pub text: Bytes,
    /// Where the echo is in it.
    pub echo_at: Option<EchoSpan>,
    /// Events before this number arrived before it.
    pub after: Seq,
    /// Whether LLOneBot did what it was asked.
    pub ok: bool,
    /// Whether more frames with the same echo follow (a stream action of `NapCat`).
    pub more: bool,
}

#[derive(Debug)]
pub(super) struct Core {
    config: Config,
    next_call: u64,
    next_link: u64,
    link: Option<Link>,
    /// Sent, or in the link's outbox: in the order of the calls.
    pending: BTreeMap<CallId, Open>,
    /// Not sent: the link is down or unproven.
    waiting: VecDeque<Waiting>,
    /// Bytes in `waiting` and in the link's outbox.
    queued_bytes: usize,
    /// Calls that were given up lately, to tell a late answer from one to nothing.
    given_up: VecDeque<CallId>,
    /// What the driver sleeps towards.
    wake_at: Option<Instant>,
    draining: bool,
    /// Why there is no link, for those who ask meanwhile.
    down_because: String,
}

#[derive(Debug)]
struct Link {
    id: LinkId,
    proven: bool,
    outbox: VecDeque<(CallId, Call)>,
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Open {
    stage: Stage,
    /// How long its next frame may take.
    timeout: Duration,
    deadline: Instant,
}

#[derive(Debug)]
enum Stage {
    First(Slot),
    Rest(PartSender),
}

#[derive(Debug)]
struct Waiting {
    call: Call,
    slot: Slot,
    deadline: Instant,
}

const UNANSWERED_IN_TIME: &str = "LLOneBot did not answer in time (calls.timeout, calls.timeouts); it may still do \
                                  what was asked, so check before you send it again";
const UNSENT_IN_TIME: &str = "LLOneBot did not take the call in time (calls.timeout, calls.timeouts); it was not sent, \
                              so it may be sent again";

/// How many given-up calls are remembered.
const REMEMBERED: usize = 1024;

impl Core {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            next_call: 1,
            next_link: 1,
            link: None,
            pending: BTreeMap::new(),
            waiting: VecDeque::new(),
            queued_bytes: 0,
            given_up: VecDeque::new(),
            wake_at: None,
            draining: false,
            down_because: "not connected yet".to_owned(),
        }
    }

    /// Takes a call in. Returns whether the driver has to be woken for an earlier deadline.
    pub(super) fn dispatch(&mut self, call: Call, slot: Slot, now: Instant) -> bool {
        if self.draining {
            let message = "the gateway is shutting down; send the call again after it is back";
            slot.answer(Reply::refusal(Retcode::Overloaded, Outcome::Overloaded, message));
            return false;
        }
        if self.link.as_ref().is_some_and(|link| link.proven) {
            let deadline = self.send(call, slot, now);
            return self.moves_wake(deadline);
        }
        let deadline = now + self.config.wait_for_link;
        self.queued_bytes += call.params.len();
        self.waiting.push_back(Waiting { call, slot, deadline });
        self.moves_wake(deadline)
    }

    /// Sends a call of the gateway itself over an unproven link.
    pub(super) fn probe(&mut self, link: LinkId, call: Call, slot: Slot, now: Instant) -> bool {
        if !self.is_current(link) {
            slot.answer(self.down_reply());
            return false;
        }
        let deadline = self.send(call, slot, now);
        self.moves_wake(deadline)
    }

    pub(super) fn has_room(&self) -> bool {
        self.queued_bytes < self.config.queue_bytes
    }

    pub(super) fn open_link(&mut self, wake: Arc<Notify>, why_the_old_one_goes: &str) -> LinkId {
        if let Some(old) = self.link.as_ref().map(|link| link.id) {
            self.close_link(old, why_the_old_one_goes);
        }
        let id = LinkId(self.next_link);
        self.next_link += 1;
        self.link = Some(Link { id, proven: false, outbox: VecDeque::new(), wake });
        id
    }

    /// Puts the link into use and sends what waited for it. Returns whether that is news.
    pub(super) fn prove_link(&mut self, id: LinkId, now: Instant) -> bool {
        let Some(link) = self.link.as_mut().filter(|link| link.id == id && !link.proven) else {
            return false;
        };
        link.proven = true;
        for Waiting { call, slot, .. } in std::mem::take(&mut self.waiting) {
            self.queued_bytes = self.queued_bytes.saturating_sub(call.params.len());
            // Nobody waits for it any more, and it was never sent: it must not happen now.
            if slot.is_abandoned() {
                continue;
            }
            self.send(call, slot, now);
        }
        // The driver looks at every deadline again.
        self.wake_at = None;
        true
    }

    /// Fails all pending calls at once: nobody knows whether LLOneBot did them, so none is sent
    /// again. Returns whether `id` was the link in use.
    pub(super) fn close_link(&mut self, id: LinkId, why: &str) -> bool {
        let Some(link) = self.link.take_if(|link| link.id == id) else { return false };
        self.explain_down(why);
        link.wake.notify_one();
        for (_, call) in &link.outbox {
            self.queued_bytes = self.queued_bytes.saturating_sub(call.params.len());
        }
        let message = format!(
            "the connection to LLOneBot broke before it answered ({why}); it may have done what was asked, \
             so the gateway does not send it again"
        );
        for (_, open) in std::mem::take(&mut self.pending) {
            open.finish(Reply::refusal(Retcode::UpstreamDown, Outcome::LinkDown, &message));
        }
        true
    }

    /// Sets what callers are told while there is no link.
    pub(super) fn explain_down(&mut self, why: &str) {
        why.clone_into(&mut self.down_because);
    }

    pub(super) fn is_current(&self, id: LinkId) -> bool {
        self.link.as_ref().is_some_and(|link| link.id == id)
    }

    /// Moves what is due to `calls`; `false` if `id` is not the link in use any more.
    pub(super) fn take_calls(&mut self, id: LinkId, bytes: usize, calls: &mut Vec<(CallId, Call)>) -> bool {
        let Some(link) = self.link.as_mut().filter(|link| link.id == id) else { return false };
        let mut taken = 0;
        while taken < bytes {
            let Some((call_id, call)) = link.outbox.pop_front() else { break };
            taken += call.params.len() + 64;
            self.queued_bytes = self.queued_bytes.saturating_sub(call.params.len());
            calls.push((call_id, call));
        }
        true
    }

    /// Gives a reply to the one call it answers.
    pub(super) fn complete(
        &mut self,
        link: LinkId,
        reply: UpstreamReply,
        now: Instant,
        metrics: &LinkMetrics,
    ) {
        let Some(id) = reply.id.filter(|_| self.is_current(link)) else {
            metrics.odd_frame(OddFrame::UnknownEcho);
            return;
        };
        let more = reply.more;
        let reply = Reply {
            text: reply.text,
            echo_at: reply.echo_at,
            after: reply.after,
            outcome: if reply.ok { Outcome::Ok } else { Outcome::Failed },
            refused: None,
            retry_after: None,
            rest: None,
        };
        let odd = if more { self.complete_part(id, reply, now) } else { self.complete_last(id, reply) };
        if let Err(what) = odd {
            metrics.odd_frame(what);
        }
    }

    /// Answers what is overdue and returns when to look again.
    pub(super) fn expire(&mut self, now: Instant, metrics: &LinkMetrics) -> Instant {
        while let Some(late) = self.waiting.pop_front_if(|waiting| waiting.deadline <= now) {
            self.queued_bytes = self.queued_bytes.saturating_sub(late.call.params.len());
            late.slot.answer(self.down_reply());
        }
        let overdue: BTreeSet<CallId> =
            self.pending.iter().filter(|(_, open)| open.deadline <= now).map(|(id, _)| *id).collect();
        let unsent = self.withdraw(&overdue);
        for id in overdue {
            let Some(open) = self.pending.remove(&id) else { continue };
            self.give_up(id);
            let message = if unsent.contains(&id) { UNSENT_IN_TIME } else { UNANSWERED_IN_TIME };
            if !open.finish(Reply::refusal(Retcode::NoAnswer, Outcome::Timeout, message)) {
                metrics.odd_frame(OddFrame::Abandoned);
            }
        }
        let next_open = self.pending.values().map(|open| open.deadline).min();
        let next_waiting = self.waiting.front().map(|waiting| waiting.deadline);
        let next = next_open.into_iter().chain(next_waiting).min();
        self.wake_at = next;
        next.unwrap_or(now + Duration::from_hours(1))
    }

    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Answers every open call, because there is no more time to wait for LLOneBot.
    pub(super) fn give_up_open(&mut self) {
        let refusal = |message| Reply::refusal(Retcode::Overloaded, Outcome::Overloaded, message);
        if let Some(link) = &mut self.link {
            link.outbox.clear();
        }
        self.queued_bytes = 0;
        for waiting in std::mem::take(&mut self.waiting) {
            waiting.slot.answer(refusal("the gateway is shutting down; the call was not sent"));
        }
        for (id, open) in std::mem::take(&mut self.pending) {
            self.give_up(id);
            open.finish(refusal(
                "the gateway is shutting down before LLOneBot answered; it may still do what was asked",
            ));
        }
    }

    pub(super) fn open_calls(&self) -> usize {
        self.pending.len() + self.waiting.len()
    }

    pub(super) fn pending_calls(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn waiting_calls(&self) -> usize {
        self.waiting.len()
    }

    /// Takes back those of `overdue` that the link has not taken: they must not happen any more.
    fn withdraw(&mut self, overdue: &BTreeSet<CallId>) -> BTreeSet<CallId> {
        let mut unsent = BTreeSet::new();
        if let Some(link) = self.link.as_mut().filter(|_| !overdue.is_empty()) {
            link.outbox.retain(|(id, call)| {
                let keep = !overdue.contains(id);
                if !keep {
                    self.queued_bytes = self.queued_bytes.saturating_sub(call.params.len());
                    unsent.insert(*id);
                }
                keep
            });
        }
        unsent
    }

    /// Hands a call to the link and returns its deadline.
    fn send(&mut self, call: Call, slot: Slot, now: Instant) -> Instant {
        let timeout = self.timeout(&call);
        let deadline = now + timeout;
        let Some(link) = &mut self.link else { return deadline };
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.queued_bytes += call.params.len();
        self.pending.insert(id, Open { stage: Stage::First(slot), timeout, deadline });
        link.outbox.push_back((id, call));
        link.wake.notify_one();
        deadline
    }

    /// The last frame of a call, and for all but stream actions the only one.
    fn complete_last(&mut self, id: CallId, reply: Reply) -> Result<(), OddFrame> {
        let open = self.pending.remove(&id).ok_or_else(|| self.verdict_on_unasked(id))?;
        if open.finish(reply) { Ok(()) } else { Err(OddFrame::Abandoned) }
    }

    /// A frame with more to come: the call stays open, and its deadline starts anew.
    fn complete_part(&mut self, id: CallId, mut reply: Reply, now: Instant) -> Result<(), OddFrame> {
        let Some(mut open) = self.pending.remove(&id) else { return Err(self.verdict_on_unasked(id)) };
        open.stage = match open.stage {
            Stage::First(slot) => {
                let (sender, parts) = Parts::new();
                reply.rest = Some(parts);
                if !slot.answer(reply) {
                    return Err(OddFrame::Abandoned);
                }
                Stage::Rest(sender)
            }
            Stage::Rest(sender) => {
                sender.send(reply, self.config.queue_bytes).map_err(|()| OddFrame::Abandoned)?;
                Stage::Rest(sender)
            }
        };
        open.deadline = now + open.timeout;
        self.pending.insert(id, open);
        Ok(())
    }

    fn verdict_on_unasked(&self, id: CallId) -> OddFrame {
        if id.0 >= self.next_call {
            OddFrame::UnknownEcho
        } else if self.given_up.contains(&id) {
            OddFrame::Late
        } else {
            OddFrame::Repeated
        }
    }

    fn give_up(&mut self, id: CallId) {
        if self.given_up.len() == REMEMBERED {
            self.given_up.pop_front();
        }
        self.given_up.push_back(id);
    }

    pub(super) fn down_reply(&self) -> Reply {
        let message = format!(
            "no connection to LLOneBot ({}); the call was not sent, try again when it is back \
             (calls.wait_for_link sets how long a call waits)",
            self.down_because
        );
        Reply::refusal(Retcode::UpstreamDown, Outcome::LinkDown, &message)
    }

    fn timeout(&self, call: &Call) -> Duration {
        if self.config.timeouts.is_empty() {
            return self.config.timeout;
        }
        self.config.timeouts.get(call.action.base()).copied().unwrap_or(self.config.timeout)
    }

    fn moves_wake(&mut self, deadline: Instant) -> bool {
        let earlier = self.wake_at.is_none_or(|wake_at| deadline < wake_at);
        if earlier {
            self.wake_at = Some(deadline);
        }
        earlier
    }
}

impl Open {
    /// Gives the asker the last frame; `false` if it is gone.
    fn finish(self, reply: Reply) -> bool {
        match self.stage {
            Stage::First(slot) => slot.answer(reply),
            Stage::Rest(parts) => parts.finish(reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::hub::Pending;
    use crate::onebot::ActionName;
    use crate::telemetry::Metrics;

    #[test]
    fn a_call_that_was_not_sent_in_time_is_taken_back() {
        let metrics = Metrics::new().unwrap().link("main");
        let mut core = Core::new(Config::default());
        let now = Instant::now();
        let link = core.open_link(Arc::default(), "");
        core.prove_link(link, now);
        let call = Call { action: ActionName::new("send_msg"), params: Bytes::from_static(b"{}") };
        let (sent, sent_answer) = Pending::new(None, None);
        let (unsent, unsent_answer) = Pending::new(None, None);
        let mut calls = Vec::new();
        core.dispatch(call.clone(), sent, now);
        assert!(core.take_calls(link, 1, &mut calls));
        core.dispatch(call, unsent, now);

        core.expire(now + Duration::from_secs(31), &metrics);
        let text = |answer: Pending| String::from_utf8(answer.now_or_never().unwrap().text.to_vec()).unwrap();
        assert!(text(sent_answer).contains("may still do"));
        assert!(text(unsent_answer).contains("was not sent"));
        assert!(core.take_calls(link, usize::MAX, &mut calls));
        assert_eq!((calls.len(), core.open_calls(), core.queued_bytes), (1, 0, 0));
    }
}
