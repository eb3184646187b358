//! One answer for many who ask the same.
//!
//! Equal questions that are under way share one call, and constants are kept. Whatever else is kept the
//! operator says (`[cache]`), and only until something changes it: see
//! [`changes`](crate::onebot::catalogue::changes).

mod answers;
mod changes;
mod question;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt};

use self::answers::{Answer, Found};
pub use self::answers::{Answers, Config};
use self::changes::Scope;
use self::question::Asked;
use super::CallService;
use crate::hub::{Outcome, Reply};
use crate::onebot::Call;
use crate::onebot::catalogue::changes::changed_by_call;
use crate::onebot::catalogue::{Action, Cacheable, Category};
use crate::policy::target::Touched;
use crate::telemetry::metrics::{CacheResult, CallTopic};

/// Makes [`Cache`]s.
#[derive(Debug, Clone)]
pub(super) struct CacheLayer(Answers);

impl CacheLayer {
    pub(super) fn new(answers: Answers) -> Self {
        Self(answers)
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = Cache<S>;

    fn layer(&self, inner: S) -> Cache<S> {
        Cache { inner, answers: self.0.clone(), followers: Arc::default() }
    }
}

/// What is known already in front of one consumer's calls.
#[derive(Debug, Clone)]
pub struct Cache<S> {
    inner: S,
    answers: Answers,
    /// The consumer's calls that wait for an answer somebody else asked for.
    followers: Arc<AtomicUsize>,
}

impl<S> Cache<S> {
    /// Calls of one consumer that may wait without a slot; one more asks for itself.
    const FOLLOWERS: usize = 1024;
}

impl<S> Service<Call> for Cache<S>
where
    S: CallService + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Cached<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let shared = sharable(&call).and_then(|action| Some((action, Asked::read(action.name, &call)?)));
        if let Some((action, asked)) = shared {
            return self.answer(action, asked, call);
        }
        let change = Change::begin(&self.answers, &call);
        Way::Passed { inner: self.inner.call(call), change }.into()
    }
}

impl<S> Cache<S>
where
    S: Service<Call, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    fn answer(&mut self, action: &'static Action, asked: Asked, call: Call) -> Cached<S::Future> {
        let count = |result| self.answers.metrics().count(topic(action), result);
        match self.answers.find(action, &asked) {
            Found::Kept(answer) => {
                count(CacheResult::Hit);
                self.give_back();
                Way::Known { answer: Some(answer) }.into()
            }
            Found::UnderWay(answer) if self.followers.load(Ordering::Relaxed) < Self::FOLLOWERS => {
                count(CacheResult::Shared);
                self.give_back();
                let follower = Follower::new(&self.followers);
                Way::Follows { answer: follow(answer, follower, self.inner.clone(), call).boxed() }.into()
            }
            Found::UnderWay(_) | Found::Nothing => {
                count(CacheResult::Miss);
                let reply = self.inner.call(call);
                let reply = async move {
                    let Ok(reply) = reply.await;
                    reply
                };
                Way::Leads { answer: self.answers.ask(action, asked, reply) }.into()
            }
        }
    }

    /// Gives back what being ready took, a slot: who asks nothing of LLOneBot needs none.
    fn give_back(&mut self) {
        self.inner = self.inner.clone();
    }
}

/// The action of a call whose answer others may get too. Not one that nobody waits for: it would let those who
/// do wait for its turn.
fn sharable(call: &Call) -> Option<&'static Action> {
    let action = call.action.entry()?;
    (action.cacheable != Cacheable::No && !action.stream && !call.action.is_deferred()).then_some(action)
}

fn topic(action: &Action) -> CallTopic {
    match action.category {
        Category::Message => CallTopic::Message,
        Category::User => CallTopic::User,
        Category::Group => CallTopic::Group,
        Category::File => CallTopic::File,
        Category::System => CallTopic::System,
        Category::Guild => CallTopic::Guild,
    }
}

pin_project! {
    /// A call, or the share in one.
    pub struct Cached<F> {
        #[pin]
        way: Way<F>,
    }
}

pin_project! {
    #[project = WayProjection]
    enum Way<F> {
        // Goes on, and may change something.
        Passed { #[pin] inner: F, change: Option<Change> },
        // Was answered before.
        Known { answer: Option<Answer> },
        // Is asked by this call.
        Leads { answer: Shared<BoxFuture<'static, Answer>> },
        // Was asked by another.
        Follows { answer: BoxFuture<'static, Reply> },
    }
}

impl<F> From<Way<F>> for Cached<F> {
    fn from(way: Way<F>) -> Self {
        Self { way }
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Cached<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().way.project() {
            WayProjection::Passed { inner, change } => {
                let Ok(reply) = ready!(inner.poll(cx));
                if let Some(mut change) = change.take() {
                    change.outcome = reply.outcome;
                }
                Poll::Ready(Ok(reply))
            }
            WayProjection::Known { answer } => {
                answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer.into())))
            }
            WayProjection::Leads { answer } => Pin::new(answer).poll(cx).map(|answer| Ok(answer.into())),
            WayProjection::Follows { answer } => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

/// Waits for the answer to another's call, and asks after all if that one was not let through.
async fn follow<S>(
    answer: Shared<BoxFuture<'static, Answer>>,
    follower: Follower,
    mut inner: S,
    call: Call,
) -> Reply
where
    S: Service<Call, Response = Reply, Error = Infallible>,
{
    let answer = answer.await;
    drop(follower);
    if !answer.is_limited() {
        return answer.into();
    }
    let Ok(inner) = inner.ready().await;
    let Ok(reply) = inner.call(call).await;
    reply
}

/// A place among the followers, given back when it is dropped.
struct Follower(Arc<AtomicUsize>);

impl Follower {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call under way that changes something. What was asked before it ended may have seen what was before it.
struct Change {
    answers: Answers,
    scope: Scope,
    outcome: Outcome,
}

impl Change {
    /// How long LLOneBot may take to do what the gateway got no answer to.
    const UNSETTLED: Duration = Duration::from_mins(1);
    /// Parameters above this size are not searched for the group they name: it counts as any.
    const SEARCHED: usize = 16 << 10;

    fn begin(answers: &Answers, call: &Call) -> Option<Self> {
        let subjects = changed_by_call(call.action.entry());
        if subjects.is_empty() {
            return None;
        }
        let group = (call.params.len() <= Self::SEARCHED)
            .then(|| Touched::read(&call.params))
            .filter(|touched| !touched.is_ambiguous)
            .and_then(|touched| touched.group.known());
        let scope = Scope { subjects, group };
        answers.changing(scope, Instant::now());
        Some(Self { answers: answers.clone(), scope, outcome: Outcome::Abandoned })
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let now = Instant::now();
        let settled = match self.outcome {
            Outcome::Ok | Outcome::Failed | Outcome::Denied | Outcome::Limited => now,
            Outcome::LinkDown | Outcome::Timeout | Outcome::Overloaded | Outcome::Abandoned => {
                now + Self::UNSETTLED
            }
        };
        self.answers.changing(self.scope, settled);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tower::service_fn;

    use super::*;
    use crate::hub::{self, Hub};
    use crate::journal::{self, Journal};
    use crate::onebot::{ActionName, Retcode};
    use crate::telemetry::Metrics;

    /// A limit of one bot is nothing to another that happened to ask the same.
    #[tokio::test(start_paused = true)]
    async fn who_waited_for_a_call_that_a_limit_refused_asks_for_itself() {
        let metrics = Metrics::new().unwrap();
        let journal = Journal::new(journal::Config::default(), metrics.journal());
        let hub = Hub::new("main", None, hub::Config::default(), journal, metrics.link("main"));
        let answers = Answers::new(Config::default(), hub, metrics.cache());
        let calls = Arc::new(AtomicUsize::new(0));
        let inner = service_fn(move |_: Call| {
            let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if !is_first {
                    return Ok(Reply::own("[1]"));
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(Reply::refusal(Retcode::Limited, Outcome::Limited, "too fast"))
            }
        });
        let call = || Call { action: ActionName::new("get_group_list"), params: Bytes::from_static(b"{}") };
        let layer = CacheLayer::new(answers);
        let (mut fast, mut slow) = (layer.layer(inner.clone()), layer.layer(inner));
        let (Ok(refused), Ok(answered)) = tokio::join!(fast.call(call()), slow.call(call()));
        assert_eq!(refused.refused, Some(Retcode::Limited));
        assert_eq!(answered.refused, None);
    }
}
