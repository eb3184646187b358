//! Bounds how many calls of one consumer are open.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower::{Layer, Service};

use super::CallService;
use crate::hub::Reply;
use crate::onebot::Call;

/// The slots of one consumer, shared by all its sessions.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Semaphore>);

impl Slots {
    /// `count` calls may be open at once.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }
}

/// Makes [`InFlight`]s.
#[derive(Debug, Clone)]
pub(super) struct InFlightLayer(Slots);

impl InFlightLayer {
    pub(super) fn new(slots: Slots) -> Self {
        Self(slots)
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, slots: PollSemaphore::new(Arc::clone(&self.0.0)), taken: None }
    }
}

/// Ready while a slot is free. A session asks only once it holds a call, so an idle one keeps no
/// slot from its siblings, and one at the cap does not read on. A `_rate_limited` call, which is answered
/// already and may be in line for long, keeps no slot from others; how many wait is bounded by `Pace`.
#[derive(Debug)]
pub struct InFlight<S> {
    inner: S,
    slots: PollSemaphore,
    taken: Option<OwnedSemaphorePermit>,
}

impl<S: Clone> Clone for InFlight<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), slots: self.slots.clone(), taken: None }
    }
}

impl<S: CallService> Service<Call> for InFlight<S> {
    type Response = Reply;
    type Error = Infallible;
    type Future = Slotted<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.taken.is_none() {
            self.taken = ready!(self.slots.poll_acquire(cx));
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let slot = self.taken.take().filter(|_| !call.action.is_rate_limited());
        Slotted { inner: self.inner.call(call), slot }
    }
}

pin_project! {
    /// A call that holds its slot until it is answered, to the last frame.
    pub struct Slotted<F> {
        #[pin]
        inner: F,
        slot: Option<OwnedSemaphorePermit>,
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Slotted<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut reply) = ready!(this.inner.poll(cx));
        let slot = this.slot.take();
        if let (Some(rest), Some(slot)) = (&mut reply.rest, slot) {
            rest.hold(slot);
        }
        Poll::Ready(Ok(reply))
    }
}
