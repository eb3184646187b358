//! A gateway between a simulated LLOneBot and whoever the test is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use onebot_gateway::app::Gateway;
use onebot_gateway::config::Config;
use onebot_gateway::downstream::Consumer;
use onebot_gateway::hub::LinkState;
use onebot_gateway::net::Target;
use onebot_gateway::net::tls::Certificate;
use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::{self, Simulator};
use onebot_gateway::upstream::{self, Endpoint};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::authority::Issued;

pub(crate) const TOKEN: &str = "a-token-that-is-long";
/// Longer than anything takes on one machine; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A simulated LLOneBot behind plain `ws://`.
pub(crate) async fn llonebot() -> (Simulator, SocketAddr) {
    let config = simulator::Config { listen: Some(loopback()), ..Default::default() };
    let simulator = Simulator::start(config).await.unwrap();
    let address = simulator.address().unwrap();
    (simulator, address)
}

/// A gateway with one consumer named `bot`, that dials `url` and is otherwise as `adjust` makes it.
pub(crate) async fn gateway(url: &str, adjust: impl FnOnce(&mut Config)) -> Gateway {
    let upstream = upstream::Config::new("main", Endpoint::Dial(Target::parse(url).unwrap()));
    let mut config = Config::new(upstream, vec![Consumer::new("bot", Secret::new(TOKEN))]);
    config.server.listen = loopback();
    config.admin.listen = loopback();
    adjust(&mut config);
    Gateway::start(config).await.unwrap()
}

/// A gateway that shows `certificate` to its bots, with its link up.
pub(crate) async fn gateway_with(
    certificate: Certificate,
    adjust: impl FnOnce(&mut Config),
) -> (Simulator, Gateway) {
    let (simulator, address) = llonebot().await;
    let gateway = gateway(&format!("ws://{address}/"), |config| {
        config.server.tls = Some(certificate);
        adjust(config);
    })
    .await;
    link(&gateway, |state| *state == LinkState::Up).await;
    (simulator, gateway)
}

/// Waits for the link to be what `wanted` says.
pub(crate) async fn link(gateway: &Gateway, wanted: impl Fn(&LinkState) -> bool) -> LinkState {
    let mut states = gateway.hub().watch();
    let state = timeout(PATIENCE, states.wait_for(|state| wanted(&state.link))).await;
    state.expect("the link never came to that").unwrap().link.clone()
}

pub(crate) async fn patiently<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it takes too long")
}

/// What `/readyz` says.
pub(crate) async fn readyz(gateway: &Gateway) -> String {
    operator(gateway, "/readyz").await
}

/// What the operator is told at `path`.
pub(crate) async fn operator(gateway: &Gateway, path: &str) -> String {
    let mut socket = TcpStream::connect(gateway.admin_address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A TLS server's side that shows what was issued; it is rustls itself, not the code that is tested.
pub(crate) fn acceptor(issued: &Issued) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(&issued.cert).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

/// Takes the TLS off what connects to the address that is returned, and hands it on to `behind`, as
/// a reverse proxy in front of LLOneBot does.
pub(crate) async fn proxy(issued: &Issued, behind: SocketAddr) -> SocketAddr {
    let acceptor = acceptor(issued);
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskTracker::new();
    let connections = tasks.clone();
    tasks.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut front) = acceptor.accept(socket).await else { continue };
            let mut back = TcpStream::connect(behind).await.unwrap();
            connections.spawn(async move { tokio::io::copy_bidirectional(&mut front, &mut back).await });
        }
    });
    address
}
