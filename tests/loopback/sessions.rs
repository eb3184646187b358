//! What a bot sees of a session, by the path it connects to.

use std::time::Duration;

use crate::support::gateway::{Running, config, dial};
use crate::support::wire::Wire;
use crate::support::{SELF_ID, anywhere, call, event, simulator};

#[tokio::test]
async fn every_path_but_two_carries_calls_and_events() {
    let simulator = simulator(anywhere()).await;
    let gateway = Running::ready(simulator.address().unwrap()).await;
    for (number, path) in ["/", "/onebot/v11/ws", "//", "/event/x", "/API", "/apis"].into_iter().enumerate() {
        let mut bot = Wire::bot(gateway.address, path).await;
        let first = bot.frame().await;
        assert_eq!(
            (&first["post_type"], &first["meta_event_type"], &first["sub_type"], &first["self_id"]),
            (&"meta_event".into(), &"lifecycle".into(), &"connect".into(), &SELF_ID.into()),
            "{path}"
        );
        assert_eq!(bot.ask("get_login_info", number).await["data"]["user_id"], SELF_ID, "{path}");
        simulator.control().emit(event(number)).await;
        bot.expect_events(number..number + 1).await;
        bot.close().await;
    }
}

#[tokio::test]
async fn api_carries_answers_and_nothing_else() {
    let simulator = simulator(anywhere()).await;
    let mut config = config(dial(simulator.address().unwrap()));
    config.consumers[0].heartbeat = Duration::from_millis(20);
    let gateway = Running::start(config).await;
    gateway.admin.ready().await;
    let mut universal = gateway.bot().await;
    for path in ["/api", "/api/"] {
        let mut api = Wire::bot(gateway.address, path).await;
        // The session is there, and sees what follows if it sees anything.
        assert_eq!(api.ask("get_status", "here").await["status"], "ok");
        simulator.control().emit(event(1)).await;
        universal.expect_events(1..2).await;
        while universal.fresh_frame().await.unwrap()["meta_event_type"] != "heartbeat" {}
        while universal.fresh_frame().await.unwrap()["meta_event_type"] != "heartbeat" {}

        api.send(call("get_status", "next")).await;
        let next = api.frame().await;
        assert_eq!((&next["echo"], &next["status"]), (&"next".into(), &"ok".into()), "{path}");
    }
}

#[tokio::test]
async fn event_carries_events_and_refuses_calls_with_their_echo() {
    let simulator = simulator(anywhere()).await;
    let mut config = config(dial(simulator.address().unwrap()));
    config.consumers[0].heartbeat = Duration::from_millis(20);
    let gateway = Running::start(config).await;
    gateway.admin.ready().await;
    let calls = simulator.control().call_count();
    for path in ["/event", "/event/"] {
        let mut bot = Wire::bot(gateway.address, path).await;
        assert_eq!(bot.frame().await["sub_type"], "connect", "{path}");
        let beat = bot.frame().await;
        assert_eq!((&beat["meta_event_type"], &beat["interval"]), (&"heartbeat".into(), &20.into()));

        let refused = bot.ask("get_login_info", serde_json::json!({"seq": 1})).await;
        assert_eq!((&refused["status"], &refused["retcode"]), (&"failed".into(), &1404.into()));
        assert!(refused["message"].as_str().unwrap().contains("/api"), "{refused}");
        simulator.control().emit(event(7)).await;
        bot.expect_events(7..8).await;
    }
    let asked = simulator.control().calls();
    let of_bots = asked.iter().filter(|call| call.number > calls && call.action == "get_login_info");
    assert_eq!(of_bots.count(), 0, "a call on /event reached LLOneBot");
}

/// Koishi never reconnects and NoneBot wants lifecycle first, so a bot may come before LLOneBot does.
#[tokio::test]
async fn a_bot_that_came_first_gets_lifecycle_once_the_account_is_known() {
    let simulator = simulator(anywhere()).await;
    let address = simulator.address().unwrap();
    simulator.stop().await;
    let mut config = config(dial(address));
    config.upstream.max_backoff = Duration::from_millis(50);
    config.consumers[0].heartbeat = Duration::from_millis(20);
    let gateway = Running::start(config).await;
    let mut bot = Wire::bot(gateway.address, "/").await;
    let _simulator = crate::support::simulator(address).await;
    let first = bot.frame().await;
    assert_eq!((&first["sub_type"], &first["self_id"]), (&"connect".into(), &SELF_ID.into()));
}
