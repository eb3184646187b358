//! The end of the path: hands the call to the hub.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower::Service;

use crate::hub::{Hub, Pending, Reply, Sends};
use crate::onebot::Call;

/// Ready while the hub has room for calls that wait for the link.
pub struct Dispatch {
    hub: Arc<Hub>,
    /// Learns what is sent, if the consumer has to know its own messages.
    sends: Option<Arc<Sends>>,
    /// Resolves when there is room again; only there while there was none.
    room: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Dispatch {
    pub(super) fn new(hub: Arc<Hub>, sends: Option<Arc<Sends>>) -> Self {
        Self { hub, sends, room: None }
    }
}

impl Clone for Dispatch {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.hub), self.sends.clone())
    }
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("waits_for_room", &self.room.is_some()).finish_non_exhaustive()
    }
}

impl Service<Call> for Dispatch {
    type Response = Reply;
    type Error = Infallible;
    type Future = Dispatched;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.room.is_none() && self.hub.has_room() {
            return Poll::Ready(Ok(()));
        }
        let hub = &self.hub;
        ready!(self.room.get_or_insert_with(|| Box::pin(Arc::clone(hub).room())).as_mut().poll(cx));
        self.room = None;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Dispatched {
        Dispatched(self.hub.dispatch(call, self.sends.as_ref()))
    }
}

/// A call on its way.
#[derive(Debug)]
pub struct Dispatched(Pending);

impl Future for Dispatched {
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Ok)
    }
}
