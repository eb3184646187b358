use onebot_gateway::net::websocket::Role;
use onebot_gateway::onebot::MessageFormat;

use crate::stage::Stage;

const ARRAY: &str = r#"{"self_id":10001000,"message_id":1,"raw_message":"[CQ:face,id=1]","message":[{"type":"face","data":{"id":"1"}}],"message_format":"array","post_type":"message","n":123456789012345678901234567890}"#;
const STRING: &str = r#"{"self_id":10001000,"message_id":1,"raw_message":"[CQ:face,id=1]","message":"[CQ:face,id=1]","message_format":"string","post_type":"message","n":123456789012345678901234567890}"#;
const NOTICE: &str =
    r#"{"self_id":10001000,"post_type":"notice","notice_type":"friend_add","user_id":1,"message":[]}"#;

#[tokio::test(start_paused = true)]
async fn each_bot_gets_messages_in_its_form_whatever_the_upstream_sends() {
    let mut stage = Stage::new().await;
    let array = stage.consumer("array", |_| {});
    let string = stage.consumer("string", |consumer| consumer.message_format = MessageFormat::String);
    let mut bots = Vec::new();
    for role in [Role::Server, Role::Client] {
        bots.push((stage.attach_as(&array, role).await, ARRAY));
        bots.push((stage.attach_as(&string, role).await, STRING));
    }
    for event in [ARRAY, NOTICE, STRING, NOTICE] {
        stage.upstream.send(event).await;
    }
    for (bot, form) in &mut bots {
        for expected in [form, NOTICE, form, NOTICE] {
            assert_eq!(bot.hear().await, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replies_that_carry_messages_are_in_the_bots_form_and_others_untouched() {
    let mut stage = Stage::new().await;
    let string = stage.consumer("string", |consumer| consumer.message_format = MessageFormat::String);
    let mut bot = stage.attach(&string).await;
    for (action, data, expected) in [
        ("get_msg", ARRAY.to_owned(), STRING.to_owned()),
        (
            "get_group_msg_history",
            format!(r#"{{"messages":[{ARRAY}]}}"#),
            format!(r#"{{"messages":[{STRING}]}}"#),
        ),
        ("get_status", ARRAY.to_owned(), ARRAY.to_owned()),
    ] {
        bot.send(format!(r#"{{"action":"{action}","echo":{{"seq": 1e400}}}}"#)).await;
        let echo = stage.upstream.call_of(action).await;
        stage.upstream.send(format!(r#"{{"status":"ok","retcode":0,"data":{data},"echo":{echo}}}"#)).await;
        let reply = format!(r#"{{"status":"ok","retcode":0,"data":{expected},"echo":{{"seq": 1e400}}}}"#);
        assert_eq!(bot.hear().await, reply, "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_converted_arrives_as_it_is_and_is_counted() {
    let mut stage = Stage::new().await;
    let string = stage.consumer("string", |consumer| consumer.message_format = MessageFormat::String);
    let mut bots = [stage.attach(&string).await, stage.attach(&string).await];
    let odd = r#"{"self_id":10001000,"message":[7],"message_format":"array","post_type":"message"}"#;
    stage.upstream.send(odd).await;
    for bot in &mut bots {
        assert_eq!(bot.hear().await, odd);
    }
    bots[0].send(r#"{"action":"get_msg","echo":1}"#).await;
    let echo = stage.upstream.call_of("get_msg").await;
    stage.upstream.send(format!(r#"{{"status":"ok","data":{odd},"echo":{echo}}}"#)).await;
    assert!(bots[0].hear().await.contains(odd));
    let metrics = stage.metrics.render().unwrap();
    for line in [
        "onebot_gateway_unconverted_events_total 1",
        r#"onebot_gateway_unconverted_replies_total{consumer="string"} 1"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}");
    }
}
