//! Shutdown in order: what is under way finishes, then everybody is told.

use onebot_gateway::onebot::CloseReason;
use tokio::time::{Duration, Instant, timeout_at};

use crate::bot::{Heard, field, retcode};
use crate::gateway::Gateway;

const MOMENT: Duration = Duration::from_secs(1);

impl Gateway {
    /// What `app` says to the sessions when it is told to end.
    fn begin_drain(&self) {
        self.hub.drain();
        self.shutdown.drain.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_pending_calls_and_then_says_goodbye() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_that_outlives_drain().await;
    let consumer = gateway.consumer("bot");
    let (mut busy, idle) = (gateway.attach(&consumer), gateway.attach(&consumer));
    busy.call("get_msg", "{}", "1").await;
    let call = upstream.call().await;
    gateway.begin_drain();
    assert_eq!(idle.closed().await, (Some(1001), CloseReason::Shutdown));

    upstream.hears_no_call_for(Duration::from_secs(5)).await;
    upstream.send_all([crate::upstream::event("the last one"), call.ok("7")]).await;
    assert_eq!(crate::upstream::text_of(&busy.event().await), "the last one");
    assert_eq!(field(&busy.reply().await, "data"), 7);
    assert_eq!(busy.closed().await, (Some(1001), CloseReason::Shutdown));
}

/// Every call that was read gets an answer, also those that still waited for a slot.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_slot_is_answered_before_the_goodbye() {
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 1);
    let (mut upstream, _link) = gateway.link_that_outlives_drain().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    for echo in ["1", "2", "3"] {
        bot.call("get_msg", "{}", echo).await;
    }
    let call = upstream.call().await;
    assert_eq!(bot.heard_until_quiet().await, []);
    gateway.begin_drain();
    upstream.hears_no_call_for(MOMENT).await;
    upstream.send(call.ok("7")).await;
    let heard = bot.heard_until_quiet().await;
    let answers: Vec<_> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Reply(text) => Some((field(text, "echo").as_u64().unwrap(), retcode(text))),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [(1, 0), (2, 1503), (3, 1503)]);
    assert_eq!(heard.last(), Some(&Heard::Closed(Some(1001))));
}

/// Calls without an answer, bots that read nothing, bots that never say goodbye.
#[tokio::test(start_paused = true)]
async fn drain_ends_within_its_deadline() {
    const LIMIT: Duration = Duration::from_secs(10);
    let gateway = Gateway::new();
    let (mut upstream, link) = gateway.link_by_hand().await;
    let mut silent = gateway.attach(&gateway.consumer("waits for an answer"));
    silent.call("get_msg", "{}", "1").await;
    upstream.call().await;
    let stalled = gateway.consumer("reads nothing");
    let stalled = gateway.attach_over(
        &stalled,
        onebot_gateway::downstream::Channel::Universal,
        onebot_gateway::net::websocket::Role::Server,
        64,
    );
    upstream.send_all((0..100).map(|n| crate::upstream::event(&n.to_string()))).await;
    gateway.has_appended(100).await;

    let began = Instant::now();
    gateway.begin_drain();
    gateway.tasks.close();
    let in_time = timeout_at(began + LIMIT, gateway.tasks.wait()).await;
    assert!(in_time.is_err(), "there are calls without an answer");
    gateway.shutdown.abort.cancel();
    gateway.tasks.wait().await;
    assert!(began.elapsed() <= LIMIT + Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(stalled.ended().await, CloseReason::Shutdown);
    assert_eq!(silent.ended().await, CloseReason::Shutdown);
    assert_eq!(link.await.unwrap(), "the gateway is shutting down");
}

#[tokio::test(start_paused = true)]
async fn calls_after_the_drain_began_are_not_sent() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_that_outlives_drain().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.call("get_msg", "{}", "1").await;
    let call = upstream.call().await;
    gateway.begin_drain();
    bot.call("send_group_msg", "{}", "2").await;
    upstream.hears_no_call_for(MOMENT).await;
    bot.call("send_group_msg", "{}", "3").await;
    upstream.hears_no_call_for(MOMENT).await;
    upstream.send(call.ok("null")).await;
    upstream.hears_no_call_for(MOMENT).await;
    let mut heard = bot.heard_until_quiet().await;
    assert_eq!(heard.pop(), Some(Heard::Closed(Some(1001))));
    for heard in heard {
        let Heard::Reply(reply) = heard else { panic!("{heard:?}") };
        assert_eq!(retcode(&reply), if field(&reply, "echo") == 1 { 0 } else { 1503 });
    }
}

#[tokio::test(start_paused = true)]
async fn the_link_says_goodbye_too() {
    let gateway = Gateway::new();
    let (mut upstream, link) = gateway.link_by_hand().await;
    gateway.shutdown.drain.cancel();
    assert_eq!(upstream.closed().await, Some(1001));
    assert_eq!(link.await.unwrap(), "the gateway is shutting down");
}
