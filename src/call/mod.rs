//! The call path: a `tower::Service<Call, Response = Reply>`.
//!
//! Every way to call an action goes through the same [`Caller`], so no transport can forget a
//! rule or a limit. The consumer's `echo` never enters it; it stays in the session. The service
//! cannot fail: every call gets exactly one [`Reply`].

pub mod authorize;
pub mod dispatch;
pub mod in_flight;
pub mod meter;

use std::convert::Infallible;
use std::sync::Arc;

use tower::ServiceBuilder;

use self::authorize::{Authorize, AuthorizeLayer};
use self::dispatch::Dispatch;
pub use self::in_flight::Slots;
use self::in_flight::{InFlight, InFlightLayer};
use self::meter::{Meter, MeterLayer};
use crate::hub::{Hub, Reply};
use crate::onebot::Call;
use crate::policy::acl::ActionRules;
use crate::telemetry::metrics::ConsumerMetrics;

/// The path of one consumer's calls. Clones share its slots, rules and metrics.
pub type Caller = Meter<Authorize<InFlight<Dispatch>>>;

/// The path for a consumer with these `rules`, whose open calls are counted in `slots`.
#[must_use]
pub fn caller(
    hub: &Arc<Hub>,
    consumer: &str,
    rules: ActionRules,
    slots: Slots,
    metrics: Arc<ConsumerMetrics>,
) -> Caller {
    ServiceBuilder::new()
        // Outermost, so that it sees every outcome.
        .layer(MeterLayer::new(metrics))
        // Before anything is taken: a refused call costs neither a slot nor a token.
        .layer(AuthorizeLayer::new(consumer, rules))
        // A slot can be given back, so it is taken before what cannot.
        .layer(InFlightLayer::new(slots))
        .service(Dispatch::new(Arc::clone(hub)))
}

/// What every layer is.
trait CallService: tower::Service<Call, Response = Reply, Error = Infallible> {}

impl<S: tower::Service<Call, Response = Reply, Error = Infallible>> CallService for S {}
