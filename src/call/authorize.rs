//! Refuses what the consumer may not call, before it costs anything.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};
use tracing::debug;

use super::CallService;
use crate::hub::{Hub, Outcome, Reply};
use crate::onebot::{Call, Retcode};
use crate::policy::acl::Permissions;

/// Makes [`Authorize`]s.
#[derive(Debug, Clone)]
pub(super) struct AuthorizeLayer {
    consumer: Arc<str>,
    permissions: Arc<Permissions>,
    /// Remembers which chats messages are in.
    hub: Arc<Hub>,
}

impl AuthorizeLayer {
    pub(super) fn new(consumer: &str, permissions: Permissions, hub: Arc<Hub>) -> Self {
        Self { consumer: consumer.into(), permissions: Arc::new(permissions), hub }
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        let Self { consumer, permissions, hub } = self.clone();
        Authorize { inner, consumer, permissions, hub }
    }
}

/// The rules of one consumer in front of its calls.
#[derive(Debug, Clone)]
pub struct Authorize<S> {
    inner: S,
    consumer: Arc<str>,
    permissions: Arc<Permissions>,
    hub: Arc<Hub>,
}

impl<S: CallService + Clone> Service<Call> for Authorize<S> {
    type Response = Reply;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Reply, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        match self.permissions.permit(&call, &*self.hub) {
            Ok(()) => Either::Left(self.inner.call(call)),
            Err(denial) => {
                // Gives back what being ready took, a slot: nobody else could use it until the next call.
                self.inner = self.inner.clone();
                let message = denial.explain(&self.consumer).to_string();
                debug!(consumer = &*self.consumer, action = call.action.base(), "call denied: {message}");
                let reply = Reply::refusal(Retcode::Forbidden, Outcome::Denied, &message);
                Either::Right(ready(Ok(reply)))
            }
        }
    }
}
