//! communication/README.md

use onebot_gateway::downstream::ReverseWs;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::endpoint::Endpoint;
use crate::reverse_ws::BotServer;
use crate::stage::{FRIEND, Stage};

#[tokio::test]
async fn clause_1_all_data_is_utf_8() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    let sent = bot.call("send_private_msg", &json!({"user_id": FRIEND, "message": "你好 👍"})).await;
    assert_eq!(sent["status"], "ok");
    assert_eq!(stage.called("send_private_msg").await["message"], "你好 👍");

    let answer = stage.http("POST /send_private_msg", "", "{}").await;
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);

    assert_eq!(stage.http("POST /get_status", "", b"{\"a\":\"\xe9\"}").await.status, 400);
    // Text that is not UTF-8 ends a WebSocket (RFC 6455, 8.1).
    let latin1 = Frame::message(Bytes::from_static(b"\"\xe9\""), OpCode::Data(Data::Text), true);
    bot.send_message(Message::Frame(latin1)).await;
    assert_eq!(bot.closing().await, Some(1007));
    stage.strike().await;
}

#[tokio::test]
async fn clause_2_all_transports_may_be_on_at_the_same_time() {
    let endpoint = Endpoint::start().await;
    let server = BotServer::start().await;
    let (webhook, url) = (endpoint.webhook(), server.url());
    let stage = Stage::set(onebot_gateway::simulator::Profile::Llonebot, |config| {
        config.consumers[0].webhook = Some(webhook);
        config.consumers[0].reverse_ws =
            vec![ReverseWs { max_backoff: std::time::Duration::from_millis(50), ..ReverseWs::new(url) }];
    })
    .await;
    let mut forward = stage.bot().await;
    let (mut reverse, _) = server.accept().await;
    assert!(reverse.next().await.contains("lifecycle"));
    let message_id = stage.control().say_privately(FRIEND, "在吗").await;
    for bot in [&mut forward, &mut reverse] {
        assert_eq!(bot.event().await["message_id"], message_id);
    }
    assert!(endpoint.messages(1).await[0].body.contains(&format!(r#""message_id":{message_id}"#)));
    assert_eq!(stage.http("GET /get_status", "", "").await.json()["data"]["online"], true);
    drop((forward, reverse));
    stage.strike().await;
}
