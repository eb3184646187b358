//! A consumer with rules hears what they let through, on every way there is, and nothing of that is lost,
//! repeated or moved.

use std::sync::Arc;

use onebot_gateway::downstream::{Channel, Consumer};
use onebot_gateway::net::websocket::Role;
use onebot_gateway::policy::events::Conditions;
use onebot_gateway::policy::filter::Filter;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::Duration;

use crate::bot::{Heard, field};
use crate::gateway::Gateway;
use crate::upstream::SELF_ID;

const GROUPS: [i64; 2] = [11, 12];

/// A message of number `n`; in no group if `group` is 0.
fn message(n: usize, group: i64, text: &str) -> String {
    let mut event = json!({
        "time": 1, "self_id": SELF_ID, "post_type": "message", "message_id": n, "user_id": 5,
        "message_type": if group == 0 { "private" } else { "group" }, "raw_message": text,
        "message": [{"type": "text", "data": {"text": text}}],
    });
    if group != 0 {
        event["group_id"] = json!(group);
    }
    event.to_string()
}

/// The two groups, and there only commands.
fn restricted(consumer: &mut Consumer) {
    let query = json!({"$or": [{"post_type": {"$ne": "message"}}, {"message.data.text": {"$regex": "^/"}}]});
    consumer.events = Some(Arc::new(Conditions {
        groups: Some(GROUPS.into_iter().collect()),
        filter: Some(Filter::compile(&query).unwrap()),
        ..Conditions::default()
    }));
}

fn events(heard: Vec<Heard>) -> Vec<String> {
    let events = heard.into_iter().filter_map(|heard| match heard {
        Heard::Event(text) => Some(text),
        _ => None,
    });
    events.collect()
}

#[tokio::test(start_paused = true)]
async fn a_consumer_with_rules_hears_only_what_they_let_through() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let guest = gateway.consumer_with("guest", restricted);
    let mut bot = gateway.attach(&guest);
    let mut poller = gateway.attach_over(&guest, Channel::Api, Role::Server, 1 << 20);
    let mut free = gateway.attach(&gateway.consumer("free"));
    bot.meta().await;
    free.meta().await;
    poller.call("get_event", r#"{"key":"k"}"#, "0").await;
    assert_eq!(field(&poller.reply().await, "data"), json!([]));

    let mut random = StdRng::seed_from_u64(3);
    let (mut sent, mut allowed) = (Vec::new(), Vec::new());
    for n in 0..400 {
        let (group, command) = (random.random_range(10..14) % 13, random.random_bool(0.5));
        let text = if command { format!("/{n}") } else { format!("no /{n}") };
        let event = message(n, group, &text);
        if GROUPS.contains(&group) && command {
            allowed.push(event.clone());
        }
        sent.push(event);
    }
    let emit = async {
        for events in sent.chunks(7) {
            upstream.send_all(events.iter().cloned()).await;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..3))).await;
        }
    };
    let time = Duration::from_secs(5);
    let (by_bot, by_free, ()) = tokio::join!(bot.heard_for(time), free.heard_for(time), emit);
    assert_eq!(events(by_bot), allowed);
    assert_eq!(events(by_free), sent);
    let mut taken = Vec::new();
    while taken.len() < allowed.len() {
        poller.call("get_event", r#"{"key":"k"}"#, "1").await;
        // What the reply holds makes it look like an event.
        let (Heard::Reply(reply) | Heard::Event(reply)) = poller.hear().await else { panic!("no reply") };
        let Value::Array(events) = field(&reply, "data") else { panic!("{reply}") };
        assert!(!events.is_empty());
        taken.extend(events.iter().map(|event| event["message_id"].as_u64()));
    }
    let expected: Vec<_> = allowed.iter().map(|event| field(event, "message_id").as_u64()).collect();
    assert_eq!(taken, expected);
    assert!((50..150).contains(&allowed.len()), "{}", allowed.len());

    let left_out = (sent.len() - allowed.len()) as u64;
    assert_eq!(
        gateway.metric(r#"filtered_events_total{consumer="guest"}"#),
        2 * left_out,
        "for a session and a poller"
    );
    assert_eq!(gateway.metric(r#"filtered_events_total{consumer="free"}"#), 0);
    assert_eq!(gateway.metric(r#"unevaluable_events_total{consumer="guest"}"#), 0);
}

/// A pattern does not search texts of any length. Whoever sends such a one is not heard where a rule would have
/// to, whatever the rule says.
#[tokio::test(start_paused = true)]
async fn what_a_rule_cannot_be_held_against_is_not_heard_and_counted() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let guarded = gateway.consumer_with("guarded", |consumer| {
        let query = json!({"raw_message": {"$not": {"$regex": "secret"}}});
        let filter = Some(Filter::compile(&query).unwrap());
        consumer.events = Some(Arc::new(Conditions { filter, ..Conditions::default() }));
    });
    let (mut bot, mut free) = (gateway.attach(&guarded), gateway.attach(&gateway.consumer("free")));
    bot.meta().await;
    free.meta().await;
    let (long, short) = (message(1, 11, &"x".repeat(1 << 20)), message(2, 11, "x"));
    upstream.send_all([long.clone(), short.clone(), message(3, 11, "a secret")]).await;
    assert_eq!(bot.event().await, short);
    assert_eq!(free.event().await, long);
    assert_eq!(events(bot.heard_for(Duration::from_secs(1)).await), Vec::<String>::new());
    assert_eq!(gateway.metric(r#"unevaluable_events_total{consumer="guarded"}"#), 1);
    assert_eq!(gateway.metric(r#"filtered_events_total{consumer="guarded"}"#), 2);
}
