//! A gateway between a simulated LLOneBot and the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use onebot_gateway::app::Gateway;
use onebot_gateway::config::Config;
use onebot_gateway::downstream::Consumer;
use onebot_gateway::hub::LinkState;
use onebot_gateway::net::Target;
use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::{self, Simulator};
use onebot_gateway::upstream::{self, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) const TOKEN: &str = "token-of-the-bot";
/// What has not happened by then will not.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) llonebot: Simulator,
    connections: JoinSet<()>,
}

impl Stage {
    /// One bot called `bot`, and whatever `adjust` changes; the link is up.
    pub(crate) async fn set(adjust: impl FnOnce(&mut Config)) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let llonebot =
            Simulator::start(simulator::Config { listen: Some(listen), ..Default::default() }).await.unwrap();
        let target = Target::parse(&format!("ws://{}/", llonebot.address().unwrap())).unwrap();
        let bot = Consumer::new("bot", Secret::new(TOKEN));
        let mut config = Config::new(upstream::Config::new("main", Endpoint::Dial(target)), vec![bot]);
        config.server.listen = listen;
        config.admin.listen = listen;
        adjust(&mut config);
        let gateway = Gateway::start(config).await.unwrap();
        let mut state = gateway.hub().watch();
        patiently(state.wait_for(|state| state.link == LinkState::Up)).await.unwrap();
        Self { gateway, llonebot, connections: JoinSet::new() }
    }

    /// Sends one request on a connection of its own and waits for the head of the answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let response = self.begin(request).await;
        patiently(response).await
    }

    /// Sends one request on a connection of its own; the token is added. Resolves to its future answer.
    pub(crate) async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Response<Incoming>> + use<> {
        let socket = TcpStream::connect(self.gateway.address()).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        self.connections.spawn(async move {
            let _ = connection.await;
        });
        let (mut head, body) = request.into_parts();
        head.headers.insert("host", "gateway".parse().unwrap());
        head.headers.entry("authorization").or_insert_with(|| format!("Bearer {TOKEN}").parse().unwrap());
        let response = sender.send_request(Request::from_parts(head, body));
        async move { response.await.unwrap() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response<Incoming> {
        self.send(Request::get(path).body(Full::default()).unwrap()).await
    }

    /// `LLOneBot` sends `events`, and they are in the journal.
    pub(crate) async fn happen(&self, events: impl IntoIterator<Item = String>) {
        let mut end = self.gateway.hub().journal().watch();
        let mut expected = *end.borrow();
        for event in events {
            self.llonebot.control().emit(event).await;
            expected = expected.plus(1);
        }
        patiently(end.wait_for(|end| *end >= expected)).await.unwrap();
    }

    /// Waits until the operator sees `line`.
    pub(crate) async fn counted(&self, line: &str) {
        let mut seen = String::new();
        let look = async {
            while !seen.lines().any(|found| found == line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                seen = fetch(self.gateway.admin_address(), "/metrics").await;
            }
        };
        assert!(timeout(PATIENCE, look).await.is_ok(), "{line} is missing in\n{seen}");
    }

    /// Waits until LLOneBot was called like this, and returns the parameters.
    pub(crate) async fn called(&self, action: &str) -> serde_json::Value {
        let find = |control: &simulator::Control| {
            control.calls().into_iter().find(|call| call.action == action).map(|call| call.params)
        };
        patiently(self.llonebot.control().wait_for(|control| find(control).is_some())).await;
        find(self.llonebot.control()).unwrap()
    }
}

/// A group message; `n` tells it from others.
pub(crate) fn message(n: usize) -> String {
    format!(
        r#"{{"self_id":10001000,"user_id":3051882469,"time":1795368196,"message_id":{n},"message_type":"group","raw_message":"{n}","message":[],"sub_type":"normal","post_type":"message","group_id":618204977}}"#
    )
}

/// Everything that comes back for one plain GET, without a token.
pub(crate) async fn fetch(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")).await
}

/// Everything that comes back for these very bytes, until the gateway hangs up.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    patiently(socket.read_to_string(&mut answer)).await.unwrap();
    answer
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let body = patiently(response.into_body().collect()).await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Server-sent events, as their text between the empty lines.
pub(crate) struct Events {
    body: http_body_util::BodyDataStream<Incoming>,
    held: String,
}

impl Events {
    pub(crate) fn of(response: Response<Incoming>) -> Self {
        Self { body: response.into_body().into_data_stream(), held: String::new() }
    }

    /// `None` when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.held.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.held = rest;
                return Some(event);
            }
            let bytes = patiently(self.body.next()).await?.ok()?;
            self.held.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The next event that is not a heartbeat: its id and its text.
    pub(crate) async fn event(&mut self) -> (String, String) {
        loop {
            let event = self.next().await.expect("a stream that goes on");
            if let Some((id, data)) = event.split_once('\n') {
                let id = id.strip_prefix("id: ").unwrap().to_owned();
                return (id, data.strip_prefix("data: ").unwrap().to_owned());
            }
        }
    }
}

pub(crate) async fn patiently<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it takes too long")
}
