//! What the gateway does to each frame, against what it would cost to do it otherwise.
//!
//! `cargo bench --bench envelope` prints nanoseconds per frame (median of interleaved rounds, so that a
//! busy machine slows every contender alike) and the ratios of the performance goal: rewriting an echo
//! takes at most 1/5 of `serde_json::Value` for ordinary replies, and at most twice `memcpy` for 5 MB.

#![expect(clippy::disallowed_types, reason = "a bench measures the machine's own time")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    reason = "a bench may stop at a mistake of its own"
)]

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use onebot_gateway::onebot::{Echo, Head, scan, splice};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<32}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "ns per frame", "Value", "RawValue", "copied", "in pieces", "memcpy"
    )?;
    for (name, reply) in [
        ("echo, login info", small_reply()),
        ("echo, 4 KB member list", member_list()),
        ("echo, 5 MB base64", large_reply()),
    ] {
        let name = format!("{name} ({} B)", reply.len());
        let [value, raw, copied, pieces, memcpy] = rewrite_echo(&reply);
        writeln!(out, "{name:<32}{value:>10.0}{raw:>10.0}{copied:>10.0}{pieces:>10.0}{memcpy:>10.0}")?;
        let [of_value, of_value_in_pieces] = [copied, pieces].map(|time| format!("1/{:.1}", value / time));
        writeln!(out, "{:<32}{of_value:>30}{of_value_in_pieces:>10}", "  of Value")?;
        let [of_copy, of_copy_in_pieces] = [copied, pieces].map(|time| format!("{:.2}", time / memcpy));
        writeln!(out, "{:<32}{of_copy:>30}{of_copy_in_pieces:>10}", "  times memcpy")?;
    }
    let event = event_of_about(500);
    let [value, fields, scanned] = read_routing_fields(&event);
    let name = format!("routing fields ({} B)", event.len());
    writeln!(out, "{name:<32}{value:>10.0}{fields:>10.0}{:>10}{scanned:>10.0}", "")?;
    writeln!(out, "{:<32}{:>40}", "  of Value", format!("1/{:.1}", value / scanned))
}

/// Replaces the echo: written out into a buffer that is kept, as a connection keeps its own, and (as the
/// gateway does for large frames) only cut into pieces that are written from where they lie.
fn rewrite_echo(reply: &Bytes) -> [f64; 5] {
    let echo = Echo::from_raw(Bytes::from_static(br#"{"seq":1}"#)).unwrap();
    let (mut by_value, mut by_raw, mut by_scan, mut by_copy) = (vec![], vec![], vec![], vec![]);
    measure([
        &mut || {
            let mut parsed: Value = serde_json::from_slice(reply).unwrap();
            parsed["echo"] = serde_json::json!({"seq": 1});
            by_value.clear();
            serde_json::to_writer(&mut by_value, &parsed).unwrap();
            by_value.len()
        },
        &mut || {
            #[derive(Deserialize)]
            struct Reply<'a> {
                #[serde(borrow)]
                echo: &'a RawValue,
            }
            let parsed: Reply<'_> = serde_json::from_slice(reply).unwrap();
            let at = parsed.echo.get().as_ptr() as usize - reply.as_ptr() as usize;
            by_raw.clear();
            by_raw.extend_from_slice(&reply[..at]);
            by_raw.extend_from_slice(echo.as_raw());
            by_raw.extend_from_slice(&reply[at + parsed.echo.get().len()..]);
            by_raw.len()
        },
        &mut || {
            let envelope = scan(reply).unwrap();
            by_scan.clear();
            splice(reply, envelope.echo(), Some(&echo)).write_to(&mut by_scan);
            by_scan.len()
        },
        &mut || {
            let envelope = scan(reply).unwrap();
            black_box(splice(reply, envelope.echo(), Some(&echo))).len()
        },
        &mut || {
            by_copy.clear();
            by_copy.extend_from_slice(black_box(reply));
            by_copy.len()
        },
    ])
}

fn read_routing_fields(event: &Bytes) -> [f64; 3] {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "read by serde, then only compared by its cost")]
    struct Fields<'a> {
        post_type: &'a str,
        message_type: Option<&'a str>,
        sub_type: Option<&'a str>,
        time: i64,
        self_id: i64,
        user_id: Option<i64>,
        group_id: Option<i64>,
        message_id: Option<i64>,
        #[serde(borrow)]
        raw_message: Option<&'a RawValue>,
    }
    measure([
        &mut || {
            let parsed: Value = serde_json::from_slice(event).unwrap();
            parsed["group_id"].as_i64().unwrap() as usize
        },
        &mut || {
            let fields: Fields<'_> = serde_json::from_slice(event).unwrap();
            black_box(&fields).group_id.unwrap() as usize
        },
        &mut || {
            let head = Head::read(event, &scan(event).unwrap());
            black_box(&head).group_id.unwrap() as usize
        },
    ])
}

/// Median nanoseconds per run of each contender.
fn measure<const N: usize>(mut contenders: [&mut dyn FnMut() -> usize; N]) -> [f64; N] {
    const ROUNDS: usize = 31;
    const ROUND: Duration = Duration::from_millis(4);
    let runs = contenders.each_mut().map(|run| {
        let (start, mut runs) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND {
            black_box(run());
            runs += 1;
        }
        runs
    });
    let mut times = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for ((run, runs), times) in contenders.iter_mut().zip(runs).zip(&mut times) {
            let start = Instant::now();
            for _ in 0..runs {
                black_box(run());
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(runs));
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

fn small_reply() -> Bytes {
    let data = r#"{"user_id":3051882469,"nickname":"Loess","sex":"unknown","age":0,"group_id":618204977,"card":"微雨｜陶艺","role":"member","level":"16","title":"","join_time":1650000000,"last_sent_time":1795368211,"shut_up_timestamp":0}"#;
    reply_with(data)
}

fn member_list() -> Bytes {
    let member = |at: u64| {
        let (user_id, joined) = (1_000_000_000 + at * 7919, 1_650_000_000 + at * 86_413);
        format!(
            r#"{{"group_id":618204977,"user_id":{user_id},"nickname":"山间微雨 {at}","card":"","sex":"unknown","age":0,"area":"","join_time":{joined},"last_sent_time":1795368211,"level":"16","role":"member","unfriendly":false,"title":"","title_expire_time":0,"card_changeable":true,"shut_up_timestamp":0,"is_robot":false,"qage":11}}"#
        )
    };
    let members: Vec<_> = (0..11).map(member).collect();
    reply_with(&format!("[{}]", members.join(",")))
}

fn large_reply() -> Bytes {
    let base64: String = "iVBORw0KGgoAAAANSUhEUgAAA+/x".chars().cycle().take(5_000_000).collect();
    reply_with(&format!(r#"{{"file":"7C2E91D0.jpg","base64":"{base64}"}}"#))
}

fn reply_with(data: &str) -> Bytes {
    format!(r#"{{"status":"ok","retcode":0,"data":{data},"message":"","wording":"","echo":"gw-18446744"}}"#)
        .into()
}

/// The recorded group event whose size comes nearest.
fn event_of_about(size: usize) -> Bytes {
    let events = include_str!("../tests/samples/events.jsonl").lines();
    let in_group =
        events.filter(|event| event.contains(r#""group_id":"#) && event.contains(r#""raw_message":"#));
    in_group.min_by_key(|event| event.len().abs_diff(size)).unwrap().into()
}
