//! A configured consumer at work: what all its sessions share.

use std::sync::Arc;

use super::{Config, Consumer, ReverseWs};
use crate::call::{Caller, Slots, caller};
use crate::hub::Hub;
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
    /// The path of its calls, to be cloned.
    pub(super) caller: Caller,
    /// Its metrics.
    pub(super) metrics: Arc<ConsumerMetrics>,
}

impl Bot {
    /// Puts `consumer` to work on the account of `hub`; `in_flight` of its calls may be open.
    #[must_use]
    pub fn new(
        consumer: Consumer,
        config: Arc<Config>,
        hub: Arc<Hub>,
        in_flight: usize,
        metrics: ConsumerMetrics,
    ) -> Arc<Self> {
        let metrics = Arc::new(metrics);
        let rules = consumer.actions.clone();
        let caller = caller(&hub, &consumer.name, rules, Slots::new(in_flight), Arc::clone(&metrics));
        Arc::new(Self { consumer, config, hub, caller, metrics })
    }

    /// Where we connect to it, if we do.
    #[must_use]
    pub fn reverse_ws(&self) -> Option<&ReverseWs> {
        self.consumer.reverse_ws.as_ref()
    }
}
