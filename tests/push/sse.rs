//! `GET /_events`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::stage::{Events, Stage, TOKEN, message, patiently, text};

async fn resume(stage: &mut Stage, id: &str) -> Events {
    Events::of(resumed(stage, id).await)
}

async fn resumed(stage: &mut Stage, id: &str) -> Response<Incoming> {
    let request =
        Request::get("/_events").header("Last-Event-ID", id).body(Full::<Bytes>::default()).unwrap();
    stage.send(request).await
}

#[tokio::test]
async fn events_come_as_llonebot_sends_them_and_with_an_id() {
    let mut stage = Stage::set(|_| {}).await;
    // Answered before anything happens: the head does not wait for the first event.
    let response = stage.get("/_events").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let mut events = Events::of(response);
    stage.happen((1..4).map(message)).await;
    for n in 1..4 {
        assert_eq!(events.event().await.1, message(n));
    }
}

#[tokio::test]
async fn a_heartbeat_comes_within_five_seconds_without_an_id() {
    let mut stage = Stage::set(|_| {}).await;
    let mut events = Events::of(stage.get("/_events").await);
    let beat = events.next().await.unwrap();
    let beat: serde_json::Value = serde_json::from_str(beat.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&beat["meta_event_type"], &beat["interval"]), (&"heartbeat".into(), &5000.into()));
    assert_eq!(beat["status"]["online"], true);
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_where_it_was() {
    let mut stage = Stage::set(|_| {}).await;
    let mut events = Events::of(stage.get("/_events").await);
    stage.happen([message(1), message(2)]).await;
    let (id, _) = events.event().await;
    drop(events);
    stage.happen([message(3)]).await;
    let mut events = resume(&mut stage, &id).await;
    assert_eq!(events.event().await.1, message(2));
    let (last, text) = events.event().await;
    assert_eq!(text, message(3));
    // Nothing is repeated to one that has everything.
    let mut events = resume(&mut stage, &last).await;
    stage.happen([message(4)]).await;
    assert_eq!(events.event().await.1, message(4));
}

#[tokio::test]
async fn what_left_the_journal_is_told_and_the_rest_still_comes() {
    let mut stage = Stage::set(|config| config.journal.events = 3).await;
    let mut events = Events::of(stage.get("/_events").await);
    stage.happen([message(1)]).await;
    let (id, _) = events.event().await;
    drop(events);
    stage.happen((2..8).map(message)).await;
    let mut events = resume(&mut stage, &id).await;
    assert_eq!(events.next().await.unwrap(), ": gap: 3 events had left the journal before they were read");
    assert_eq!(events.event().await.1, message(5));
}

#[tokio::test]
async fn ids_of_the_future_of_earlier_runs_and_of_nobody_are_answered() {
    let mut stage = Stage::set(|_| {}).await;
    stage.happen([message(1)]).await;
    let epoch = stage.gateway.hub().journal().epoch();
    for id in [format!("{epoch}-99"), "nonsense".to_owned(), "../../etc".to_owned()] {
        let mut events = resume(&mut stage, &id).await;
        assert!(events.next().await.unwrap().starts_with(": there is no event with this id"), "{id}");
    }
    stage.counted(r#"onebot_gateway_bad_frames_total{consumer="bot"} 3"#).await;
    let mut events = resume(&mut stage, "1-99").await;
    assert!(events.next().await.unwrap().starts_with(": gap: this id is of an earlier run"));
    stage.counted(r#"onebot_gateway_gaps_total{consumer="bot"} 1"#).await;
    assert_eq!(events.event().await.1, message(1));
}

#[tokio::test]
async fn a_stranger_gets_no_event_and_another_method_no_stream() {
    let mut stage = Stage::set(|_| {}).await;
    let request =
        Request::get("/_events").header("authorization", "Bearer wrong").body(Full::default()).unwrap();
    assert_eq!(stage.send(request).await.status(), 403);
    let response = stage.send(Request::post("/_events").body(Full::default()).unwrap()).await;
    assert!(text(response).await.contains("1404"));
}

#[tokio::test]
async fn a_stream_ends_when_the_gateway_shuts_down() {
    let mut stage = Stage::set(|_| {}).await;
    let mut events = Events::of(stage.get("/_events").await);
    stage.happen([message(1)]).await;
    events.event().await;
    let (drained, end) = tokio::join!(patiently(stage.gateway.drain()), events.next());
    assert_eq!((drained.tasks_left, end), (0, None));
}

#[tokio::test]
async fn a_client_that_stops_reading_is_hung_up_on_and_others_are_not() {
    let mut stage = Stage::set(|config| {
        config.server.write_timeout = Duration::from_millis(300);
    })
    .await;
    let mut stalled = TcpStream::connect(stage.gateway.address()).await.unwrap();
    let request = format!("GET /_events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stalled.write_all(request.as_bytes()).await.unwrap();
    stalled.read_exact(&mut [0; 12]).await.unwrap();
    let mut events = Events::of(stage.get("/_events").await);
    // More than the buffers of a loopback connection take.
    let filling = "x".repeat(1 << 20);
    for n in 0..24 {
        let large = message(n).replace(r#""message":[]"#, &format!(r#""message":"{filling}""#));
        stage.happen([large]).await;
        events.event().await;
    }
    stage.counted(r#"onebot_gateway_sessions{consumer="bot"} 1"#).await;
    stage.happen([message(99)]).await;
    assert_eq!(events.event().await.1, message(99));
}

#[tokio::test]
async fn a_websocket_on_its_path_is_a_websocket() {
    let stage = Stage::set(|_| {}).await;
    let address = stage.gateway.address();
    let request = Request::get(format!("ws://{address}/_events?access_token={TOKEN}"))
        .header("Host", address.to_string())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut bot, _) = patiently(tokio_tungstenite::client_async(request, socket)).await.unwrap();
    let first = patiently(bot.next()).await.unwrap().unwrap();
    assert!(first.to_text().unwrap().contains(r#""sub_type":"connect""#), "{first}");
}
