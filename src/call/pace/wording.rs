//! What a bot is told whose call does not go.

use std::time::Duration;

use super::queue::{Queue, Refusal};
use crate::hub::{Hub, Outcome, Reply};
use crate::onebot::Retcode;
use crate::policy::budget::Exhausted;

/// The answer to a call that the queue refuses.
pub(super) fn refusal<T>(queue: &Queue<T>, refusal: Refusal, hub: &Hub) -> Reply {
    let name = |limit: usize| queue.limits().get(limit).map_or("", |limit| &*limit.name);
    match refusal {
        Refusal::Rejected { limit, wait } => {
            let name = name(limit);
            let message = format!(
                "limit.{name} is used up; send it again in {}, or raise limit.{name}.rate",
                rounded(wait)
            );
            limited(&message, wait)
        }
        Refusal::TooLong { limit, wait, held: false } => {
            let name = name(limit);
            let message = format!(
                "this call would have to wait about {} for limit.{name}, longer than limit.{name}.max_wait; \
                 it was not sent. Send less, or raise the limit",
                rounded(wait)
            );
            limited(&message, wait)
        }
        Refusal::TooLong { limit, wait, held: true } => {
            let name = name(limit);
            let message = format!(
                "limit.{name} lets nothing through for {} because the account could not send (muted, frozen \
                 or under risk control); it was not sent. Look at the account",
                rounded(wait)
            );
            limited(&message, wait)
        }
        Refusal::Full => limited(
            "too many calls of this bot wait for a limit already; this one was not sent. Send fewer at once",
            Duration::from_secs(1),
        ),
        Refusal::LinkDown => hub.down_reply(),
        Refusal::Draining => Reply::refusal(
            Retcode::Overloaded,
            Outcome::Overloaded,
            "the gateway is shutting down; the call was waiting for its turn and was not sent",
        ),
    }
}

/// The answer to a call for which nothing is left today.
pub(super) fn exhausted(exhausted: &Exhausted, consumer: &str, left: Duration) -> Reply {
    let Exhausted { key, most } = exhausted;
    let message = format!(
        "the {most} calls a day of consumer.{consumer}.daily.{key} are used up; a new day begins in {}",
        rounded(left)
    );
    limited(&message, left)
}

fn limited(message: &str, wait: Duration) -> Reply {
    Reply { retry_after: Some(wait), ..Reply::refusal(Retcode::Limited, Outcome::Limited, message) }
}

/// A time as a person reads it, never less than it is.
fn rounded(wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds.div_ceil(60)),
        _ => format!("{}h", seconds.div_ceil(3600)),
    }
}
