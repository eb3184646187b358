//! What becomes of calls when the link breaks.

use tokio::time::{Duration, Instant};

use crate::bot::{echoes, field, retcode};
use crate::gateway::Gateway;

#[tokio::test(start_paused = true)]
async fn link_loss_fails_all_pending() {
    let gateway = Gateway::new();
    let (mut upstream, link) = gateway.link_by_hand().await;
    let mut bots = ["a", "b"].map(|name| gateway.attach(&gateway.consumer(name)));
    for bot in &mut bots {
        for echo in 0..100 {
            bot.call("send_group_msg", "{}", &echo.to_string()).await;
        }
    }
    for _ in 0..150 {
        upstream.call().await;
    }
    let broke = Instant::now();
    drop(upstream);
    for bot in &mut bots {
        for echo in 0..100 {
            let reply = bot.reply().await;
            assert_eq!((retcode(&reply), field(&reply, "echo")), (1502, echo.into()), "{reply}");
        }
    }
    assert_eq!(broke.elapsed(), Duration::ZERO);
    assert!(link.await.unwrap().starts_with("the connection was lost"));
    assert_eq!(gateway.hub.open_calls(), 0);
}

/// LLOneBot may have done what it never confirmed.
#[tokio::test(start_paused = true)]
async fn a_write_is_never_sent_twice() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.call("send_group_msg", r#"{"message":"once"}"#, "1").await;
    assert_eq!(upstream.call().await.params.get(), r#"{"message":"once"}"#);
    drop(upstream);
    let reply = bot.reply().await;
    assert_eq!(retcode(&reply), 1502);
    assert!(reply.contains("it may have done what was asked"), "{reply}");

    let (mut upstream, _link) = gateway.link_by_hand().await;
    upstream.hears_no_call_for(Duration::from_hours(1)).await;
    bot.call("send_group_msg", r#"{"message":"after"}"#, "2").await;
    let call = upstream.call().await;
    assert_eq!(call.params.get(), r#"{"message":"after"}"#);
    upstream.send(call.ok("null")).await;
    assert_eq!(field(&bot.reply().await, "echo"), 2);
    assert_eq!(echoes(&bot.heard_until_quiet().await).len(), 0);
}

/// A restarted LLOneBot whose old connection never ended.
#[tokio::test(start_paused = true)]
async fn a_second_link_replaces_the_first_and_fails_its_pending_calls() {
    let gateway = Gateway::new();
    let (mut old, old_link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.call("send_group_msg", "{}", "1").await;
    let lost = old.call().await;
    let opened = Instant::now();
    let (mut new, _link) = gateway.unproven_by_hand();
    assert!(bot.reply().await.contains("took its place"));
    assert_eq!(opened.elapsed(), Duration::ZERO);

    // Between the two there is no link in use: calls wait.
    bot.call("send_group_msg", r#"{"message":"for the new one"}"#, "2").await;
    // The old one talks on: nothing it says counts any more.
    old.send_all([lost.ok("1"), crate::upstream::event("from the old one")]).await;
    assert!(old_link.await.unwrap().contains("took its place"));
    new.lifecycle().await;
    let call = new.call().await;
    assert_eq!(call.params.get(), r#"{"message":"for the new one"}"#);
    new.send(call.ok("2")).await;
    assert_eq!(field(&bot.reply().await, "data"), 2);
    assert_eq!(bot.heard_until_quiet().await, []);
}

/// Sessions outlive the link: Koishi would never come back.
#[tokio::test(start_paused = true)]
async fn a_session_outlives_many_links() {
    let gateway = Gateway::new();
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    for n in 0..20 {
        let (mut upstream, link) = gateway.link_by_hand().await;
        if n == 0 {
            assert_eq!(bot.meta().await["sub_type"], "connect");
        }
        upstream.send(crate::upstream::event(&n.to_string())).await;
        assert_eq!(crate::upstream::text_of(&bot.event().await), n.to_string());
        bot.call("get_recent_contact", "{}", &n.to_string()).await;
        let call = upstream.call().await;
        upstream.send(call.ok(&n.to_string())).await;
        assert_eq!(field(&bot.reply().await, "data"), n);
        upstream.close().await;
        assert_eq!(link.await.unwrap(), "LLOneBot closed the connection (code none)");
    }
}
