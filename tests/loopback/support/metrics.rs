//! Reading `/metrics` and `/readyz`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use super::{eventually, http};

/// The operator's listener of a gateway.
#[derive(Debug, Clone, Copy)]
pub struct Admin(pub SocketAddr);

impl Admin {
    /// `/readyz`: its status and what it says.
    pub async fn readiness(self) -> (u16, Value) {
        let answer = http::get(self.0, "/readyz", "").await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    pub async fn ready(self) {
        eventually("/readyz to answer 200", async || self.readiness().await.0 == 200).await;
    }

    /// Waits until `/readyz` answers 503 with a reason that contains `text`, and returns that reason.
    pub async fn not_ready(self, text: &str) -> String {
        let mut found = String::new();
        eventually(&format!("/readyz to answer 503 and {text:?}"), async || {
            let (status, report) = self.readiness().await;
            let reasons = report["reasons"].as_array().unwrap();
            let reason = reasons.iter().filter_map(Value::as_str).find(|reason| reason.contains(text));
            reason.unwrap_or_default().clone_into(&mut found);
            status == 503 && reason.is_some()
        })
        .await;
        found
    }

    /// `/metrics`, parsed.
    pub async fn metrics(self) -> Metrics {
        let answer = http::get(self.0, "/metrics", "").await;
        assert_eq!(answer.status, 200);
        Metrics::parse(&answer.body)
    }

    /// One sample now; 0 if it does not exist yet.
    pub async fn metric(self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().await.get(name, labels)
    }

    /// Waits until one sample is at least `value`.
    pub async fn reaches(self, name: &str, labels: &[(&str, &str)], value: f64) {
        let what = format!("{name} {labels:?} to reach {value}");
        eventually(&what, async || self.metric(name, labels).await >= value).await;
    }
}

/// Samples by name and labels.
#[derive(Debug, Default)]
pub struct Metrics {
    samples: BTreeMap<(String, Vec<(String, String)>), f64>,
    types: BTreeMap<String, String>,
}

impl Metrics {
    /// Reads the Prometheus text format 0.0.4; a line that is not of it fails the test.
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ');
                let (kind, name, rest) = (words.next(), words.next().unwrap(), words.next().unwrap());
                match kind {
                    Some("HELP") => assert!(!rest.is_empty(), "{line}"),
                    Some("TYPE") => {
                        assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                        assert!(metrics.types.insert(name.to_owned(), rest.to_owned()).is_none(), "{line}");
                    }
                    _ => panic!("neither HELP nor TYPE: {line}"),
                }
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            let (name, labels) = match series.split_once('{') {
                None => (series, Vec::new()),
                Some((name, labels)) => (name, read_labels(labels.strip_suffix('}').unwrap())),
            };
            assert!(is_name(name), "{line}");
            assert!(metrics.is_declared(name), "no TYPE before: {line}");
            let sample = (name.to_owned(), labels);
            assert!(metrics.samples.insert(sample, value.parse().unwrap()).is_none(), "twice: {line}");
        }
        metrics
    }

    /// One sample; 0 if it does not exist.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut labels: Vec<_> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        labels.sort();
        self.samples.get(&(format!("onebot_gateway_{name}"), labels)).copied().unwrap_or_default()
    }

    fn is_declared(&self, name: &str) -> bool {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let histogram =
            family.and_then(|family| self.types.get(family)).is_some_and(|kind| kind == "histogram");
        histogram || self.types.contains_key(name)
    }
}

/// Label values of this program have neither quotes nor commas, so that no escape is read here.
fn read_labels(text: &str) -> Vec<(String, String)> {
    let mut labels: Vec<_> = text
        .split(',')
        .map(|label| {
            let (name, value) = label.split_once('=').unwrap();
            assert!(is_name(name), "{text}");
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
            assert!(!value.contains(['"', '\\']), "{text}");
            (name.to_owned(), value.to_owned())
        })
        .collect();
    labels.sort();
    labels
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
