//! Each session sees each event once, in the order in which LLOneBot sent them.

use futures_util::future::join_all;
use onebot_gateway::downstream::Channel;
use onebot_gateway::net::websocket::Role;
use onebot_gateway::policy::events::SelfMessages;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Duration, sleep};

use crate::bot::Heard;
use crate::gateway::Gateway;
use crate::upstream::{event, text_of};

/// Readers of every speed, over connections that hold little, on both sides of the handshake.
#[tokio::test(start_paused = true)]
async fn events_keep_order_within_a_session() {
    const EVENTS: usize = 3000;
    let gateway = Gateway::with(|setup| setup.sessions.write_timeout = Duration::from_hours(1));
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bots = Vec::new();
    for n in 0..8_u64 {
        let role = if n % 2 == 0 { Role::Server } else { Role::Client };
        let consumer = gateway.consumer(&format!("bot{n}"));
        let mut bot = gateway.attach_over(&consumer, Channel::Universal, role, 256 << n);
        bot.meta().await;
        bots.push((n, bot));
    }
    let emit = async {
        let mut random = StdRng::seed_from_u64(0);
        let mut sent = 0;
        while sent < EVENTS {
            let now = random.random_range(1..=200).min(EVENTS - sent);
            upstream.send_all((sent..sent + now).map(|n| event(&n.to_string()))).await;
            sent += now;
            sleep(Duration::from_millis(random.random_range(0..20))).await;
        }
        upstream
    };
    let read = join_all(bots.iter_mut().map(|(n, bot)| async move {
        let mut random = StdRng::seed_from_u64(*n);
        for expected in 0..EVENTS {
            assert_eq!(text_of(&bot.event().await), expected.to_string(), "bot {n}");
            if random.random_ratio(1, 10) {
                sleep(Duration::from_millis(random.random_range(0..=*n))).await;
            }
        }
    }));
    let (_upstream, _) = tokio::join!(emit, read);
}

/// Sessions that come and go, of the same consumer and of others, while links come and go too:
/// each sees everything from its lifecycle event on, and nothing twice.
#[tokio::test(start_paused = true)]
async fn each_event_once_per_session() {
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let gateway = Gateway::new();
        let (mut upstream, mut _link) = gateway.link_by_hand().await;
        let consumers = [gateway.consumer("a"), gateway.consumer("b")];
        let mut sessions = Vec::new();
        let mut sent = 0;
        for _ in 0..60 {
            match random.random_range(0..10) {
                0 => {
                    upstream.close().await;
                    (upstream, _link) = gateway.link_by_hand().await;
                }
                1..4 => {
                    let mut bot = gateway.attach(&consumers[random.random_range(0..2)]);
                    assert_eq!(bot.meta().await["sub_type"], "connect");
                    sessions.push((sent, bot));
                }
                _ => {
                    let now = random.random_range(1..50);
                    upstream.send_all((sent..sent + now).map(|n| event(&n.to_string()))).await;
                    sent += now;
                    gateway.has_appended(sent).await;
                }
            }
        }
        for (first, bot) in &mut sessions {
            let heard = bot.heard_until_quiet().await;
            let texts: Vec<String> = heard
                .iter()
                .map(|heard| match heard {
                    Heard::Event(event) => text_of(event),
                    other => panic!("{other:?}"),
                })
                .collect();
            let expected: Vec<String> = (*first..sent).map(|n| n.to_string()).collect();
            assert_eq!(texts, expected, "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_on_event_gets_events_and_no_answers_and_one_on_api_the_opposite() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut listener = gateway.attach_over(&consumer, Channel::Event, Role::Server, 64 << 10);
    let mut caller = gateway.attach_over(&consumer, Channel::Api, Role::Server, 64 << 10);
    listener.meta().await;
    caller.call("get_msg", "{}", "1").await;
    let call = upstream.call().await;
    upstream.send_all([event("a"), call.ok("null"), event("b")]).await;
    assert_eq!(caller.hear().await, Heard::Reply(call.ok("null").replace(call.echo.get(), "1")));
    assert_eq!(listener.hear().await, Heard::Event(event("a")));
    assert_eq!(listener.hear().await, Heard::Event(event("b")));

    listener.call("send_group_msg", "{}", "2").await;
    let refusal = listener.reply().await;
    assert!(refusal.contains("1404") && refusal.contains("/api"), "{refusal}");
    upstream.hears_no_call_for(Duration::from_secs(10)).await;
    assert_eq!(caller.heard_until_quiet().await, []);
}

#[tokio::test(start_paused = true)]
async fn own_messages_reach_only_those_who_asked_for_them() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut without = gateway.attach(&gateway.consumer("without"));
    let mut with =
        gateway.attach(&gateway.consumer_with("with", |consumer| consumer.self_messages = SelfMessages::All));
    without.meta().await;
    with.meta().await;
    let own = |text: &str| event(text).replace(r#""post_type":"message""#, r#""post_type":"message_sent""#);
    upstream.send_all([own("a"), event("b"), own("c"), own("d"), event("e"), own("f")]).await;
    let texts = |heard: Vec<Heard>| -> String {
        let text = |heard: &Heard| match heard {
            Heard::Event(event) => text_of(event),
            other => panic!("{other:?}"),
        };
        heard.iter().map(text).collect()
    };
    assert_eq!(texts(without.heard_until_quiet().await), "be");
    assert_eq!(texts(with.heard_until_quiet().await), "abcdef");
}
