//! One WebSocket connection of a test, on either side: a bot, or whatever a bot or LLOneBot would be.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{SELF_ID, TOKEN, call, within};

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Wire {
    socket: WebSocketStream<TcpStream>,
    /// Frames that were passed over while another kind was looked for.
    aside: VecDeque<Value>,
}

impl Wire {
    pub fn new(socket: WebSocketStream<TcpStream>) -> Self {
        Self { socket, aside: VecDeque::new() }
    }

    /// Connects as the bot with [`TOKEN`].
    pub async fn bot(address: SocketAddr, path: &str) -> Self {
        Self::bot_with(TOKEN, address, path).await
    }

    /// Connects as another bot.
    pub async fn bot_with(token: &str, address: SocketAddr, path: &str) -> Self {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        Self::connect(address, request).await.unwrap().0
    }

    /// Connects with a handshake of one's own.
    pub async fn connect(address: SocketAddr, request: Request) -> Result<(Self, Response), Error> {
        let socket = TcpStream::connect(address).await?;
        Self::over(socket, request).await
    }

    /// The same over a socket that is connected already.
    pub async fn over(socket: TcpStream, request: Request) -> Result<(Self, Response), Error> {
        let (socket, response) = within("a handshake", client_async(request, socket)).await?;
        Ok((Self::new(socket), response))
    }

    pub async fn send(&mut self, text: impl Into<String>) {
        self.send_message(Message::text(text.into())).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        within("the peer to take a frame", self.socket.send(message)).await.unwrap();
    }

    /// The next frame in the order of arrival; keep-alive pings are none.
    pub async fn frame(&mut self) -> Value {
        match self.aside.pop_front() {
            Some(frame) => frame,
            None => self.fresh_frame().await.unwrap(),
        }
    }

    /// The next event that is not a meta event.
    pub async fn event(&mut self) -> Value {
        self.look_for(|frame| frame["post_type"] != "meta_event" && frame.get("post_type").is_some()).await
    }

    /// The events from `first` up to `end`, each once and in their order.
    pub async fn expect_events(&mut self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            assert_eq!(super::number(&self.event().await), number);
        }
    }

    /// The answer to the call with this echo.
    pub async fn answer(&mut self, echo: impl Into<Value>) -> Value {
        let echo = echo.into();
        self.look_for(|frame| frame["echo"] == echo && frame.get("status").is_some()).await
    }

    /// Calls an action without parameters and waits for the answer.
    pub async fn ask(&mut self, action: &str, echo: impl Into<Value>) -> Value {
        let echo = echo.into();
        self.send(call(action, echo.clone())).await;
        self.answer(echo).await
    }

    /// Reads on until the connection ends: the code of the close frame, or `None` if there is none.
    pub async fn closed(&mut self) -> Option<u16> {
        self.farewell().await.map(|frame| frame.code.into())
    }

    /// The same with the reason.
    pub async fn farewell(&mut self) -> Option<CloseFrame> {
        let mut farewell = None;
        while let Some(Ok(message)) = within("the end", self.socket.next()).await {
            if let Message::Close(frame) = message {
                farewell = frame;
            }
        }
        farewell
    }

    /// Begins the close handshake and waits for the end.
    pub async fn close(mut self) {
        self.send_message(Message::Close(None)).await;
        self.closed().await;
    }

    /// The socket itself, for bytes that no library would send.
    pub fn into_socket(self) -> TcpStream {
        self.socket.into_inner()
    }

    /// Any frame, `Err` at the end of the connection.
    pub async fn fresh_frame(&mut self) -> Result<Value, Error> {
        loop {
            match within("a frame", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("expected a text frame, got {other:?}"),
                Some(Err(error)) => return Err(error),
                None => return Err(Error::ConnectionClosed),
            }
        }
    }

    async fn look_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.aside.iter().position(&wanted) {
            return self.aside.remove(at).unwrap();
        }
        loop {
            let frame = self.fresh_frame().await.unwrap();
            if wanted(&frame) {
                return frame;
            }
            self.aside.push_back(frame);
        }
    }
}

/// What LLOneBot does.
impl Wire {
    /// Says which account it is, which puts the link into use.
    pub async fn prove(&mut self) {
        let lifecycle = json!({
            "time": 1_795_399_223, "self_id": SELF_ID, "post_type": "meta_event",
            "meta_event_type": "lifecycle", "sub_type": "connect",
        });
        self.send(lifecycle.to_string()).await;
    }

    /// The next call of a bot. The gateway's own questions are answered on the way.
    pub async fn taken_call(&mut self) -> Value {
        loop {
            let call = self.frame().await;
            let data = match call["action"].as_str().unwrap() {
                "get_login_info" => json!({"user_id": SELF_ID, "nickname": "n"}),
                "get_version_info" => json!({"app_name": "LLOneBot", "app_version": "8.1.7"}),
                "get_status" => json!({"online": true, "good": true}),
                _ => return call,
            };
            self.reply(&call, &data).await;
        }
    }

    /// Answers a call that went well.
    pub async fn reply(&mut self, call: &Value, data: &Value) {
        let reply = json!({
            "status": "ok", "retcode": 0, "data": data, "message": "", "wording": "", "echo": call["echo"],
        });
        self.send(reply.to_string()).await;
    }
}
