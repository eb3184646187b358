//! Requests that are no call: each is answered and counted, nothing of it reaches LLOneBot, and nobody else notices.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::stage::{Events, Stage, TOKEN, exchange, message, patiently};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=x\r\n";

/// Status and body of the answer to one request of the bot's.
async fn asked(stage: &Stage, request_line: &str, headers: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{request_line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    let answer = exchange(stage.gateway.address(), &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn is_not_disturbed(stage: &mut Stage, events: &mut Events) {
    stage.happen([message(7)]).await;
    assert_eq!(events.event().await.1, message(7));
    assert_eq!(stage.get("/get_status").await.status(), 200);
}

#[tokio::test]
async fn a_request_that_is_no_call_is_answered_and_counted_and_never_sent() {
    let mut stage = Stage::set(|_| {}).await;
    let mut events = Events::of(stage.get("/_events").await);
    let deep = format!(r#"{{"a":{}"#, "[".repeat(10_000));
    let cases: &[(&str, &str, &str, u16, u16)] = &[
        // Bodies.
        ("POST /send_like", "", "{", 400, 1400),
        ("POST /send_like", "", r#"{"user_id":1,}"#, 400, 1400),
        ("POST /send_like", "", r#"{"user_id":1}{}"#, 400, 1400),
        ("POST /send_like", "", "[1]", 400, 1400),
        ("POST /send_like", "", "null", 400, 1400),
        ("POST /send_like", "", "user_id=1", 400, 1400),
        ("POST /send_like", "", &deep, 400, 1400),
        ("POST /send_like", FORM, r#"{"user_id":"#, 400, 1400),
        ("POST /send_like", MULTIPART, "--x--", 406, 1400),
        // Methods.
        ("PUT /send_like", "", "{}", 405, 1400),
        ("DELETE /send_like", "", "", 405, 1400),
        ("OPTIONS /send_like", "", "", 405, 1400),
        ("BREW /send_like", "", "", 405, 1400),
        // Paths.
        ("GET /", "", "", 404, 1404),
        ("GET //send_like", "", "", 404, 1404),
        ("GET /v1/send_like", "", "", 404, 1404),
        ("GET /../send_like", "", "", 404, 1404),
        ("GET /%2e%2e/send_like", "", "", 404, 1404),
        ("GET /..%2fsend_like", "", "", 404, 1404),
        ("GET /%2e%2e%2fsend_like", "", "", 404, 1404),
        ("GET /%252e%252e", "", "", 404, 1404),
        ("GET /..", "", "", 404, 1404),
        ("GET /send_like%00", "", "", 404, 1404),
        ("GET /send_like%0d%0aX:1", "", "", 404, 1404),
        ("GET /send_like%20", "", "", 404, 1404),
        ("GET /send_like;x=1", "", "", 404, 1404),
        ("GET /send%5clike", "", "", 404, 1404),
        ("GET /%ff", "", "", 404, 1404),
        ("GET /%", "", "", 404, 1404),
        ("GET /%E5%8F%91", "", "", 404, 1404),
    ];
    for (request_line, headers, body, status, retcode) in cases {
        let (answered, said) = asked(&stage, request_line, headers, body).await;
        assert_eq!(answered, *status, "{request_line} {body:.30}: {said}");
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&said["status"], &said["retcode"]), (&"failed".into(), &(*retcode).into()));
        assert!(!said["message"].as_str().unwrap().is_empty() && said.get("echo").is_none(), "{said}");
    }
    stage.counted(&format!(r#"onebot_gateway_bad_frames_total{{consumer="bot"}} {}"#, cases.len())).await;
    is_not_disturbed(&mut stage, &mut events).await;
    let calls = stage.llonebot.control().calls();
    assert!(calls.iter().all(|call| call.action.starts_with("get_")), "{calls:?}");
}

#[tokio::test]
async fn an_action_in_another_spelling_is_no_way_around_permissions() {
    let mut stage = Stage::set(|_| {}).await;
    for path in [
        "/get_cookies",
        "/get_cookies/",
        "/get%5Fcookies",
        "/%67%65%74_cookies",
        "/get_cookies_async",
        "/get%5fcookies%5frate_limited_async/",
        "/get_cookies?action=get_status",
    ] {
        let (status, said) = asked(&stage, &format!("GET {path}"), "", "").await;
        assert!(status == 403 && said.contains("1403"), "{path}: {status} {said}");
    }
    // What the parameters say names no other action and no other echo.
    let (status, said) =
        asked(&stage, "POST /get_status", "", r#"{"action":"get_cookies","echo":"gw:1","params":{}}"#).await;
    assert!(status == 200 && said.contains(r#""online":true"#) && !said.contains("echo"), "{said}");
    // LLOneBot takes no difference of case, so neither name is an action of its.
    let unknown = stage.get("/GET_COOKIES").await;
    assert_eq!(unknown.status(), 200);
    let calls = stage.llonebot.control().calls();
    assert!(calls.iter().all(|call| call.action != "get_cookies"), "{calls:?}");
}

#[tokio::test]
async fn of_two_tokens_that_of_the_header_counts() {
    let stage = Stage::set(|_| {}).await;
    for path in ["/get_status", "/_events"] {
        let request = |header: &str, query: &str| {
            format!(
                "HEAD {path}?access_token={query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {header}\r\nConnection: close\r\n\r\n"
            )
        };
        for (header, query, status) in [(TOKEN, "wrong", "405"), ("wrong", TOKEN, "403"), ("", TOKEN, "401")]
        {
            let answer = exchange(stage.gateway.address(), &request(header, query)).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {header} {query}: {answer}");
        }
    }
    stage.counted(r#"onebot_gateway_refused_handshakes_total{reason="token_wrong"} 2"#).await;
    // Nor does it matter where else a token stands: it is no parameter.
    let (status, _) = asked(&stage, "GET /send_like?user_id=1&access_token=x", "", "").await;
    assert_eq!(status, 200);
    assert!(stage.called("send_like").await.get("access_token").is_none());
}

/// The head of a call whose body is yet to come.
fn head(length: &str) -> String {
    format!("POST /send_private_msg HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{length}\r\n\r\n")
}

#[tokio::test]
async fn a_body_that_is_too_large_or_never_ends_is_refused_and_holds_up_nobody() {
    let mut stage = Stage::set(|config| {
        config.sessions.max_frame = 1 << 20;
        config.sessions.write_timeout = Duration::from_millis(300);
    })
    .await;
    let mut events = Events::of(stage.get("/_events").await);
    let open = async |length: &str| {
        let mut socket = TcpStream::connect(stage.gateway.address()).await.unwrap();
        socket.write_all(head(length).as_bytes()).await.unwrap();
        socket
    };
    let status = async |socket: &mut TcpStream| {
        let mut answer = [0; 12];
        patiently(socket.read_exact(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer[9..]).into_owned()
    };

    // Announced, and not one byte of it sent.
    let mut announced = open("Content-Length: 100000000000").await;
    assert_eq!(status(&mut announced).await, "413");
    // Not announced, and without an end.
    let mut endless = open("Transfer-Encoding: chunked").await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    for _ in 0..16 {
        endless.write_all(chunk.as_bytes()).await.unwrap();
    }
    endless.write_all(b"1\r\n").await.unwrap();
    endless.write_all(b"x\r\n").await.unwrap();
    assert_eq!(status(&mut endless).await, "413");
    // Begun, and never gone on with.
    let mut stalled = open("Content-Length: 100").await;
    stalled.write_all(b"{").await.unwrap();
    is_not_disturbed(&mut stage, &mut events).await;
    assert_eq!(status(&mut stalled).await, "408");
    // Broken off.
    let mut socket = TcpStream::connect(stage.gateway.address()).await.unwrap();
    socket.write_all(head("Content-Length: 100").as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    stage.counted(r#"onebot_gateway_bad_frames_total{consumer="bot"} 4"#).await;
    let calls = stage.llonebot.control().calls();
    assert!(calls.iter().all(|call| call.action != "send_private_msg"), "{calls:?}");
}
