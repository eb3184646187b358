//! The gateway's own meta events: what makes a framework believe in its bot.

use onebot_gateway::downstream::Channel;
use onebot_gateway::net::websocket::Role;
use onebot_gateway::onebot::CloseReason;
use onebot_gateway::simulator::{self, Simulator};
use tokio::time::{Duration, Instant, timeout};

use crate::bot::{Heard, field};
use crate::gateway::Gateway;
use crate::upstream::SELF_ID;

#[tokio::test(start_paused = true)]
async fn the_first_frame_is_lifecycle_with_the_real_account_and_comes_once_that_is_known() {
    let gateway = Gateway::new();
    let mut early = gateway.attach(&gateway.consumer("early"));
    assert!(timeout(Duration::from_mins(5), early.hear()).await.is_err(), "nobody is there yet");
    let (_upstream, _link) = gateway.link_by_hand().await;
    let mut late = gateway.attach(&gateway.consumer("late"));
    for bot in [&mut early, &mut late] {
        let Heard::Meta(first) = bot.hear().await else { panic!("no meta event") };
        let rest = first.split_once(',').unwrap().1;
        assert_eq!(
            rest,
            format!(
                r#""self_id":{SELF_ID},"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}}"#
            )
        );
    }
}

/// Calls need no account: they wait for the link like any other.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_held_takes_calls() {
    let gateway = Gateway::new();
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.call("get_msg", "{}", "1").await;
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let call = upstream.call().await;
    upstream.send(call.ok("7")).await;
    assert_eq!(bot.meta().await["sub_type"], "connect");
    assert_eq!(field(&bot.reply().await, "data"), 7);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_each_15_seconds_and_tell_the_truth() {
    let simulator = Simulator::start(simulator::Config {
        heartbeat: Duration::from_secs(5),
        ..simulator::Config::default()
    })
    .await
    .unwrap();
    let gateway = Gateway::new();
    let link = gateway.link_to(&simulator).await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    assert_eq!(bot.meta().await["meta_event_type"], "lifecycle");

    let mut beat_at = Instant::now();
    let mut online = async |bot: &mut crate::bot::Bot| {
        // Neither upstream heartbeats nor anything else in between.
        let Heard::Meta(beat) = bot.hear().await else { panic!("no heartbeat") };
        assert_eq!(beat_at.elapsed().as_secs(), 15);
        beat_at = Instant::now();
        assert_eq!(field(&beat, "meta_event_type"), "heartbeat");
        assert_eq!(field(&beat, "self_id"), simulator::Config::default().self_id);
        assert_eq!(field(&beat, "interval"), 15_000);
        assert_eq!(field(&beat, "status")["good"], true);
        field(&beat, "status")["online"].as_bool().unwrap()
    };
    assert!(online(&mut bot).await);
    simulator.control().offline(true);
    assert!(!online(&mut bot).await);
    simulator.control().offline(false);
    assert!(online(&mut bot).await);
    simulator.control().disconnect();
    link.await.unwrap();
    assert!(!online(&mut bot).await);
    assert!(!online(&mut bot).await);
    let _link = gateway.link_to(&simulator).await;
    assert!(online(&mut bot).await);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_offline_when_the_link_comes_up_is_known_to_be() {
    let simulator = Simulator::start(simulator::Config::default()).await.unwrap();
    simulator.control().offline(true);
    let gateway = Gateway::new();
    let _link = gateway.link_to(&simulator).await;
    gateway.wait_for(|state| !state.online).await;
    assert_eq!(gateway.metric(r#"account_online{upstream="main"}"#), 0);
}

#[tokio::test(start_paused = true)]
async fn meta_events_of_the_upstream_end_at_the_gateway() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.meta().await;
    upstream.lifecycle().await;
    upstream.heartbeat(true, Duration::from_secs(5)).await;
    let heard = timeout(Duration::from_secs(10), bot.hear()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn another_account_ends_the_sessions_of_the_one_before() {
    let gateway = Gateway::new();
    let (upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    assert_eq!(bot.meta().await["self_id"], SELF_ID);
    // It hears no events, but its calls are meant for the account all the same.
    let consumer = gateway.consumer("caller");
    let caller = gateway.attach_over(&consumer, Channel::Api, Role::Server, 64 << 10);
    drop(upstream);
    let (mut upstream, _link) = gateway.unproven_by_hand();
    upstream.self_id = 20_002_000;
    upstream.lifecycle().await;
    assert_eq!(bot.closed().await, (Some(1012), CloseReason::AccountChanged));
    assert_eq!(caller.closed().await, (Some(1012), CloseReason::AccountChanged));
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    assert_eq!(bot.meta().await["self_id"], 20_002_000);
}
