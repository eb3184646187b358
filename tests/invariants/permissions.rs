//! A stranger's bot is given two groups: what it tries beyond them never reaches LLOneBot.

use onebot_gateway::config;
use onebot_gateway::downstream::Consumer;
use tokio::time::Duration;

use crate::bot::{Bot, field, retcode};
use crate::gateway::Gateway;
use crate::upstream::Upstream;

/// As the README has it, for the groups 1 and 2.
const STRANGER: &str = r#"
[upstream.main]
dial = "ws://127.0.0.1:3001"

[role.guest.actions]
allow = ["@send", "get_login_info", "get_group_info", "get_group_member_*", "get_msg", "delete_msg",
         ".handle_quick_operation", "set_group_add_request", "set_group_ban"]
deny = ["send_like", "send_group_forward_msg"]
groups = [1, 2]
where = { set_group_ban = { duration = { "$lte" = 600 } } }

[consumer.stranger]
token = "a-token-for-the-stranger"
roles = ["guest"]
"#;

/// The stranger at work, and LLOneBot; it has told of message 10 and request `mine` in group 1, of
/// message 90 in group 9, message 91 of user 5 and the request `other` in group 9.
async fn stage(gateway: &Gateway) -> (Bot, Upstream) {
    let config = config::parse(STRANGER, "gateway.toml", std::iter::empty()).unwrap();
    let [Consumer { actions, .. }] = &config.consumers[..] else { panic!("one consumer is expected") };
    let stranger = gateway.consumer_with("stranger", |consumer| consumer.actions = actions.clone());
    let (mut upstream, link) = gateway.link_by_hand().await;
    drop(link);
    let events = [
        r#"{"time":1,"self_id":10001000,"post_type":"message","message_type":"group","group_id":1,"user_id":5,"message_id":10,"message":[]}"#,
        r#"{"time":1,"self_id":10001000,"post_type":"message","message_type":"group","group_id":9,"user_id":5,"message_id":90,"message":[]}"#,
        r#"{"time":1,"self_id":10001000,"post_type":"message","message_type":"private","user_id":5,"message_id":91,"message":[]}"#,
        r#"{"time":1,"self_id":10001000,"post_type":"request","request_type":"group","group_id":1,"user_id":5,"flag":"mine"}"#,
        r#"{"time":1,"self_id":10001000,"post_type":"request","request_type":"group","group_id":9,"user_id":5,"flag":"other"}"#,
    ];
    upstream.send_all(events.map(str::to_owned)).await;
    gateway.has_appended(events.len()).await;
    (gateway.attach(&stranger), upstream)
}

/// Everything that a bot could try: the frame as it is sent.
const ATTEMPTS: &[&str] = &[
    // Other groups and users, under every name and spelling.
    r#"{"action":"send_group_msg","params":{"group_id":9,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":"9","message":"x"}}"#,
    r#"{"action":"send_group_msg_async","params":{"group_id":9,"message":"x"}}"#,
    r#"{"action":"send_group_msg_rate_limited","params":{"group_id":9,"message":"x"}}"#,
    r#"{"action":"send_group_msg_async_rate_limited","params":{"group_id":9,"message":"x"}}"#,
    r#"{"action":"\u0073end_group_msg","params":{"group_id":9,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1},"params":{"group_id":9,"message":"x"}}"#,
    r#"{"action":"get_login_info","action":"send_group_msg","params":{"group_id":9,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1,"group_id":9,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":9,"group_id":1,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1,"\u0067roup_id":9,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":" 9","message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":"0x1","message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":[1],"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":{"1":1},"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":true,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1.5,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":null,"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":{"message":"x"}}"#,
    r#"{"action":"send_group_msg","params":null}"#,
    r#"{"action":"send_msg","params":{"user_id":5,"message":"x"}}"#,
    r#"{"action":"send_msg","params":{"user_id":5,"group_id":1,"message":"x"}}"#,
    r#"{"action":"send_msg","params":{"message_type":"private","user_id":5,"group_id":1,"message":"x"}}"#,
    r#"{"action":"send_msg","params":{"message_type":"priv\u0061te","user_id":5,"group_id":1,"message":"x"}}"#,
    r#"{"action":"send_msg","params":{"message_type":"private","message_type":"group","user_id":5,"group_id":1,"message":"x"}}"#,
    r#"{"action":"send_msg","params":{"message_type":"group","group_id":9,"user_id":5,"message":"x"}}"#,
    r#"{"action":"send_msg","params":{"message_type":"group","user_id":5,"message":"x"}}"#,
    r#"{"action":"send_msg","params":{"message_type":"guild","group_id":1,"message":"x"}}"#,
    r#"{"action":"send_private_msg","params":{"user_id":5,"message":"x"}}"#,
    r#"{"action":"send_private_msg","params":{"user_id":5,"group_id":1,"message":"x"}}"#,
    r#"{"action":"send_private_msg","params":{"group_id":1,"message":"x"}}"#,
    r#"{"action":"send_private_forward_msg","params":{"user_id":5,"messages":[]}}"#,
    r#"{"action":"send_forward_msg","params":{"message_type":"private","user_id":5,"messages":[]}}"#,
    r#"{"action":"upload_private_file","params":{"user_id":5,"file":"base64://eA==","name":"x"}}"#,
    r#"{"action":"get_group_member_list","params":{"group_id":9}}"#,
    r#"{"action":"forward_group_single_msg","params":{"group_id":1,"message_id":90}}"#,
    r#"{"action":"forward_group_single_msg","params":{"group_id":9,"message_id":10}}"#,
    r#"{"action":"forward_friend_single_msg","params":{"user_id":5,"message_id":10}}"#,
    // Words of others, shown in a permitted group.
    r#"{"action":"send_group_msg","params":{"group_id":1,"message":"[CQ:reply,id=90]look"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1,"message":[{"type":"reply","data":{"id":"91"}}]}}"#,
    r#"{"action":"send_forward_msg","params":{"message_type":"group","group_id":1,"messages":[{"type":"node","data":{"id":90}}]}}"#,
    r#"{"action":"send_forward_msg","params":{"message_type":"group","group_id":1,"messages":[{"type":"node","data":{"content":[{"type":"n\u006fde","data":{"id":"90"}}]}}]}}"#,
    // Messages and requests of others, and those nobody has seen.
    r#"{"action":"get_msg","params":{"message_id":90}}"#,
    r#"{"action":"get_msg","params":{"message_id":"90"}}"#,
    r#"{"action":"get_msg","params":{"message_id":91}}"#,
    r#"{"action":"get_msg","params":{"message_id":12345}}"#,
    r#"{"action":"delete_msg","params":{"message_id":10,"message_id":90}}"#,
    r#"{"action":"delete_msg","params":{"message_id":"0x5a"}}"#,
    r#"{"action":"delete_msg","params":{}}"#,
    r#"{"action":"set_group_add_request","params":{"flag":"other","approve":true}}"#,
    r#"{"action":"set_group_add_request","params":{"flag":"oth\u0065r","approve":true}}"#,
    r#"{"action":"set_group_add_request","params":{"flag":"mine2","approve":true}}"#,
    r#"{"action":"set_group_add_request","params":{"flag":["mine"],"approve":true}}"#,
    // What is not on the list, what is denied, and what the condition forbids.
    r#"{"action":"get_friend_list"}"#,
    r#"{"action":"get_group_list"}"#,
    r#"{"action":"get_cookies"}"#,
    r#"{"action":"set_group_kick","params":{"group_id":1,"user_id":5}}"#,
    r#"{"action":"an_action_of_tomorrow","params":{"group_id":1}}"#,
    r#"{"action":"send_group_forward_msg","params":{"group_id":1,"messages":[]}}"#,
    r#"{"action":"send_group_forward_msg_async","params":{"group_id":1,"messages":[]}}"#,
    r#"{"action":"set_group_ban","params":{"group_id":1,"user_id":5,"duration":601}}"#,
    r#"{"action":"set_group_ban","params":{"group_id":1,"user_id":5,"duration":"86400"}}"#,
    r#"{"action":"set_group_ban","params":{"group_id":1,"user_id":5,"duration":60,"duration":86400}}"#,
    r#"{"action":"set_group_ban","params":{"group_id":1,"user_id":5,"duration":86400,"dur\u0061tion":60}}"#,
    r#"{"action":"set_group_ban","params":{"group_id":1,"user_id":5,"duration":["60"]}}"#,
    r#"{"action":"set_group_ban","params":{"group_id":1,"user_id":5}}"#,
    // Quick operations: on other chats, on other messages, and what the bot may not call itself.
    r#"{"action":".handle_quick_operation","params":{"context":{"post_type":"message","message_type":"group","group_id":9,"user_id":5,"message_id":90},"operation":{"reply":"x"}}}"#,
    r#"{"action":".handle_quick_operation_async","params":{"context":{"post_type":"message","message_type":"private","user_id":5,"message_id":91},"operation":{"reply":"x"}}}"#,
    r#"{"action":".handle_quick_operation","params":{"context":{"post_type":"message","message_type":"private","group_id":1,"user_id":5},"operation":{"reply":"x"}}}"#,
    r#"{"action":".handle_quick_operation","params":{"context":{"post_type":"message","message_type":"group","group_id":1,"user_id":5,"message_id":90},"operation":{"delete":true}}}"#,
    r#"{"action":".handle_quick_operation","params":{"context":{"post_type":"message","message_type":"group","group_id":1,"user_id":5,"message_id":10},"operation":{"kick":1}}}"#,
    r#"{"action":".handle_quick_operation","params":{"context":{"post_type":"message","message_type":"group","group_id":1,"user_id":5,"message_id":10},"operation":{"ban":true}}}"#,
    r#"{"action":".handle_quick_operation","params":{"context":{"post_type":"message","message_type":"group","group_id":1,"group_id":9,"user_id":5},"operation":{"reply":"x"}}}"#,
    r#"{"action":".handle_quick_operation","params":{"context":{"post_type":"request","request_type":"group","group_id":1,"flag":"other"},"operation":{"approve":true}}}"#,
    r#"{"action":".handle_quick_operation","params":{"context":"{}","operation":{}}}"#,
    r#"{"action":".handle_quick_operation","params":{"context":{"post_type":"message","message_type":"group","group_id":1,"user_id":5,"message_id":10},"operation":{"reply":"[CQ:image,file=/etc/passwd]"}}}"#,
    // Files of LLOneBot's host and addresses of its network.
    r#"{"action":"send_group_msg","params":{"group_id":1,"message":"[CQ:image,file=file:///etc/passwd]"}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1,"message":[{"type":"image","data":{"file":"/etc/passwd"}}]}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1,"message":[{"type":"record","data":{"f\u0069le":"\u002fetc/passwd"}}]}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1,"message":{"type":"image","data":{"file":"http://127.0.0.1:3000/get_cookies"}}}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1,"message":{"type":"image","data":{"file":"http://2130706433/"}}}}"#,
    r#"{"action":"send_group_msg","params":{"group_id":1,"message":{"type":"image","data":{"file":"http://[::ffff:10.0.0.1]/"}}}}"#,
    r#"{"action":"send_forward_msg","params":{"message_type":"group","group_id":1,"messages":[{"type":"node","data":{"content":[{"type":"node","data":{"content":"[CQ:record,file=C:\\x]"}}]}}]}}"#,
    r#"{"action":"upload_group_file","params":{"group_id":1,"file":"/etc/passwd","name":"x"}}"#,
];

#[tokio::test(start_paused = true)]
async fn what_a_stranger_tries_beyond_its_groups_never_reaches_upstream() {
    let gateway = Gateway::new();
    let (mut bot, mut upstream) = stage(&gateway).await;
    for frame in ATTEMPTS {
        bot.send(*frame).await;
        let reply = bot.reply().await;
        assert_eq!(retcode(&reply), 1403, "{frame}\n{reply}");
        let message = field(&reply, "message");
        let names_a_key = message.as_str().unwrap().contains("role.guest.actions");
        assert!(names_a_key, "{frame}\n{reply}");
    }
    upstream.hears_no_call_for(Duration::from_mins(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_stranger_may_do_in_its_groups_reaches_upstream() {
    let gateway = Gateway::new();
    let (mut bot, mut upstream) = stage(&gateway).await;
    for (action, params) in [
        ("send_group_msg", r#"{"group_id":1,"message":"see file:///etc/passwd"}"#),
        (
            "send_group_msg",
            r#"{"group_id":"2","message":[{"type":"image","data":{"file":"https://example.org/a.png"}}]}"#,
        ),
        ("send_msg", r#"{"message_type":"group","group_id":1,"user_id":5,"message":"as NoneBot replies"}"#),
        ("send_msg", r#"{"group_id":1,"message":"[CQ:image,file=base64:///9j/]"}"#),
        ("send_group_msg", r#"{"group_id":2,"message":"[CQ:reply,id=10]yes"}"#),
        ("get_group_info", r#"{"group_id":2}"#),
        ("get_group_member_list", r#"{"group_id":1}"#),
        ("get_msg", r#"{"message_id":"10"}"#),
        ("delete_msg", r#"{"message_id":10}"#),
        ("set_group_add_request", r#"{"flag":"mine","approve":true}"#),
        ("set_group_ban", r#"{"group_id":1,"user_id":5,"duration":"600"}"#),
        (
            ".handle_quick_operation",
            r#"{"context":{"post_type":"message","message_type":"group","group_id":1,"user_id":5,"message_id":10},"operation":{"reply":"x","delete":true}}"#,
        ),
    ] {
        bot.call(action, params, "1").await;
        let call = tokio::select! {
            call = upstream.call() => call,
            reply = bot.reply() => panic!("{action} {params}: {reply}"),
        };
        assert_eq!((call.action.as_str(), call.params.get()), (action, params));
        upstream.send(call.ok("null")).await;
        assert_eq!(retcode(&bot.reply().await), 0);
    }
}

/// The answer to a send tells which message that was, also where no event does.
#[tokio::test(start_paused = true)]
async fn a_stranger_may_recall_what_was_sent_to_its_group_and_nothing_else() {
    let gateway = Gateway::new();
    let (mut bot, mut upstream) = stage(&gateway).await;
    let mut other = gateway.attach(&gateway.consumer("other"));
    for (group, id) in [(1, 100), (9, 101)] {
        other.call("send_group_msg", &format!(r#"{{"group_id":{group},"message":"x"}}"#), "1").await;
        let call = upstream.call().await;
        upstream.send(call.ok(&format!(r#"{{"message_id":{id}}}"#))).await;
        other.reply().await;
    }
    bot.call("delete_msg", r#"{"message_id":100}"#, "1").await;
    assert_eq!(upstream.call().await.action, "delete_msg");
    bot.call("delete_msg", r#"{"message_id":101}"#, "2").await;
    assert_eq!(retcode(&bot.reply().await), 1403);
}
