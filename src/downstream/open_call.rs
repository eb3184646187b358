//! A call that a session waits for, with the echo that never left the session.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::Service;

use crate::call::Caller;
use crate::hub::{Parts, Reply};
use crate::onebot::{Call, Echo};

/// A frame for the asker.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) echo: Option<Echo>,
    /// The frames that follow, if this is not the last.
    pub(super) rest: Option<Parts>,
}

pin_project! {
    /// Resolves to the next frame of a call's answer.
    pub(super) struct OpenCall {
        #[pin]
        next: Next,
        echo: Option<Echo>,
    }
}

pin_project! {
    #[project = NextProjection]
    enum Next {
        First { #[pin] answer: <Caller as Service<Call>>::Future },
        // Only stream actions of NapCat come here; the box keeps the others small.
        Rest { part: Pin<Box<dyn Future<Output = (Option<Reply>, Parts)> + Send>> },
    }
}

impl OpenCall {
    pub(super) fn new(answer: <Caller as Service<Call>>::Future, echo: Option<Echo>) -> Self {
        Self { next: Next::First { answer }, echo }
    }

    pub(super) fn rest(mut parts: Parts, echo: Option<Echo>) -> Self {
        let part = Box::pin(async move { (parts.next().await, parts) });
        Self { next: Next::Rest { part }, echo }
    }
}

impl Future for OpenCall {
    /// `None` behind the last frame of a stream.
    type Output = Option<Answer>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (reply, rest) = match this.next.project() {
            NextProjection::First { answer } => {
                let Ok(mut reply) = ready!(answer.poll(cx));
                let rest = reply.rest.take();
                (reply, rest)
            }
            NextProjection::Rest { part } => match ready!(part.as_mut().poll(cx)) {
                (Some(reply), parts) => (reply, Some(parts)),
                (None, _) => return Poll::Ready(None),
            },
        };
        Poll::Ready(Some(Answer { reply, echo: this.echo.take(), rest }))
    }
}
