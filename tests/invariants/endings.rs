//! How a session ends when it is the bot's doing: a code that says why, and nothing left behind.

use onebot_gateway::onebot::CloseReason;
use tokio::time::Duration;

use crate::bot::{field, retcode};
use crate::gateway::Gateway;

#[tokio::test(start_paused = true)]
async fn a_bot_that_says_goodbye_is_answered() {
    let gateway = Gateway::new();
    let (_upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.meta().await;
    bot.send_raw(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await;
    assert_eq!(bot.closed().await, (Some(1000), CloseReason::PeerClosed));
    assert_eq!(gateway.metric(r#"sessions{consumer="bot"}"#), 0);
}

#[tokio::test(start_paused = true)]
async fn each_violation_has_its_code_and_harms_no_other_session() {
    let gateway = Gateway::with(|setup| setup.sessions.max_frame = 1000);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut other = gateway.attach(&consumer);
    let over_the_limit = [&[0x81, 0xfe, 0x03, 0xe9, 0, 0, 0, 0][..], &[b' '; 1001]].concat();
    let cases: [(&[u8], u16, CloseReason); 5] = [
        (&over_the_limit, 1009, CloseReason::TooLarge),
        (&[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007, CloseReason::BadText),
        // Not masked; a reserved opcode; a control frame in fragments.
        (&[0x81, 0x02, b'{', b'}'], 1002, CloseReason::Protocol),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002, CloseReason::Protocol),
        (&[0x09, 0x80, 0, 0, 0, 0], 1002, CloseReason::Protocol),
    ];
    for (raw, code, reason) in cases {
        let mut bot = gateway.attach(&consumer);
        bot.meta().await;
        bot.send_raw(raw).await;
        assert_eq!(bot.closed().await, (Some(code), reason));
    }
    other.call("get_msg", "{}", "1").await;
    let call = upstream.call().await;
    upstream.send(call.ok("7")).await;
    assert_eq!(field(&other.reply().await, "data"), 7);
}

/// A script may call and hang up at once: what it asked for is done.
#[tokio::test(start_paused = true)]
async fn calls_of_a_bot_that_hangs_up_are_still_sent() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.meta().await;
    for n in 0..3 {
        bot.call("send_group_msg", &format!(r#"{{"n":{n}}}"#), "1").await;
    }
    bot.hang_up().await;
    for n in 0..3 {
        assert_eq!(field(upstream.call().await.params.get(), "n"), n);
    }
    upstream.hears_no_call_for(Duration::from_mins(1)).await;
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_no_calls_are_answered_and_end_nothing() {
    let gateway = Gateway::new();
    let (_upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.meta().await;
    for (frame, code) in [("", 1400), ("{", 1400), ("null", 1400), ("[]", 1404), ("{}", 1404), ("7", 1404)] {
        bot.send(frame).await;
        assert_eq!(retcode(&bot.reply().await), code, "{frame:?}");
    }
    // A binary frame that is not UTF-8.
    bot.send_raw(&[0x82, 0x81, 0, 0, 0, 0, 0xff]).await;
    assert_eq!(retcode(&bot.reply().await), 1400);
    assert_eq!(gateway.metric(r#"bad_frames_total{consumer="bot"}"#), 7);
}
