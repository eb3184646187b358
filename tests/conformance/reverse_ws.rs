//! communication/ws-reverse.md

use std::time::Duration;

use http::HeaderMap;
use onebot_gateway::downstream::ReverseWs;
use onebot_gateway::net::Target;
use onebot_gateway::simulator::Profile;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use crate::stage::{Bot, FRIEND, SELF_ID, Stage, TOKENS, patiently};

/// A bot that waits for OneBot to connect.
pub(crate) struct BotServer(TcpListener);

impl BotServer {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn url(&self) -> Target {
        Target::parse(&format!("ws://{}/onebot/v11/ws", self.0.local_addr().unwrap())).unwrap()
    }

    /// The next connection, and the headers of its handshake.
    pub(crate) async fn accept(&self) -> (Bot, HeaderMap) {
        let (io, _) = patiently(self.0.accept()).await.unwrap();
        let mut headers = HeaderMap::new();
        #[expect(clippy::result_large_err, reason = "the callback's type")]
        let note = |request: &Request, response: Response| {
            headers = request.headers().clone();
            Ok(response)
        };
        let socket = patiently(accept_hdr_async(io, note)).await.unwrap();
        (Bot::on(socket), headers)
    }
}

async fn dialling(server: &BotServer) -> Stage {
    let url = server.url();
    Stage::set(Profile::Llonebot, |config| {
        config.consumers[0].reverse_ws =
            vec![ReverseWs { max_backoff: Duration::from_millis(50), ..ReverseWs::new(url) }];
    })
    .await
}

/// As Universal, like LLOneBot, which has no other role: one connection carries both, so API and Event are not
/// needed beside it.
#[tokio::test]
async fn clause_21_the_reverse_client_names_its_account_and_its_role() {
    let server = BotServer::start().await;
    let stage = dialling(&server).await;
    let (bot, headers) = server.accept().await;
    assert_eq!(headers["x-self-id"], SELF_ID.to_string());
    assert_eq!(headers["x-client-role"], "Universal");
    drop(bot);
    stage.strike().await;
}

#[tokio::test]
async fn clause_22_a_reverse_connection_behaves_like_a_forward_one() {
    let server = BotServer::start().await;
    let stage = dialling(&server).await;
    let (mut bot, _) = server.accept().await;
    let first = bot.event().await;
    assert_eq!((&first["meta_event_type"], &first["sub_type"]), (&json!("lifecycle"), &json!("connect")));
    stage.control().say_privately(FRIEND, "在吗").await;
    assert_eq!(bot.event().await["raw_message"], "在吗");
    let reply = bot.call("get_login_info", &json!({})).await;
    assert_eq!((&reply["data"]["user_id"], &reply["echo"]), (&json!(SELF_ID), &json!("c")));
    drop(bot);
    stage.strike().await;
}

/// At once after a long connection, then with growing delay up to `reverse_ws.max_backoff`; LLOneBot waits 3 s.
#[tokio::test]
async fn clause_23_the_reverse_client_reconnects_for_ever() {
    let server = BotServer::start().await;
    let stage = dialling(&server).await;
    for _ in 0..5 {
        let (mut bot, _) = server.accept().await;
        assert!(bot.next().await.contains("lifecycle"));
    }
    stage.strike().await;
}

#[tokio::test]
async fn clause_25_the_reverse_client_shows_its_token_too() {
    let server = BotServer::start().await;
    let stage = dialling(&server).await;
    let (bot, headers) = server.accept().await;
    assert_eq!(headers["authorization"], format!("Bearer {}", TOKENS[0]));
    drop(bot);
    stage.strike().await;
}
