//! Calls that the gateway answers itself.

use super::stage::{Stage, message, text};

#[tokio::test]
async fn an_async_call_over_http_is_answered_as_the_standard_says_and_done() {
    let mut stage = Stage::set(|_| {}).await;
    let response = stage.get("/send_private_msg_async?user_id=1639027745&message=hi").await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        text(response).await,
        r#"{"status":"async","retcode":1,"data":null,"message":"","wording":""}"#
    );
    assert_eq!(stage.called("send_private_msg").await["message"], "hi");
}

#[tokio::test]
async fn get_event_over_http_waits_for_the_next_event() {
    let mut stage = Stage::set(|_| {}).await;
    let empty = r#"{"status":"ok","retcode":0,"data":[],"message":"","wording":""}"#;
    assert_eq!(text(stage.get("/get_event?key=a").await).await, empty);
    stage.happen([message(1)]).await;
    let data = text(stage.get("/get_event?key=a&timeout=10000").await).await;
    assert_eq!(data, empty.replace("[]", &format!("[{}]", message(1))));
    assert!(stage.llonebot.control().calls().iter().all(|call| call.action != "get_event"));
}

#[tokio::test]
async fn a_path_that_is_nothing_says_what_there_is() {
    let mut stage = Stage::set(|_| {}).await;
    let response = stage.get("/").await;
    assert_eq!(response.status(), 404);
    let said = text(response).await;
    for named in ["1404", "/get_status", "/_events", "WebSocket"] {
        assert!(said.contains(named), "{said}");
    }
}
