//! The account and the program themselves.

use serde_json::{Value, json};

use super::{Answer, Call, Failure};

pub(super) fn answer(name: &str, call: &mut Call<'_>) -> Option<Answer> {
    let account = &call.account;
    Some(match name {
        "get_login_info" => Ok(json!({"user_id": account.self_id, "nickname": account.nickname})),
        "can_send_image" | "can_send_record" => Ok(json!({"yes": true})),
        "get_robot_uin_range" => Ok(json!([
            {"minUin": "2854196301", "maxUin": "2854216399"}, {"minUin": "66600000", "maxUin": "66600000"},
            {"minUin": "3889000000", "maxUin": "3889999999"}, {"minUin": "4010000000", "maxUin": "4019999999"},
        ])),
        "clean_cache" | "set_restart" | "set_config" | "get_guild_list" => Ok(Value::Null),
        // Events are kept for it only while an HTTP server is configured, and none is.
        "get_event" => Ok(json!([])),
        "get_cookies" => {
            call.params.text("domain").map(|_| json!({"cookies": cookies(), "bkn": "1523096348"}))
        }
        "get_credentials" => {
            call.params.text("domain").map(|_| json!({"cookies": cookies(), "csrf_token": 1_523_096_348}))
        }
        "get_csrf_token" => Ok(json!({"token": 1_523_096_348})),
        "get_rkey" => Ok(json!({
            "private_key": "CAQSKAB6JWENi5LMk0kc62l8Pm3Jn1dsLZHyRLAnNmHGoZ3y", "group_key": "CAQSKAB6JWENi5LM_xp9",
            "expired_time": call.now + 3600, "updated_time": call.now,
        })),
        "download_file" => Ok(json!({"file": format!("/tmp/llonebot/{}", account_file(call))})),
        "get_config" => Ok(json!({
            "ob11": {"enable": true, "connect": [{
                "type": "ws", "enable": true, "host": "127.0.0.1", "port": 3001, "heartInterval": 60_000,
                "token": "", "reportSelfMessage": false, "messageFormat": "array", "debug": false,
            }]},
        })),
        "llonebot_debug" => call.params.text("method").map(|_| Value::Null),
        "send_pb" => {
            call.params.text("hex").and(call.params.text("cmd")).map(|cmd| json!({"cmd": cmd, "hex": "0800"}))
        }
        "scan_qrcode" => Err(Failure::Thrown("当前版本不支持识别二维码".to_owned())),
        _ => return None,
    })
}

fn cookies() -> &'static str {
    "uin=o2847190563; skey=@simulated; p_uin=o2847190563; p_skey=simulated"
}

fn account_file(call: &Call<'_>) -> String {
    call.params
        .optional_text("name")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "download".to_owned())
}
