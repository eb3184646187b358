//! One conversation through the gateway with every implementation that people run behind it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod stage;

use onebot_gateway::config::Config;
use onebot_gateway::hub::LinkState;
use onebot_gateway::policy::acl::{Permissions, Rule};
use onebot_gateway::policy::actions::ActionPatterns;
use onebot_gateway::policy::events::SelfMessages;
use onebot_gateway::simulator::{self, Profile, Simulator};
use onebot_gateway::upstream::Endpoint;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::stage::{
    Bot, FRIEND, GROUP, SELF_ID, Stage, TOKENS, UPSTREAM_TOKEN, dialling, gateway, implementation, link,
    patiently,
};

/// What a bot sees of an implementation through the gateway; everything else is the same for all.
struct Expected {
    profile: Profile,
    app_name: &'static str,
    /// Retcodes of an unknown action, and of a message that does not exist.
    retcodes: [i64; 2],
    /// Found in each reply.
    extra: &'static str,
    /// Found in each failed reply.
    extra_on_failure: &'static str,
    /// Kinds of events (`notice_type`, or `sub_type` of a notify) that LLOneBot 8 does not send.
    own_events: &'static [&'static str],
}

const EXPECTED: [Expected; 5] = [
    Expected {
        profile: Profile::Llonebot,
        app_name: "LLOneBot",
        retcodes: [1404, 1200],
        extra: r#""wording":"#,
        extra_on_failure: r#""message":"#,
        own_events: &[],
    },
    Expected {
        profile: Profile::Llonebot7,
        app_name: "LLOneBot",
        retcodes: [1404, 1200],
        extra: r#""wording":"#,
        extra_on_failure: r#""message":"#,
        own_events: &["poke_recall"],
    },
    Expected {
        profile: Profile::Napcat,
        app_name: "NapCat.Onebot",
        retcodes: [1404, 1200],
        extra: r#","stream":"normal-action"}"#,
        extra_on_failure: r#""wording":"#,
        own_events: &["input_status", "group_name", "gray_tip", "bot_offline"],
    },
    Expected {
        profile: Profile::Lagrange,
        app_name: "Lagrange.OneBot",
        retcodes: [404, 200],
        extra: r#""data":"#,
        extra_on_failure: r#""data":null"#,
        own_events: &["bot_offline"],
    },
    Expected {
        profile: Profile::GoCqhttp,
        app_name: "go-cqhttp",
        retcodes: [404, 100],
        extra: r#"{"data":"#,
        extra_on_failure: r#""msg":"API_"#,
        own_events: &["client_status", "lucky_king"],
    },
];

#[tokio::test]
async fn a_whole_conversation_with_llonebot() {
    converse(&EXPECTED[0]).await;
}

#[tokio::test]
async fn a_whole_conversation_with_llonebot_7() {
    converse(&EXPECTED[1]).await;
}

#[tokio::test]
async fn a_whole_conversation_with_napcat() {
    converse(&EXPECTED[2]).await;
}

#[tokio::test]
async fn a_whole_conversation_with_lagrange() {
    converse(&EXPECTED[3]).await;
}

#[tokio::test]
async fn a_whole_conversation_with_go_cqhttp() {
    converse(&EXPECTED[4]).await;
}

async fn converse(expected: &Expected) {
    let stage = Stage::set(expected.profile, trust_the_bots).await;
    let mut bot = stage.bot_on("/", TOKENS[0]).await;
    begins_with_lifecycle(&mut bot).await;
    hears_events(&stage, &mut bot, expected).await;
    gets_its_echoes_back(&mut bot, expected).await;
    is_told_of_failures(&stage, &mut bot, expected).await;
    recalls_a_message(&stage, &mut bot).await;
    streams(&stage, &mut bot, expected).await;
    knows_who_answers(&mut bot, expected).await;
    feels_the_pulse(&stage, &mut bot).await;
    outlives_the_link(&stage, &mut bot).await;
    drop(bot);
    stage.strike().await;
}

/// They see all events and may move files.
fn trust_the_bots(config: &mut Config) {
    for bot in &mut config.consumers {
        bot.self_messages = SelfMessages::All;
        let list = ["*", "download_file_stream", "upload_file_stream"].map(str::to_owned);
        let allow = ActionPatterns::parse(&list).unwrap();
        bot.actions = Permissions::new(vec![Rule { allow, ..Rule::open("consumer.bot.actions") }]);
    }
}

async fn begins_with_lifecycle(bot: &mut Bot) {
    let first = bot.frame().await;
    let (_, rest) = first.split_once(',').unwrap();
    assert_eq!(
        rest,
        format!(
            r#""self_id":{SELF_ID},"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}}"#
        )
    );
}

/// Every event of the implementation and none of its heartbeats, in order, byte for byte.
async fn hears_events(stage: &Stage, bot: &mut Bot, expected: &Expected) {
    let odd = format!(
        r#"{{ "post_type":"something_new", "self_id":{SELF_ID}, "x":[1e400,"\u4f60"],"time":1,"_post_method":2}}"#
    );
    stage.control().emit(odd.clone()).await;
    assert_eq!(bot.next().await, odd);

    let message_id = stage.control().say_in_group(GROUP, FRIEND, "早上好").await;
    let event = bot.event().await;
    assert_eq!((&event["message_id"], &event["raw_message"]), (&json!(message_id), &json!("早上好")));
    if expected.profile == Profile::Napcat {
        assert_eq!(event["message_seq"], event["message_id"]);
        assert!(event["real_seq"].is_string());
    }

    let mut missing: Vec<&str> = expected.own_events.to_vec();
    let mut count = 0;
    for _ in 0..50 {
        stage.control().emit_sample().await;
        let event = bot.event().await;
        assert_ne!(event["post_type"], "meta_event", "{event}");
        count += usize::from(event["self_id"] == SELF_ID);
        missing.retain(|kind| event["notice_type"] != *kind && event["sub_type"] != *kind);
    }
    assert_eq!((count, missing), (50, vec![]));
}

async fn gets_its_echoes_back(bot: &mut Bot, expected: &Expected) {
    let echoes =
        [r#"{"seq":1}"#, r#""""#, "0", "false", "12345678901234567890", "1e400", r#"[ null,"\ud83d" ]"#];
    for echo in echoes {
        let reply = bot.ask(format!(r#"{{"action":"can_send_image","echo":{echo}}}"#)).await;
        assert!(reply.contains(&format!(r#""echo":{echo}"#)), "{reply}");
        assert!(reply.contains(r#""retcode":0"#) && reply.contains(expected.extra), "{reply}");
    }
    for none in ["", r#","echo":null"#] {
        let reply = bot.ask(format!(r#"{{"action":"can_send_image"{none}}}"#)).await;
        assert!(!reply.contains("echo") && reply.contains(expected.extra), "{reply}");
        stage::json(&reply);
    }
}

async fn is_told_of_failures(stage: &Stage, bot: &mut Bot, expected: &Expected) {
    let [unknown, thrown] = expected.retcodes;
    for (action, params, retcode) in
        [("no_such_action", json!({}), unknown), ("get_msg", json!({"message_id": 1}), thrown)]
    {
        let reply = bot.ask(format!(r#"{{"action":"{action}","params":{params},"echo":"f"}}"#)).await;
        assert!(reply.contains(expected.extra_on_failure), "{reply}");
        let reply = stage::json(&reply);
        assert_eq!((&reply["status"], &reply["retcode"]), (&json!("failed"), &json!(retcode)));
        assert_eq!((&reply["data"], &reply["echo"]), (&Value::Null, &json!("f")));
    }

    // What is no call never gets there: Lagrange would not answer, NapCat would forget the echo.
    let calls = stage.control().call_count();
    let reply = stage::json(&bot.ask(r#"{"action":"get_status","echo":"m","params":"#).await);
    assert_eq!((&reply["retcode"], &reply["echo"]), (&json!(1400), &json!("m")));
    let mut binary = Vec::from(r#"{"action":"get_login_info","echo":"b"}"#);
    binary.push(b' ');
    bot.send_message(Message::binary(binary)).await;
    let reply = stage::json(&bot.reply().await);
    // go-cqhttp would not read the binary frame; the gateway does, and sends it on as text.
    assert_eq!((&reply["data"]["user_id"], &reply["echo"]), (&json!(SELF_ID), &json!("b")));
    assert_eq!(stage.control().call_count(), calls + 1);
}

async fn recalls_a_message(stage: &Stage, bot: &mut Bot) {
    let message_id = stage.control().say_in_group(GROUP, FRIEND, "说错了").await;
    assert_eq!(bot.event().await["message_id"], message_id);
    bot.send(format!(r#"{{"action":"delete_msg","params":{{"message_id":{message_id}}},"echo":"r"}}"#)).await;
    // The event came before the reply, so the bot sees it before.
    let event = stage::json(&bot.next().await);
    assert_eq!((&event["notice_type"], &event["message_id"]), (&json!("group_recall"), &json!(message_id)));
    assert_eq!(stage::json(&bot.next().await)["echo"], "r");
}

async fn streams(stage: &Stage, bot: &mut Bot, expected: &Expected) {
    bot.send(r#"{"action":"download_file_stream","params":{"file":"a.jpg"},"echo":{"n":1}}"#).await;
    let first = stage::json(&bot.reply().await);
    if expected.profile != Profile::Napcat {
        assert_eq!((&first["retcode"], &first["echo"]), (&json!(expected.retcodes[0]), &json!({"n": 1})));
        return;
    }
    assert_eq!(first["data"]["data_type"], "file_info");
    // Other calls and events go on while a stream lasts.
    stage.control().say_privately(FRIEND, "在吗").await;
    bot.send(r#"{"action":"can_send_image","echo":"between"}"#).await;
    let (mut chunks, mut between) = (0, 0);
    loop {
        let reply = stage::json(&bot.reply().await);
        if reply["echo"] == "between" {
            between += 1;
            continue;
        }
        assert_eq!((&reply["echo"], &reply["stream"]), (&json!({"n": 1}), &json!("stream-action")));
        if reply["data"]["type"] == "response" {
            break;
        }
        assert_eq!(reply["data"]["index"], chunks);
        chunks += 1;
    }
    assert_eq!((chunks, between), (3, 1));
    assert_eq!(bot.event().await["raw_message"], "在吗");

    // Each chunk of an upload is answered once, and its call is over then.
    for (params, kind) in [
        (json!({"stream_id": "u", "total_chunks": 1, "chunk_index": 0, "chunk_data": "AA=="}), "stream"),
        (json!({"stream_id": "u", "is_complete": true}), "response"),
    ] {
        assert_eq!(bot.call("upload_file_stream", &params).await["data"]["type"], kind);
        assert_eq!(stage.gateway.hub().open_calls(), 0);
    }
    let failed = bot.call("download_file_stream", &json!({})).await;
    assert_eq!((&failed["status"], &failed["data"]["type"]), (&json!("failed"), &json!("error")));
}

async fn knows_who_answers(bot: &mut Bot, expected: &Expected) {
    assert_eq!(bot.call("get_version_info", &json!({})).await["data"]["app_name"], expected.app_name);
    assert_eq!(bot.call("get_status", &json!({})).await["data"]["online"], true);
}

/// The gateway's heartbeats say what the implementation's say, in LLOneBot's shape.
async fn feels_the_pulse(stage: &Stage, bot: &mut Bot) {
    for online in [false, true] {
        stage.control().offline(!online);
        let beat = bot.heartbeat(|beat| beat["status"]["online"] == online).await;
        assert_eq!(beat["status"], json!({"online": online, "good": true}));
        assert_eq!(beat["interval"], 100);
        assert_eq!(beat["self_id"], SELF_ID);
    }
}

/// A lost link is dialled again; the bot keeps its connection, and a call waits.
async fn outlives_the_link(stage: &Stage, bot: &mut Bot) {
    let connections = stage.control().total_connections();
    stage.control().disconnect();
    patiently(stage.control().wait_for(|control| control.total_connections() > connections)).await;
    assert_eq!(bot.insist("get_login_info").await["data"]["user_id"], SELF_ID);
    assert_eq!(stage.control().total_connections(), connections + 1);
    stage.control().say_privately(FRIEND, "又见面了").await;
    assert_eq!(bot.event().await["raw_message"], "又见面了");
}

#[tokio::test]
async fn a_wrong_token_is_named_as_the_reason() {
    for profile in Profile::ALL {
        let simulator = Simulator::start(implementation(profile)).await.unwrap();
        let gateway = dialling(&simulator, "not-the-token-it-wants", |_| {}).await;
        let is_told = |link: &LinkState| matches!(link, LinkState::Down(why) if why.contains("refuses the token: set upstream.*.token"));
        link(&gateway, is_told).await;
        assert_eq!(simulator.control().total_connections(), 0, "{}", profile.name());
        assert!(simulator.control().refused_connections() > 0, "{}", profile.name());
        gateway.drain().await;
        simulator.stop().await;
    }
}

#[tokio::test]
async fn every_implementation_can_dial_the_gateway() {
    for profile in Profile::ALL {
        let gateway = accepting().await;
        let url = format!("ws://{}/implementation", gateway.address());
        let config = simulator::Config { listen: None, reverse: vec![url], ..implementation(profile) };
        let stage = Stage { simulator: Simulator::start(config).await.unwrap(), gateway };
        stage.link(|link| *link == LinkState::Up).await;
        let mut bot = stage.bot().await;
        assert_eq!(bot.call("get_login_info", &json!({})).await["data"]["user_id"], SELF_ID);
        stage.control().disconnect();
        patiently(stage.control().wait_for(|control| control.total_connections() == 2)).await;
        assert_eq!(bot.insist("get_login_info").await["data"]["user_id"], SELF_ID);
        drop(bot);
        stage.strike().await;
    }
}

#[tokio::test]
async fn split_roles_are_refused_with_what_to_change() {
    for profile in [Profile::Lagrange, Profile::GoCqhttp] {
        let gateway = accepting().await;
        let url = format!("ws://{}/implementation", gateway.address());
        let config = simulator::Config {
            listen: None,
            reverse: vec![url],
            split_roles: true,
            ..implementation(profile)
        };
        let stage = Stage { simulator: Simulator::start(config).await.unwrap(), gateway };
        let is_told = |link: &LinkState| matches!(link, LinkState::Down(why) if why.contains("configure one Universal address"));
        stage.link(is_told).await;
        assert_eq!(stage.control().total_connections(), 0);
        stage.strike().await;
    }
}

#[tokio::test]
async fn a_call_too_large_for_napcat_says_so_and_the_link_comes_back() {
    let stage = Stage::set(Profile::Napcat, |config| config.sessions.max_frame = 64 << 20).await;
    let mut bot = stage.bot().await;
    let base64 = "A".repeat(51 << 20);
    let reply = bot
        .ask(format!(
            r#"{{"action":"upload_group_file","params":{{"group_id":{GROUP},"file":"base64://{base64}"}},"echo":1}}"#
        ))
        .await;
    let reply = stage::json(&reply);
    assert_eq!((&reply["retcode"], &reply["echo"]), (&json!(1502), &json!(1)));
    let message = reply["message"].as_str().unwrap();
    assert!(message.contains("too large") && message.contains("server.max_frame"), "{message}");
    assert_eq!(bot.call("can_send_image", &json!({})).await["retcode"], 0);
    drop(bot);
    stage.strike().await;
}

/// A gateway that waits for its implementation.
async fn accepting() -> onebot_gateway::app::Gateway {
    patiently(gateway(Endpoint::Accept("/implementation".to_owned()), UPSTREAM_TOKEN, |_| {})).await
}
