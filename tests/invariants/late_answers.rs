//! Frames of LLOneBot that answer nothing: counted, and told to nobody.

use onebot_gateway::downstream::Bot as Consumer;
use std::sync::Arc;
use tokio::time::{Duration, Instant};

use crate::bot::{field, retcode};
use crate::gateway::Gateway;
use crate::upstream::Upstream;

fn three(gateway: &Gateway) -> [Arc<Consumer>; 3] {
    ["a", "b", "c"].map(|name| gateway.consumer(name))
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_counted_and_swallowed() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bots = three(&gateway).map(|consumer| gateway.attach(&consumer));
    let asked = Instant::now();
    bots[0].call("get_recent_contact", "{}", "1").await;
    let call = upstream.call().await;
    let reply = tokio::select! {
        reply = bots[0].reply() => reply,
        () = upstream.until_hung_up() => panic!("hung up"),
    };
    assert_eq!(retcode(&reply), 1504);
    assert!(reply.contains("calls.timeout") && asked.elapsed().as_secs() == 30, "{reply}");

    // The same echo is in use again when the old answer comes.
    bots[0].call("get_recent_contact", "{}", "1").await;
    let again = upstream.call().await;
    upstream.send_all([call.ok(r#""late""#), call.ok(r#""later""#), again.ok(r#""in time""#)]).await;
    assert_eq!(field(&bots[0].reply().await, "data"), "in time");
    all_quiet(&mut bots).await;
    assert_eq!(gateway.odd_frames("late"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_action_may_have_a_deadline_of_its_own() {
    let gateway = Gateway::with(|setup| {
        setup.calls.timeouts.insert("upload_group_file".to_owned(), Duration::from_mins(10));
    });
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let asked = Instant::now();
    bot.call("upload_group_file", "{}", "1").await;
    bot.call("get_recent_contact", "{}", "2").await;
    upstream.call().await;
    upstream.call().await;
    for (echo, seconds) in [(2, 30), (1, 600)] {
        let reply = tokio::select! {
            reply = bot.reply() => reply,
            () = upstream.until_hung_up() => panic!("hung up"),
        };
        assert_eq!((retcode(&reply), field(&reply, "echo")), (1504, echo.into()));
        assert_eq!(asked.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_answer_is_counted_and_swallowed() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bots = three(&gateway).map(|consumer| gateway.attach(&consumer));
    bots[0].call("get_recent_contact", "{}", "1").await;
    let call = upstream.call().await;
    upstream.send_all([call.ok("1"), call.ok("2"), call.ok("3")]).await;
    assert_eq!(field(&bots[0].reply().await, "data"), 1);
    all_quiet(&mut bots).await;
    assert_eq!(gateway.odd_frames("repeated"), 2);
}

/// Echoes of bots, of call ids not given out yet, of nobody; none at all.
#[tokio::test(start_paused = true)]
async fn an_answer_with_an_echo_of_nobody_is_counted_and_swallowed() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bots = three(&gateway).map(|consumer| gateway.attach(&consumer));
    for (bot, echo) in bots.iter_mut().zip(["1", r#""gw:90""#, r#"{"seq":1}"#]) {
        bot.call("get_recent_contact", "{}", echo).await;
    }
    let calls = [upstream.call().await, upstream.call().await, upstream.call().await];
    let echoes = [
        "1",
        r#"{"seq":1}"#,
        r#""1""#,
        r#""gw:90""#,
        r#""gw:99999""#,
        r#""gw:""#,
        r#""gw:-1""#,
        r#""gw:x""#,
        r#""GW:1""#,
        r#""gw:18446744073709551616""#,
        "null",
        "true",
        "[]",
    ];
    let frame = |echo: &str| format!(r#"{{"status":"ok","retcode":0,"data":"cookies","echo":{echo}}}"#);
    upstream.send_all(echoes.map(frame)).await;
    upstream.send(r#"{"status":"ok","retcode":0,"data":"cookies"}"#).await;
    all_quiet(&mut bots).await;
    assert_eq!(gateway.odd_frames("unknown_echo"), echoes.len() as u64 + 1);

    for (bot, call) in bots.iter_mut().zip(&calls) {
        upstream.send(call.ok(r#""mine""#)).await;
        assert_eq!(field(&bot.reply().await, "data"), "mine");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_bot_that_left_is_counted_and_told_to_nobody() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let [consumer, ..] = three(&gateway);
    let (mut leaving, staying) = (gateway.attach(&consumer), gateway.attach(&consumer));
    leaving.call("get_recent_contact", "{}", "1").await;
    let call = upstream.call().await;
    leaving.hang_up().await;
    upstream.send(call.ok("1")).await;
    all_quiet(&mut [staying]).await;
    assert_eq!(gateway.odd_frames("abandoned"), 1);
}

#[tokio::test(start_paused = true)]
async fn nonsense_from_the_upstream_harms_nobody() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bots = three(&gateway).map(|consumer| gateway.attach(&consumer));
    let nonsense =
        ["", "null", "[]", "{", "{}", r#"{"a":}"#, r#"{"action":"get_recent_contact","echo":"gw:1"}"#];
    upstream.send_all(nonsense.map(str::to_owned)).await;
    all_quiet(&mut bots).await;
    still_works(&mut upstream, &mut bots[0]).await;
    let odd = gateway.odd_frames("malformed") + gateway.odd_frames("unknown_echo");
    assert_eq!(odd, nonsense.len() as u64);
}

async fn still_works(upstream: &mut Upstream, bot: &mut crate::bot::Bot) {
    bot.call("get_recent_contact", "{}", "1").await;
    let call = upstream.call().await;
    upstream.send(call.ok("1")).await;
    assert_eq!(field(&bot.reply().await, "data"), 1);
}

async fn all_quiet(bots: &mut [crate::bot::Bot]) {
    for bot in bots {
        assert_eq!(bot.heard_until_quiet().await, []);
    }
}
