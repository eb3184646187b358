//! A configured consumer at work: what all its sessions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Config, Consumer, ReverseWs, Webhook};
use crate::call::{self, Caller, Slots, Terms, caller};
use crate::hub::{Hub, Selection};
use crate::policy::events::EventRules;
use crate::telemetry::audit::Session;
use crate::telemetry::metrics::ConsumerMetrics;

/// What all sessions of one consumer share.
#[derive(Debug)]
pub struct Bot {
    /// Its configuration.
    pub(super) consumer: Consumer,
    /// What holds for every session.
    pub(super) config: Arc<Config>,
    /// The account it is attached to.
    pub(super) hub: Arc<Hub>,
    /// The path of its calls.
    caller: Caller,
    /// Counts its sessions and requests.
    sessions: AtomicU64,
    /// Which events it receives.
    pub(super) events: Selection,
    /// Its metrics.
    pub(super) metrics: Arc<ConsumerMetrics>,
}

impl Bot {
    /// Puts `consumer` to work on `account`; `in_flight` of its calls may be open if it
    /// does not say otherwise.
    #[must_use]
    pub fn new(
        consumer: Consumer,
        config: Arc<Config>,
        account: &call::Account,
        in_flight: usize,
        metrics: ConsumerMetrics,
    ) -> Arc<Self> {
        let metrics = Arc::new(metrics);
        let rules = EventRules { self_messages: consumer.self_messages, conditions: consumer.events.clone() };
        let events = Selection::new(rules, Arc::clone(&metrics));
        let terms = Terms {
            share: consumer.share(),
            actions: consumer.actions.clone(),
            events: events.clone(),
            format: consumer.message_format,
            slots: Slots::new(consumer.in_flight.unwrap_or(in_flight)),
        };
        if consumer.actions.need_memory() {
            account.hub.remember_chats();
        }
        let caller = caller(account, terms, &metrics);
        Arc::new(Self {
            consumer,
            config,
            hub: Arc::clone(&account.hub),
            caller,
            sessions: AtomicU64::new(0),
            events,
            metrics,
        })
    }

    /// Bytes of one frame or body from it.
    pub(super) fn max_frame(&self) -> usize {
        self.consumer.max_frame.unwrap_or(self.config.max_frame)
    }

    /// The connections we make to it.
    #[must_use]
    pub fn reverse_ws(&self) -> &[ReverseWs] {
        &self.consumer.reverse_ws
    }

    /// Where we post its events to, if we do.
    #[must_use]
    pub fn webhook(&self) -> Option<&Webhook> {
        self.consumer.webhook.as_ref()
    }

    /// The path of the calls of one more session or request.
    pub(super) fn caller(&self, transport: &'static str) -> Caller {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        self.caller.of(Session { transport, number })
    }

    /// What we call ourselves where we go to the bot: what it would see of LLOneBot.
    pub(super) fn user_agent(&self) -> String {
        format!("LLOneBot/{}", self.hub.state().version.as_deref().unwrap_or("8"))
    }
}
