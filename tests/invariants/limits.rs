//! Limits, as bots and LLOneBot see them.

use std::time::Duration;

use onebot_gateway::downstream::Channel;
use onebot_gateway::net::websocket::Role;
use onebot_gateway::policy::actions::ActionPatterns;
use onebot_gateway::policy::bucket::{Breaker, Pacing};
use onebot_gateway::policy::budget::Allowance;
use onebot_gateway::policy::limit::{Excess, Limit, Per};
use tokio::time::Instant;

use crate::bot::{call, field, retcode};
use crate::gateway::Gateway;
use crate::upstream::Upstream;

const SECOND: Duration = Duration::from_secs(1);

fn actions(written: &str) -> ActionPatterns {
    ActionPatterns::parse(&[written.to_owned()]).unwrap()
}

/// One send each two seconds for the whole account, three at once.
fn limit() -> Limit {
    Limit {
        name: "account".into(),
        actions: actions("@send"),
        consumers: None,
        per: Per::Account,
        pacing: Pacing {
            interval: 2 * SECOND,
            burst: 3,
            jitter: Duration::ZERO,
            ramp: Duration::ZERO,
            breaker: None,
        },
        excess: Excess::Wait(30 * SECOND),
    }
}

fn limited(adjust: impl FnOnce(&mut Limit)) -> Gateway {
    let mut limit = limit();
    adjust(&mut limit);
    Gateway::with(|setup| setup.pace.limits = vec![limit])
}

fn send(group: u32, text: &str) -> String {
    call("send_group_msg", &format!(r#"{{"group_id":{group},"message":"{text}"}}"#), "1")
}

/// What is sent within `time`, and when; each is answered with success at once.
async fn sent_within(upstream: &mut Upstream, time: Duration) -> Vec<(u64, String)> {
    let start = Instant::now();
    let mut sent = Vec::new();
    while let Ok(Some(call)) = tokio::time::timeout_at(start + time, upstream.next_call()).await {
        let text = field(call.params.get(), "message").as_str().unwrap_or_default().to_owned();
        sent.push((start.elapsed().as_secs(), text));
        upstream.send(call.ok(r#"{"message_id":1}"#)).await;
    }
    sent
}

/// Every session and every transport of an account takes from the same bucket.
#[tokio::test(start_paused = true)]
async fn a_limit_is_shared_by_all_sessions_of_its_key() {
    let gateway = limited(|_| {});
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let one = gateway.consumer("one");
    let mut bots = [gateway.attach(&one), gateway.attach(&one), gateway.attach(&gateway.consumer("two"))];
    for (number, bot) in bots.iter_mut().enumerate() {
        for call in 0..2 {
            bot.send(send(5, &format!("{number}/{call}"))).await;
        }
    }
    let sent = sent_within(&mut upstream, 20 * SECOND).await;
    let times: Vec<u64> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 0, 0, 2, 4, 6], "{sent:?}");
    for bot in &mut bots {
        for _ in 0..2 {
            assert_eq!(retcode(&bot.reply().await), 0);
        }
    }
    assert_eq!(gateway.metric(r#"limited_calls_total{consumer="two",limit="account",verdict="waited"}"#), 2);
    assert_eq!(gateway.metric(r#"limit_waiting{limit="account"}"#), 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_keeps_its_order_and_reads_do_not_wait_with_it() {
    let gateway = limited(|limit| limit.pacing.burst = 1);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    for text in ["a", "b", "c"] {
        bot.send(send(5, text)).await;
    }
    bot.send(call("set_group_name", r#"{"group_id":5,"message":"behind c"}"#, "1")).await;
    bot.send(call("get_group_info", r#"{"group_id":5,"message":"read"}"#, "1")).await;
    let sent = sent_within(&mut upstream, 20 * SECOND).await;
    let expected = [(0, "a"), (0, "read"), (2, "b"), (4, "c"), (4, "behind c")];
    assert_eq!(sent, expected.map(|(at, text)| (at, text.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_bot_went_away_is_not_sent() {
    let gateway = limited(|limit| limit.pacing.burst = 1);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut leaving = gateway.attach(&gateway.consumer("leaving"));
    leaving.send_all(["a", "b"].map(|text| send(5, text))).await;
    assert_eq!(upstream.call().await.action, "send_group_msg");
    leaving.hang_up().await;
    let mut staying = gateway.attach(&gateway.consumer("staying"));
    staying.send(send(5, "c")).await;
    let sent = sent_within(&mut upstream, 20 * SECOND).await;
    assert_eq!(sent, [(2, "c".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_is_told_how_long_it_would_have_taken() {
    let gateway = limited(|limit| {
        limit.pacing.burst = 1;
        limit.excess = Excess::Wait(3 * SECOND);
    });
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.send_all((0..3).map(|text| send(5, &text.to_string()))).await;
    let refused = bot.reply().await;
    assert_eq!(retcode(&refused), 1429);
    let message = field(&refused, "message");
    let message = message.as_str().unwrap();
    assert!(message.contains("about 4s for limit.account"), "{message}");
    assert_eq!(sent_within(&mut upstream, 20 * SECOND).await.len(), 2);
    assert_eq!(gateway.metric(r#"limited_calls_total{consumer="bot",limit="account",verdict="gave_up"}"#), 1);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_rejects_does_so_at_once() {
    let gateway = limited(|limit| {
        limit.excess = Excess::Reject;
        limit.per = Per::Group;
    });
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.send_all((0..4).map(|text| send(5, &text.to_string()))).await;
    bot.send(send(6, "another group")).await;
    assert_eq!(retcode(&bot.reply().await), 1429);
    let sent = sent_within(&mut upstream, SECOND).await;
    assert_eq!(sent.len(), 4, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_nothing_bursts() {
    let gateway = limited(|limit| limit.pacing.ramp = 30 * SECOND);
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    for text in 0..4 {
        bot.send(send(5, &text.to_string())).await;
    }
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let sent = sent_within(&mut upstream, 30 * SECOND).await;
    let times: Vec<u64> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 4);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 2), "{times:?}");
    assert!(times[1] >= 8, "the ramp begins slowly: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_for_the_link_is_told_so() {
    let gateway = limited(|_| {});
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.send(send(5, "a")).await;
    let reply = bot.reply().await;
    assert_eq!(retcode(&reply), 1502, "{reply}");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_send_is_left_alone_and_then_tried_once() {
    let gateway = limited(|limit| {
        limit.pacing.burst = 100;
        limit.excess = Excess::Wait(300 * SECOND);
        limit.pacing.breaker = Some(Breaker { failures: 3, hold: 60 * SECOND });
    });
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let failed = |call: &crate::upstream::Call| call.failed(1200, "发送失败: 账号可能被风控");
    for number in 0..3 {
        bot.send(send(number, "x")).await;
        let call = upstream.call().await;
        upstream.send(failed(&call)).await;
        assert_eq!(retcode(&bot.reply().await), 1200);
    }
    bot.send_all((0..2).map(|number| send(number, "later"))).await;
    upstream.hears_no_call_for(59 * SECOND).await;
    assert_eq!(gateway.metric(r#"limit_held{limit="account"}"#), 1);
    let call = upstream.call().await;
    upstream.hears_no_call_for(2 * SECOND).await;
    upstream.send(call.ok("null")).await;
    assert_eq!(upstream.call().await.action, "send_group_msg");
    assert_eq!(gateway.metric(r#"limit_holds_total{limit="account"}"#), 1);
    assert_eq!(gateway.metric(r#"limit_held{limit="account"}"#), 0);
}

#[tokio::test(start_paused = true)]
async fn a_days_allowance_is_used_up_and_what_was_not_sent_does_not_count() {
    let gateway = limited(|limit| {
        limit.excess = Excess::Reject;
        limit.pacing.burst = 1;
    });
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer_with("bot", |consumer| {
        consumer.daily = vec![Allowance { key: "send".to_owned(), actions: actions("@send"), most: 2 }];
    });
    let mut bot = gateway.attach(&consumer);
    bot.send_all((0..5).map(|_| send(5, "x"))).await;
    for _ in 0..4 {
        assert!(field(&bot.reply().await, "message").as_str().unwrap().contains("limit.account"));
    }
    assert_eq!(sent_within(&mut upstream, 4 * SECOND).await.len(), 1);
    assert_eq!(retcode(&bot.reply().await), 0);
    bot.send(send(5, "x")).await;
    assert_eq!(sent_within(&mut upstream, 4 * SECOND).await.len(), 1);
    assert_eq!(retcode(&bot.reply().await), 0);
    bot.send(send(5, "x")).await;
    let refused = bot.reply().await;
    assert_eq!(retcode(&refused), 1429);
    assert!(refused.contains("the 2 calls a day of consumer.bot.daily.send are used up"), "{refused}");
    bot.send(call("get_msg", "{}", "1")).await;
    assert_eq!(upstream.call().await.action, "get_msg");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tells_those_that_wait() {
    let gateway = limited(|limit| limit.pacing.burst = 1);
    let (mut upstream, _link) = gateway.link_that_outlives_drain().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.send_all((0..2).map(|_| send(5, "x"))).await;
    let call = upstream.call().await;
    gateway.shutdown.drain.cancel();
    let reply = bot.reply().await;
    assert_eq!(retcode(&reply), 1503, "{reply}");
    upstream.send(call.ok("null")).await;
    assert_eq!(retcode(&bot.reply().await), 0);
}

/// Ten bots share 30 a minute, one of them floods: nobody is starved, and LLOneBot never sees more than the
/// rate and the burst in any time.
#[tokio::test(start_paused = true)]
async fn one_bot_that_floods_does_not_starve_nine_others() {
    let gateway = limited(|limit| limit.excess = Excess::Wait(60 * SECOND));
    let (mut upstream, _link) = gateway.link_by_hand().await;
    // Nobody reads answers, which must not end a session.
    let attach = |bot| {
        let consumer = gateway.consumer(&format!("bot{bot}"));
        gateway.attach_over(&consumer, Channel::Universal, Role::Server, 1 << 20)
    };
    let mut bots: Vec<_> = (0..10).map(attach).collect();
    let start = Instant::now();
    let mut sent: Vec<(Duration, String)> = Vec::new();
    for minute in 0..5 {
        for (number, bot) in bots.iter_mut().enumerate() {
            let calls = if number == 0 { 200 } else { 2 };
            bot.send_all((0..calls).map(|call| send(5, &format!("{number} {minute} {call:03}")))).await;
        }
        while let Ok(Some(call)) =
            tokio::time::timeout_at(start + 60 * SECOND * (minute + 1), upstream.next_call()).await
        {
            let text = field(call.params.get(), "message").as_str().unwrap().to_owned();
            sent.push((start.elapsed(), text));
            upstream.send(call.ok(r#"{"message_id":1}"#)).await;
        }
    }
    for bot in 1..10 {
        let own: Vec<&str> =
            sent.iter().filter_map(|(_, text)| text.strip_prefix(&format!("{bot} "))).collect();
        assert!(own.is_sorted(), "{own:?}");
        assert!(own.len() >= 8, "bot {bot} got {} of 10 calls through: {own:?}", own.len());
    }
    for (first, (from, _)) in sent.iter().enumerate() {
        for (last, (to, _)) in sent.iter().enumerate().skip(first) {
            let allowed = 3 + to.saturating_sub(*from).as_millis() / 2000;
            assert!((last - first + 1) as u128 <= allowed, "{first}..{last} of {sent:?}");
        }
    }
}
