//! What it costs to write a message in the other form.
//!
//! `cargo bench --bench format` prints nanoseconds per recorded event (median of interleaved rounds): each
//! way of conversion, the same by `serde_json::Value`, and the copy that could not be saved. The gateway
//! does it once per event and form, however many bots want that form.

#![expect(clippy::disallowed_types, reason = "a bench measures the machine's own time")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench may stop at a mistake of its own"
)]

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use onebot_gateway::onebot::MessageFormat;
use onebot_gateway::onebot::message::{convert_event, convert_reply};
use serde_json::Value;

fn main() -> std::io::Result<()> {
    let recorded: Vec<&str> = include_str!("../tests/samples/events.jsonl")
        .lines()
        .filter(|event| event.contains(r#""message_format":"array""#))
        .collect();
    let as_strings = convert_all(&recorded, MessageFormat::String);
    let without_raw: Vec<String> =
        recorded.iter().map(|event| event.replace(r#""raw_message":"#, r#""raw":"#)).collect();
    let history =
        format!(r#"{{"status":"ok","data":{{"messages":[{}]}},"echo":"gw:1"}}"#, recorded.join(","));
    let bytes = recorded.iter().map(|event| event.len()).sum::<usize>() / recorded.len();

    let mut buffer = Vec::new();
    let times = measure([
        &mut || recorded.iter().map(|event| convert(event, MessageFormat::String)).sum(),
        &mut || without_raw.iter().map(|event| convert(event, MessageFormat::String)).sum(),
        &mut || as_strings.iter().map(|event| convert(event, MessageFormat::Array)).sum(),
        &mut || convert_reply(history.as_bytes(), MessageFormat::String).text.unwrap().len(),
        &mut || recorded.iter().map(|event| convert_by_value(event)).sum(),
        &mut || {
            buffer.clear();
            for event in &recorded {
                buffer.extend_from_slice(black_box(event.as_bytes()));
            }
            buffer.len()
        },
    ]);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<44}{:>14}", format!("{} events of {bytes} B", recorded.len()), "ns per event")?;
    for (name, time) in [
        "array to string, raw_message copied",
        "array to string, made of the segments",
        "string to array",
        "array to string, in one reply",
        "array to string by serde_json::Value",
        "memcpy",
    ]
    .into_iter()
    .zip(times)
    {
        writeln!(out, "{name:<44}{:>14.0}", time / recorded.len() as f64)?;
    }
    Ok(())
}

fn convert(event: &str, to: MessageFormat) -> usize {
    convert_event(event.as_bytes(), to).text.unwrap().len()
}

fn convert_all(events: &[&str], to: MessageFormat) -> Vec<String> {
    let new = |event: &&str| convert_event(event.as_bytes(), to).text.unwrap().to_vec();
    events.iter().map(|event| String::from_utf8(new(event)).unwrap()).collect()
}

fn convert_by_value(event: &str) -> usize {
    let mut parsed: Value = serde_json::from_str(event).unwrap();
    parsed["message"] = parsed["raw_message"].clone();
    parsed["message_format"] = "string".into();
    parsed.to_string().len()
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
