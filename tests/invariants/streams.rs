//! NapCat's stream actions: several frames answer one call.

use onebot_gateway::downstream::Channel;
use onebot_gateway::net::websocket::Role;
use tokio::time::{Duration, timeout};

use crate::bot::{Bot, Heard, field, retcode};
use crate::gateway::Gateway;
use crate::upstream::{Call, event, text_of};

const ACTION: &str = "test_download_stream";

fn chunk(call: &Call, index: usize) -> String {
    let data = format!(r#"{{"type":"stream","data_type":"file_chunk","index":{index}}}"#);
    with_stream(call, &data)
}

fn last(call: &Call) -> String {
    with_stream(call, r#"{"type":"response","data_type":"file_complete"}"#)
}

fn with_stream(call: &Call, data: &str) -> String {
    call.ok(data).replace(r#","echo""#, r#","stream":"stream-action","echo""#)
}

fn as_bot_sees(frame: &str, call: &Call, echo: &str) -> Heard {
    Heard::Reply(frame.replace(call.echo.get(), echo))
}

#[tokio::test(start_paused = true)]
async fn a_stream_passes_to_its_last_frame() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = quiet_bot(&gateway).await;
    bot.call(ACTION, "{}", r#""S""#).await;
    bot.call("get_msg", "{}", "1").await;
    let (stream, other) = (upstream.call().await, upstream.call().await);
    upstream.send_all((0..10).map(|index| chunk(&stream, index))).await;
    for index in 0..10 {
        assert_eq!(bot.hear().await, as_bot_sees(&chunk(&stream, index), &stream, r#""S""#));
    }
    upstream.send_all([chunk(&stream, 10), other.ok("1"), event("between"), last(&stream)]).await;
    assert_eq!(bot.hear().await, as_bot_sees(&chunk(&stream, 10), &stream, r#""S""#));
    assert_eq!(bot.hear().await, as_bot_sees(&other.ok("1"), &other, "1"));
    assert_eq!(bot.hear().await, Heard::Event(event("between")));
    assert_eq!(bot.hear().await, as_bot_sees(&last(&stream), &stream, r#""S""#));
    // Behind the last there is nothing.
    upstream.send_all([chunk(&stream, 11), last(&stream)]).await;
    assert_eq!(bot.heard_until_quiet().await, []);
    assert_eq!(gateway.odd_frames("repeated"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_error() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = quiet_bot(&gateway).await;
    for end in [r#"{"type":"error","data_type":"error"}"#, "null"] {
        bot.call(ACTION, "{}", "1").await;
        let stream = upstream.call().await;
        let end = with_stream(&stream, end)
            .replace(r#""ok""#, if end == "null" { r#""failed""# } else { r#""ok""# });
        upstream.send_all([chunk(&stream, 0), end.clone(), chunk(&stream, 1)]).await;
        assert_eq!(bot.hear().await, as_bot_sees(&chunk(&stream, 0), &stream, "1"));
        assert_eq!(bot.hear().await, as_bot_sees(&end, &stream, "1"));
        assert_eq!(bot.heard_until_quiet().await, []);
    }
}

/// As with single frames: an event comes before the frames that arrived after it and behind those
/// that arrived before it, also in a long burst.
#[tokio::test(start_paused = true)]
async fn events_keep_their_place_in_a_stream() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = quiet_bot(&gateway).await;
    bot.call(ACTION, "{}", "1").await;
    let stream = upstream.call().await;
    let mut frames: Vec<String> = (0..300).map(|index| chunk(&stream, index)).collect();
    frames.insert(150, event("in the middle"));
    frames.push(last(&stream));
    frames.push(event("behind"));
    upstream.send_all(frames.iter().cloned()).await;
    for frame in &frames {
        match bot.hear().await {
            Heard::Event(event) => assert_eq!(text_of(&event), text_of(frame)),
            heard => assert_eq!(heard, as_bot_sees(frame, &stream, "1")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_breaks_in_a_stream_ends_it_with_a_failure() {
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 1);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = quiet_bot(&gateway).await;
    bot.call(ACTION, "{}", "1").await;
    let stream = upstream.call().await;
    upstream.send_all([chunk(&stream, 0), chunk(&stream, 1)]).await;
    assert_eq!(bot.hear().await, as_bot_sees(&chunk(&stream, 0), &stream, "1"));
    drop(upstream);
    assert_eq!(bot.hear().await, as_bot_sees(&chunk(&stream, 1), &stream, "1"));
    let end = bot.reply().await;
    assert_eq!((retcode(&end), field(&end, "echo")), (1502, 1.into()));

    // Its slot is free again.
    let (mut upstream, _link) = gateway.link_by_hand().await;
    bot.call("get_msg", "{}", "2").await;
    let call = upstream.call().await;
    upstream.send(call.ok("null")).await;
    assert_eq!(field(&bot.reply().await, "echo"), 2);
}

/// Each frame shows that LLOneBot is at it; the deadline is for the next.
#[tokio::test(start_paused = true)]
async fn a_stream_lives_while_its_frames_come_and_then_times_out() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = quiet_bot(&gateway).await;
    bot.call(ACTION, "{}", "1").await;
    let stream = upstream.call().await;
    for index in 0..10 {
        upstream.hears_no_call_for(Duration::from_secs(20)).await;
        upstream.send(chunk(&stream, index)).await;
        assert_eq!(retcode(&bot.reply().await), 0);
    }
    let end = tokio::select! {
        end = bot.reply() => end,
        () = upstream.until_hung_up() => panic!("hung up"),
    };
    assert_eq!(retcode(&end), 1504);
    upstream.send(chunk(&stream, 10)).await;
    assert_eq!(bot.heard_until_quiet().await, []);
    assert_eq!(gateway.odd_frames("late"), 1);
}

/// A stream is one open call to its last frame.
#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_slot_to_the_last_frame() {
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 1);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = quiet_bot(&gateway).await;
    bot.call(ACTION, "{}", "1").await;
    bot.call("get_msg", "{}", "2").await;
    let stream = upstream.call().await;
    upstream.send(chunk(&stream, 0)).await;
    bot.reply().await;
    upstream.hears_no_call_for(Duration::from_secs(5)).await;
    upstream.send(last(&stream)).await;
    bot.reply().await;
    assert_eq!(timeout(Duration::from_secs(1), upstream.call()).await.unwrap().action, "get_msg");
}

/// Nobody waits for a bot that does not read, and nothing is kept for it without bound.
#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_faster_than_it_is_taken_is_given_up_with_an_answer() {
    const FRAMES: usize = 20_000;
    let gateway = Gateway::with(|setup| setup.calls.in_flight = 1);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut bot = gateway.attach_over(&consumer, Channel::Universal, Role::Server, 1000);
    bot.meta().await;
    bot.call(ACTION, "{}", "1").await;
    let stream = upstream.call().await;
    upstream.send_all((0..FRAMES).map(|index| chunk(&stream, index))).await;
    upstream.send(last(&stream)).await;
    upstream.hears_no_call_for(Duration::from_secs(1)).await;

    let heard = bot.heard_until_quiet().await;
    let (end, chunks) = heard.split_last().unwrap();
    assert!(chunks.len() < FRAMES);
    for (index, heard) in chunks.iter().enumerate() {
        assert_eq!(heard, &as_bot_sees(&chunk(&stream, index), &stream, "1"));
    }
    let Heard::Reply(end) = end else { panic!("{end:?}") };
    assert_eq!((retcode(end), field(end, "echo")), (1503, 1.into()));
    bot.call("get_msg", "{}", "2").await;
    assert_eq!(upstream.call().await.action, "get_msg");
}

/// A bot that may use streams and has read its first event.
async fn quiet_bot(gateway: &Gateway) -> Bot {
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.meta().await;
    bot
}
