//! Reverse WebSocket with calls and events apart (standard, communication/ws-reverse.md).

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use onebot_gateway::downstream::{Channel, ReverseWs};
use onebot_gateway::net::Target;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::stage::{Stage, message, patiently};

type Socket = WebSocketStream<TcpStream>;

#[tokio::test]
async fn calls_and_events_go_over_a_connection_each() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = |path: &str| Target::parse(&format!("ws://{address}{path}")).unwrap();
    let stage = Stage::set(|config| {
        config.consumers[0].reverse_ws = vec![
            ReverseWs { role: Channel::Api, ..ReverseWs::new(url("/api")) },
            ReverseWs { role: Channel::Event, ..ReverseWs::new(url("/event")) },
        ];
    })
    .await;
    let (mut one, mut other) = (accept(&listener).await, accept(&listener).await);
    if one.path == "/event" {
        std::mem::swap(&mut one, &mut other);
    }
    let (mut api, mut event) = (one, other);
    for (visitor, path, role) in [(&api, "/api", "API"), (&event, "/event", "Event")] {
        assert_eq!(
            (visitor.path.as_str(), &visitor.headers["x-client-role"]),
            (path, &role.parse().unwrap())
        );
        assert_eq!(visitor.headers["x-self-id"], "2847190563");
    }

    assert_eq!(event.next().await["sub_type"], "connect");
    stage.happen([message(1)]).await;
    assert_eq!(event.next().await["message_id"], 1);
    // No lifecycle and no event came before the answer.
    let call = r#"{"action":"get_login_info","echo":"e"}"#;
    api.socket.send(Message::text(call)).await.unwrap();
    let answer = api.next().await;
    assert_eq!((&answer["status"], &answer["echo"]), (&"ok".into(), &"e".into()));
    event.socket.send(Message::text(call)).await.unwrap();
    assert_eq!(event.next().await["retcode"], 1404);
}

struct Visitor {
    path: String,
    headers: HeaderMap,
    socket: Socket,
}

impl Visitor {
    async fn next(&mut self) -> Value {
        loop {
            if let Message::Text(text) = patiently(self.socket.next()).await.unwrap().unwrap() {
                return serde_json::from_str(text.as_str()).unwrap();
            }
        }
    }
}

async fn accept(listener: &TcpListener) -> Visitor {
    let (socket, _) = patiently(listener.accept()).await.unwrap();
    let (mut path, mut headers) = (String::new(), HeaderMap::new());
    #[expect(clippy::result_large_err, reason = "the shape of the library's callback")]
    let look = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut path);
        headers.clone_from(request.headers());
        Ok(response)
    };
    let socket = patiently(accept_hdr_async(socket, look)).await.unwrap();
    Visitor { path, headers, socket }
}
