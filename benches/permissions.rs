//! What it costs to decide whether a call may be made.
//!
//! `cargo bench --bench permissions` prints nanoseconds per call (median of interleaved rounds). The goal is
//! at most 300 ns for a message of 300 B from a consumer that is bound to a list of actions and to groups.

#![expect(clippy::disallowed_types, reason = "a bench measures the machine's own time")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench may stop at a mistake of its own")]

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use onebot_gateway::config;
use onebot_gateway::onebot::{ActionName, Call};
use onebot_gateway::policy::acl::{Memory, Permissions};
use onebot_gateway::policy::target::Target;

const ACCOUNT: &str = "[upstream.main]\ndial = \"ws://127.0.0.1:3001\"\n[consumer.bot]\ntoken = \"x\"\n";
const RESTRICTED: &str = r#"
[consumer.bot.actions]
allow = ["@send", "get_group_*", "get_msg", "delete_msg", "set_group_ban"]
deny = ["send_like"]
groups = [545402644, 618204977, 618204978, 618204979, 618204980, 618204981, 618204982, 618204983]
where = { set_group_ban = { duration = { "$lte" = 600 } } }
"#;
const MEASURING: Duration = Duration::from_millis(2);
const ROUNDS: usize = 101;

/// Every message is of a group that is permitted.
struct Seen;

impl Memory for Seen {
    fn message(&self, _: i64) -> Option<Target> {
        Some(Target::Group(618_204_977))
    }

    fn request(&self, _: &str) -> Option<Target> {
        None
    }
}

fn main() -> std::io::Result<()> {
    let (open, restricted) = (permissions(""), permissions(RESTRICTED));
    let text = "今天下午三点在老地方见面,请大家准时参加,不要迟到。".repeat(3);
    let message =
        format!(r#"{{"group_id":618204977,"message":[{{"type":"text","data":{{"text":"{text}"}}}}]}}"#);
    let image = format!(
        r#"{{"group_id":618204977,"message":[{{"type":"image","data":{{"file":"https://example.org/{}"}}}}]}}"#,
        "a".repeat(200)
    );
    let ban = r#"{"group_id":618204977,"user_id":1639027745,"duration":600}"#;
    let cases = [
        ("a message, open", &open, call("send_group_msg", &message)),
        ("a message, restricted", &restricted, call("send_group_msg", &message)),
        ("the same, suffixed", &restricted, call("send_group_msg_async", &message)),
        ("an image by URL, restricted", &restricted, call("send_group_msg", &image)),
        ("get_msg, restricted", &restricted, call("get_msg", r#"{"message_id":-1307745921}"#)),
        ("a ban with a condition, restricted", &restricted, call("set_group_ban", ban)),
        ("not on the list, refused", &restricted, call("set_group_kick", ban)),
    ];
    let mut rounds: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((_, permissions, call), rounds) in cases.iter().zip(&mut rounds) {
            rounds.push(nanoseconds(|| black_box(permissions).permit(black_box(call), &Seen).is_ok()));
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<48}{:>10}", "", "ns per call")?;
    for ((name, _, call), mut rounds) in cases.iter().zip(rounds) {
        rounds.sort_by(f64::total_cmp);
        let name = format!("{name} ({} B)", call.params.len());
        writeln!(out, "{name:<48}{:>10.0}", rounds.get(ROUNDS / 2).unwrap())?;
    }
    Ok(())
}

fn permissions(actions: &str) -> Permissions {
    let config = config::parse(&format!("{ACCOUNT}{actions}"), "bench.toml", std::iter::empty());
    let [bot] = &config.unwrap_or_else(|problems| panic!("{problems}")).consumers[..] else {
        panic!("one consumer is expected")
    };
    bot.actions.clone()
}

fn call(action: &str, params: &str) -> Call {
    Call { action: ActionName::new(action), params: Bytes::copy_from_slice(params.as_bytes()) }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn nanoseconds(mut decide: impl FnMut() -> bool) -> f64 {
    let (start, mut count) = (Instant::now(), 0_u64);
    while start.elapsed() < MEASURING {
        for _ in 0..100 {
            black_box(decide());
        }
        count += 100;
    }
    start.elapsed().as_nanos() as f64 / count as f64
}
