//! The audit log of a whole gateway: over HTTP, to the last line, or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod stage;

use std::fs;

use onebot_gateway::app::Gateway;
use onebot_gateway::config::Config;
use onebot_gateway::downstream::Consumer;
use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::Profile;
use onebot_gateway::telemetry::audit;
use onebot_gateway::upstream::{self, Endpoint};
use serde_json::{Value, json};
use stage::{GROUP, Stage, TOKENS, UPSTREAM_TOKEN};

#[tokio::test]
async fn after_a_shutdown_every_line_is_there_and_no_secret_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.jsonl");
    let stage = Stage::set(Profile::Llonebot, |config| config.audit = Some(audit::Config::new(&file))).await;
    for n in 0..50 {
        let line =
            format!("GET /send_group_msg?group_id={GROUP}&message=between-us-{n}&access_token={}", TOKENS[0]);
        assert_eq!(stage.http(&line, "", "").await.status, 200);
    }
    let mut bot = stage.bot().await;
    bot.call("send_like", &json!({"user_id": 1, "times": 1})).await;
    stage.strike().await;
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 51);
    for (n, line) in lines.iter().take(50).enumerate() {
        assert_eq!((&line["consumer"], &line["outcome"]), (&json!("first"), &json!("ok")));
        assert_eq!(line["session"], format!("http#{}", n + 1));
        assert_eq!(line["target"], json!({"group_id": GROUP}));
        assert!(line["message_id"].is_i64(), "{line}");
    }
    assert_eq!((&lines[50]["session"], &lines[50]["action"]), (&json!("ws#51"), &json!("send_like")));
    for hidden in [TOKENS[0], UPSTREAM_TOKEN, "between-us"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_said_at_the_start() {
    let account = upstream::Config::new("main", Endpoint::Accept("/llonebot".to_owned()));
    let mut config = Config::new(account, vec![Consumer::new("bot", Secret::new("x"))]);
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.admin.listen = "127.0.0.1:0".parse().unwrap();
    config.audit = Some(audit::Config::new("/nowhere/at/all/audit.jsonl"));
    let error = Gateway::start(config).await.unwrap_err().to_string();
    assert!(
        error.starts_with("audit.file = /nowhere/at/all/audit.jsonl: cannot be opened for writing"),
        "{error}"
    );
}
