//! Writes the messages in replies in the form the consumer wants.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::CallService;
use crate::hub::Reply;
use crate::onebot::message::{convert_reply, is_in_reply_to};
use crate::onebot::{Call, MessageFormat, scan};
use crate::telemetry::metrics::ConsumerMetrics;

/// Makes [`Translate`]s.
#[derive(Debug, Clone)]
pub(super) struct TranslateLayer {
    format: MessageFormat,
    metrics: Arc<ConsumerMetrics>,
}

impl TranslateLayer {
    pub(super) fn new(format: MessageFormat, metrics: Arc<ConsumerMetrics>) -> Self {
        Self { format, metrics }
    }
}

impl<S> Layer<S> for TranslateLayer {
    type Service = Translate<S>;

    fn layer(&self, inner: S) -> Translate<S> {
        Translate { inner, format: self.format, metrics: Arc::clone(&self.metrics) }
    }
}

/// The consumer's form of messages around the path of its calls.
#[derive(Debug, Clone)]
pub struct Translate<S> {
    inner: S,
    format: MessageFormat,
    metrics: Arc<ConsumerMetrics>,
}

impl<S: CallService> Service<Call> for Translate<S> {
    type Response = Reply;
    type Error = Infallible;
    type Future = Translated<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let carries_messages = is_in_reply_to(call.action.base());
        let translation = carries_messages.then(|| (self.format, Arc::clone(&self.metrics)));
        Translated { inner: self.inner.call(call), translation }
    }
}

pin_project! {
    /// A call whose reply may have to be translated.
    pub struct Translated<F> {
        #[pin]
        inner: F,
        translation: Option<(MessageFormat, Arc<ConsumerMetrics>)>,
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Translated<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut reply) = ready!(this.inner.poll(cx));
        if let Some((format, metrics)) = this.translation.take().filter(|_| reply.refused.is_none()) {
            let converted = convert_reply(&reply.text, format);
            metrics.unconverted.inc_by(converted.left as u64);
            if let Some(text) = converted.text {
                reply.echo_at = scan(&text).ok().and_then(|envelope| envelope.echo());
                reply.text = text;
            }
        }
        Poll::Ready(Ok(reply))
    }
}
