//! An upstream that a test speaks itself, frame by frame, for what no LLOneBot would do.

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::DuplexStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;

use crate::gateway::HOUR;

/// The account behind it, unless a test says otherwise.
pub(crate) const SELF_ID: i64 = 10_001_000;

/// The other end of a link. It reads only when a test asks it to.
pub(crate) struct Upstream {
    socket: WebSocketStream<DuplexStream>,
    pub(crate) self_id: i64,
}

/// A call as it arrived.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) params: Box<RawValue>,
    /// The gateway's own echo, as JSON.
    pub(crate) echo: Box<RawValue>,
}

impl Upstream {
    pub(crate) fn new(end: DuplexStream) -> Self {
        let socket = WebSocketStream::from_raw_socket(end, Side::Server, None).now_or_never().unwrap();
        Self { socket, self_id: SELF_ID }
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// Sends frames in one write, so that the gateway may read them at once.
    pub(crate) async fn send_all(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            self.socket.feed(Message::text(text)).await.unwrap();
        }
        self.socket.flush().await.unwrap();
    }

    pub(crate) async fn close(&mut self) {
        let _ = self.socket.close(None).await;
    }

    pub(crate) async fn lifecycle(&mut self) {
        let self_id = self.self_id;
        self.send(format!(
            r#"{{"time":1,"self_id":{self_id},"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}}"#
        ))
        .await;
    }

    pub(crate) async fn heartbeat(&mut self, online: bool, interval: Duration) {
        let (self_id, interval) = (self.self_id, interval.as_millis());
        self.send(format!(
            r#"{{"time":1,"self_id":{self_id},"post_type":"meta_event","meta_event_type":"heartbeat","status":{{"online":{online},"good":true}},"interval":{interval}}}"#
        ))
        .await;
    }

    /// The next call of a bot. What the gateway asks on its own account is answered on the way.
    pub(crate) async fn call(&mut self) -> Call {
        timeout(HOUR, self.next_call()).await.expect("no call came within an hour").expect("hung up")
    }

    /// Checks that no call comes for `time`.
    pub(crate) async fn hears_no_call_for(&mut self, time: Duration) {
        if let Ok(Some(call)) = timeout(time, self.next_call()).await {
            panic!("{} was sent: {}", call.action, call.params);
        }
    }

    /// Reads and answers pings, and what the gateway asks, until it hangs up. Hears no call.
    pub(crate) async fn until_hung_up(&mut self) {
        if let Some(call) = self.next_call().await {
            panic!("{} was sent: {}", call.action, call.params);
        }
    }

    /// Reads and answers pings, but no call and no question, until the gateway hangs up.
    pub(crate) async fn reads_without_answering(&mut self) {
        while self.socket.next().await.is_some_and(|frame| frame.is_ok()) {}
    }

    /// The code with which the gateway closes the link.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        let closed = async {
            loop {
                match self.socket.next().await? {
                    Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        };
        let code = timeout(HOUR, closed).await.expect("the link goes on");
        // Answers the close frame.
        self.reads_without_answering().await;
        code
    }

    /// `None` when the gateway has hung up.
    pub(crate) async fn next_call(&mut self) -> Option<Call> {
        loop {
            let call = match self.socket.next().await? {
                Ok(Message::Text(text)) => serde_json::from_str::<Call>(&text).unwrap(),
                Ok(_) => continue,
                Err(_) => return None,
            };
            let data = match call.action.as_str() {
                "get_login_info" => format!(r#"{{"user_id":{},"nickname":"n"}}"#, self.self_id),
                "get_version_info" => r#"{"app_name":"LLOneBot","app_version":"8.1.7"}"#.to_owned(),
                "get_status" => r#"{"online":true,"good":true}"#.to_owned(),
                _ => return Some(call),
            };
            self.send(call.ok(&data)).await;
        }
    }
}

impl Call {
    /// A successful answer as LLOneBot writes it.
    pub(crate) fn ok(&self, data: &str) -> String {
        let echo = &self.echo;
        format!(r#"{{"status":"ok","retcode":0,"data":{data},"message":"","wording":"","echo":{echo}}}"#)
    }

    /// A failed answer as LLOneBot writes it.
    pub(crate) fn failed(&self, retcode: i64, message: &str) -> String {
        let echo = &self.echo;
        format!(
            r#"{{"status":"failed","retcode":{retcode},"data":null,"message":"{message}","wording":"{message}","echo":{echo}}}"#
        )
    }
}

/// A group message that says `text`.
pub(crate) fn event(text: &str) -> String {
    format!(
        r#"{{"self_id":{SELF_ID},"user_id":2,"time":1,"message_id":3,"message_type":"group","raw_message":"{text}","sub_type":"normal","message":[],"post_type":"message","group_id":5}}"#
    )
}

/// What a message says.
pub(crate) fn text_of(event: &str) -> String {
    let (_, rest) = event.split_once(r#""raw_message":""#).unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}
