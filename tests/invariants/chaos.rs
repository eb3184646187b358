//! Storms: many bots, many calls, slow, silent and repeated answers in any order, links that break and
//! are replaced. Each storm comes from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{join_all, select};
use onebot_gateway::downstream;
use onebot_gateway::simulator::{self, Answer, Behaviour, Simulator};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Duration, sleep};

use crate::bot::{Bot, Heard, call, echoes};
use crate::gateway::Gateway;

const CONSUMERS: usize = 4;
const SESSIONS: usize = 2;
const CALLS: usize = 30;

#[tokio::test(start_paused = true)]
async fn every_call_gets_exactly_one_reply() {
    for seed in 0..15 {
        let storm = storm(seed).await;
        let once: BTreeMap<String, usize> = (0..CALLS).map(|echo| (echo.to_string(), 1)).collect();
        for (session, answers) in storm.answers.iter().enumerate() {
            assert_eq!(answers, &once, "seed {seed}, session {session}");
        }
        assert_eq!(storm.counted, (CONSUMERS * SESSIONS * CALLS) as u64, "seed {seed}");
        assert_eq!(storm.left_open, 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_reaches_upstream_at_most_once_and_in_order() {
    for seed in 100..115 {
        for (session, numbers) in storm(seed).await.arrived {
            assert!(
                numbers.is_sorted_by(|one, next| one < next),
                "seed {seed}, session {session}: {numbers:?}"
            );
        }
    }
}

struct Storm {
    /// For each session, how often each echo was answered.
    answers: Vec<BTreeMap<String, usize>>,
    /// The numbers of the calls that LLOneBot saw, by session.
    arrived: BTreeMap<u64, Vec<u64>>,
    counted: u64,
    left_open: usize,
}

async fn storm(seed: u64) -> Storm {
    let mut random = StdRng::seed_from_u64(seed);
    let gateway = Gateway::with(|setup| {
        setup.calls.timeout = Duration::from_secs(2);
        setup.calls.wait_for_link = Duration::from_millis(random.random_range(0..1500));
        setup.calls.in_flight = random.random_range(1..20);
    });
    let simulator =
        Simulator::start(simulator::Config { seed, ..simulator::Config::default() }).await.unwrap();
    let consumers: Vec<Arc<downstream::Bot>> =
        (0..CONSUMERS).map(|n| gateway.consumer(&format!("bot{n}"))).collect();
    let sessions = consumers.iter().flat_map(|consumer| std::iter::repeat_n(consumer, SESSIONS));
    let bots: Vec<Bot> = sessions.map(|consumer| gateway.attach(consumer)).collect();
    let talks = bots.into_iter().zip(0..).map(|(bot, number)| talk(bot, number, seed));
    let talks = Box::pin(join_all(talks));
    let weather = Box::pin(weather(&gateway, &simulator, random));
    let futures_util::future::Either::Left((answers, _)) = select(talks, weather).await else {
        panic!("the weather never ends")
    };
    let mut arrived: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for call in simulator.control().calls() {
        if let (Some(session), Some(n)) = (call.params["session"].as_u64(), call.params["n"].as_u64()) {
            arrived.entry(session).or_default().push(n);
        }
    }
    // What the gateway itself asked of the last link has had its answer or its deadline.
    sleep(Duration::from_secs(10)).await;
    Storm { answers, arrived, counted: gateway.calls_counted(), left_open: gateway.hub.open_calls() }
}

/// Calls at a random pace, listens all the while, and goes on listening after the last answer is due.
async fn talk(mut bot: Bot, session: u64, seed: u64) -> BTreeMap<String, usize> {
    const ACTIONS: [&str; 4] = ["get_group_info", "get_group_list", "send_group_msg", "no_such_action"];
    let mut random = StdRng::seed_from_u64(seed ^ (session << 32));
    let mut heard = Vec::new();
    for n in 0..CALLS {
        let action = ACTIONS[random.random_range(0..ACTIONS.len())];
        let params = format!(r#"{{"session":{session},"n":{n},"group_id":618204977,"message":"m"}}"#);
        bot.send(call(action, &params, &n.to_string())).await;
        heard.extend(bot.heard_for(Duration::from_millis(random.random_range(0..300))).await);
    }
    while heard.len() < CALLS {
        heard.push(Heard::Reply(bot.reply().await));
    }
    // Longer than any deadline: would there be one too many?
    heard.extend(bot.heard_for(Duration::from_secs(10)).await);
    echoes(&heard)
}

/// Breaks and makes links, and changes how LLOneBot answers, for ever.
async fn weather(gateway: &Gateway, simulator: &Simulator, mut random: StdRng) {
    let control = simulator.control();
    loop {
        let answer = match random.random_range(0..6) {
            0 => Answer::Twice,
            1 => Answer::Never,
            2 => Answer::UnknownEcho,
            _ => Answer::Once,
        };
        control.set_behaviour(Behaviour {
            delay: Duration::ZERO..=Duration::from_millis(random.random_range(0..3000)),
            reorder: random.random_bool(0.5),
            answer,
            silence: ["get_group_list".to_owned()].into(),
            drop: 0.1,
            ..Behaviour::default()
        });
        let now = random.random_range(0..8);
        match now {
            0 => control.disconnect(),
            1 => control.close(None).await,
            2 => control.stall(true),
            _ => {}
        }
        // Sometimes also while there is one.
        if now == 3 || (now > 3 && control.connections() == 0) {
            let (end, _link) = gateway.link();
            simulator.serve(end);
        }
        sleep(Duration::from_millis(random.random_range(0..2000))).await;
        control.stall(false);
    }
}
