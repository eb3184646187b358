//! What limits cost.
//!
//! `cargo bench --bench limits` prints nanoseconds (median of interleaved rounds): one decision of a bucket,
//! and a call through the whole path to an upstream that answers at once, without limits, with one that is
//! about it, and with three. The rates are so high that nothing waits.

#![expect(clippy::disallowed_types, reason = "a bench measures the machine's own time")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench may stop at a mistake of its own"
)]

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use onebot_gateway::call::cache::{self, Answers};
use onebot_gateway::call::{self, Account, Background, Caller, Pacer, Share, Slots, Terms, pace};
use onebot_gateway::hub::{self, Hub, LinkId, Selection, UpstreamReply};
use onebot_gateway::journal::{self, Journal, Seq};
use onebot_gateway::onebot::{ActionName, Call, MessageFormat};
use onebot_gateway::policy::acl::{Permissions, Rule};
use onebot_gateway::policy::actions::ActionPatterns;
use onebot_gateway::policy::bucket::{Bucket, Pacing};
use onebot_gateway::policy::events::EventRules;
use onebot_gateway::policy::limit::{Excess, Limit, Per};
use onebot_gateway::telemetry::Metrics;
use tokio::time::Instant as Clock;
use tower::{Service, ServiceExt};

const ROUNDS: usize = 21;
const CALLS: u32 = 20_000;

fn main() -> std::io::Result<()> {
    let mut paths = [
        vec![],
        vec![limit(Per::Account)],
        vec![limit(Per::Account), limit(Per::Consumer), limit(Per::Target)],
    ]
    .map(Path::new);
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(time(CALLS * 10, decide));
        for (path, times) in paths.iter_mut().zip(&mut times[1..]) {
            times.push(time(CALLS, |calls| path.run(calls)));
        }
    }
    let mut out = std::io::stdout().lock();
    let names = ["a bucket's decision", "a call, no limit", "a call, one limit", "a call, three limits"];
    for (name, mut times) in names.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        writeln!(out, "{name:<24}{:>10.0} ns", times[ROUNDS / 2])?;
    }
    Ok(())
}

fn time(calls: u32, run: impl FnOnce(u32)) -> f64 {
    let start = Instant::now();
    run(calls);
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn pacing() -> Pacing {
    Pacing {
        interval: Duration::from_nanos(1),
        burst: 10_000,
        jitter: Duration::ZERO,
        ramp: Duration::from_secs(30),
        breaker: None,
    }
}

fn limit(per: Per) -> Limit {
    Limit {
        name: "bench".into(),
        actions: ActionPatterns::parse(&["@send".to_owned()]).unwrap(),
        consumers: None,
        per,
        pacing: Pacing { ramp: Duration::ZERO, ..pacing() },
        excess: Excess::Wait(Duration::from_secs(30)),
    }
}

fn decide(calls: u32) {
    let (pacing, start) = (pacing(), Clock::now());
    let mut bucket = Bucket::new(start);
    for call in 0..calls {
        let now = start + Duration::from_micros(u64::from(call));
        if bucket.ready_at(black_box(&pacing), start, now) <= now {
            bucket.take(&pacing, start, now, 0.5);
        }
    }
    black_box(bucket);
}

/// The path of one bot's calls, and the hub behind it.
struct Path {
    hub: Arc<Hub>,
    link: LinkId,
    caller: Caller,
}

impl Path {
    fn new(limits: Vec<Limit>) -> Self {
        let metrics = Metrics::new().unwrap();
        let journal = Journal::new(journal::Config::default(), metrics.journal());
        let calls = hub::Config::default();
        let hub = Hub::new("main", None, calls.clone(), journal, metrics.link("main"));
        let link = hub.link_opened(Arc::default());
        hub.link_proven(link, 10_001_000).unwrap();
        let config = pace::Config { limits, ..pace::Config::default() };
        let pacer = Pacer::new(Arc::clone(&hub), &calls, config, |limit| metrics.limit(limit));
        let account = Account {
            hub: Arc::clone(&hub),
            answers: Answers::new(cache::Config::default(), Arc::clone(&hub), metrics.cache()),
            audit: None,
            pacer,
            background: Background::default(),
        };
        let consumer = Arc::new(metrics.consumer("bot"));
        let terms = Terms {
            share: Share { consumer: "bot".to_owned(), weight: 1, daily: Vec::new() },
            actions: Permissions::new(vec![Rule::open("bench")]),
            events: Selection::new(EventRules::default(), Arc::clone(&consumer)),
            format: MessageFormat::Array,
            slots: Slots::new(256),
        };
        Self { hub, link, caller: call::caller(&account, terms, &consumer) }
    }

    fn run(&mut self, calls: u32) {
        let params = Bytes::from_static(
            br#"{"group_id":618204977,"message":[{"type":"text","data":{"text":"hello"}}]}"#,
        );
        let action = ActionName::new("send_group_msg");
        let mut sent = Vec::new();
        for _ in 0..calls {
            let call = Call { action: action.clone(), params: params.clone() };
            let ready = self.caller.ready().now_or_never().unwrap().unwrap();
            let answer = ready.call(call);
            assert!(self.hub.take_calls(self.link, usize::MAX, &mut sent));
            let (id, _) = sent.pop().unwrap();
            let text = Bytes::from_static(br#"{"status":"ok","retcode":0,"data":{"message_id":1}}"#);
            let reply =
                UpstreamReply { id: Some(id), text, echo_at: None, after: Seq(0), ok: true, more: false };
            self.hub.complete(self.link, [reply]);
            black_box(answer.now_or_never().unwrap().unwrap());
        }
    }
}
