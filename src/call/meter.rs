//! Counts every call with its outcome and its time.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::CallService;
use crate::hub::Reply;
use crate::onebot::Call;
use crate::onebot::catalogue::{Access, Risk};
use crate::telemetry::metrics::{CallClass, CallOutcome, ConsumerMetrics};

/// Makes [`Meter`]s.
#[derive(Debug, Clone)]
pub(super) struct MeterLayer(Arc<ConsumerMetrics>);

impl MeterLayer {
    pub(super) fn new(metrics: Arc<ConsumerMetrics>) -> Self {
        Self(metrics)
    }
}

impl<S> Layer<S> for MeterLayer {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter { inner, metrics: Arc::clone(&self.0) }
    }
}

/// The outermost layer.
#[derive(Debug, Clone)]
pub struct Meter<S> {
    inner: S,
    metrics: Arc<ConsumerMetrics>,
}

impl<S: CallService> Service<Call> for Meter<S> {
    type Response = Reply;
    type Error = Infallible;
    type Future = Metered<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let tally = Tally {
            class: class(&call),
            outcome: CallOutcome::Abandoned,
            started: Instant::now(),
            metrics: Arc::clone(&self.metrics),
        };
        Metered { inner: self.inner.call(call), tally }
    }
}

fn class(call: &Call) -> CallClass {
    match call.action.entry() {
        None => CallClass::Unknown,
        Some(action) if action.risk == Risk::Danger => CallClass::Danger,
        Some(action) if action.access == Access::Read => CallClass::Read,
        Some(_) => CallClass::Write,
    }
}

pin_project! {
    /// A call that is being timed.
    pub struct Metered<F> {
        #[pin]
        inner: F,
        tally: Tally,
    }
}

/// Counts the call when it is dropped, so that one whose asker went away is counted too.
struct Tally {
    class: CallClass,
    outcome: CallOutcome,
    started: Instant,
    metrics: Arc<ConsumerMetrics>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.metrics.call(self.class, self.outcome, self.started.elapsed());
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Metered<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(reply) = ready!(this.inner.poll(cx));
        this.tally.outcome = reply.outcome;
        Poll::Ready(Ok(reply))
    }
}
