//! The call path: a `tower::Service<Call, Response = Reply>`.
//!
//! Every way to call an action goes through the same [`Caller`], so no transport can forget a
//! rule or a limit. The consumer's `echo` never enters it; it stays in the session. The service
//! cannot fail: every call gets exactly one [`Reply`].

pub mod audit;
pub mod authorize;
pub mod cache;
pub mod deferred;
pub mod dispatch;
pub mod get_event;
pub mod in_flight;
pub mod meter;
pub mod pace;
pub mod translate;

use std::convert::Infallible;
use std::sync::Arc;

use tower::ServiceBuilder;

use self::audit::{Audit, AuditLayer};
use self::authorize::{Authorize, AuthorizeLayer};
use self::cache::{Answers, Cache, CacheLayer};
pub use self::deferred::Background;
use self::deferred::{Deferred, DeferredLayer};
use self::dispatch::Dispatch;
use self::get_event::{GetEvent, GetEventLayer};
pub use self::in_flight::Slots;
use self::in_flight::{InFlight, InFlightLayer};
use self::meter::{Meter, MeterLayer};
use self::pace::{Pace, PaceLayer};
pub use self::pace::{Pacer, Share};
use self::translate::{Translate, TranslateLayer};
use crate::hub::{Hub, Reply, Selection};
use crate::onebot::{Call, MessageFormat};
use crate::policy::acl::Permissions;
use crate::telemetry::audit::{Session, Trail};
use crate::telemetry::metrics::ConsumerMetrics;

/// The path of one consumer's calls. Clones share its slots, rules and metrics.
pub type Caller = Deferred<Audit<Meter<Translate<Authorize<Cache<InFlight<Pace<GetEvent<Dispatch>>>>>>>>>;

impl<S: Clone> Deferred<Audit<S>> {
    /// The same path for calls that come through `session`, by which the audit log names them.
    #[must_use]
    pub fn of(&self, session: Session) -> Self {
        let mut caller = self.clone();
        caller.inner_mut().name(session);
        caller
    }
}

/// What the calls of all consumers of an account have in common.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where they go.
    pub hub: Arc<Hub>,
    /// How fast they may go.
    pub pacer: Pacer,
    /// What they were answered.
    pub answers: Answers,
    /// Where it is written down what they change.
    pub audit: Option<Trail>,
    /// Where calls that nobody waits for go on.
    pub background: Background,
}

/// What the calls of one consumer are bound by.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its name, and its part of the account's pace.
    pub share: Share,
    /// What it may call.
    pub actions: Permissions,
    /// What it gets from `get_event`.
    pub events: Selection,
    /// How messages are written that it gets.
    pub format: MessageFormat,
    /// How many of its calls may be open.
    pub slots: Slots,
}

/// The path for a consumer bound by `terms`.
#[must_use]
pub fn caller(account: &Account, terms: Terms, metrics: &Arc<ConsumerMetrics>) -> Caller {
    let Account { hub, pacer, answers, audit, background } = account.clone();
    let drain = background.drain.clone();
    let sends = terms.events.sends().cloned();
    ServiceBuilder::new()
        // Outside of all that counts and refuses, so that what it sees through in the background is
        // counted with its real end, and what is refused at once is still said.
        .layer(DeferredLayer::new(background))
        // As the meter, where every call passes and ends but once: what is refused, what goes on in the
        // background, and what nobody waits for any more.
        .layer(AuditLayer::new(audit, &terms.share.consumer))
        // Sees every outcome.
        .layer(MeterLayer::new(Arc::clone(metrics)))
        // Around all that may know an answer.
        .layer(TranslateLayer::new(terms.format, Arc::clone(metrics)))
        // Before anything is taken: a refused call costs neither a slot nor a token.
        .layer(AuthorizeLayer::new(&terms.share.consumer, terms.actions, Arc::clone(&hub)))
        // Behind the rules, so that nobody is told what it may not ask, and before all that counts as a call of
        // LLOneBot: an answer that is known keeps no slot and costs no limit anything.
        .layer(CacheLayer::new(answers))
        // A slot can be given back, so it is taken before what cannot.
        .layer(InFlightLayer::new(terms.slots))
        // The last that may refuse: what a call takes from a limit is gone.
        .layer(PaceLayer::new(pacer, &terms.share))
        .layer(GetEventLayer::new(Arc::clone(&hub), terms.events, terms.format, Arc::clone(metrics), drain))
        .service(Dispatch::new(hub, sends))
}

/// What every layer is.
trait CallService: tower::Service<Call, Response = Reply, Error = Infallible> {}

impl<S: tower::Service<Call, Response = Reply, Error = Infallible>> CallService for S {}

#[cfg(test)]
mod tests;
