//! Answers that are given more than once: to whom, for how long, and never when they are not true any more.

use std::time::Duration;

use onebot_gateway::policy::acl::{Permissions, Rule};
use onebot_gateway::policy::actions::ActionPatterns;

use crate::bot::{Bot, Heard, field, retcode};
use crate::gateway::Gateway;
use crate::upstream::{Call, Upstream};

const LIST: &str = "get_group_member_list";
const GROUP: &str = r#"{"group_id":5}"#;
const MOMENT: Duration = Duration::from_secs(1);

/// A gateway that keeps all it may.
fn keeping() -> Gateway {
    Gateway::with(|setup| setup.cache.all = true)
}

fn members(n: u32) -> String {
    format!("[{n}]")
}

fn data(reply: &str) -> String {
    field(reply, "data").to_string()
}

fn notice(detail: &str) -> String {
    format!(r#"{{"time":1,"self_id":10001000,"post_type":"notice",{detail},"user_id":7}}"#)
}

/// Asks and has the upstream answer with `answer`.
async fn ask(bot: &mut Bot, upstream: &mut Upstream, action: &str, params: &str, answer: &str) -> String {
    bot.call(action, params, "0").await;
    let call = upstream.call().await;
    assert_eq!(call.action, action);
    upstream.send(call.ok(answer)).await;
    data(&bot.reply().await)
}

/// Asks and has the answer without the upstream.
async fn known(bot: &mut Bot, upstream: &mut Upstream, action: &str, params: &str) -> String {
    bot.call(action, params, "0").await;
    let reply = bot.reply().await;
    upstream.hears_no_call_for(MOMENT).await;
    data(&reply)
}

fn failed(call: &Call) -> String {
    format!(
        r#"{{"status":"failed","retcode":1200,"data":null,"message":"no","wording":"no","echo":{}}}"#,
        call.echo
    )
}

#[tokio::test(start_paused = true)]
async fn twenty_bots_that_ask_the_same_at_once_cause_one_call_and_get_their_own_echoes() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bots: Vec<Bot> =
        (0..20).map(|n| gateway.attach(&gateway.consumer(&format!("bot_{n}")))).collect();
    for (n, bot) in bots.iter_mut().enumerate() {
        let params = if n % 2 == 0 { GROUP } else { r#"{ "no_cache": false, "group_id": "5" }"# };
        bot.call(LIST, params, &format!(r#"{{"of":{n}}}"#)).await;
    }
    let call = upstream.call().await;
    upstream.hears_no_call_for(MOMENT).await;
    upstream.send(call.ok("[1]")).await;
    for (n, bot) in bots.iter_mut().enumerate() {
        let expected = format!(
            r#"{{"status":"ok","retcode":0,"data":[1],"message":"","wording":"","echo":{{"of":{n}}}}}"#
        );
        assert_eq!(bot.reply().await, expected);
    }
    assert_eq!(gateway.metric(r#"cache_questions_total{result="shared",topic="group"}"#), 19);
    // By default only what is under way is shared.
    bots[0].call(LIST, GROUP, "1").await;
    upstream.call().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_again_until_its_time_is_over() {
    let gateway = Gateway::with(|setup| {
        setup.cache.ttl.insert(LIST.to_owned(), Duration::from_mins(1));
    });
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let mut other = gateway.attach(&gateway.consumer("other"));
    assert_eq!(ask(&mut bot, &mut upstream, LIST, GROUP, "[1]").await, "[1]");
    other.call(LIST, GROUP, r#""mine""#).await;
    assert_eq!(
        other.reply().await,
        r#"{"status":"ok","retcode":0,"data":[1],"message":"","wording":"","echo":"mine"}"#
    );
    // Without an echo there is none, though the kept answer had the gateway's.
    other.send(r#"{"action":"get_group_member_list","params":{"group_id":5}}"#).await;
    assert_eq!(other.reply().await, r#"{"status":"ok","retcode":0,"data":[1],"message":"","wording":""}"#);
    assert_eq!(gateway.metric(r#"cache_questions_total{result="hit",topic="group"}"#), 2);
    assert_eq!(gateway.metric("cache_entries"), 1);
    assert!(gateway.metric("cache_bytes") > 0);
    assert_eq!(ask(&mut bot, &mut upstream, LIST, r#"{"group_id":6}"#, "[2]").await, "[2]");
    upstream.hears_no_call_for(Duration::from_secs(61)).await;
    assert_eq!(ask(&mut bot, &mut upstream, LIST, GROUP, "[3]").await, "[3]");
}

#[tokio::test(start_paused = true)]
async fn a_notice_ends_what_it_changes_and_nothing_else() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    ask(&mut bot, &mut upstream, LIST, GROUP, "[1]").await;
    ask(&mut bot, &mut upstream, LIST, r#"{"group_id":6}"#, "[6]").await;
    ask(&mut bot, &mut upstream, "get_friend_list", "{}", "[9]").await;
    upstream.send(notice(r#""notice_type":"group_card","group_id":5"#)).await;
    bot.event().await;
    assert_eq!(known(&mut bot, &mut upstream, LIST, r#"{"group_id":6}"#).await, "[6]");
    assert_eq!(known(&mut bot, &mut upstream, "get_friend_list", "{}").await, "[9]");
    assert_eq!(ask(&mut bot, &mut upstream, LIST, GROUP, "[2]").await, "[2]");
    assert_eq!(known(&mut bot, &mut upstream, LIST, GROUP).await, "[2]");
    upstream.send(notice(r#""notice_type":"friend_add""#)).await;
    bot.event().await;
    assert_eq!(ask(&mut bot, &mut upstream, "get_friend_list", "{}", "[8]").await, "[8]");
}

#[tokio::test(start_paused = true)]
async fn a_write_of_any_bot_ends_what_it_changes() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let mut other = gateway.attach(&gateway.consumer("other"));
    for (write, params) in [
        ("set_group_card", r#"{"group_id":"5","user_id":7,"card":"x"}"#),
        ("set_group_card_async", r#"{"group_id":5,"user_id":7,"card":"x"}"#),
        ("set_group_kick", r#"{"group_id":5,"user_id":7}"#),
        ("an_action_of_tomorrow", "{}"),
    ] {
        ask(&mut bot, &mut upstream, LIST, GROUP, "[1]").await;
        other.call(write, params, "1").await;
        let call = upstream.call().await;
        // What is asked while the write is under way may see what was before it, and is not kept.
        assert_eq!(ask(&mut bot, &mut upstream, LIST, GROUP, "[2]").await, "[2]", "{write}");
        upstream.send(failed(&call)).await;
        other.reply().await;
        other.heard_until_quiet().await;
        assert_eq!(ask(&mut bot, &mut upstream, LIST, GROUP, "[3]").await, "[3]", "{write}");
        assert_eq!(known(&mut bot, &mut upstream, LIST, GROUP).await, "[3]", "{write}");
        // Leaves nothing to the next round.
        bot.call(LIST, r#"{"group_id":5,"no_cache":true}"#, "0").await;
        let call = upstream.call().await;
        upstream.send(failed(&call)).await;
        bot.reply().await;
        upstream.send(notice(r#""notice_type":"group_increase","group_id":5"#)).await;
        bot.event().await;
    }
}

/// Nobody knows when LLOneBot does what it did not answer.
#[tokio::test(start_paused = true)]
async fn after_a_write_without_an_answer_nothing_is_kept_for_a_while() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.call("set_group_card", r#"{"group_id":5,"user_id":7,"card":"x"}"#, "1").await;
    upstream.call().await;
    assert_eq!(retcode(&bot.reply().await), 1504);
    ask(&mut bot, &mut upstream, LIST, GROUP, "[1]").await;
    ask(&mut bot, &mut upstream, LIST, GROUP, "[2]").await;
    upstream.hears_no_call_for(Duration::from_secs(61)).await;
    ask(&mut bot, &mut upstream, LIST, GROUP, "[3]").await;
    assert_eq!(known(&mut bot, &mut upstream, LIST, GROUP).await, "[3]");
}

#[tokio::test(start_paused = true)]
async fn an_answer_asked_for_before_a_change_is_neither_kept_nor_shared_after_it() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut early = gateway.attach(&gateway.consumer("early"));
    let mut late = gateway.attach(&gateway.consumer("late"));
    early.call(LIST, GROUP, "1").await;
    let first = upstream.call().await;
    upstream.send(notice(r#""notice_type":"group_card","group_id":5"#)).await;
    late.event().await;
    late.call(LIST, GROUP, "2").await;
    let second = upstream.call().await;
    upstream.send_all([second.ok("[2]"), first.ok("[1]")]).await;
    assert_eq!(data(&late.reply().await), "[2]");
    assert_eq!(data(&early.reply().await), "[1]");
    assert_eq!(known(&mut early, &mut upstream, LIST, GROUP).await, "[2]");
}

#[tokio::test(start_paused = true)]
async fn no_cache_asks_anew_and_what_it_gets_is_kept() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    ask(&mut bot, &mut upstream, LIST, GROUP, "[1]").await;
    for (n, no_cache) in ["true", r#""true""#, "1"].iter().enumerate() {
        let params = format!(r#"{{"group_id":5,"no_cache":{no_cache}}}"#);
        let fresh = members(n as u32 + 2);
        assert_eq!(ask(&mut bot, &mut upstream, LIST, &params, &fresh).await, fresh);
        assert_eq!(known(&mut bot, &mut upstream, LIST, GROUP).await, fresh);
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_told_to_those_who_waited_and_never_again() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let mut other = gateway.attach(&gateway.consumer("other"));
    bot.call(LIST, GROUP, "1").await;
    let call = upstream.call().await;
    other.call(LIST, GROUP, "2").await;
    upstream.hears_no_call_for(MOMENT).await;
    upstream.send(failed(&call)).await;
    for bot in [&mut bot, &mut other] {
        assert_eq!(retcode(&bot.reply().await), 1200);
    }
    // Nor what nobody answered.
    bot.call(LIST, GROUP, "1").await;
    upstream.call().await;
    assert_eq!(retcode(&bot.reply().await), 1504);
    ask(&mut bot, &mut upstream, LIST, GROUP, "[1]").await;
    assert_eq!(gateway.metric("cache_entries"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_ask_is_refused_though_the_answer_is_known() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let stranger = gateway.consumer_with("stranger", |consumer| {
        let allow = ActionPatterns::parse(&["send_msg".to_owned()]).unwrap();
        consumer.actions = Permissions::new(vec![Rule { allow, ..Rule::open("consumer.stranger.actions") }]);
    });
    let mut stranger = gateway.attach(&stranger);
    ask(&mut bot, &mut upstream, LIST, GROUP, "[1]").await;
    stranger.call(LIST, GROUP, "1").await;
    assert_eq!(retcode(&stranger.reply().await), 1403);
}

#[tokio::test(start_paused = true)]
async fn constants_are_kept_without_being_asked_for_until_the_link_is_lost() {
    let gateway = Gateway::new();
    let (mut upstream, link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    ask(&mut bot, &mut upstream, "can_send_image", "{}", r#"{"yes":true}"#).await;
    ask(&mut bot, &mut upstream, "ocr_image", r#"{"image":"a"}"#, r#"{"texts":[]}"#).await;
    known(&mut bot, &mut upstream, "can_send_image", "{}").await;
    upstream.close().await;
    link.await.unwrap();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let yes = r#"{"yes":false}"#;
    assert_eq!(ask(&mut bot, &mut upstream, "can_send_image", "{}", yes).await, yes);
    // What a picture says does not depend on the link, but it does on the account that was shown it.
    known(&mut bot, &mut upstream, "ocr_image", r#"{"image":"a"}"#).await;
    upstream.close().await;
    let (mut upstream, _link) = gateway.unproven_by_hand();
    upstream.self_id = 20_002_000;
    upstream.lifecycle().await;
    gateway.wait_for(|state| state.self_id == Some(20_002_000)).await;
    let mut bot = gateway.attach(&gateway.consumer("other"));
    ask(&mut bot, &mut upstream, "ocr_image", r#"{"image":"a"}"#, r#"{"texts":[1]}"#).await;
}

#[tokio::test(start_paused = true)]
async fn who_asked_first_may_leave_and_the_others_are_answered() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut leaving = gateway.attach(&gateway.consumer("leaving"));
    let mut staying = gateway.attach(&gateway.consumer("staying"));
    leaving.call(LIST, GROUP, "1").await;
    let call = upstream.call().await;
    staying.call(LIST, GROUP, "2").await;
    upstream.hears_no_call_for(MOMENT).await;
    leaving.hang_up().await;
    upstream.send(call.ok("[1]")).await;
    assert_eq!(data(&staying.reply().await), "[1]");
    // When all leave, the next asks anew.
    staying.call(LIST, r#"{"group_id":6}"#, "3").await;
    upstream.call().await;
    staying.hang_up().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    assert_eq!(ask(&mut bot, &mut upstream, LIST, r#"{"group_id":6}"#, "[2]").await, "[2]");
}

#[tokio::test(start_paused = true)]
async fn who_shares_an_answer_or_is_told_a_known_one_keeps_no_slot() {
    let gateway = Gateway::with(|setup| {
        setup.cache.all = true;
        setup.calls.in_flight = 1;
    });
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut first = gateway.attach(&gateway.consumer("first"));
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    first.call(LIST, GROUP, "1").await;
    let call = upstream.call().await;
    bot.call(LIST, GROUP, "2").await;
    bot.call("get_group_list", "{}", "3").await;
    let own = upstream.call().await;
    assert_eq!(own.action, "get_group_list");
    upstream.send_all([own.ok("[]"), call.ok("[1]")]).await;
    assert_eq!((field(&bot.reply().await, "echo"), field(&bot.reply().await, "echo")), (3.into(), 2.into()));
    for _ in 0..3 {
        known(&mut bot, &mut upstream, LIST, GROUP).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_answer_comes_behind_the_events_it_came_behind() {
    let gateway = keeping();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let mut late = gateway.attach(&gateway.consumer("late"));
    late.meta().await;
    bot.meta().await;
    bot.call(LIST, GROUP, "1").await;
    let call = upstream.call().await;
    upstream.send_all([notice(r#""notice_type":"notify","sub_type":"poke""#), call.ok("[1]")]).await;
    bot.reply().await;
    late.call(LIST, GROUP, "2").await;
    assert!(matches!(late.hear().await, Heard::Event(_)));
    assert!(matches!(late.hear().await, Heard::Reply(_)));
}
