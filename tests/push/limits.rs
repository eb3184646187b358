//! Limits, as a bot that calls over HTTP sees them.

use std::time::Duration;

use onebot_gateway::policy::actions::ActionPatterns;
use onebot_gateway::policy::bucket::Pacing;
use onebot_gateway::policy::limit::{Excess, Limit, Per};

use super::stage::Stage;

#[tokio::test]
async fn a_call_that_a_limit_refuses_is_429_and_says_when_to_come_again() {
    let limit = Limit {
        name: "asking".into(),
        actions: ActionPatterns::parse(&["get_status".to_owned()]).unwrap(),
        consumers: None,
        per: Per::Account,
        pacing: Pacing {
            interval: Duration::from_hours(1),
            burst: 1,
            jitter: Duration::ZERO,
            ramp: Duration::ZERO,
            breaker: None,
        },
        excess: Excess::Reject,
    };
    let mut stage = Stage::set(|config| config.pace.limits.push(limit)).await;
    assert_eq!(stage.get("/get_status").await.status(), 200);
    let refused = stage.get("/get_status").await;
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&seconds), "{seconds}");
}
