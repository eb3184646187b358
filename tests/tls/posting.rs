//! Bots that we post events to: `https://` and `ca`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use onebot_gateway::app::Gateway;
use onebot_gateway::downstream::Webhook;
use onebot_gateway::net::Target;
use onebot_gateway::net::http_client::HttpClient;
use onebot_gateway::net::tls::Trust;
use onebot_gateway::onebot::signature;
use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::Simulator;
use tokio::time::sleep;

use crate::authority::Authority;
use crate::endpoint::Endpoint;
use crate::stage::{PATIENCE, gateway, llonebot, operator, patiently, proxy};

const EVENT: &str = r#"{"time":2,"post_type":"notice","notice_type":"friend_add"}"#;
/// The account of the simulator.
const SELF_ID: i64 = 2_847_190_563;
const SECRET: &str = "kHbPT";

/// A bot behind TLS, whose certificate says that it is `host`, and how it is posted to.
async fn bot(authority: &Authority, host: &str) -> (Endpoint, Webhook) {
    let endpoint = Endpoint::start().await;
    let behind = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.webhook().url.port()));
    let front = proxy(&authority.issue(host), behind).await;
    let url = Target::parse_http(&format!("https://localhost:{}/hook", front.port())).unwrap();
    let webhook = Webhook { url, secret: Some(Secret::new(SECRET)), ..endpoint.webhook() };
    (endpoint, webhook)
}

/// A gateway that posts as `webhook` says.
async fn posting(webhook: Webhook) -> (Simulator, Gateway) {
    let (simulator, behind) = llonebot().await;
    let gateway =
        gateway(&format!("ws://{behind}/"), |config| config.consumers[0].webhook = Some(webhook)).await;
    (simulator, gateway)
}

#[tokio::test]
async fn events_are_posted_over_one_https_connection_with_a_ca_of_the_operators_own() {
    let authority = Authority::new();
    let (endpoint, webhook) = bot(&authority, "localhost").await;
    let (simulator, _gateway) = posting(Webhook { trust: authority.trust(), ..webhook }).await;
    let enabled = endpoint.posts(1, |post| post.body.contains(r#""sub_type":"enable""#)).await;
    assert_eq!(enabled[0].headers["x-self-id"], SELF_ID.to_string());
    for _ in 0..20 {
        simulator.control().emit(EVENT).await;
    }
    for post in endpoint.messages(20).await {
        assert_eq!(post.body, EVENT);
        assert_eq!(post.headers["x-signature"], signature::sign(SECRET, EVENT.as_bytes()));
    }
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test]
async fn an_endpoint_that_cannot_prove_itself_gets_nothing_and_is_counted() {
    let authority = Authority::new();
    for (host, trust, told) in [
        (
            "localhost",
            Trust::default(),
            "signed by no CA we trust; if that CA is your own, name its file in `ca`",
        ),
        ("localhost", Authority::new().trust(), "signed by no CA we trust"),
        ("elsewhere", authority.trust(), "is for another host"),
    ] {
        let (endpoint, webhook) = bot(&authority, host).await;
        let webhook = Webhook { trust: trust.clone(), ..webhook };
        let mut client = HttpClient::new(webhook.url.clone(), trust);
        let refused = client.post(&HeaderMap::new(), &Bytes::from_static(EVENT.as_bytes()), PATIENCE).await;
        let sentence = refused.unwrap_err().to_string();
        assert!(
            sentence.starts_with("no TLS with the peer: its certificate ") && sentence.contains(told),
            "{sentence}"
        );

        let (simulator, gateway) = posting(webhook).await;
        simulator.control().emit(EVENT).await;
        let counted = async {
            while !operator(&gateway, "/metrics")
                .await
                .contains(r#"webhook_failures_total{consumer="bot",reason="unreachable"} 3"#)
            {
                sleep(Duration::from_millis(20)).await;
            }
        };
        patiently(counted).await;
        assert_eq!(endpoint.connections(), 0);
    }
}
