//! A bot as it sees the gateway: text frames, and how the connection ends.

use std::collections::BTreeMap;

use futures_util::{FutureExt, SinkExt, StreamExt};
use onebot_gateway::net::websocket::Role;
use onebot_gateway::onebot::CloseReason;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;

use crate::gateway::HOUR;

/// One connection of a bot. It reads only when a test asks it to.
pub(crate) struct Bot {
    socket: WebSocketStream<DuplexStream>,
    session: JoinHandle<CloseReason>,
}

/// What a bot reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Event(String),
    Meta(String),
    Reply(String),
    /// The code of the close frame.
    Closed(Option<u16>),
    /// The connection ended without one.
    Gone,
}

impl Bot {
    pub(crate) fn new(end: DuplexStream, role: Role, session: JoinHandle<CloseReason>) -> Self {
        let side = match role {
            Role::Server => Side::Server,
            Role::Client => Side::Client,
        };
        let socket = WebSocketStream::from_raw_socket(end, side, None).now_or_never().unwrap();
        Self { socket, session }
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// Sends a call; `params` and `echo` are JSON.
    pub(crate) async fn call(&mut self, action: &str, params: &str, echo: &str) {
        self.send(call(action, params, echo)).await;
    }

    /// Sends frames in one write, as far as the connection takes them.
    pub(crate) async fn send_all(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            self.socket.feed(Message::text(text)).await.unwrap();
        }
        self.socket.flush().await.unwrap();
    }

    /// Sends bytes as they are, for what no WebSocket library would write.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).await.unwrap();
    }

    /// The next frame that says something. Fails after an hour without any.
    pub(crate) async fn hear(&mut self) -> Heard {
        timeout(HOUR, hear(&mut self.socket)).await.expect("nothing was heard for an hour")
    }

    /// The next reply; events are skipped.
    pub(crate) async fn reply(&mut self) -> String {
        self.skip_to(|heard| match heard {
            Heard::Reply(text) => Some(text),
            Heard::Closed(_) | Heard::Gone => panic!("closed instead of a reply: {heard:?}"),
            Heard::Event(_) | Heard::Meta(_) => None,
        })
        .await
    }

    /// The next event that is not the gateway's own; replies are skipped.
    pub(crate) async fn event(&mut self) -> String {
        self.skip_to(|heard| match heard {
            Heard::Event(text) => Some(text),
            Heard::Closed(_) | Heard::Gone => panic!("closed instead of an event: {heard:?}"),
            Heard::Reply(_) | Heard::Meta(_) => None,
        })
        .await
    }

    /// The next lifecycle or heartbeat event.
    pub(crate) async fn meta(&mut self) -> serde_json::Value {
        let text = self
            .skip_to(|heard| match heard {
                Heard::Meta(text) => Some(text),
                Heard::Closed(_) | Heard::Gone => panic!("closed instead of a meta event: {heard:?}"),
                Heard::Reply(_) | Heard::Event(_) => None,
            })
            .await;
        serde_json::from_str(&text).unwrap()
    }

    /// Reads to the end: the code of the close frame, and why the session says it ended.
    pub(crate) async fn closed(mut self) -> (Option<u16>, CloseReason) {
        let code = self
            .skip_to(|heard| match heard {
                Heard::Closed(code) => Some(code),
                Heard::Gone => Some(None),
                _ => None,
            })
            .await;
        // Answers the close frame.
        while timeout(HOUR, self.socket.next()).await.unwrap().is_some_and(|frame| frame.is_ok()) {}
        (code, self.session.await.unwrap())
    }

    /// Why the session ended, without reading anything.
    pub(crate) async fn ended(self) -> CloseReason {
        timeout(HOUR, self.session).await.expect("the session goes on").unwrap()
    }

    /// Everything that is under way now: waits on the clock for a second without any frame, in which
    /// whatever is due is done.
    pub(crate) async fn heard_until_quiet(&mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        while let Ok(heard) = timeout(Duration::from_secs(1), hear(&mut self.socket)).await {
            match heard {
                Heard::Meta(_) => {}
                Heard::Closed(_) | Heard::Gone => {
                    all.push(heard);
                    break;
                }
                heard => all.push(heard),
            }
        }
        all
    }

    /// Everything but meta events that comes within `time`.
    pub(crate) async fn heard_for(&mut self, time: Duration) -> Vec<Heard> {
        let end = Instant::now() + time;
        let mut all = Vec::new();
        while let Ok(heard) = timeout_at(end, hear(&mut self.socket)).await {
            match heard {
                Heard::Meta(_) => {}
                Heard::Closed(_) | Heard::Gone => panic!("the session ended: {heard:?}"),
                heard => all.push(heard),
            }
        }
        all
    }

    /// Leaves without a word, and waits until the session has noticed.
    pub(crate) async fn hang_up(self) -> CloseReason {
        drop(self.socket);
        timeout(HOUR, self.session).await.expect("the session goes on").unwrap()
    }

    /// Sends `calls` and collects the replies at the same time, until there is one for each.
    pub(crate) async fn call_all(&mut self, calls: Vec<String>) -> Vec<String> {
        let count = calls.len();
        let (mut sink, mut source) = (&mut self.socket).split();
        let send = async {
            for call in calls {
                sink.feed(Message::text(call)).await.unwrap();
            }
            sink.flush().await.unwrap();
        };
        let read = async {
            let mut replies = Vec::with_capacity(count);
            while replies.len() < count {
                if let Heard::Reply(text) = hear(&mut source).await {
                    replies.push(text);
                }
            }
            replies
        };
        let both = async { tokio::join!(send, read).1 };
        timeout(HOUR, both).await.expect("calls were not answered")
    }

    async fn skip_to<T>(&mut self, mut wanted: impl FnMut(Heard) -> Option<T>) -> T {
        let find = async {
            loop {
                if let Some(found) = wanted(hear(&mut self.socket).await) {
                    return found;
                }
            }
        };
        timeout(HOUR, find).await.expect("what was waited for did not come within an hour")
    }
}

/// A call's frame.
pub(crate) fn call(action: &str, params: &str, echo: &str) -> String {
    format!(r#"{{"action":"{action}","params":{params},"echo":{echo}}}"#)
}

/// The `retcode` of a reply.
pub(crate) fn retcode(reply: &str) -> i64 {
    field(reply, "retcode").as_i64().unwrap()
}

/// A field of a frame; null if it is absent.
pub(crate) fn field(text: &str, name: &str) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    value.get(name).cloned().unwrap_or_default()
}

/// How often each echo was answered, by its JSON text.
pub(crate) fn echoes(heard: &[Heard]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for heard in heard {
        if let Heard::Reply(text) = heard {
            *counts.entry(field(text, "echo").to_string()).or_default() += 1;
        }
    }
    counts
}

/// Pings and pongs are the protocol's business and not told.
pub(crate) async fn hear<S>(socket: &mut S) -> Heard
where
    S: StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
{
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text.contains(r#""post_type":"meta_event""#) => {
                return Heard::Meta(text.to_string());
            }
            Some(Ok(Message::Text(text))) if text.contains(r#""post_type":"#) => {
                return Heard::Event(text.to_string());
            }
            Some(Ok(Message::Text(text))) => return Heard::Reply(text.to_string()),
            Some(Ok(Message::Close(frame))) => return Heard::Closed(frame.map(|frame| frame.code.into())),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Heard::Gone,
        }
    }
}
