//! message/*.md

use onebot_gateway::onebot::MessageFormat;
use onebot_gateway::simulator::Profile;
use serde_json::{Value, json};

use crate::stage::{FRIEND, GROUP, SELF_ID, Stage};

#[tokio::test]
async fn clause_37_cq_codes_are_escaped_and_a_parameter_ends_at_its_first_equals_sign() {
    let stage = Stage::set(Profile::Llonebot, |config| {
        config.consumers[0].message_format = MessageFormat::String;
    })
    .await;
    let mut bot = stage.bot().await;
    let segments = json!([
        {"type": "text", "data": {"text": "a&b[c],d"}},
        {"type": "at", "data": {"qq": "1", "name": "x,y&[z]"}},
        {"type": "json", "data": {"data": "k=v=w"}},
    ]);
    let as_text = "a&amp;b&#91;c&#93;,d[CQ:at,qq=1,name=x&#44;y&amp;&#91;z&#93;][CQ:json,data=k=v=w]";
    // The array that LLOneBot sends becomes a string …
    let event = json!({
        "self_id": SELF_ID, "user_id": FRIEND, "time": 1, "message_id": 5, "message_type": "group",
        "group_id": GROUP, "sub_type": "normal", "raw_message": as_text, "message": segments,
        "message_format": "array", "post_type": "message",
    });
    stage.control().emit(event.to_string()).await;
    assert_eq!(bot.event().await["message"], as_text);
    // … and the string that a bot sends becomes the same array.
    let sent = bot.call("send_group_msg", &json!({"group_id": GROUP, "message": as_text})).await;
    let found = bot.call("get_msg", &json!({"message_id": sent["data"]["message_id"]})).await;
    assert_eq!(found["data"]["message"], found["data"]["raw_message"]);
    let text = found["data"]["message"].as_str().unwrap();
    assert!(text.starts_with("a&amp;b&#91;c&#93;,d[CQ:at,qq=1") && text.contains("data=k=v=w]"), "{text}");
    drop(bot);
    stage.strike().await;
}

/// Passed through as they are: LLOneBot has numbers in a few values (`subType`, `sub_type`), and so they stay.
#[tokio::test]
async fn clause_38_segments_have_a_type_and_data_of_strings() {
    let stage = Stage::llonebot().await;
    let mut bot = stage.bot().await;
    stage.control().say_in_group(GROUP, FRIEND, "[CQ:face,id=1]在吗").await;
    let event = bot.event().await;
    let segments = event["message"].as_array().unwrap();
    assert_eq!(segments.len(), 2);
    for segment in segments {
        assert!(segment["type"].is_string() && segment["data"].is_object(), "{segment}");
        assert!(segment["data"].as_object().unwrap().values().all(Value::is_string), "{segment}");
    }
    let odd = format!(
        r#"{{"self_id":{SELF_ID},"time":1,"post_type":"message","message":[{{"type":"image","data":{{"file":"a","subType":0}}}},{{"type":"shake","data":null}}]}}"#
    );
    stage.control().emit(odd.clone()).await;
    assert_eq!(bot.next().await, odd);
    drop(bot);
    stage.strike().await;
}
