//! `calls.in_flight`: how many calls of one consumer may be open.

use onebot_gateway::downstream::Channel;
use onebot_gateway::net::websocket::Role;
use tokio::time::{Duration, timeout};

use crate::bot::{call, field, retcode};
use crate::gateway::{Gateway, HOUR};

const MOMENT: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_session_at_its_cap_stops_reading_and_goes_on_when_a_slot_frees() {
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 2);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut bot = gateway.attach_over(&consumer, Channel::Universal, Role::Server, 4 << 10);
    bot.meta().await;
    // More than the connection and one read of the session hold.
    let calls =
        (0..3000).map(|n| call("get_recent_contact", r#"{"padding":"................"}"#, &n.to_string()));
    let flood = timeout(MOMENT, bot.send_all(calls)).await;
    assert!(flood.is_err(), "a session without a slot must not read on");

    let (first, second) = (upstream.call().await, upstream.call().await);
    upstream.hears_no_call_for(MOMENT).await;
    upstream.send(second.ok("null")).await;
    assert_eq!(field(&bot.reply().await, "echo"), 1);
    let third = upstream.call().await;
    upstream.hears_no_call_for(MOMENT).await;
    upstream.send_all([third.ok("null"), first.ok("null")]).await;
    assert_eq!(field(&bot.reply().await, "echo"), 2);
    assert_eq!(field(&bot.reply().await, "echo"), 0);
    upstream.call().await;
    upstream.call().await;
    upstream.hears_no_call_for(MOMENT).await;
}

#[tokio::test(start_paused = true)]
async fn sessions_of_one_consumer_share_its_slots_and_others_do_not() {
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 2);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let (mut one, mut two) = (gateway.attach(&consumer), gateway.attach(&consumer));
    let mut other = gateway.attach(&gateway.consumer("other"));
    one.call("get_recent_contact", r#"{"of":1}"#, "1").await;
    one.call("get_recent_contact", r#"{"of":1}"#, "2").await;
    let (first, second) = (upstream.call().await, upstream.call().await);
    two.call("get_recent_contact", r#"{"of":2}"#, "1").await;
    upstream.hears_no_call_for(MOMENT).await;
    other.call("get_recent_contact", r#"{"of":3}"#, "1").await;
    let others = upstream.call().await;
    assert_eq!(others.params.get(), r#"{"of":3}"#);

    upstream.send(first.ok("null")).await;
    one.reply().await;
    let third = upstream.call().await;
    assert_eq!(third.params.get(), r#"{"of":2}"#);
    upstream.send_all([second, others, third].map(|call| call.ok("null"))).await;
    for bot in [&mut one, &mut other, &mut two] {
        bot.reply().await;
    }
}

/// What is refused costs nothing: the slot it would have taken is there for the siblings.
#[tokio::test(start_paused = true)]
async fn a_denied_call_keeps_no_slot() {
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 1);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let (mut denied, mut sibling) = (gateway.attach(&consumer), gateway.attach(&consumer));
    denied.call("get_cookies", "{}", "1").await;
    assert_eq!(retcode(&denied.reply().await), 1403);
    sibling.call("get_recent_contact", "{}", "1").await;
    let call = timeout(HOUR, upstream.next_call()).await.expect("the slot is gone").unwrap();
    upstream.send(call.ok("null")).await;
    sibling.reply().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_at_its_cap_gives_its_slots_back() {
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 2);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut leaving = gateway.attach(&consumer);
    for n in 0..3 {
        leaving.call("get_recent_contact", &format!(r#"{{"n":{n}}}"#), "1").await;
    }
    upstream.call().await;
    upstream.call().await;
    // A session that waits for a slot does not read the goodbye, but sees its connection go.
    leaving.hang_up().await;
    let mut bot = gateway.attach(&consumer);
    bot.call("get_recent_contact", r#"{"n":9}"#, "1").await;
    let next = upstream.call().await;
    assert_eq!(next.params.get(), r#"{"n":9}"#);
}

/// Its answers are done, whether it reads them or not.
#[tokio::test(start_paused = true)]
async fn a_session_that_reads_no_answers_keeps_no_slot_from_its_siblings() {
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 4);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut deaf = gateway.attach_over(&consumer, Channel::Universal, Role::Server, 1000);
    deaf.meta().await;
    let mut sibling = gateway.attach(&consumer);
    let flood = deaf.send_all((0..1000).map(|n| call("get_recent_contact", "{}", &n.to_string())));
    let big = format!("\"{}\"", "x".repeat(100_000));
    let answers = async {
        while let Ok(Some(call)) = timeout(MOMENT, upstream.next_call()).await {
            upstream.send(call.ok(&big)).await;
        }
    };
    let (flood, ()) = tokio::join!(timeout(MOMENT, flood), answers);
    assert!(flood.is_err(), "a session that reads no answers must not be read for ever");

    sibling.call("get_group_list", "{}", "7").await;
    let call = timeout(MOMENT, upstream.call()).await.expect("the sibling's call has a slot");
    upstream.send(call.ok("null")).await;
    assert_eq!(field(&sibling.reply().await, "echo"), 7);
}

/// `consumer.NAME.in_flight` and `consumer.NAME.max_frame` hold for that bot alone.
#[tokio::test(start_paused = true)]
async fn a_bot_may_have_caps_of_its_own() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let small = gateway.consumer_with("small", |consumer| {
        consumer.in_flight = Some(1);
        consumer.max_frame = Some(1000);
    });
    let (mut small, mut other) = (gateway.attach(&small), gateway.attach(&gateway.consumer("other")));
    let large = format!(r#"{{"padding":"{}"}}"#, "x".repeat(2000));
    small.call("get_recent_contact", r#"{"of":1}"#, "1").await;
    small.call("get_recent_contact", r#"{"of":2}"#, "2").await;
    let first = upstream.call().await;
    upstream.hears_no_call_for(MOMENT).await;
    other.call("get_recent_contact", "{}", "1").await;
    other.call("get_recent_contact", &large, "2").await;
    assert_eq!(upstream.call().await.params.get(), "{}");
    assert_eq!(upstream.call().await.params.get(), large);

    upstream.send(first.ok("null")).await;
    assert_eq!(upstream.call().await.params.get(), r#"{"of":2}"#);
    small.call("get_recent_contact", &large, "3").await;
    assert_eq!(small.closed().await.0, Some(1009));
}
