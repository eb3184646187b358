//! Links that only look alive, and links to somebody else.

use onebot_gateway::hub::LinkState;
use onebot_gateway::simulator::{self, Simulator};
use tokio::time::{Duration, Instant};

use crate::gateway::{Gateway, HOUR};
use crate::upstream::SELF_ID;

#[tokio::test(start_paused = true)]
async fn an_upstream_without_any_byte_is_dead() {
    let gateway = Gateway::new();
    let (mut upstream, link) = gateway.link_by_hand().await;
    upstream.hears_no_call_for(Duration::from_secs(20)).await;
    // From here on it answers no ping.
    let quiet = Instant::now();
    let why = link.await.unwrap();
    assert!(why.starts_with("LLOneBot sent nothing for"), "{why}");
    assert!((40..60).contains(&quiet.elapsed().as_secs()), "{:?}", quiet.elapsed());
    assert_eq!(gateway.metric(r#"link_losses_total{reason="silent",upstream="main"}"#), 1);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_answers_pings_lives_without_heartbeats() {
    let gateway = Gateway::new();
    let (mut upstream, link) = gateway.link_by_hand().await;
    upstream.hears_no_call_for(HOUR).await;
    assert!(!link.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_beats_as_promised_lives_and_one_that_stops_is_dead() {
    let gateway = Gateway::new();
    let (mut upstream, link) = gateway.link_by_hand().await;
    let promised = Duration::from_secs(5);
    for _ in 0..100 {
        upstream.heartbeat(true, promised).await;
        upstream.hears_no_call_for(promised).await;
    }
    assert!(!link.is_finished());
    let last = Instant::now() - promised;
    // Its pongs still come.
    upstream.until_hung_up().await;
    let why = link.await.unwrap();
    assert!(why.starts_with("LLOneBot's heartbeats are missing for"), "{why}");
    assert!((15..20).contains(&last.elapsed().as_secs()), "{:?}", last.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_reads_nothing_is_dead() {
    let gateway = Gateway::new();
    let simulator = Simulator::start(simulator::Config {
        heartbeat: Duration::from_secs(5),
        ..simulator::Config::default()
    })
    .await
    .unwrap();
    let link = gateway.link_to(&simulator).await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    simulator.control().stall(true);
    // More than its connection holds.
    let big = format!(r#"{{"message":"{}"}}"#, "x".repeat(100_000));
    bot.call("send_group_msg", &big, "1").await;
    let why = link.await.unwrap();
    assert!(why.starts_with("LLOneBot has read nothing for"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_say_who_it_is_is_not_used() {
    let gateway = Gateway::new();
    let opened = Instant::now();
    let (mut upstream, link) = gateway.unproven_by_hand();
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.call("get_msg", "{}", "1").await;
    upstream.reads_without_answering().await;
    let why = link.await.unwrap();
    assert!(why.contains("which account"), "{why}");
    assert!((10..13).contains(&opened.elapsed().as_secs()), "{:?}", opened.elapsed());
    assert_eq!(crate::bot::retcode(&bot.reply().await), 1502);
    assert_eq!(gateway.metric(r#"link_connects_total{upstream="main"}"#), 0);
}

/// Some implementations send no lifecycle event.
#[tokio::test(start_paused = true)]
async fn the_answer_to_get_login_info_shows_the_account_too() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.unproven_by_hand();
    tokio::select! {
        () = upstream.until_hung_up() => panic!("hung up"),
        () = gateway.up() => {}
    }
    assert_eq!(gateway.hub.state().self_id, Some(SELF_ID));
}

#[tokio::test(start_paused = true)]
async fn the_wrong_account_is_refused_and_its_frames_are_told_to_nobody() {
    let gateway = Gateway::with(|setup| setup.link.self_id = Some(SELF_ID));
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    assert_eq!(bot.meta().await["self_id"], SELF_ID);
    bot.call("send_group_msg", "{}", "1").await;

    let (mut wrong, link) = gateway.unproven_by_hand();
    wrong.self_id = 20_002_000;
    wrong.send(crate::upstream::event("of somebody else").replace(&SELF_ID.to_string(), "20002000")).await;
    assert_eq!(wrong.closed().await, Some(1008));
    let why = link.await.unwrap();
    assert!(why.contains("20002000") && why.contains("self_id is configured as 10001000"), "{why}");
    assert!(matches!(gateway.hub.state().link, LinkState::Down(_)));

    let (mut right, _link) = gateway.link_by_hand().await;
    assert_eq!(right.call().await.action, "send_group_msg");
    assert_eq!(bot.heard_until_quiet().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_told_as_such() {
    let gateway = Gateway::new();
    let simulator = Simulator::start(simulator::Config::default()).await.unwrap();
    simulator.control().refuse(true);
    let (end, link) = gateway.link();
    simulator.serve(end);
    let why = link.await.unwrap();
    assert!(why.starts_with("LLOneBot refuses the token"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_ends_the_link_and_says_which_key_to_change() {
    let gateway = Gateway::with(|setup| setup.link.max_frame = 1000);
    let (mut upstream, link) = gateway.link_by_hand().await;
    upstream.send(crate::upstream::event(&"x".repeat(2000))).await;
    let why = link.await.unwrap();
    assert!(why.contains("upstream.*.max_frame = 1000"), "{why}");
    assert_eq!(upstream.closed().await, Some(1009));
}
