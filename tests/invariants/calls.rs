//! Each answer goes to the one who asked.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use onebot_gateway::downstream::Channel;
use onebot_gateway::net::websocket::Role;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Duration, Instant, timeout};

use crate::bot::{Bot, Heard, call, echoes, field, retcode};
use crate::gateway::Gateway;
use crate::upstream::{Call, Upstream, event};

/// 64 bots use the same echoes at the same time, as real ones do ("1", "2", "3" …), each asks
/// something of its own, and LLOneBot answers in any order.
#[tokio::test(start_paused = true)]
async fn a_reply_reaches_only_its_caller() {
    const BOTS: usize = 64;
    const CALLS: usize = 1000;
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bots: Vec<Bot> =
        (0..BOTS).map(|bot| gateway.attach(&gateway.consumer(&format!("bot{bot}")))).collect();

    let talk = join_all(bots.iter_mut().enumerate().map(|(bot, session)| async move {
        let asking = |n: usize| call("get_msg", &format!(r#"{{"q":"{bot}/{n}"}}"#), &n.to_string());
        let calls = (0..CALLS).map(asking).collect();
        for (answered, reply) in session.call_all(calls).await.iter().enumerate() {
            let asked = field(reply, "data")["q"].as_str().unwrap().to_owned();
            let echo = field(reply, "echo").as_u64().unwrap();
            assert_eq!(asked, format!("{bot}/{echo}"), "answer {answered} of bot {bot}");
        }
        echoes(&session.heard_until_quiet().await)
    }));
    let mut shuffle = StdRng::seed_from_u64(1);
    let (again, ()) = tokio::join!(talk, answer_in_any_order(&mut upstream, BOTS * CALLS, &mut shuffle));
    assert_eq!(again, vec![BTreeMap::new(); BOTS], "answers nobody waited for");
    assert_eq!(gateway.calls_counted(), (BOTS * CALLS) as u64);
}

/// Answers `count` calls with their own parameters: whenever nothing more arrives, some of those
/// that are open, shuffled.
async fn answer_in_any_order(upstream: &mut Upstream, count: usize, random: &mut StdRng) {
    let mut open: Vec<Call> = Vec::new();
    let mut answered = 0;
    while answered < count {
        while let Ok(call) = timeout(Duration::from_millis(1), upstream.next_call()).await {
            open.push(call.expect("hung up"));
        }
        open.shuffle(random);
        let some = random.random_range(1..=open.len());
        answered += some;
        upstream.send_all(open.drain(..some).map(|call| call.ok(call.params.get()))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_consumer_keep_their_order() {
    // With few slots, so that sessions have to wait for them again and again.
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 3);
    let consumers = ["a", "b", "c"].map(|name| gateway.consumer(name));
    let mut bots: Vec<Bot> = consumers.iter().map(|consumer| gateway.attach(consumer)).collect();
    // The first ones before there is a link.
    for (name, bot) in ["a", "b", "c"].iter().zip(&mut bots) {
        let calls = (0..100).map(|n| call("send_group_msg", &format!(r#"{{"q":"{name} {n}"}}"#), "1"));
        bot.send_all(calls).await;
    }
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut next = BTreeMap::new();
    let mut open = Vec::new();
    let mut random = StdRng::seed_from_u64(2);
    for _ in 0..300 {
        let sent = loop {
            if let Ok(call) = timeout(Duration::from_millis(1), upstream.call()).await {
                break call;
            }
            let any = random.random_range(0..open.len());
            let call: Call = open.swap_remove(any);
            upstream.send(call.ok("null")).await;
        };
        let said = field(sent.params.get(), "q");
        let (name, number) = said.as_str().unwrap().split_once(' ').unwrap();
        let expected = next.entry(name.to_owned()).or_insert(0);
        assert_eq!(number, expected.to_string(), "of {name}");
        *expected += 1;
        open.push(sent);
    }
}

/// Whoever listens to one session sees what LLOneBot's single socket would show: events before the
/// replies that arrived after them, and replies before the events that arrived after them.
#[tokio::test(start_paused = true)]
async fn events_and_replies_keep_their_order() {
    for seed in 0..200 {
        events_and_replies_keep_their_order_with(seed).await;
    }
}

/// The same with sessions that look while the link is still at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_replies_keep_their_order_on_two_threads() {
    for seed in 0..200 {
        events_and_replies_keep_their_order_with(seed).await;
    }
}

async fn events_and_replies_keep_their_order_with(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let role = if random.random_bool(0.5) { Role::Server } else { Role::Client };
    let mut bots: Vec<Bot> = (0..2)
        .map(|bot| {
            let consumer = gateway.consumer(&format!("bot{bot}"));
            gateway.attach_over(&consumer, Channel::Universal, role, 64 << 10)
        })
        .collect();
    let mut script = Vec::new();
    for (number, bot) in bots.iter_mut().enumerate() {
        bot.meta().await;
        for n in 0..random.random_range(1..20) {
            let name = format!("r{number}.{n}");
            bot.call("get_recent_contact", "{}", &format!("\"{name}\"")).await;
            script.push((Some(number), upstream.call().await.ok("null"), format!("\"{name}\"")));
        }
    }
    for n in 0..random.random_range(1..30) {
        let name = format!("e{n}");
        script.push((None, event(&name), name));
    }
    script.shuffle(&mut random);

    let mut left = &script[..];
    while !left.is_empty() {
        let (now, later) = left.split_at(random.random_range(1..=left.len()));
        upstream.send_all(now.iter().map(|(_, frame, _)| frame.clone())).await;
        for _ in 0..random.random_range(0..3) {
            tokio::task::yield_now().await;
        }
        left = later;
    }
    for (number, bot) in bots.iter_mut().enumerate() {
        let mine = script.iter().filter(|(whose, ..)| whose.is_none_or(|whose| whose == number));
        for (_, _, name) in mine {
            let heard = match bot.hear().await {
                Heard::Reply(text) => field(&text, "echo").to_string(),
                Heard::Event(text) => crate::upstream::text_of(&text),
                other => panic!("{other:?}"),
            };
            assert_eq!(&heard, name, "seed {seed}, {role:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_while_the_link_is_down_waits_for_it_and_then_goes_through() {
    let gateway = Gateway::new();
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.call("get_msg", r#"{"message_id":1}"#, "1").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let waiting = upstream.call().await;
    assert_eq!(waiting.params.get(), r#"{"message_id":1}"#);
    upstream.send(waiting.ok("7")).await;
    assert_eq!(field(&bot.reply().await, "data"), 7);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_in_vain_is_told_so_and_never_sent() {
    let gateway = Gateway::new();
    gateway.hub.link_down("no route to host");
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let asked = Instant::now();
    bot.call("send_group_msg", "{}", "1").await;
    let reply = bot.reply().await;
    assert_eq!(retcode(&reply), 1502);
    assert!(reply.contains("no route to host") && reply.contains("calls.wait_for_link"), "{reply}");
    assert_eq!(asked.elapsed().as_secs(), 5);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    upstream.hears_no_call_for(Duration::from_mins(1)).await;
}

/// It was never sent, so it must not happen behind the back of a bot that has given up.
#[tokio::test(start_paused = true)]
async fn a_waiting_call_whose_consumer_went_away_is_not_sent() {
    let gateway = Gateway::new();
    let consumer = gateway.consumer("bot");
    let (mut leaving, mut staying) = (gateway.attach(&consumer), gateway.attach(&consumer));
    leaving.call("send_group_msg", r#"{"message":"of the one who left"}"#, "1").await;
    staying.call("send_group_msg", r#"{"message":"of the one who stays"}"#, "1").await;
    leaving.hang_up().await;
    let (mut upstream, _link) = gateway.link_by_hand().await;
    assert_eq!(upstream.call().await.params.get(), r#"{"message":"of the one who stays"}"#);
    upstream.hears_no_call_for(Duration::from_mins(1)).await;
}
