//! What the operator sees: health, readiness and metrics.

use onebot_gateway::policy::Secret;
use serde_json::json;

use crate::support::daemon::{Daemon, PORTS_AND_LOG};
use crate::support::gateway::{Running, config, dial};
use crate::support::http::{exchange, get};
use crate::support::metrics::Metrics;
use crate::support::wire::Wire;
use crate::support::{SELF_ID, TOKEN, anywhere, call, event, eventually, padded_event, simulator};

const UPSTREAM: (&str, &str) = ("upstream", "main");
const BOT: (&str, &str) = ("consumer", "bot");

#[tokio::test]
async fn health_is_the_process_and_readiness_is_the_account() {
    let llonebot = simulator(anywhere()).await;
    let address = llonebot.address().unwrap();
    let gateway = Running::ready(address).await;
    let health = get(gateway.admin.0, "/healthz", "").await;
    assert_eq!((health.status, health.body.trim()), (200, "ok"));
    assert_eq!(health.header("cache-control"), Some("no-store"));
    eventually("the version to be known", async || gateway.admin.readiness().await.1["version"] == "8.1.7")
        .await;
    let expected = json!({
        "ready": true, "reasons": [], "upstream": "main", "self_id": SELF_ID, "online": true, "version": "8.1.7",
    });
    assert_eq!(gateway.admin.readiness().await, (200, expected));
    let readiness = get(gateway.admin.0, "/readyz", "").await;
    assert_eq!(readiness.header("content-type"), Some("application/json"));

    llonebot.stop().await;
    let reason = gateway.admin.not_ready("no link to LLOneBot: ").await;
    assert!(reason.len() > "no link to LLOneBot: ".len(), "{reason}");
    let (_, report) = gateway.admin.readiness().await;
    assert_eq!((&report["ready"], &report["online"]), (&false.into(), &false.into()));
    assert_eq!(get(gateway.admin.0, "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn an_account_that_is_offline_is_shown_as_such() {
    let simulator = simulator(anywhere()).await;
    simulator.control().offline(true);
    let gateway = Running::ready(simulator.address().unwrap()).await;
    eventually("the account to be shown offline", async || {
        gateway.admin.readiness().await.1["online"] == false
    })
    .await;
    assert_eq!(gateway.admin.metric("account_online", &[UPSTREAM]).await, 0.0);
    assert_eq!(gateway.admin.metric("link_up", &[UPSTREAM]).await, 1.0);
}

#[tokio::test]
async fn the_token_guards_the_metrics_and_web_pages_get_nothing() {
    let mut config = config(dial(anywhere()));
    config.admin.token = Some(Secret::new("token-of-the-operator"));
    let gateway = Running::start(config).await;
    let admin = gateway.admin.0;
    let right = "Authorization: Bearer token-of-the-operator\r\n";
    for (target, headers, status) in [
        ("/metrics", "", 401),
        ("/metrics", "Authorization: Bearer wrong\r\n", 401),
        ("/metrics", &format!("Authorization: Bearer {TOKEN}\r\n"), 401),
        ("/metrics", right, 200),
        ("/metrics?access_token=token-of-the-operator", "", 200),
        ("/healthz", "", 200),
        ("/readyz", "", 503),
        ("/nothing", "", 404),
        ("/metrics", &format!("Origin: http://localhost\r\n{right}"), 403),
        ("/healthz", "Origin: null\r\n", 403),
    ] {
        assert_eq!(get(admin, target, headers).await.status, status, "{target} {headers}");
    }
    let post = exchange(admin, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(post.status, 405);
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_count_what_happens() {
    let simulator = simulator(anywhere()).await;
    let gateway = Running::start(config(dial(simulator.address().unwrap()))).await;
    gateway.admin.ready().await;
    let answer = get(gateway.admin.0, "/metrics", "").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.body.ends_with('\n'));
    let before = Metrics::parse(&answer.body);

    let mut bots = [gateway.bot().await, gateway.bot().await];
    for number in 0..5 {
        simulator.control().emit(event(number)).await;
    }
    for bot in &mut bots {
        bot.expect_events(0..5).await;
    }
    let [bot, _] = &mut bots;
    for (action, status) in [
        ("get_status", "ok"),
        ("get_version_info", "ok"),
        ("get_cookies", "failed"),
        ("no_such_action", "failed"),
    ] {
        assert_eq!(bot.ask(action, action).await["status"], status, "{action}");
    }
    let send = json!({"action": "send_group_msg", "params": {"group_id": 618_204_977, "message": "hi"}, "echo": "s"});
    bot.send(send.to_string()).await;
    assert_eq!(bot.answer("s").await["status"], "ok");

    let after = gateway.admin.metrics().await;
    let moved = |name, labels: &[(&str, &str)]| after.get(name, labels) - before.get(name, labels);
    let calls = |class, outcome| moved("calls_total", &[BOT, ("class", class), ("outcome", outcome)]);
    assert_eq!(moved("deliveries_total", &[BOT]), 10.0);
    assert_eq!(moved("events_total", &[UPSTREAM, ("type", "message")]), 5.0);
    assert_eq!(moved("sessions", &[BOT]), 2.0);
    assert_eq!(calls("read", "ok"), 2.0);
    assert_eq!(calls("write", "ok"), 1.0);
    assert_eq!(calls("danger", "denied"), 1.0);
    assert_eq!(calls("unknown", "failed"), 1.0);
    assert_eq!(moved("call_seconds_count", &[("class", "read")]), 2.0);
    assert_eq!(moved("journal_events", &[]), 5.0);
    assert!(moved("journal_bytes", &[]) >= 5.0 * event(0).len() as f64);
    assert_eq!(after.get("lag_events", &[BOT]), 0.0);
    assert_eq!(after.get("calls_pending", &[UPSTREAM]), 0.0);
    assert_eq!(after.get("link_up", &[UPSTREAM]), 1.0);
    assert_eq!(after.get("build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    for gauge in ["process_resident_memory_bytes", "process_open_fds", "process_threads"] {
        assert!(after.get(gauge, &[]) > 0.0, "{gauge}");
    }
    assert!(moved("process_cpu_seconds_total", &[]) >= 0.0);

    let [bot, other] = bots;
    bot.close().await;
    drop(other);
    gateway.admin.reaches("session_ends_total", &[BOT, ("reason", "peer_closed")], 2.0).await;
    assert_eq!(gateway.admin.metric("sessions", &[BOT]).await, 0.0);
}

/// The operator's pages have a thread of their own, so they answer in the middle of it all.
#[tokio::test]
async fn the_operator_is_answered_while_the_data_path_is_saturated() {
    let simulator = simulator(anywhere()).await;
    let upstream = simulator.address().unwrap();
    let daemon = Daemon::start(&format!(
        "{PORTS_AND_LOG}\n[upstream.main]\ndial = \"ws://{upstream}/\"\n[consumer.bot]\ntoken = \"{TOKEN}\"\n"
    ))
    .await;
    daemon.admin.ready().await;
    let mut bot = Wire::bot(daemon.address, "/").await;
    let mut answered = 0;
    for round in 0..20 {
        for number in 0..100 {
            bot.send(call("get_group_list", round * 100 + number)).await;
            simulator.control().emit(padded_event(number, 10_000)).await;
        }
        // Calls and events are under way, and each page is there all the same.
        assert_eq!(get(daemon.admin.0, "/healthz", "").await.status, 200);
        assert_eq!(daemon.admin.readiness().await.0, 200);
        daemon.admin.metrics().await;
        while answered < (round + 1) * 100 {
            assert_eq!(bot.answer(answered).await["status"], "ok");
            answered += 1;
        }
    }
}
