use std::sync::Arc;
use std::time::Duration;

use onebot_gateway::downstream::Bot;
use onebot_gateway::policy::events::SelfMessages;

use crate::stage::{Peer, Stage};

fn consumer(stage: &Stage, name: &str, which: SelfMessages) -> Arc<Bot> {
    stage.consumer(name, |consumer| consumer.self_messages = which)
}

fn sent(message_id: i64) -> String {
    format!(r#"{{"self_id":10001000,"message_id":{message_id},"message":[],"post_type":"message_sent"}}"#)
}

/// Somebody else's message.
fn heard(message_id: i64) -> String {
    sent(message_id).replace("message_sent", "message")
}

async fn send_message(bot: &mut Peer, echo: i64) {
    bot.send(format!(r#"{{"action":"send_group_msg","params":{{}},"echo":{echo}}}"#)).await;
}

/// Answers a call that `call_of` found.
async fn answer(upstream: &mut Peer, call: &serde_json::Value, message_id: i64) {
    let data = format!(r#"{{"message_id":{message_id}}}"#);
    upstream.send(format!(r#"{{"status":"ok","retcode":0,"data":{data},"echo":{call}}}"#)).await;
}

#[tokio::test(start_paused = true)]
async fn each_bot_sees_the_messages_it_asks_for() {
    let mut stage = Stage::new().await;
    let own = consumer(&stage, "own", SelfMessages::Own);
    let (mut sender, mut own_sibling) = (stage.attach(&own).await, stage.attach(&own).await);
    let siblings = consumer(&stage, "siblings", SelfMessages::Siblings);
    let mut siblings = stage.attach(&siblings).await;
    let mut all = stage.attach(&consumer(&stage, "all", SelfMessages::All)).await;
    let mut none = stage.attach(&consumer(&stage, "none", SelfMessages::None)).await;

    // The event comes before the reply, as on LLOneBot, and each bot sends once.
    for (bot, message_id, echo) in [(&mut sender, -11, 1), (&mut siblings, -22, 2)] {
        send_message(bot, echo).await;
        let call = stage.upstream.call_of("send_group_msg").await;
        stage.upstream.send(sent(message_id)).await;
        answer(&mut stage.upstream, &call, message_id).await;
        stage.upstream.send(heard(30 + echo)).await;
    }
    assert_eq!(sender.hear_ids(4).await, [-11, 1, 31, 32]);
    assert_eq!(own_sibling.hear_ids(3).await, [-11, 31, 32]);
    assert_eq!(siblings.hear_ids(4).await, [-11, 31, 2, 32]);
    assert_eq!(all.hear_ids(4).await, [-11, 31, -22, 32]);
    assert_eq!(none.hear_ids(2).await, [31, 32]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_behind_a_message_that_waits_keeps_its_order() {
    let mut stage = Stage::new().await;
    let own = consumer(&stage, "own", SelfMessages::Own);
    let mut bot = stage.attach(&own).await;
    let mut all = stage.attach(&consumer(&stage, "all", SelfMessages::All)).await;
    send_message(&mut bot, 1).await;
    let call = stage.upstream.call_of("send_group_msg").await;
    bot.send(r#"{"action":"get_status","echo":2}"#).await;
    let status = stage.upstream.call_of("get_status").await;
    stage.upstream.send(heard(5)).await;
    stage.upstream.send(sent(-1)).await;
    stage.upstream.send(format!(r#"{{"status":"ok","data":{{}},"echo":{status}}}"#)).await;
    stage.upstream.send(heard(6)).await;

    assert_eq!(all.hear_ids(3).await, [5, -1, 6]);
    assert_eq!(bot.hear_ids(1).await, [5]);
    bot.hears_nothing_for(Duration::from_secs(1)).await;
    answer(&mut stage.upstream, &call, -1).await;
    assert_eq!(bot.hear_ids(4).await, [-1, 2, 6, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_holds_nothing_for_long() {
    let mut stage = Stage::new().await;
    let mut own = stage.attach(&consumer(&stage, "own", SelfMessages::Own)).await;
    let mut siblings = stage.attach(&consumer(&stage, "siblings", SelfMessages::Siblings)).await;
    for bot in [&mut own, &mut siblings] {
        send_message(bot, 1).await;
        stage.upstream.call_of("send_group_msg").await;
    }
    stage.upstream.send(sent(-1)).await;
    stage.upstream.send(heard(2)).await;
    for bot in [&mut own, &mut siblings] {
        bot.hears_nothing_for(Duration::from_millis(900)).await;
    }
    assert_eq!(own.hear_ids(1).await, [2]);
    assert_eq!(siblings.hear_ids(2).await, [-1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_sender_hung_up_is_still_its_own() {
    let mut stage = Stage::new().await;
    let bot = consumer(&stage, "siblings", SelfMessages::Siblings);
    let (mut sender, mut other) = (stage.attach(&bot).await, stage.attach(&bot).await);
    send_message(&mut sender, 1).await;
    let call = stage.upstream.call_of("send_group_msg").await;
    drop(sender);
    stage.upstream.send(sent(-1)).await;
    answer(&mut stage.upstream, &call, -1).await;
    stage.upstream.send(heard(2)).await;
    assert_eq!(other.hear_ids(1).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn messages_sent_while_nothing_of_the_bot_is_open_wait_for_nothing() {
    let mut stage = Stage::new().await;
    let mut bot = stage.attach(&consumer(&stage, "siblings", SelfMessages::Siblings)).await;
    stage.upstream.send(sent(-1)).await;
    assert_eq!(bot.hear_ids(1).await, [-1]);
    // A call issued after the event cannot have sent it.
    stage.upstream.send(sent(-2)).await;
    assert_eq!(bot.hear_ids(1).await, [-2]);
    send_message(&mut bot, 1).await;
    stage.upstream.call_of("send_group_msg").await;
    let mut late = stage.attach(&consumer(&stage, "late", SelfMessages::Siblings)).await;
    stage.upstream.send(sent(-3)).await;
    assert_eq!(late.hear_ids(1).await, [-3]);
    bot.hears_nothing_for(Duration::from_secs(1)).await;
}
