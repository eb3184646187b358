//! communication/http-post.md

use std::time::Duration;

use onebot_gateway::downstream::Webhook;
use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::Profile;
use serde_json::json;

use crate::endpoint::{Answer, Endpoint};
use crate::stage::{self, FRIEND, GROUP, SELF_ID, Stage};

/// A stage whose first bot has its events posted to `endpoint`.
pub(crate) async fn posting_to(endpoint: &Endpoint, adjust: impl FnOnce(&mut Webhook)) -> Stage {
    let mut webhook = endpoint.webhook();
    adjust(&mut webhook);
    Stage::set(Profile::Llonebot, |config| config.consumers[0].webhook = Some(webhook)).await
}

#[tokio::test]
async fn clause_10_each_event_is_posted_as_json_with_x_self_id() {
    let endpoint = Endpoint::start().await;
    let stage = posting_to(&endpoint, |_| {}).await;
    let message_id = stage.control().say_privately(FRIEND, "在吗").await;
    let post = endpoint.messages(1).await.remove(0);
    assert_eq!(post.headers["content-type"], "application/json");
    let event = stage::json(&post.body);
    assert_eq!(event["message_id"], message_id);
    assert_eq!(post.headers["x-self-id"].to_str().unwrap(), event["self_id"].to_string());
    assert_eq!(event["self_id"], SELF_ID);
    stage.strike().await;
}

#[tokio::test]
async fn clause_11_with_a_secret_the_body_is_signed() {
    let endpoint = Endpoint::start().await;
    let stage = posting_to(&endpoint, |webhook| webhook.secret = Some(Secret::new("kHbPT"))).await;
    stage.control().emit(r#"{"post_type":"notice","self_id":1,"time":2}"#).await;
    let post = endpoint.messages(1).await.remove(0);
    // Computed by another program over these very bytes.
    assert_eq!(post.headers["x-signature"], "sha1=89a417156c32732216710b19ad668763e333f6f8");
    stage.strike().await;
}

#[tokio::test]
async fn clause_12_an_empty_answer_is_nothing_and_any_other_is_json() {
    let endpoint = Endpoint::start().await;
    let stage = posting_to(&endpoint, |_| {}).await;
    endpoint.answer([
        Answer::Status(204),
        Answer::Status(200),
        Answer::Json("{}".to_owned()),
        // Sent without a content type.
        Answer::Json(r#"{"delete":true}"#.to_owned()),
    ]);
    let mut last = 0;
    for text in ["一", "二", "三", "四"] {
        last = stage.control().say_in_group(GROUP, FRIEND, text).await;
    }
    // Each field acts only when it is there: one message is recalled, and nothing else happens.
    assert_eq!(stage.called("delete_msg").await["message_id"], last);
    let calls = stage.control().calls();
    let of_the_bot = calls.iter().filter(|call| !call.action.starts_with("get_"));
    assert_eq!(of_the_bot.count(), 1);
    stage.strike().await;
}

/// The timeout is configurable, but cannot be switched off: an endpoint that never answers would hold its events
/// for ever. One that did not answer gets the event again, where LLOneBot would forget it.
#[tokio::test]
async fn clause_13_an_endpoint_that_does_not_answer_is_not_waited_for_long() {
    let endpoint = Endpoint::start().await;
    let stage = posting_to(&endpoint, |webhook| webhook.timeout = Duration::from_millis(100)).await;
    endpoint.answer([Answer::Hang]);
    stage.control().say_privately(FRIEND, "在吗").await;
    let posts = endpoint.messages(2).await;
    assert_eq!(posts[0].body, posts[1].body);
    stage.strike().await;
}

#[tokio::test]
async fn clause_35_defaults_of_quick_operations_are_those_of_the_standard_but_for_at_sender() {
    let endpoint = Endpoint::start().await;
    let stage = posting_to(&endpoint, |_| {}).await;
    endpoint.answer([Answer::Json(r#"{"reply":"好","ban":true,"kick":true}"#.to_owned())]);
    let message_id = stage.control().say_in_group(GROUP, FRIEND, "在吗").await;
    // The standard has at_sender on by default. LLOneBot does not, and quotes the message instead: a bot that was
    // written for it would mention people twice.
    let sent = stage.called("send_group_msg").await;
    assert_eq!(sent["message"], format!("[CQ:reply,id={message_id}]好"));
    assert_eq!(stage.called("set_group_ban").await["duration"], 1800);
    let kick = stage.called("set_group_kick").await;
    assert!(kick.get("reject_add_request").is_none_or(|reject| *reject == json!(false)), "{kick}");
    stage.strike().await;
}
