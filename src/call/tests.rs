//! The whole path over a hub whose link is played by the test.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, advance, timeout};
use tower::{Service, ServiceExt};

use super::*;
use crate::hub::{self, CallId, LinkId, Outcome, UpstreamReply};
use crate::journal::{self, Journal, SegmentBuilder, Seq};
use crate::onebot::{ActionName, Head, scan};
use crate::policy::acl::Rule;
use crate::policy::events::{EventRules, SelfMessages};
use crate::telemetry::Metrics;

const ASYNC: &str = r#"{"status":"async","retcode":1,"data":null,"message":"","wording":""}"#;

/// An account whose link is the test itself.
struct Stage {
    account: Account,
    link: LinkId,
    metrics: Arc<Metrics>,
}

impl Stage {
    fn new() -> Self {
        Self::with(pace::Config::default())
    }

    fn with(pace: pace::Config) -> Self {
        let metrics = Metrics::new().unwrap();
        let journal = Journal::new(journal::Config { events: 1000, ..Default::default() }, metrics.journal());
        let hub = Hub::new("main", None, hub::Config::default(), journal, metrics.link("main"));
        let link = hub.link_opened(Arc::new(Notify::new()));
        hub.link_proven(link, 10_001).unwrap();
        let answers = Answers::new(cache::Config::default(), Arc::clone(&hub), metrics.cache());
        let background = Background::default();
        let pacer = Pacer::new(Arc::clone(&hub), &hub::Config::default(), pace, |limit| metrics.limit(limit));
        background.tasks.spawn(pacer.clone().drive(background.drain.clone()));
        Self { account: Account { hub, pacer, answers, audit: None, background }, link, metrics }
    }

    fn caller(&self, name: &str, self_messages: SelfMessages) -> Caller {
        let metrics = Arc::new(self.metrics.consumer(name));
        let rules = EventRules { self_messages, conditions: None };
        let terms = Terms {
            share: Share { consumer: name.to_owned(), weight: 1, daily: Vec::new() },
            actions: Permissions::new(vec![Rule::open("consumer.bot.actions")]),
            events: Selection::new(rules, Arc::clone(&metrics)),
            format: MessageFormat::Array,
            slots: Slots::new(1000),
        };
        caller(&self.account, terms, &metrics)
    }

    /// What has been sent up since the last look.
    fn sent(&self) -> Vec<(CallId, String)> {
        let mut calls = Vec::new();
        assert!(self.account.hub.take_calls(self.link, usize::MAX, &mut calls));
        calls.into_iter().map(|(id, call)| (id, call.action.to_string())).collect()
    }

    fn answer(&self, id: CallId, ok: bool) {
        let text = Bytes::from_static(br#"{"status":"ok","retcode":0,"data":{"message_id":1}}"#);
        let reply = UpstreamReply { id: Some(id), text, echo_at: None, after: Seq(0), ok, more: false };
        self.account.hub.complete(self.link, [reply]);
    }

    fn happen(&self, events: &[&str]) {
        let mut builder = SegmentBuilder::default();
        for event in events {
            builder.push(event.as_bytes(), Head::read(event.as_bytes(), &scan(event.as_bytes()).unwrap()));
        }
        self.account.hub.journal().append(&mut builder, Instant::now());
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.render().unwrap().lines().any(|found| found == line)
    }
}

async fn call(caller: &Caller, action: &str, params: &str) -> Reply {
    let params = Bytes::copy_from_slice(params.as_bytes());
    let Ok(reply) = caller.clone().oneshot(Call { action: ActionName::new(action), params }).await;
    reply
}

/// Lets the tasks in the background do what they can do now.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_call_is_answered_at_once_and_sent_as_the_action_itself() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::None);
    assert_eq!(call(&bot, "send_msg_async", r#"{"message":"x"}"#).await.text, ASYNC);
    settle().await;
    let [(id, action)] = &stage.sent()[..] else { panic!("one call") };
    assert_eq!(action, "send_msg");
    assert_eq!(stage.account.background.tasks.len(), 2);
    stage.answer(*id, false);
    settle().await;
    assert_eq!(stage.account.background.tasks.len(), 1);
    assert!(stage.counted(r#"onebot_gateway_calls_total{class="write",consumer="bot",outcome="failed"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn a_suffix_does_not_swallow_a_refusal() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::None);
    for action in ["get_cookies_async", "get_cookies_rate_limited", "get_cookies_async_rate_limited"] {
        assert_eq!(
            call(&bot, action, "{}").await.refused,
            Some(crate::onebot::Retcode::Forbidden),
            "{action}"
        );
    }
    settle().await;
    assert!(stage.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn rate_limited_calls_go_up_half_a_second_apart_by_turns_and_in_order_of_each_consumer() {
    let stage = Stage::new();
    let (one, two) = (stage.caller("one", SelfMessages::None), stage.caller("two", SelfMessages::None));
    for (bot, action) in
        [(&one, "send_msg"), (&one, "send_like"), (&two, "delete_msg"), (&one, "set_group_ban")]
    {
        assert_eq!(call(bot, &format!("{action}_rate_limited"), "{}").await.text, ASYNC);
    }
    for action in ["send_msg", "delete_msg", "send_like", "set_group_ban"] {
        settle().await;
        let sent: Vec<String> = stage.sent().into_iter().map(|(_, action)| action).collect();
        assert_eq!(sent, [action]);
        advance(Duration::from_millis(499)).await;
        settle().await;
        assert!(stage.sent().is_empty());
        advance(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_line_is_said_and_plain_calls_pass_it() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::None);
    // The first does not wait.
    for _ in 0..=1024 {
        assert_eq!(call(&bot, "send_like_rate_limited", "{}").await.text, ASYNC);
    }
    let refused = call(&bot, "send_like_rate_limited", "{}").await;
    assert_eq!(refused.refused, Some(crate::onebot::Retcode::Limited));
    let mut plain = bot.clone();
    let params = Bytes::from_static(b"{}");
    let _open = plain.ready().await.unwrap().call(Call { action: ActionName::new("get_msg"), params });
    let sent = stage.sent();
    assert!(sent.iter().any(|(_, action)| action == "get_msg"), "{sent:?}");

    stage.account.background.drain.cancel();
    stage.account.background.tasks.close();
    timeout(Duration::from_secs(1), async {
        for (id, _) in sent {
            stage.answer(id, true);
        }
        stage.account.background.tasks.wait().await;
    })
    .await
    .expect("a shutdown does not wait for turns");
}

#[tokio::test(start_paused = true)]
async fn get_event_starts_at_now_and_gives_each_event_once_to_each_key() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::None);
    let other = stage.caller("other", SelfMessages::None);
    stage.happen(&[r#"{"n":0}"#]);
    assert_eq!(events(&bot, "a").await, "[]");
    assert_eq!(events(&other, "a").await, "[]");
    stage.happen(&[r#"{"n": 1}"#, r#"{"post_type":"message_sent"}"#, r#"{"n":2}"#]);
    assert_eq!(events(&bot, "a").await, r#"[{"n": 1},{"n":2}]"#);
    assert_eq!(events(&bot, "a").await, "[]");
    assert_eq!(events(&bot, "b").await, "[]");
    assert_eq!(events(&other, "a").await, r#"[{"n": 1},{"n":2}]"#);
    assert!(stage.sent().is_empty(), "it is not asked of LLOneBot");
}

#[tokio::test(start_paused = true)]
async fn get_event_waits_for_an_event_the_bot_wants_and_no_longer_than_asked() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::None);
    events(&bot, "a").await;
    let started = Instant::now();
    let reply = call(&bot, "get_event", r#"{"key":"a","timeout":"2000"}"#).await;
    assert_eq!((data(&reply).as_str(), started.elapsed()), ("[]", Duration::from_secs(2)));

    let waiting = tokio::task::LocalSet::new();
    waiting
        .run_until(async {
            let poll = tokio::task::spawn_local({
                let bot = bot.clone();
                async move { data(&call(&bot, "get_event", r#"{"key":"a","timeout":60000}"#).await) }
            });
            settle().await;
            stage.happen(&[r#"{"post_type":"message_sent"}"#]);
            settle().await;
            assert!(!poll.is_finished());
            stage.happen(&[r#"{"n":1}"#]);
            assert_eq!(poll.await.unwrap(), r#"[{"n":1}]"#);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn get_event_waits_for_the_answer_that_says_whose_a_message_is() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::Siblings);
    events(&bot, "a").await;
    let params = Bytes::from_static(b"{}");
    let mut sender = bot.clone();
    let _open = sender.ready().await.unwrap().call(Call { action: ActionName::new("send_msg"), params });
    let [(id, _)] = &stage.sent()[..] else { panic!("one call") };
    stage.happen(&[r#"{"post_type":"message_sent","message_id":1}"#, r#"{"n":1}"#]);
    assert_eq!(events(&bot, "a").await, "[]");
    let poll = async { data(&call(&bot, "get_event", r#"{"key":"a","timeout":60000}"#).await) };
    let answer = async {
        settle().await;
        stage.answer(*id, true);
    };
    assert_eq!(tokio::join!(poll, answer).0, r#"[{"n":1}]"#);
}

#[tokio::test(start_paused = true)]
async fn get_event_gives_a_hundred_at_most_and_tells_no_event_twice() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::All);
    events(&bot, "a").await;
    let numbered: Vec<String> = (0..250).map(|n| format!("{n}")).collect();
    for n in &numbered {
        stage.happen(&[&format!(r#"{{"n":{n}}}"#)]);
    }
    let mut seen = Vec::new();
    for count in [100, 100, 50, 0] {
        let got: Vec<serde_json::Value> = serde_json::from_str(&events(&bot, "a").await).unwrap();
        assert_eq!(got.len(), count);
        seen.extend(got.into_iter().map(|event| event["n"].to_string()));
    }
    assert_eq!(seen, numbered);
}

#[tokio::test(start_paused = true)]
async fn idle_keys_are_forgotten_and_their_number_is_bounded() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::None);
    events(&bot, "old").await;
    for n in 0..100 {
        advance(Duration::from_millis(1)).await;
        events(&bot, &n.to_string()).await;
    }
    stage.happen(&[r#"{"n":1}"#]);
    assert_eq!(events(&bot, "99").await, r#"[{"n":1}]"#);
    assert_eq!(events(&bot, "old").await, "[]", "pushed out, so it starts anew");
    advance(Duration::from_mins(5)).await;
    assert_eq!(events(&bot, "50").await, "[]", "idle for too long");
}

#[tokio::test(start_paused = true)]
async fn get_event_says_what_it_does_not_understand() {
    let stage = Stage::new();
    let bot = stage.caller("bot", SelfMessages::None);
    let long = format!(r#"{{"key":"{}"}}"#, "k".repeat(257));
    for (params, named) in [
        ("{}", "$.key"),
        (&long, "$.key"),
        (r#"{"key":{}}"#, "$.key"),
        (r#"{"key":"a","timeout":"soon"}"#, "$.timeout"),
        (r#"{"key":"a","timeout":"NaN"}"#, "$.timeout"),
        (r#"{"key":"a","timeout":[]}"#, "$.timeout"),
    ] {
        let reply = call(&bot, "get_event", params).await;
        assert_eq!(reply.refused, Some(crate::onebot::Retcode::Malformed), "{params}");
        assert!(String::from_utf8_lossy(&reply.text).contains(named), "{params}");
    }
    assert_eq!(call(&bot, "get_event", r#"{"key":7,"timeout":-5}"#).await.outcome, Outcome::Ok);
}

async fn events(bot: &Caller, key: &str) -> String {
    data(&call(bot, "get_event", &format!(r#"{{"key":"{key}"}}"#)).await)
}

fn data(reply: &Reply) -> String {
    let text = String::from_utf8(reply.text.to_vec()).unwrap();
    let data = text.strip_prefix(r#"{"status":"ok","retcode":0,"data":"#).unwrap();
    data.strip_suffix(r#","message":"","wording":""}"#).unwrap().to_owned()
}
