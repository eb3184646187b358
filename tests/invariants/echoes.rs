//! A bot gets back the echo it sent, and everything else as LLOneBot wrote it.

use onebot_gateway::downstream::Channel;
use onebot_gateway::net::websocket::Role;

use crate::gateway::Gateway;

const ECHOES: &[&str] = &[
    "1",
    "0",
    "-0.0",
    "1e400",
    "-1.50e-7",
    "123456789012345678901234567890",
    "true",
    "false",
    r#""""#,
    r#""1""#,
    r#""gw:1""#,
    r#""\u4f60好\ud83d\/\n""#,
    r#""echo""#,
    r#"{"seq":1}"#,
    r#"{ "seq" : 1, "seq":2, "echo":{"echo":[]} }"#,
    "[]",
    r#"[[1e400], {}, null, "]"]"#,
];

/// Replies as LLOneBot, other implementations and nobody would write them; `$` is the echo.
const REPLIES: &[&str] = &[
    r#"{"status":"ok","retcode":0,"data":{"message_id":-5},"message":"","wording":"","echo":$}"#,
    r#"{ "echo" : $ , "status":"ok" }"#,
    "{\"status\":\"ok\",\r\n\t\"data\":{\"echo\":\"inner\",\"a\":1e400},\n\"echo\"\t:\t$\n}",
    r#"{"echo":$,"retcode":0.0,"status":"failed","data":[],"extra":{"x":-0.0},"stream":"normal-action"}"#,
    r#"{"status":"ok","data":"\u0065cho\":1","echo":$,"data":2}"#,
    r#"{"status":"async","retcode":1,"data":null,"echo":$}  "#,
];

#[tokio::test(start_paused = true)]
async fn only_echo_bytes_change() {
    for role in [Role::Server, Role::Client] {
        let gateway = Gateway::new();
        let (mut upstream, _link) = gateway.link_by_hand().await;
        let mut bot = gateway.attach_over(&gateway.consumer("bot"), Channel::Universal, role, 64 << 10);
        for echo in ECHOES {
            for reply in REPLIES {
                bot.send(format!(r#"{{"echo": {echo} ,"action":"get_msg","params":{{}}}}"#)).await;
                let call = upstream.call().await;
                assert!(call.echo.get().starts_with("\"gw:"), "{}", call.echo);
                upstream.send(reply.replace('$', call.echo.get())).await;
                assert_eq!(bot.reply().await, reply.replace('$', echo));
            }
        }
    }
}

/// A key the bot did not send would disconnect some of them for good.
#[tokio::test(start_paused = true)]
async fn without_an_echo_or_with_null_there_is_none_in_the_reply() {
    let without = [
        r#"{"status":"ok","retcode":0,"data":{"message_id":-5},"message":"","wording":""}"#,
        r#"{  "status":"ok" }"#,
        "{\"status\":\"ok\",\r\n\t\"data\":{\"echo\":\"inner\",\"a\":1e400}\n}",
        r#"{"retcode":0.0,"status":"failed","data":[],"extra":{"x":-0.0},"stream":"normal-action"}"#,
        r#"{"status":"ok","data":"\u0065cho\":1","data":2}"#,
        r#"{"status":"async","retcode":1,"data":null}  "#,
    ];
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    for call in [r#"{"action":"get_msg"}"#, r#"{"action":"get_msg","params":null,"echo":null}"#] {
        for (reply, expected) in REPLIES.iter().zip(without) {
            bot.send(call).await;
            let call = upstream.call().await;
            upstream.send(reply.replace('$', call.echo.get())).await;
            assert_eq!(bot.reply().await, expected);
        }
    }
}

/// What the gateway answers itself carries the echo in the same way.
#[tokio::test(start_paused = true)]
async fn a_refusal_carries_the_echo_too() {
    let gateway = Gateway::new();
    let (_upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    for echo in ECHOES {
        for frame in [
            format!(r#"{{"action":"get_cookies","echo":{echo}}}"#),
            format!(r#"{{"action":5,"echo":{echo}}}"#),
            format!(r#"{{"action":"get_msg","params":"no object","echo":{echo}}}"#),
            format!(r#"{{"echo":{echo},"action":"cut"#),
        ] {
            bot.send(&frame).await;
            let reply = bot.reply().await;
            assert!(reply.ends_with(&format!(r#","echo":{echo}}}"#)), "{frame} got {reply}");
        }
    }
    for frame in [r#"{"action":"get_cookies"}"#, r#"{"action":"get_cookies","echo":null}"#, "nonsense", "[]"]
    {
        bot.send(frame).await;
        assert!(!bot.reply().await.contains("\"echo\""), "{frame}");
    }
}
