//! Events posted to the bot, and what it answers.

use std::time::Duration;

use onebot_gateway::downstream::Webhook;
use onebot_gateway::onebot::signature;
use onebot_gateway::policy::Secret;
use onebot_gateway::policy::acl::{Permissions, Rule};
use onebot_gateway::policy::actions::ActionPatterns;

use super::endpoint::{Answer, Endpoint, Post};
use super::stage::{Stage, message, patiently};

const SECRET: &str = "kHbPT";

async fn stage(endpoint: &Endpoint, adjust: impl FnOnce(&mut Webhook)) -> Stage {
    let mut webhook = endpoint.webhook();
    adjust(&mut webhook);
    Stage::set(|config| config.consumers[0].webhook = Some(webhook)).await
}

fn bodies(posts: &[Post]) -> Vec<&str> {
    posts.iter().map(|post| post.body.as_str()).collect()
}

fn is_lifecycle(kind: &'static str) -> impl Fn(&Post) -> bool {
    move |post| post.body.contains(&format!(r#""sub_type":"{kind}""#))
}

#[tokio::test]
async fn an_event_is_posted_as_llonebot_posts_it_and_signed() {
    let endpoint = Endpoint::start().await;
    let stage = stage(&endpoint, |webhook| webhook.secret = Some(Secret::new(SECRET))).await;
    stage.happen([message(1)]).await;
    let post = endpoint.messages(1).await.remove(0);
    assert_eq!(post.body, message(1));
    assert_eq!(post.headers["content-type"], "application/json");
    assert_eq!(post.headers["x-self-id"], "10001000");
    assert_eq!(post.headers["x-signature"], signature::sign(SECRET, message(1).as_bytes()));
    assert!(post.headers["user-agent"].to_str().unwrap().starts_with("LLOneBot/"));
}

#[tokio::test]
async fn it_begins_with_enable_and_ends_with_disable() {
    let endpoint = Endpoint::start().await;
    let stage = stage(&endpoint, |_| {}).await;
    stage.happen([message(1)]).await;
    endpoint.messages(1).await;
    assert_eq!(patiently(stage.gateway.drain()).await.tasks_left, 0);
    let posts = endpoint.posts(3, |_| true).await;
    assert_eq!(posts.len(), 3);
    assert!(is_lifecycle("enable")(&posts[0]) && is_lifecycle("disable")(&posts[2]));
    assert!(posts[0].headers.get("x-signature").is_none(), "there is no secret");
}

#[tokio::test]
async fn events_come_in_order_over_one_connection() {
    let endpoint = Endpoint::start().await;
    let stage = stage(&endpoint, |_| {}).await;
    let events: Vec<String> = (0..200).map(message).collect();
    stage.happen(events.clone()).await;
    assert_eq!(bodies(&endpoint.messages(200).await), events);
    assert_eq!(endpoint.connections(), 1);
}

/// A minute of 100 events a second.
#[tokio::test]
async fn an_endpoint_that_was_down_gets_every_event_once_and_in_order() {
    let endpoint = Endpoint::start().await;
    let stage = stage(&endpoint, |_| {}).await;
    endpoint.posts(1, is_lifecycle("enable")).await;
    endpoint.down(true);
    let events: Vec<String> = (0..6000).map(message).collect();
    stage.happen(events.clone()).await;
    stage.counted(r#"onebot_gateway_lag_events{consumer="bot"} 5999"#).await;
    endpoint.down(false);
    endpoint.messages(6000).await;
    assert_eq!(patiently(stage.gateway.drain()).await.tasks_left, 0);
    assert_eq!(bodies(&endpoint.messages(6000).await), events);
}

#[tokio::test]
async fn what_left_the_journal_meanwhile_is_counted() {
    let endpoint = Endpoint::start().await;
    let webhook = endpoint.webhook();
    let stage = Stage::set(|config| {
        config.consumers[0].webhook = Some(webhook);
        config.journal.events = 10;
    })
    .await;
    endpoint.posts(1, is_lifecycle("enable")).await;
    endpoint.down(true);
    stage.happen((0..30).map(message)).await;
    endpoint.down(false);
    let events: Vec<String> = (20..30).map(message).collect();
    assert_eq!(bodies(&endpoint.messages(10).await), events);
    stage.counted(r#"onebot_gateway_missed_events_total{consumer="bot"} 20"#).await;
}

#[tokio::test]
async fn a_failure_is_tried_again_and_nothing_is_lost() {
    for (answer, reason) in [
        (Answer::Status(500), "status"),
        (Answer::Status(302), "status"),
        (Answer::Status(401), "status"),
        (Answer::Hang, "timeout"),
    ] {
        let endpoint = Endpoint::start().await;
        let stage = stage(&endpoint, |webhook| webhook.timeout = Duration::from_millis(300)).await;
        endpoint.answer([answer.clone(), answer]);
        stage.happen([message(1), message(2)]).await;
        let expected = [message(1), message(1), message(1), message(2)];
        assert_eq!(bodies(&endpoint.messages(4).await), expected, "{reason}");
        let counted =
            format!(r#"onebot_gateway_webhook_failures_total{{consumer="bot",reason="{reason}"}} 2"#);
        stage.counted(&counted).await;
    }
}

#[tokio::test]
async fn an_event_the_bot_refuses_does_not_block_the_next() {
    let endpoint = Endpoint::start().await;
    let stage = stage(&endpoint, |webhook| webhook.attempts = Some(2)).await;
    endpoint.answer([Answer::Status(422), Answer::Status(500), Answer::Status(500)]);
    stage.happen([message(1), message(2), message(3)]).await;
    let expected = [message(1), message(2), message(2), message(3)];
    assert_eq!(bodies(&endpoint.messages(4).await), expected);
    stage.counted(r#"onebot_gateway_webhook_failures_total{consumer="bot",reason="passed_over"} 2"#).await;
}

#[tokio::test]
async fn useless_answers_harm_nobody() {
    let endpoint = Endpoint::start().await;
    let stage = stage(&endpoint, |_| {}).await;
    endpoint.answer([
        Answer::Huge,
        Answer::Json("{\"reply\":".to_owned()),
        Answer::Json("ok".to_owned()),
        Answer::Json(String::new()),
    ]);
    let events: Vec<String> = (0..5).map(message).collect();
    stage.happen(events.clone()).await;
    assert_eq!(bodies(&endpoint.messages(5).await), events);
    for (reason, count) in [("answer_too_large", 1), ("answer_not_json", 2)] {
        let counted =
            format!(r#"onebot_gateway_webhook_failures_total{{consumer="bot",reason="{reason}"}} {count}"#);
        stage.counted(&counted).await;
    }
    assert!(stage.llonebot.control().calls().iter().all(|call| !call.action.contains("msg")));
}

#[tokio::test]
async fn an_answer_is_carried_out_as_the_bots_own_calls() {
    let endpoint = Endpoint::start().await;
    let stage = stage(&endpoint, |_| {}).await;
    endpoint.answer([Answer::Json(r#"{"reply":"pong","at_sender":true,"delete":true}"#.to_owned())]);
    stage.happen([message(7)]).await;
    let sent = stage.called("send_group_msg").await;
    assert_eq!(sent["message"], "[CQ:reply,id=7][CQ:at,qq=3051882469]pong");
    assert_eq!(sent["group_id"], 618_204_977);
    assert_eq!(stage.called("delete_msg").await["message_id"], 7);
}

#[tokio::test]
async fn an_operation_the_bot_may_not_do_is_refused_and_the_others_are_done() {
    let endpoint = Endpoint::start().await;
    let webhook = endpoint.webhook();
    let stage = Stage::set(|config| {
        config.consumers[0].webhook = Some(webhook);
        let allow = ActionPatterns::parse(&["send_group_msg".to_owned(), "delete_msg".to_owned()]).unwrap();
        let rule = Rule { allow, ..Rule::open("consumer.bot.actions") };
        config.consumers[0].actions = Permissions::new(vec![rule]);
    })
    .await;
    endpoint.answer([Answer::Json(r#"{"reply":"bye","kick":true,"ban":true,"delete":true}"#.to_owned())]);
    stage.happen([message(7)]).await;
    stage.called("delete_msg").await;
    stage.called("send_group_msg").await;
    stage
        .counted(r#"onebot_gateway_webhook_failures_total{consumer="bot",reason="operation_refused"} 2"#)
        .await;
    let calls = stage.llonebot.control().calls();
    assert!(calls.iter().all(|call| !call.action.starts_with("set_group")), "{calls:?}");
}

#[tokio::test]
async fn a_bot_that_hangs_delays_only_itself() {
    let endpoint = Endpoint::start().await;
    let mut stage = stage(&endpoint, |_| {}).await;
    endpoint.answer([Answer::Hang]);
    let mut events = super::stage::Events::of(stage.get("/_events").await);
    stage.happen([message(1)]).await;
    endpoint.messages(1).await;
    stage.happen([message(2)]).await;
    assert_eq!((events.event().await.1, events.event().await.1), (message(1), message(2)));
    assert_eq!(stage.get("/get_status").await.status(), 200);
    assert_eq!(endpoint.messages(1).await.len(), 1);
}

#[tokio::test]
async fn heartbeats_are_posted_when_asked_for() {
    let endpoint = Endpoint::start().await;
    let webhook = Webhook { heartbeat: true, ..endpoint.webhook() };
    let _stage = Stage::set(|config| {
        config.consumers[0].webhook = Some(webhook);
        config.consumers[0].heartbeat = Duration::from_millis(100);
    })
    .await;
    let beats = endpoint.posts(2, |post| post.body.contains("heartbeat")).await;
    assert!(beats[0].body.contains(r#""interval":100"#), "{}", beats[0].body);
}

#[tokio::test]
async fn several_posts_may_be_under_way_if_order_does_not_matter() {
    let endpoint = Endpoint::start().await;
    let stage = stage(&endpoint, |webhook| webhook.concurrency = 3).await;
    endpoint.answer([Answer::Hang, Answer::Hang]);
    stage.happen((0..20).map(message)).await;
    endpoint.messages(20).await;
}
