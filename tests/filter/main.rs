//! Filters answer what `sift`, which LLOneBot filters with, answers: `vectors.mjs` asks `sift` and writes the
//! answers down, and here the gateway is held to them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use onebot_gateway::onebot::{Head, scan};
use onebot_gateway::policy::filter::{Filter, Unevaluable};
use serde_json::{Value, json};

const QUERIES: usize = 2835;
const OBJECTS: usize = 154;
const VECTORS: &str = include_str!("vectors.jsonl");

fn vectors() -> impl Iterator<Item = Value> {
    VECTORS.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| lone_surrogate(line)))
}

/// The one line that is no Unicode: its object is kept as it is written.
fn lone_surrogate(line: &str) -> Value {
    let line: Value = serde_json::from_str(&line.replace("\\ud83d", "\\\\ud83d")).unwrap();
    assert_eq!(line["differs"], "a lone surrogate reads as U+FFFD");
    line
}

/// An object and, if it is an event, its head.
struct Subject {
    text: String,
    head: Option<Head>,
}

impl Subject {
    fn new(object: &Value) -> Self {
        let text = object.to_string();
        let head =
            object.get("post_type").map(|_| Head::read(text.as_bytes(), &scan(text.as_bytes()).unwrap()));
        Self { text, head }
    }

    /// From the text, and with the head if there is one.
    fn answers(&self, filter: &Filter) -> [Result<bool, Unevaluable>; 2] {
        let text = self.text.as_bytes();
        let from_text = filter.matches_scanned(text);
        [from_text, self.head.map_or(from_text, |head| filter.matches_event(text, &head))]
    }
}

#[test]
fn every_answer_is_the_one_that_sift_gives() {
    let lines = vectors().filter(|line| line.get("query").is_none());
    let objects: Vec<Subject> = lines.map(|line| Subject::new(&line["object"])).collect();
    let (mut queries, mut hits, mut wrong) = (0, 0, Vec::new());
    for line in vectors().filter(|line| line.get("matches").is_some_and(Value::is_array)) {
        let query = &line["query"];
        let filter = Filter::compile(query).unwrap_or_else(|problems| panic!("{query}: {problems:?}"));
        let expected: Vec<u64> =
            line["matches"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        for (number, object) in (0..).zip(&objects) {
            let matches = expected.contains(&number);
            hits += usize::from(matches);
            if object.answers(&filter) != [Ok(matches), Ok(matches)] {
                wrong.push(format!("{query} on {}: sift says {matches}", object.text));
            }
        }
        queries += 1;
    }
    let shown = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} answers are wrong:\n{shown}", wrong.len());
    assert_eq!((queries, objects.len()), (QUERIES, OBJECTS));
    assert!(objects[..42].iter().all(|event| event.head.is_some()), "the samples come first");
    let share = hits * 100 / (queries * objects.len());
    assert!((10..90).contains(&share), "{share} of 100 match, which shows little");
}

#[test]
fn what_sift_refuses_is_refused_at_load() {
    let refused: Vec<Value> = vectors().filter(|line| line.get("throws").is_some()).collect();
    assert_eq!(refused.len(), 23);
    for line in refused {
        assert!(Filter::compile(&line["query"]).is_err(), "{line}");
    }
}

/// Every difference there is, each with the reason that the documentation of the module gives.
#[test]
fn differences_are_those_that_were_decided() {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for line in vectors().filter(|line| line.get("differs").is_some()) {
        let (query, sift) = (&line["query"], &line["matches"]);
        let mut object = Subject::new(&line["object"]);
        object.text = object.text.replace("\\\\ud83d", "\\ud83d");
        if let Ok(filter) = Filter::compile(query) {
            let [_, ours] = object.answers(&filter);
            assert_eq!(json!(ours.unwrap()), !sift.as_bool().unwrap(), "{line}");
        }
        *reasons.entry(line["differs"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let reasons: Vec<&str> = reasons.keys().map(String::as_str).collect();
    assert_eq!(
        reasons,
        [
            "$all of nothing is refused",
            "$exists is true or false",
            "$options alone is refused",
            "$where is refused",
            "JSON has no timestamps",
            "a character is a whole one",
            "a lone surrogate reads as U+FFFD",
            "a pattern with a back-reference is refused",
            "a pattern with look-around is refused",
            "a remainder is one of a division",
            "a size is a whole number",
            "an id in an event is a number however it is written",
            "an order is one of numbers, texts or booleans",
            "nothing is divided by zero",
            "only \\n ends a line",
            "only what stands in the text is there",
        ]
    );
}
