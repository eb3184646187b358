//! Spaces out the calls of `_rate_limited` actions (standard, api/README.md).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, FutureExt};
use tokio::sync::Mutex as FairMutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service, ServiceExt};

use super::CallService;
use crate::hub::{Outcome, Reply};
use crate::onebot::{Call, Retcode};

/// The turns of one account: `_rate_limited` calls of all its consumers go up one at a time,
/// `calls.rate_limited_interval` apart.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Line>);

#[derive(Debug)]
struct Line {
    interval: Duration,
    /// Bytes of parameters that may wait.
    room: usize,
    state: Mutex<LineState>,
}

#[derive(Debug)]
struct LineState {
    /// The next turn nobody has.
    free: Instant,
    calls: usize,
    bytes: usize,
}

impl Turns {
    /// Calls that may wait for their turn.
    pub const WAITING: usize = 256;

    /// Turns every `interval`; calls of `room` bytes may wait for theirs.
    #[must_use]
    pub fn new(interval: Duration, room: usize) -> Self {
        let state = LineState { free: Instant::now(), calls: 0, bytes: 0 };
        Self(Arc::new(Line { interval, room, state: Mutex::new(state) }))
    }

    /// The next free turn for a call of `bytes`; `None` if too much waits already.
    fn take(&self, bytes: usize, now: Instant) -> Option<Turn> {
        let mut state = self.0.lock();
        let full = state.calls >= Self::WAITING || (state.calls > 0 && state.bytes + bytes > self.0.room);
        if full {
            return None;
        }
        let at = state.free.max(now);
        state.free = at + self.0.interval;
        state.calls += 1;
        state.bytes += bytes;
        Some(Turn { at, bytes, line: Arc::clone(&self.0) })
    }

    fn refusal(&self) -> Reply {
        let message = format!(
            "too many _rate_limited calls wait for their turn already (at most {}, one goes up every {:?}: \
             calls.rate_limited_interval); try again later",
            Self::WAITING,
            self.0.interval,
        );
        Reply::refusal(Retcode::Limited, Outcome::Limited, &message)
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, LineState> {
        // Nothing in here can panic between changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line, given back when it is dropped.
#[derive(Debug)]
struct Turn {
    at: Instant,
    bytes: usize,
    line: Arc<Line>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.calls -= 1;
        state.bytes -= self.bytes;
    }
}

/// Makes [`RateLimited`]s.
#[derive(Debug, Clone)]
pub(super) struct RateLimitedLayer {
    turns: Turns,
    drain: CancellationToken,
}

impl RateLimitedLayer {
    pub(super) fn new(turns: Turns, drain: CancellationToken) -> Self {
        Self { turns, drain }
    }
}

impl<S> Layer<S> for RateLimitedLayer {
    type Service = RateLimited<S>;

    fn layer(&self, inner: S) -> RateLimited<S> {
        RateLimited { inner, turns: self.turns.clone(), order: Arc::default(), drain: self.drain.clone() }
    }
}

/// Lets `_rate_limited` calls wait for their turn, and takes the suffix off every call: what
/// goes up is the action itself.
#[derive(Debug, Clone)]
pub struct RateLimited<S> {
    inner: S,
    turns: Turns,
    /// Held by the consumer's call that is next, so that none overtakes it.
    order: Arc<FairMutex<()>>,
    drain: CancellationToken,
}

impl<S> Service<Call> for RateLimited<S>
where
    S: CallService + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Either<
        S::Future,
        Either<Ready<Result<Reply, Infallible>>, BoxFuture<'static, Result<Reply, Infallible>>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let limited = call.action.is_rate_limited();
        if call.action.is_deferred() {
            call.action = call.action.without_suffix();
        }
        if !limited {
            return Either::Left(self.inner.call(call));
        }
        // Gives back what being ready took, a slot: a call in the line has no use for it yet.
        let inner = self.inner.clone();
        self.inner = inner.clone();
        Either::Right(match self.turns.take(call.params.len(), Instant::now()) {
            Some(turn) => {
                let (order, drain) = (Arc::clone(&self.order), self.drain.clone());
                Either::Right(wait(turn, order, drain, inner, call).boxed())
            }
            None => Either::Left(ready(Ok(self.turns.refusal()))),
        })
    }
}

/// Sends the call when its turn has come, behind the consumer's earlier ones.
async fn wait<S: CallService>(
    turn: Turn,
    order: Arc<FairMutex<()>>,
    drain: CancellationToken,
    mut inner: S,
    call: Call,
) -> Result<Reply, Infallible> {
    let sent = async {
        let _next = order.lock().await;
        sleep_until(turn.at).await;
        inner.ready().await.map(|ready| ready.call(call))
    };
    let Ok(answer) = tokio::select! {
        biased;
        () = drain.cancelled() => {
            let message = "the gateway is shutting down; the call was waiting for its turn and was not sent";
            return Ok(Reply::refusal(Retcode::Overloaded, Outcome::Overloaded, message));
        }
        sent = sent => sent,
    };
    drop(turn);
    answer.await
}
