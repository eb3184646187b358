//! What the tests stand on: gateways, peers of every kind, and ways to wait for something.

pub mod daemon;
pub mod gateway;
pub mod http;
pub mod metrics;
pub mod server;
pub mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use onebot_gateway::simulator::{self, Simulator};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// The account behind every LLOneBot of a test.
pub const SELF_ID: i64 = 10_001_000;
/// What proves the bot of [`gateway::config`].
pub const TOKEN: &str = "token-of-the-bot-itself";
/// What proves the other one.
pub const WITNESS: &str = "token-of-the-witness";

/// Longer than anything takes; only a test that fails waits for it.
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(5);

/// Waits for `future`, and fails the test if it takes for ever.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let Ok(output) = timeout(LIMIT, future).await else { panic!("waited in vain: {what}") };
    output
}

/// Asks until `condition` holds, and fails the test if it never does.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !condition().await {
            sleep(POLL).await;
        }
    })
    .await;
}

/// Any free port of this machine, on loopback.
pub fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A simulated LLOneBot that serves forward WebSocket at `listen`.
pub async fn simulator(listen: SocketAddr) -> Simulator {
    let config = simulator::Config { listen: Some(listen), self_id: SELF_ID, ..Default::default() };
    Simulator::start(config).await.unwrap()
}

/// A group message that carries `number`, which [`number`] reads.
pub fn event(number: usize) -> String {
    padded_event(number, 0)
}

/// The same with `padding` bytes more.
pub fn padded_event(number: usize, padding: usize) -> String {
    json!({
        "time": 1_795_368_196, "self_id": SELF_ID, "post_type": "message", "message_type": "group",
        "sub_type": "normal", "message_id": number, "group_id": 618_204_977, "user_id": 1_639_027_745,
        "message": [], "raw_message": "x".repeat(padding), "font": 14, "sender": {},
    })
    .to_string()
}

/// Which of [`event`]'s this is.
pub fn number(event: &Value) -> usize {
    event["message_id"].as_u64().unwrap() as usize
}

/// The text of a call.
pub fn call(action: &str, echo: impl Into<Value>) -> String {
    json!({"action": action, "params": {}, "echo": echo.into()}).to_string()
}
