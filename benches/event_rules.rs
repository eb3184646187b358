//! What it costs to decide whether a consumer hears an event: ns per decision.
//!
//! `cargo bench --bench event_rules`. Every rule lets the event through, so that every key is asked; the event
//! is a group message of 500 bytes.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "a bench prints figures of the machine's own time, and ends when it cannot run"
)]

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use onebot_gateway::onebot::{Head, scan};
use onebot_gateway::policy::events::{Conditions, EventRules, SelfMessages, Verdict};
use onebot_gateway::policy::filter::Filter;
use serde_json::{Value, json};
use support::{event, median, ten_rules};

/// Short ones and many, so that most are not interrupted.
const ROUNDS: usize = 501;
const DECISIONS: u32 = 500;

fn main() {
    let text = event(500);
    let head = Head::read(&text, &scan(&text).unwrap());
    let rows = rows();
    let mut figures = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for ((_, rules), figures) in rows.iter().zip(&mut figures) {
            let start = Instant::now();
            for _ in 0..DECISIONS {
                let verdict = black_box(rules).wants(black_box(&text), black_box(&head), |_| None);
                assert_eq!(verdict, Verdict::Yes);
            }
            figures.push(start.elapsed().as_nanos() as f64 / f64::from(DECISIONS));
        }
    }
    println!("ns per decision, median of {ROUNDS} interleaved rounds, event of {} bytes", text.len());
    for ((name, _), figures) in rows.iter().zip(figures) {
        println!("{name:<44} {:>8.1}", median(figures));
    }
}

fn rows() -> Vec<(&'static str, EventRules)> {
    let lists = Conditions { prefixes: None, filter: None, ..ten_rules() };
    let filter = |query: Value| {
        rules(Conditions { filter: Some(Filter::compile(&query).unwrap()), ..Conditions::default() })
    };
    vec![
        ("no rules", EventRules::default()),
        ("six lists", rules(lists)),
        (
            "prefixes",
            rules(Conditions { prefixes: Some(["/", "#", "x"].iter().collect()), ..Conditions::default() }),
        ),
        (
            "filter: 3 keys of the head",
            filter(json!({
                "message_type": "group", "sub_type": {"$ne": "anonymous"}, "group_id": {"$in": [1, 2, 618_204_977]},
            })),
        ),
        ("filter: regex that is a beginning", filter(json!({"raw_message": {"$regex": "^x"}}))),
        ("filter: regex that finds at once", filter(json!({"raw_message": {"$regex": "^[xy]"}}))),
        (
            "filter: regex that searches all",
            filter(json!({"raw_message": {"$not": {"$regex": "签到|/\\w+\\s"}}})),
        ),
        (
            "filter: regex that ignores case",
            filter(json!({
                "raw_message": {"$not": {"$regex": "help|menu", "$options": "i"}},
            })),
        ),
        ("filter: a key in the text", filter(json!({"sender.role": {"$in": ["owner", "admin"]}}))),
        (
            "filter: 3 keys in the text",
            filter(json!({
                "sender.role": "owner", "sender.level": {"$type": "string"}, "font": {"$gt": 1},
            })),
        ),
        ("ten rules", rules(ten_rules())),
    ]
}

fn rules(conditions: Conditions) -> EventRules {
    EventRules { self_messages: SelfMessages::None, conditions: Some(Arc::new(conditions)) }
}
