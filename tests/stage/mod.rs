//! A simulated implementation, a gateway and its bots, all over loopback.

#![allow(dead_code, reason = "each suite uses its part")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use onebot_gateway::app::Gateway;
use onebot_gateway::config::Config;
use onebot_gateway::downstream::Consumer;
use onebot_gateway::hub::LinkState;
use onebot_gateway::net::Target;
use onebot_gateway::onebot::{Kind, scan};
use onebot_gateway::policy::Secret;
use onebot_gateway::simulator::{self, Control, Profile, Simulator};
use onebot_gateway::upstream::{self, Endpoint};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

pub(crate) const SELF_ID: i64 = 2_847_190_563;
pub(crate) const GROUP: i64 = 618_204_977;
pub(crate) const FRIEND: i64 = 2_210_947_381;
/// Between the gateway and the implementation.
pub(crate) const UPSTREAM_TOKEN: &str = "token-of-the-account";
/// Of the bot `first`, and of the bot `second`.
pub(crate) const TOKENS: [&str; 2] = ["token-of-the-first-bot", "token-of-the-second-bot"];
/// Whatever takes longer hangs.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) gateway: Gateway,
}

impl Stage {
    /// LLOneBot, and a gateway that dials it.
    pub(crate) async fn llonebot() -> Self {
        Self::set(Profile::Llonebot, |_| {}).await
    }

    /// An implementation, and a gateway that dials it and has its link.
    pub(crate) async fn set(profile: Profile, adjust: impl FnOnce(&mut Config)) -> Self {
        let simulator = Simulator::start(implementation(profile)).await.unwrap();
        let gateway = dialling(&simulator, UPSTREAM_TOKEN, adjust).await;
        let stage = Self { simulator, gateway };
        stage.link(|link| *link == LinkState::Up).await;
        stage
    }

    pub(crate) fn control(&self) -> &Control {
        self.simulator.control()
    }

    /// Waits until the link is as it should be, and returns it.
    pub(crate) async fn link(&self, wanted: impl Fn(&LinkState) -> bool) -> LinkState {
        link(&self.gateway, wanted).await
    }

    /// The first bot, connected to `/`, its lifecycle event read.
    pub(crate) async fn bot(&self) -> Bot {
        let mut bot = self.bot_on("/", TOKENS[0]).await;
        let first = bot.next().await;
        assert!(first.contains(r#""meta_event_type":"lifecycle""#), "the first frame is {first}");
        bot
    }

    pub(crate) async fn bot_on(&self, path: &str, token: &str) -> Bot {
        Bot::connect(self.gateway.address(), path, &[("Authorization", &format!("Bearer {token}"))])
            .await
            .unwrap()
    }

    /// One raw HTTP exchange with the gateway as the first bot: status, head and body of the answer.
    pub(crate) async fn http(&self, request_line: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        let authorization = format!("Authorization: Bearer {}\r\n{headers}", TOKENS[0]);
        http(self.gateway.address(), request_line, &authorization, body).await
    }

    /// Waits until the implementation was called like this, and returns the parameters.
    pub(crate) async fn called(&self, action: &str) -> Value {
        let find = |control: &Control| {
            control.calls().into_iter().find(|call| call.action == action).map(|call| call.params)
        };
        patiently(self.control().wait_for(|control| find(control).is_some())).await;
        find(self.control()).unwrap()
    }

    /// Ends both and waits for them.
    pub(crate) async fn strike(self) {
        self.gateway.drain().await;
        self.simulator.stop().await;
    }
}

/// An implementation behind a token, its heart beating fast.
pub(crate) fn implementation(profile: Profile) -> simulator::Config {
    simulator::Config {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        token: UPSTREAM_TOKEN.to_owned(),
        heartbeat: Duration::from_millis(500),
        reconnect: Duration::from_millis(20),
        ..simulator::Config::of(profile)
    }
}

/// A gateway that dials `simulator` with `token`, for two bots.
pub(crate) async fn dialling(
    simulator: &Simulator,
    token: &str,
    adjust: impl FnOnce(&mut Config),
) -> Gateway {
    let target = Target::parse(&format!("ws://{}/", simulator.address().unwrap())).unwrap();
    gateway(Endpoint::Dial(target), token, adjust).await
}

/// A gateway for two bots with this endpoint.
pub(crate) async fn gateway(endpoint: Endpoint, token: &str, adjust: impl FnOnce(&mut Config)) -> Gateway {
    let mut account = upstream::Config::new("main", endpoint);
    account.token = Some(Secret::new(token));
    let bots = ["first", "second"].iter().zip(TOKENS).map(|(name, token)| {
        let mut bot = Consumer::new(*name, Secret::new(token));
        bot.heartbeat = Duration::from_millis(100);
        bot
    });
    let mut config = Config::new(account, bots.collect());
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.admin.listen = "127.0.0.1:0".parse().unwrap();
    adjust(&mut config);
    Gateway::start(config).await.unwrap()
}

pub(crate) async fn link(gateway: &Gateway, wanted: impl Fn(&LinkState) -> bool) -> LinkState {
    let mut states = gateway.hub().watch();
    patiently(states.wait_for(|state| wanted(&state.link))).await.unwrap().link.clone()
}

/// A bot on a WebSocket.
pub(crate) struct Bot {
    socket: WebSocketStream<TcpStream>,
    /// Events that came while a reply was awaited.
    events: VecDeque<Value>,
}

impl Bot {
    /// On a connection whose handshake is done.
    pub(crate) fn on(socket: WebSocketStream<TcpStream>) -> Self {
        Self { socket, events: VecDeque::new() }
    }

    /// Fails with the status and the sentence of a refusal.
    pub(crate) async fn connect(
        gateway: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut request = http::Request::get(format!("ws://{gateway}{path}"))
            .header("Host", gateway.to_string())
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let io = TcpStream::connect(gateway).await.unwrap();
        let limits = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let connecting = client_async_with_config(request.body(()).unwrap(), io, Some(limits));
        match patiently(connecting).await {
            Ok((socket, _)) => Ok(Self::on(socket)),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// The next text frame that is no heartbeat.
    pub(crate) async fn next(&mut self) -> String {
        let next = async {
            loop {
                let text = self.frame().await;
                if !text.contains(r#""meta_event_type":"heartbeat""#) {
                    return text;
                }
            }
        };
        patiently(next).await
    }

    /// The next text frame.
    pub(crate) async fn frame(&mut self) -> String {
        loop {
            match patiently(self.socket.next()).await.expect("an open connection").expect("a frame") {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Close(close) => panic!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// Waits for a close frame and returns its code.
    pub(crate) async fn closing(&mut self) -> Option<u16> {
        loop {
            match patiently(self.socket.next()).await {
                Some(Ok(Message::Close(close))) => return close.map(|close| close.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The exact text of the next reply; events before it are kept.
    pub(crate) async fn reply(&mut self) -> String {
        loop {
            let text = self.next().await;
            // An echo may be what only a careful reader takes, such as half a surrogate pair.
            if scan(text.as_bytes()).expect("JSON").kind() == Kind::Reply {
                return text;
            }
            self.events.push_back(json(&text));
        }
    }

    /// Sends a frame and returns the next reply.
    pub(crate) async fn ask(&mut self, text: impl Into<String>) -> String {
        self.send(text).await;
        self.reply().await
    }

    /// Calls an action and returns its reply.
    pub(crate) async fn call(&mut self, action: &str, params: &Value) -> Value {
        json(&self.ask(format!(r#"{{"action":"{action}","params":{params},"echo":"c"}}"#)).await)
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Value {
        match self.events.pop_front() {
            Some(event) => event,
            None => json(&self.next().await),
        }
    }

    /// The next heartbeat for which `wanted` holds.
    pub(crate) async fn heartbeat(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let beat = async {
            loop {
                let frame = json(&self.frame().await);
                if frame["meta_event_type"] == "heartbeat" && wanted(&frame) {
                    return frame;
                }
            }
        };
        patiently(beat).await
    }

    /// Calls an action that changes nothing until it reaches the implementation: a call that is under way when
    /// its link breaks is answered with 1502.
    pub(crate) async fn insist(&mut self, action: &str) -> Value {
        let answered = async {
            loop {
                let reply = self.call(action, &Value::Null).await;
                if reply["retcode"] != 1502 {
                    return reply;
                }
            }
        };
        patiently(answered).await
    }
}

/// The answer to an HTTP request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        json(&self.body)
    }
}

/// One exchange over a connection of its own.
pub(crate) async fn http(
    gateway: SocketAddr,
    request_line: &str,
    headers: &str,
    body: impl AsRef<[u8]>,
) -> Answer {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "{request_line} HTTP/1.1\r\nHost: {gateway}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    let mut io = TcpStream::connect(gateway).await.unwrap();
    io.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = String::new();
    patiently(io.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

pub(crate) async fn patiently<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.expect("it takes too long")
}
