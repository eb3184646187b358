//! Holds the documents to the program: what they show works, and what they name exists.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use onebot_gateway::config;
use onebot_gateway::telemetry::Metrics;
use onebot_gateway::telemetry::metrics::{LimitVerdict, WebhookFailure};

const READMES: [&str; 2] = ["README.md", "README.zh-CN.md"];
const ACCOUNT: &str = "[upstream.main]\ndial = \"ws://127.0.0.1:3001\"\n";
const BOT: &str = "[consumer.bot]\ntoken = \"a-token-for-the-bot\"\n";

#[test]
fn every_configuration_that_is_shown_loads() {
    for readme in READMES {
        let text = read(readme);
        let shown: Vec<&str> = blocks(&text, "```toml\n").collect();
        assert!(shown.len() >= 3, "{readme}");
        for block in shown {
            let account = if block.contains("[upstream.") { "" } else { ACCOUNT };
            let bot = if block.contains("[consumer.") { "" } else { BOT };
            load(readme, &format!("{block}{account}{bot}"));
        }
    }
}

#[test]
fn every_way_to_a_framework_loads() {
    for readme in READMES {
        let text = read(readme);
        let shown: Vec<&str> =
            text.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split('`')).collect();
        for (way, at_least) in [("reverse_ws = {", 5), ("webhook = {", 3)] {
            let shown: Vec<&&str> = shown.iter().filter(|code| code.starts_with(way)).collect();
            assert!(shown.len() >= at_least, "{readme}: {way}");
            for line in shown {
                load(readme, &format!("{ACCOUNT}{BOT}{line}\n"));
            }
        }
    }
}

#[test]
fn every_metric_is_described() {
    let metrics = Metrics::new().unwrap();
    metrics.link("main").lost("dial");
    metrics.consumer("bot").ended("shutdown");
    metrics.consumer("bot").webhook_failed(WebhookFailure::Timeout);
    metrics.refused_handshake("origin");
    metrics.limit("account").count("bot", LimitVerdict::Waited);
    let rendered = metrics.render().unwrap();
    let families: Vec<&str> = rendered
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE onebot_gateway_")?.split(' ').next())
        .filter(|name| !name.starts_with("process_"))
        .collect();
    assert!(families.len() >= 20, "{families:?}");
    for readme in READMES {
        let text = read(readme);
        for name in &families {
            assert!(text.contains(&format!("`{name}`")), "{readme} does not describe {name}");
        }
    }
}

#[test]
fn every_test_and_file_the_architecture_names_exists() {
    let text = read("ARCHITECTURE.md");
    let sources: String = sources().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let (mut tests, mut files) = (0, 0);
    for name in text.split('`').skip(1).step_by(2) {
        if name.matches('_').count() >= 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            tests += 1;
            assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
        } else if name.starts_with("src/") || name.starts_with("tests/") {
            files += 1;
            assert!(root().join(name).exists(), "there is no {name}");
        }
    }
    assert!(tests >= 15 && files >= 5, "{tests} tests, {files} files");
}

fn load(readme: &str, text: &str) {
    if let Err(problems) = config::parse(text, readme, std::iter::empty()) {
        panic!("{problems}\n{text}");
    }
}

/// What stands between `fence` and the end of its block.
fn blocks<'a>(text: &'a str, fence: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(fence).skip(1).filter_map(|rest| rest.split("```").next())
}

/// The sources of the program and of its tests.
fn sources() -> Vec<PathBuf> {
    let (mut sources, mut directories) = (Vec::new(), vec![root().join("src"), root().join("tests")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(path);
            }
        }
    }
    sources
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
