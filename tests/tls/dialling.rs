//! Peers that we connect to: `wss://` and `ca`.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;
use onebot_gateway::downstream::ReverseWs;
use onebot_gateway::hub::LinkState;
use onebot_gateway::net::Target;
use onebot_gateway::net::handshake::dial;
use onebot_gateway::net::tls::Trust;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::authority::{Authority, Issued};
use crate::stage::{PATIENCE, TOKEN, acceptor, gateway, link, llonebot, loopback, proxy, readyz};

fn url(address: SocketAddr) -> String {
    format!("wss://localhost:{}/", address.port())
}

fn down(state: &LinkState, words: &str) -> bool {
    matches!(state, LinkState::Down(why) if why.contains(words))
}

#[tokio::test]
async fn the_link_speaks_wss_with_a_ca_of_the_operators_own() {
    let authority = Authority::new();
    let (_simulator, behind) = llonebot().await;
    let front = proxy(&authority.issue("localhost"), behind).await;
    let gateway = gateway(&url(front), |config| config.upstream.trust = authority.trust()).await;
    link(&gateway, |state| *state == LinkState::Up).await;
}

#[tokio::test]
async fn a_ca_that_is_not_trusted_is_told_in_readyz() {
    let authority = Authority::new();
    let (_simulator, behind) = llonebot().await;
    let front = proxy(&authority.issue("localhost"), behind).await;
    let told = "signed by no CA we trust; if that CA is your own, name its file in `ca`";
    for trust in [Trust::default(), Authority::new().trust()] {
        let gateway = gateway(&url(front), |config| config.upstream.trust = trust).await;
        link(&gateway, |state| down(state, "TLS")).await;
        let answer = readyz(&gateway).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains(told), "{answer}");
    }
}

#[tokio::test]
async fn every_reason_to_refuse_a_peer_is_told_in_words() {
    let authority = Authority::new();
    let self_made = || {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = |name: &str| authority.directory().join(name);
        let issued = Issued { cert: file("own.cert.pem"), key: file("own.key.pem") };
        fs::write(&issued.cert, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    };
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    let cases = [
        (authority.issue_with("localhost", expired), "has expired"),
        (authority.issue_with("localhost", future), "is not valid yet"),
        (authority.issue("elsewhere"), "is for another host"),
        (self_made(), "openssl req -x509 -addext basicConstraints=critical,CA:FALSE"),
    ];
    for (issued, words) in cases {
        let front = proxy(&issued, loopback()).await;
        let told = refusal(front, &authority.trust()).await;
        assert!(told.starts_with("no TLS with the peer: its certificate ") && told.contains(words), "{told}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls_is_recognized() {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        drop(socket);
    };
    let dials = async {
        let told = refusal(address, &Trust::default()).await;
        assert!(told.contains("it does not speak TLS; is the address to begin with ws://"), "{told}");
        let told = refusal(address, &Trust::default()).await;
        assert!(told.contains("hung up") || told.contains("reset"), "{told}");
    };
    tokio::join!(peer, dials);
}

/// Why a dial fails, in words.
async fn refusal(address: SocketAddr, trust: &Trust) -> String {
    let target = Target::parse(&url(address)).unwrap();
    dial(&target, trust, HeaderMap::new(), PATIENCE).await.expect_err("should be refused").to_string()
}

#[tokio::test]
async fn a_reverse_connection_to_a_bot_speaks_wss() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.issue("localhost"));
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = Target::parse(&url(listener.local_addr().unwrap())).unwrap();
    let reverse = ReverseWs {
        trust: authority.trust(),
        max_backoff: Duration::from_secs(1),
        ..ReverseWs::new(address)
    };
    let (_simulator, behind) = llonebot().await;
    let _gateway = gateway(&format!("ws://{behind}/"), |config| {
        config.consumers[0].reverse_ws = vec![reverse];
    })
    .await;
    let bot = async {
        let (socket, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(socket).await.unwrap();
        #[expect(clippy::result_large_err, reason = "the signature is the WebSocket library's")]
        let check = |request: &Request, answer: Response| -> Result<Response, ErrorResponse> {
            assert_eq!(request.headers()["authorization"], format!("Bearer {TOKEN}"));
            Ok(answer)
        };
        tokio_tungstenite::accept_hdr_async(stream, check).await.unwrap()
    };
    timeout(PATIENCE, bot).await.expect("the gateway does not come");
}
