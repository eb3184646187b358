//! A bot that sends over HTTP and is pushed its events knows its own messages too.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use onebot_gateway::policy::events::SelfMessages;
use onebot_gateway::simulator::Behaviour;

use super::endpoint::Endpoint;
use super::stage::{Events, Stage, message, patiently, text};

fn sent(n: i64) -> String {
    format!(r#"{{"self_id":10001000,"message_id":{n},"message":[],"post_type":"message_sent"}}"#)
}

fn sending() -> Request<Full<Bytes>> {
    let body = r#"{"group_id":618204977,"message":"x"}"#;
    Request::post("/send_group_msg").body(Full::new(body.into())).unwrap()
}

async fn stage(which: SelfMessages, endpoint: &Endpoint) -> Stage {
    Stage::set(|config| {
        let bot = &mut config.consumers[0];
        bot.self_messages = which;
        bot.webhook = Some(endpoint.webhook());
    })
    .await
}

#[tokio::test]
async fn what_was_sent_over_http_is_the_bots_own_on_every_transport() {
    for (which, seen) in [(SelfMessages::Own, 0), (SelfMessages::Siblings, 1)] {
        let endpoint = Endpoint::start().await;
        let mut stage = stage(which, &endpoint).await;
        let mut events = Events::of(stage.get("/_events").await);
        let reply: serde_json::Value =
            serde_json::from_str(&text(stage.send(sending()).await).await).unwrap();
        let own = reply["data"]["message_id"].as_i64().unwrap();
        let both = [sent(own), sent(own ^ 1)];
        stage.happen(both.clone().into_iter().chain([message(1)])).await;
        let expected = [both[seen].clone(), message(1)];
        for expected in &expected {
            assert_eq!(&events.event().await.1, expected);
        }
        let posts = endpoint.messages(2).await;
        assert_eq!(
            posts.iter().map(|post| &post.body).collect::<Vec<_>>(),
            expected.iter().collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn an_event_that_waits_is_still_posted_when_the_gateway_stops() {
    let endpoint = Endpoint::start().await;
    let mut stage = stage(SelfMessages::Siblings, &endpoint).await;
    let silence = ["send_group_msg".to_owned()].into();
    stage.llonebot.control().set_behaviour(Behaviour { silence, ..Behaviour::default() });
    let unanswered = stage.begin(sending()).await;
    stage.called("send_group_msg").await;
    let expected = [sent(1), message(2)];
    stage.happen(expected.clone()).await;
    patiently(stage.gateway.drain()).await;
    let posts = endpoint.messages(2).await;
    assert_eq!(posts.iter().map(|post| &post.body).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    drop(unanswered);
}
