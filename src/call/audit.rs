//! Writes down who called what that changes something, and how it ended.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use jiff::Timestamp;
use pin_project_lite::pin_project;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::CallService;
use crate::hub::{Outcome, Reply};
use crate::onebot::catalogue::{Access, Risk};
use crate::onebot::reply::{message_id, retcode};
use crate::onebot::{Call, scan};
use crate::policy::target::Touched;
use crate::telemetry::audit::{Record, Session, Target, Trail};

/// Makes [`Audit`]s.
#[derive(Debug, Clone)]
pub(super) struct AuditLayer {
    trail: Option<Trail>,
    consumer: Arc<str>,
}

impl AuditLayer {
    pub(super) fn new(trail: Option<Trail>, consumer: &str) -> Self {
        Self { trail, consumer: consumer.into() }
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = Audit<S>;

    fn layer(&self, inner: S) -> Audit<S> {
        Audit {
            inner,
            trail: self.trail.clone(),
            consumer: Arc::clone(&self.consumer),
            session: Session::default(),
        }
    }
}

/// The trail of one session's calls.
#[derive(Debug, Clone)]
pub struct Audit<S> {
    inner: S,
    trail: Option<Trail>,
    consumer: Arc<str>,
    session: Session,
}

impl<S> Audit<S> {
    pub(super) fn name(&mut self, session: Session) {
        self.session = session;
    }

    /// What is known of a call that has to be written down.
    fn begin(&self, call: &Call) -> Option<Entry> {
        let trail = self.trail.as_ref().filter(|_| is_audited(call))?;
        let touched = Touched::read(&call.params);
        let record = Record {
            time: Timestamp::now(),
            consumer: Arc::clone(&self.consumer),
            session: self.session,
            action: call.action.as_str().chars().take(LONGEST_NAME).collect(),
            target: Target {
                group_id: touched.group.known(),
                user_id: touched.user.known(),
                message_id: touched.message.known(),
                flag: touched.flag.map(|flag| flag.chars().take(LONGEST_NAME).collect()),
            },
            size: call.params.len(),
            outcome: Outcome::Abandoned,
            retcode: None,
            latency: std::time::Duration::ZERO,
            message_id: None,
            text: trail.wants_text().then(|| text(&call.params)).flatten(),
        };
        Some(Entry { trail: trail.clone(), started: Instant::now(), record: Some(record) })
    }
}

/// Of an action or a flag, in characters. Nobody has longer ones.
const LONGEST_NAME: usize = 128;
/// Of a message, in characters.
const LONGEST_TEXT: usize = 1000;

/// Whether a call has to be written down: whatever is not known to change nothing, and what hands over
/// the account or the host though it changes nothing.
fn is_audited(call: &Call) -> bool {
    call.action.entry().is_none_or(|action| action.access == Access::Write || action.risk == Risk::Danger)
}

/// What the message says, as it was written.
fn text(params: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        #[serde(borrow)]
        messages: Option<&'a RawValue>,
    }
    let params: Params<'_> = serde_json::from_slice(params).ok()?;
    let raw = params.message.or(params.messages)?.get();
    Some(raw.chars().take(LONGEST_TEXT).collect())
}

impl<S: CallService> Service<Call> for Audit<S> {
    type Response = Reply;
    type Error = Infallible;
    type Future = Audited<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let entry = self.begin(&call);
        Audited { inner: self.inner.call(call), entry }
    }
}

pin_project! {
    /// A call whose end is written down.
    pub struct Audited<F> {
        #[pin]
        inner: F,
        entry: Option<Entry>,
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Audited<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(reply) = ready!(this.inner.poll(cx));
        if let Some(mut entry) = this.entry.take() {
            entry.answered(&reply);
        }
        Poll::Ready(Ok(reply))
    }
}

/// Writes its line when it is dropped, so that a call whose asker went away has one too.
struct Entry {
    trail: Trail,
    started: Instant,
    record: Option<Record>,
}

impl Entry {
    fn answered(&mut self, reply: &Reply) {
        let Some(record) = &mut self.record else { return };
        record.outcome = reply.outcome;
        record.retcode = match reply.refused {
            Some(refused) => Some(refused.code().into()),
            None => scan(&reply.text).ok().and_then(|envelope| retcode(&reply.text, &envelope)),
        };
        record.message_id = message_id(&reply.text);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.latency = self.started.elapsed();
            self.trail.add(record);
        }
    }
}
