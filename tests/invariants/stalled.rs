//! Bots that read slowly, or not at all.

use onebot_gateway::downstream::{Channel, Lagging};
use onebot_gateway::net::websocket::Role;
use onebot_gateway::onebot::CloseReason;
use tokio::time::{Duration, Instant, sleep};

use crate::bot::{Heard, field};
use crate::gateway::Gateway;
use crate::upstream::{Upstream, event, text_of};

#[tokio::test(start_paused = true)]
async fn a_stalled_consumer_delays_nobody() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let stalled = gateway.consumer("stalled");
    let _stalled: Vec<_> =
        (0..10).map(|_| gateway.attach_over(&stalled, Channel::Universal, Role::Server, 16)).collect();
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.meta().await;
    let start = Instant::now();
    for n in 0..500 {
        upstream.send(event(&format!("{n} {}", "x".repeat(2000)))).await;
        let heard = bot.event().await;
        assert!(text_of(&heard).starts_with(&n.to_string()));
        bot.call("get_recent_contact", "{}", &n.to_string()).await;
        let call = upstream.call().await;
        upstream.send(call.ok("null")).await;
        assert_eq!(field(&bot.reply().await, "echo"), n);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_takes_nothing_is_disconnected() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let bot = gateway.attach_over(&consumer, Channel::Universal, Role::Server, 16);
    let start = Instant::now();
    tokio::select! {
        reason = bot.ended() => assert_eq!(reason, CloseReason::WriteTimeout),
        () = upstream.until_hung_up() => panic!("hung up"),
    }
    assert_eq!(start.elapsed().as_secs(), 30);
    let ends = gateway.metric(r#"session_ends_total{consumer="bot",reason="write_timeout"}"#);
    assert_eq!(ends, 1);
    assert_eq!(gateway.metric(r#"sessions{consumer="bot"}"#), 0);
}

/// Slow is not dead: each byte it takes starts the time anew.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_reads_slowly_is_not_disconnected() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut bot = gateway.attach_over(&consumer, Channel::Universal, Role::Server, 300);
    bot.meta().await;
    upstream.send_all((0..100).map(|n| event(&n.to_string()))).await;
    let read = async {
        for n in 0..100 {
            sleep(Duration::from_secs(10)).await;
            assert_eq!(text_of(&bot.event().await), n.to_string());
        }
    };
    tokio::select! {
        () = read => {}
        () = upstream.until_hung_up() => panic!("hung up"),
    }
}

/// What it missed is counted; what it did get is in order and whole.
#[tokio::test(start_paused = true)]
async fn a_session_that_fell_off_the_journal_skips_and_is_counted() {
    const EVENTS: usize = 5000;
    let gateway = Gateway::with(|setup| setup.journal.events = 100);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut bot = gateway.attach_over(&consumer, Channel::Universal, Role::Server, 1000);
    bot.meta().await;
    emit(&gateway, &mut upstream, 0, EVENTS).await;
    let mut numbers = numbers(&bot.heard_until_quiet().await);
    assert!(numbers.is_sorted_by(|one, next| one < next), "out of order");
    assert_eq!(numbers.last(), Some(&(EVENTS - 1)));
    let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    let missed = gateway.metric(r#"missed_events_total{consumer="bot"}"#) as usize;
    assert!(missed > 0);
    assert_eq!((gaps, missed + numbers.len()), (1, EVENTS));
    assert_eq!(gateway.metric(r#"gaps_total{consumer="bot"}"#), 1);
    assert_eq!(gateway.metric(r#"deliveries_total{consumer="bot"}"#) as usize, numbers.len());

    // It has caught up: the next gap is another one.
    emit(&gateway, &mut upstream, EVENTS, 1).await;
    numbers = self::numbers(&bot.heard_until_quiet().await);
    assert_eq!(numbers, [EVENTS]);
    emit(&gateway, &mut upstream, EVENTS + 1, EVENTS).await;
    bot.heard_until_quiet().await;
    assert_eq!(gateway.metric(r#"gaps_total{consumer="bot"}"#), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_would_rather_reconnect_than_miss_is_closed() {
    let gateway = Gateway::with(|setup| setup.journal.events = 100);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer_with("bot", |consumer| consumer.lagging = Lagging::Disconnect);
    let mut bot = gateway.attach_over(&consumer, Channel::Universal, Role::Server, 1000);
    bot.meta().await;
    emit(&gateway, &mut upstream, 0, 5000).await;
    let heard = bot.heard_until_quiet().await;
    let (end, events) = heard.split_last().unwrap();
    assert_eq!(end, &Heard::Closed(Some(1013)));
    let numbers = numbers(events);
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
    assert_eq!(bot.closed().await.1, CloseReason::Lagging);
}

#[tokio::test(start_paused = true)]
async fn lag_is_that_of_the_slowest_session_and_goes_with_it() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut quick = gateway.attach(&consumer);
    let slow = gateway.attach_over(&consumer, Channel::Universal, Role::Server, 16);
    quick.meta().await;
    let lag = || {
        gateway.hub.report_lag();
        gateway.metric(r#"lag_events{consumer="bot"}"#)
    };
    assert_eq!(lag(), 0);
    emit(&gateway, &mut upstream, 0, 5000).await;
    quick.heard_until_quiet().await;
    assert!(lag() > 1000, "{}", lag());
    slow.hang_up().await;
    assert_eq!(lag(), 0);
}

/// In pieces, since what one read of the link brings is one segment and as such in or out of the journal.
async fn emit(gateway: &Gateway, upstream: &mut Upstream, from: usize, count: usize) {
    let numbers: Vec<usize> = (from..from + count).collect();
    for piece in numbers.chunks(10) {
        upstream.send_all(piece.iter().map(|n| event(&n.to_string()))).await;
        gateway.has_appended(piece.last().unwrap() + 1).await;
    }
}

fn numbers(heard: &[Heard]) -> Vec<usize> {
    let number = |heard: &Heard| match heard {
        Heard::Event(event) => text_of(event).parse().unwrap(),
        other => panic!("{other:?}"),
    };
    heard.iter().map(number).collect()
}
