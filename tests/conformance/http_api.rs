//! communication/http.md

use serde_json::{Value, json};

use crate::stage::{FRIEND, GROUP, Stage, TOKENS, http};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn clause_3_actions_have_a_path_with_and_without_a_trailing_slash() {
    let stage = Stage::llonebot().await;
    // LLOneBot answers 404 to the slash; the standard's way loses nothing.
    for path in ["/can_send_image", "/can_send_image/"] {
        let answer = stage.http(&format!("GET {path}"), "", "").await;
        assert_eq!((answer.status, &answer.json()["data"]), (200, &json!({"yes": true})));
    }
    stage.strike().await;
}

#[tokio::test]
async fn clause_4_parameters_come_by_query_form_or_json() {
    let stage = Stage::llonebot().await;
    let query = format!("/send_private_msg?user_id={FRIEND}&message=%E4%BD%A0+%E5%A5%BD");
    let form = format!("user_id={FRIEND}&message=%E4%BD%A0+%E5%A5%BD");
    let object = format!(r#"{{"user_id":{FRIEND},"message":"你 好"}}"#);
    let ways = [
        (format!("GET {query}"), "", String::new()),
        ("POST /send_private_msg".to_owned(), FORM, form),
        ("POST /send_private_msg".to_owned(), JSON, object),
    ];
    for (request_line, headers, body) in &ways {
        let answer = stage.http(request_line, headers, body).await;
        assert_eq!((answer.status, &answer.json()["retcode"]), (200, &json!(0)), "{request_line}");
    }
    let sent: Vec<Value> = stage
        .control()
        .calls()
        .into_iter()
        .filter(|call| call.action == "send_private_msg")
        .map(|call| call.params["message"].clone())
        .collect();
    assert_eq!(sent, vec![json!("你 好"); ways.len()]);
    stage.strike().await;
}

#[tokio::test]
async fn clause_5_strings_are_taken_for_numbers_and_booleans_in_json_too() {
    let stage = Stage::llonebot().await;
    let params = format!(r#"{{"group_id":"{GROUP}","message":"[CQ:x]","auto_escape":"true"}}"#);
    let answer = stage.http("POST /send_group_msg", JSON, &params).await;
    assert_eq!(answer.json()["retcode"], 0);
    let query = format!("GET /get_group_member_info?group_id={GROUP}&user_id={FRIEND}&no_cache=true");
    assert_eq!(stage.http(&query, "", "").await.json()["data"]["user_id"], FRIEND);
    stage.strike().await;
}

/// Followed in part: as in LLOneBot a body is JSON unless it is said to be a form, since many bots say nothing or
/// `text/plain`. 406 is left for what cannot be either.
#[tokio::test]
async fn clause_6_the_content_type_decides_and_what_fits_none_is_406() {
    let stage = Stage::llonebot().await;
    for content_type in [JSON, "Content-Type: text/plain\r\n", ""] {
        let answer = stage.http("POST /get_status", content_type, "{}").await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
    assert_eq!(stage.http("POST /get_status", FORM, "a=1").await.status, 200);
    let multipart = "Content-Type: multipart/form-data; boundary=x\r\n";
    assert_eq!(stage.http("POST /get_status", multipart, "--x--").await.status, 406);
    stage.strike().await;
}

/// Followed but for the unknown action: what LLOneBot says of it is an answer like every other, 200 and retcode
/// 1404, since the gateway cannot know which actions an implementation has. 404 is for paths that name none.
#[tokio::test]
async fn clause_7_statuses_are_401_403_400_404_and_otherwise_200() {
    let stage = Stage::llonebot().await;
    let gateway = stage.gateway.address();
    assert_eq!(http(gateway, "GET /get_status", "", "").await.status, 401);
    assert_eq!(http(gateway, "GET /get_status", "Authorization: Bearer wrong\r\n", "").await.status, 403);
    assert_eq!(stage.http("POST /get_status", JSON, "{").await.status, 400);
    assert_eq!(stage.http("GET /a/b", "", "").await.status, 404);
    let failed = stage.http("GET /get_msg?message_id=1", "", "").await;
    assert_eq!((failed.status, &failed.json()["status"]), (200, &json!("failed")));
    let unknown = stage.http("GET /no_such_action", "", "").await;
    assert_eq!((unknown.status, &unknown.json()["retcode"]), (200, &json!(1404)));
    stage.strike().await;
}

#[tokio::test]
async fn clause_8_a_200_has_status_retcode_and_data_that_agree() {
    let stage = Stage::llonebot().await;
    for (path, status, is_retcode) in [
        ("/get_login_info", "ok", (|code| code == 0) as fn(i64) -> bool),
        ("/get_login_info_async", "async", |code| code == 1),
        ("/get_msg?message_id=1", "failed", |code| code != 0 && code != 1),
    ] {
        let answer = stage.http(&format!("GET {path}"), "", "").await;
        assert_eq!(answer.status, 200);
        let reply = answer.json();
        assert_eq!(reply["status"], status);
        assert!(is_retcode(reply["retcode"].as_i64().unwrap()), "{reply}");
        assert!(reply.get("data").is_some(), "{reply}");
    }
    stage.strike().await;
}

#[tokio::test]
async fn clause_9_data_is_null_where_there_is_none_and_in_async_replies() {
    let stage = Stage::llonebot().await;
    for path in ["/clean_cache".to_owned(), format!("/get_group_info_async?group_id={GROUP}")] {
        let reply = stage.http(&format!("GET {path}"), "", "").await.json();
        assert_eq!(reply.get("data"), Some(&Value::Null), "{reply}");
    }
    let other = format!("Authorization: Bearer {}\r\n", TOKENS[1]);
    let reply = http(stage.gateway.address(), "GET /get_login_info", &other, "").await.json();
    assert!(reply["data"].is_object(), "{reply}");
    stage.strike().await;
}
