//! What a bot may not call never reaches LLOneBot, however it is spelled.

use onebot_gateway::onebot::catalogue::{self, Risk};
use onebot_gateway::policy::acl::{Permissions, Rule};
use onebot_gateway::policy::actions::ActionPatterns;
use tokio::time::Duration;

use crate::bot::retcode;
use crate::gateway::Gateway;

#[tokio::test(start_paused = true)]
async fn a_denied_call_never_reaches_upstream() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    let mut frames: Vec<String> = [
        r#"{"action":"\u0067et_cookies"}"#,
        r#"{"\u0061ction":"get_cookies"}"#,
        r#"{"action":"get_msg","action":"get_cookies"}"#,
        r#"{"action":"get_msg","\u0061ction":"get\u005fcookies_async"}"#,
        r#"{"action":"get_cookies_async_rate_limited_async"}"#,
        r#" {"params":{"action":"get_msg"} , "action" : "set_restart" , "action" : "get_cookies" } "#,
    ]
    .map(str::to_owned)
    .into();
    for action in catalogue::all().iter().filter(|action| action.risk == Risk::Danger) {
        for suffix in ["", "_async", "_rate_limited"] {
            frames.push(format!(r#"{{"action":"{}{suffix}","params":{{}},"echo":"e"}}"#, action.name));
        }
    }
    for frame in &frames {
        bot.send(frame).await;
        let reply = bot.reply().await;
        assert_eq!(retcode(&reply), 1403, "{frame}");
        assert!(reply.contains("consumer.bot.actions.allow"), "{reply}");
    }
    upstream.hears_no_call_for(Duration::from_mins(1)).await;
    assert_eq!(gateway.calls_counted(), frames.len() as u64);
}

/// The last of equal keys counts, as in LLOneBot, and only what was decided about is sent on.
#[tokio::test(start_paused = true)]
async fn what_is_sent_is_what_was_decided_about() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.send(r#"{"action":"get_cookies","params":{"a":1},"action":"get_msg","params":{"b":2},"x":"get_cookies","echo":1,"echo":2}"#)
        .await;
    let call = upstream.call().await;
    assert_eq!((call.action.as_str(), call.params.get()), ("get_msg", r#"{"b":2}"#));
    upstream.send(call.ok("null")).await;
    assert!(bot.reply().await.ends_with(r#""echo":2}"#));
}

#[tokio::test(start_paused = true)]
async fn a_list_lets_through_what_it_names_and_nothing_else() {
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let listed = gateway.consumer_with("listed", |consumer| {
        let allow = ActionPatterns::parse(&["get_cookies".to_owned()]).unwrap();
        let rule = Rule { allow, ..Rule::open("consumer.listed.actions") };
        consumer.actions = Permissions::new(vec![rule]);
    });
    let mut bot = gateway.attach(&listed);
    bot.call("get_msg", "{}", "1").await;
    assert_eq!(retcode(&bot.reply().await), 1403);
    bot.call("get_cookies_async", "{}", "2").await;
    assert_eq!(upstream.call().await.action, "get_cookies");
}
