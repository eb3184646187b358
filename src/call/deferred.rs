//! `_async` and `_rate_limited`: answered at once, done in the background (standard,
//! api/README.md). LLOneBot takes both for the action itself and answers with its data; here
//! they mean what the standard says, whatever the implementation upstream makes of them.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::task::{Context, Poll};

use futures_util::future::{Either, FutureExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Layer, Service};
use tracing::debug;

use super::CallService;
use crate::hub::{Outcome, Reply};
use crate::onebot::{ActionName, Call};

/// Where calls go on after their caller was answered.
#[derive(Debug, Clone, Default)]
pub struct Background {
    /// What a shutdown waits for.
    pub tasks: TaskTracker,
    /// Nothing new is begun from then on.
    pub drain: CancellationToken,
    /// The time for what is under way is over.
    pub abort: CancellationToken,
}

/// Makes [`Deferred`]s.
#[derive(Debug, Clone)]
pub(super) struct DeferredLayer(Background);

impl DeferredLayer {
    pub(super) fn new(background: Background) -> Self {
        Self(background)
    }
}

impl<S> Layer<S> for DeferredLayer {
    type Service = Deferred<S>;

    fn layer(&self, inner: S) -> Deferred<S> {
        Deferred { inner, background: self.0.clone() }
    }
}

/// Answers calls that nobody waits for with status `async`, and sees them through.
#[derive(Debug, Clone)]
pub struct Deferred<S> {
    inner: S,
    background: Background,
}

impl<S> Deferred<S> {
    pub(super) fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<S> Service<Call> for Deferred<S>
where
    S: CallService,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Reply, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        if !call.action.is_deferred() {
            return Either::Left(self.inner.call(call));
        }
        let action = call.action.clone();
        let mut answer = Box::pin(self.inner.call(call));
        // What is refused without waiting for anybody is better said than swallowed.
        let answered = match (&mut answer).now_or_never() {
            Some(Ok(refusal)) if refusal.refused.is_some() => refusal,
            Some(Ok(_)) => Reply::deferred(),
            None => {
                let abort = self.background.abort.clone();
                self.background.tasks.spawn(async move {
                    tokio::select! {
                        biased;
                        () = abort.cancelled() => {}
                        () = finish(action, answer) => {}
                    }
                });
                Reply::deferred()
            }
        };
        Either::Right(ready(Ok(answered)))
    }
}

/// Waits for an answer that nobody will see.
async fn finish(action: ActionName, answer: impl Future<Output = Result<Reply, Infallible>>) {
    let Ok(mut reply) = answer.await;
    if reply.outcome != Outcome::Ok {
        let outcome = reply.outcome.label();
        debug!(%action, outcome, "a call whose caller was answered already has failed");
    }
    if let Some(mut rest) = reply.rest.take() {
        while rest.next().await.is_some() {}
    }
}
