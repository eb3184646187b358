//! One post at a time, over one connection that is kept.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use tracing::{debug, info, warn};

use super::Webhook;
use crate::call::Caller;
use crate::downstream::bot::Bot;
use crate::journal::{Cursor, Run, Seq};
use crate::net::backoff::Backoff;
use crate::net::http_client::{Answer, HttpClient, PostError};
use crate::onebot::{ActionName, Call, quick, signature};
use crate::telemetry::metrics::WebhookFailure;

/// How it went with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The endpoint has it, or does not want it.
    Done,
    /// It left the journal before the endpoint took it.
    Gone,
    /// A shutdown came first.
    Stopped,
}

/// The bot's address, and what it takes to post there.
pub(super) struct Endpoint {
    bot: Arc<Bot>,
    webhook: Arc<Webhook>,
    client: HttpClient,
    caller: Caller,
    backoff: Backoff,
    /// Nothing is tried again from then on.
    drain: CancellationToken,
    /// The last failure that was spoken of: an endpoint that is away for a week must not fill the log.
    said: Option<String>,
}

impl Endpoint {
    pub(super) fn new(bot: Arc<Bot>, webhook: Arc<Webhook>, drain: CancellationToken) -> Self {
        Self {
            client: HttpClient::new(webhook.url.clone(), webhook.trust.clone()),
            caller: bot.caller("webhook"),
            backoff: Backoff::new(webhook.max_backoff),
            drain,
            said: None,
            bot,
            webhook,
        }
    }

    /// Posts the event `seq` until it is taken or has left the journal. It is read anew for each
    /// attempt: an endpoint that is away keeps nothing in memory.
    pub(super) async fn deliver(&mut self, seq: Seq, self_id: i64) -> Delivery {
        let mut attempts = 0;
        loop {
            let Some((event, own_id)) = self.read(seq) else { return Delivery::Gone };
            let verdict = self.attempt(&event, own_id.unwrap_or(self_id)).await;
            attempts += 1;
            match verdict {
                Verdict::Taken(answer) => {
                    self.bot.metrics.delivered.inc();
                    self.operate(&event, answer).await;
                    return Delivery::Done;
                }
                Verdict::Unwanted => return Delivery::Done,
                Verdict::Again if self.webhook.attempts.is_some_and(|most| attempts >= most) => {
                    self.bot.metrics.webhook_failed(WebhookFailure::PassedOver);
                    return Delivery::Done;
                }
                Verdict::Again => {
                    if !self.pause().await {
                        return Delivery::Stopped;
                    }
                }
            }
        }
    }

    /// Posts an event of the gateway's own until it is answered.
    pub(super) async fn deliver_own(&mut self, event: Bytes, self_id: i64) -> Delivery {
        while !self.try_once(&event, self_id).await {
            if !self.pause().await {
                return Delivery::Stopped;
            }
        }
        Delivery::Done
    }

    /// Posts an event of the gateway's own once; `false` if it was not answered.
    pub(super) async fn try_once(&mut self, event: &Bytes, self_id: i64) -> bool {
        !matches!(self.attempt(event, self_id).await, Verdict::Again)
    }

    /// The event and the account it names, if it is still there.
    fn read(&self, seq: Seq) -> Option<(Bytes, Option<i64>)> {
        let mut runs: Vec<Run> = Vec::new();
        self.bot.hub.journal().read(
            &mut Cursor::at(seq, self.bot.consumer.message_format),
            seq.plus(1),
            usize::MAX,
            &mut runs,
        );
        let event = runs.iter().flat_map(Run::events).find(|event| event.seq == seq)?;
        Some((Bytes::copy_from_slice(event.text), event.head.self_id))
    }

    async fn attempt(&mut self, event: &Bytes, self_id: i64) -> Verdict {
        let headers = self.headers(event, self_id);
        match self.client.post(&headers, event, self.webhook.timeout).await {
            Ok(answer) => self.judge(answer),
            Err(error) => {
                let reason = match error {
                    PostError::Connect(_) | PostError::Tls(_) => WebhookFailure::Unreachable,
                    PostError::Broken(_) => WebhookFailure::Broken,
                    PostError::Timeout(_) => WebhookFailure::Timeout,
                };
                self.failed(reason, error.to_string());
                Verdict::Again
            }
        }
    }

    fn judge(&mut self, answer: Answer) -> Verdict {
        let status = answer.status;
        if status.is_success() {
            self.succeeded();
            return Verdict::Taken(answer);
        }
        if is_about_the_event(status) {
            self.succeeded();
            self.bot.metrics.webhook_failed(WebhookFailure::PassedOver);
            debug!(consumer = self.bot.consumer.name, %status, "the bot does not want an event");
            return Verdict::Unwanted;
        }
        let hint = if status.is_redirection() { "; redirects are not followed, correct the url" } else { "" };
        self.failed(WebhookFailure::Status, format!("it answers {status}{hint}"));
        Verdict::Again
    }

    /// Does what the bot answered, as its own calls: they are permitted, limited and counted like
    /// any other. Nobody waits for them to end.
    async fn operate(&mut self, event: &[u8], answer: Answer) {
        if answer.status == StatusCode::NO_CONTENT {
            return;
        }
        let Some(body) = answer.body else {
            self.bot.metrics.webhook_failed(WebhookFailure::AnswerTooLarge);
            return;
        };
        if body.trim_ascii().is_empty() {
            return;
        }
        let calls = quick::operations(event, &body).unwrap_or_else(|error| {
            self.bot.metrics.webhook_failed(WebhookFailure::AnswerNotJson);
            debug!(consumer = self.bot.consumer.name, error, "the bot's answer is no quick operation");
            Vec::new()
        });
        for Call { action, params } in calls {
            let deferred = ActionName::new(&format!("{action}_async"));
            let Ok(caller) = self.caller.ready().await;
            let Ok(reply) = caller.call(Call { action: deferred, params }).await;
            if let Some(retcode) = reply.refused {
                self.bot.metrics.webhook_failed(WebhookFailure::OperationRefused);
                let (consumer, retcode) = (&self.bot.consumer.name, retcode.code());
                warn!(consumer, %action, retcode, "a quick operation of the bot was refused");
            }
        }
    }

    /// Waits before the next attempt; `false` if there is to be none.
    async fn pause(&mut self) -> bool {
        // The first delay of a back-off is none, which the attempt that failed has had.
        let delay = match self.backoff.next_delay(rand::random()) {
            delay if delay.is_zero() => self.backoff.next_delay(rand::random()),
            delay => delay,
        };
        tokio::select! {
            biased;
            () = self.drain.cancelled() => false,
            () = sleep(delay) => true,
        }
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        if self.said.take().is_some() {
            info!(consumer = self.bot.consumer.name, url = %self.webhook.url, "the bot takes events again");
        }
    }

    fn failed(&mut self, reason: WebhookFailure, sentence: String) {
        self.bot.metrics.webhook_failed(reason);
        if self.said.as_ref() != Some(&sentence) {
            let consumer = &self.bot.consumer.name;
            warn!(consumer, url = %self.webhook.url, "cannot post to the bot, trying again: {sentence}");
            self.said = Some(sentence);
        }
    }

    /// Those of LLOneBot, which a bot checks.
    fn headers(&self, event: &[u8], self_id: i64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(HeaderName::from_static("x-self-id"), HeaderValue::from(self_id));
        let agent = self.bot.user_agent();
        let signature = self.webhook.secret.as_ref().map(|secret| signature::sign(secret.expose(), event));
        for (name, value) in [(USER_AGENT, Some(agent)), (HeaderName::from_static("x-signature"), signature)]
        {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// What an answer means for the event.
enum Verdict {
    Taken(Answer),
    /// It is not wanted, and will not be.
    Unwanted,
    /// The endpoint is away, or not itself.
    Again,
}

/// Whether a refusal will be the same however often this event is posted. Any other may be mended:
/// a bot that is started, a token that is corrected.
fn is_about_the_event(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
    )
}
