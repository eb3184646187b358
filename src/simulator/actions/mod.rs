//! What each action answers and does: the whole catalogue of LLOneBot 8.1.7, and what other implementations
//! answer differently.

use std::time::Duration;

use serde_json::{Value, json};

use super::account::Account;
use super::meta;
use super::object::interpolated;
#[cfg(test)]
use super::profile::Profile;
use super::profile::{Dialect, Retcodes};

mod admin;
mod album;
mod file;
mod friend;
mod group;
mod message;
mod params;
mod quick;
mod send;
pub(crate) mod stream;
mod system;

use params::Params;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such action.
    Unknown(String),
    /// The parameters do not fit.
    Parameters(String),
    /// It was tried and went wrong.
    Thrown(String),
}

impl Failure {
    pub(crate) const fn retcode(&self, retcodes: Retcodes) -> i64 {
        match self {
            Self::Unknown(_) => retcodes.unknown,
            Self::Parameters(_) => retcodes.parameters,
            Self::Thrown(_) => retcodes.thrown,
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Unknown(message) | Self::Parameters(message) | Self::Thrown(message) => message,
        }
    }
}

pub(crate) type Answer = Result<Value, Failure>;

/// What became of one call.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// What is answered before, in frames of their own.
    pub(crate) parts: Vec<Value>,
    /// What happened to the account, in order.
    pub(crate) events: Vec<Value>,
    /// Every connection closes after the reply.
    pub(crate) restart: bool,
}

/// Carries out one call. Every action has two further names, `x_async` and `x_rate_limited`, which LLOneBot treats
/// exactly like `x`.
pub(crate) fn perform(
    account: &mut Account,
    dialect: &Dialect,
    action: &str,
    params: &Value,
    now: i64,
) -> Outcome {
    let name = base_name(action, dialect);
    let unknown = || Err(Failure::Unknown(dialect.unknown.replace("$action", action)));
    let mut parts = Vec::new();
    let answer = match params {
        _ if !is_known(name, dialect) => unknown(),
        Value::Object(params) => {
            let mut call = Call { account, params: Params(params), now };
            if stream::is_stream(name) {
                stream::answer(name, &mut call, &mut parts)
            } else {
                introduce(name, &call, dialect)
                    .or_else(|| ANSWERERS.iter().find_map(|answer| answer(name, &mut call)))
                    .unwrap_or_else(unknown)
            }
        }
        other => Err(Failure::Parameters(format!("expected object but got {}", interpolated(other)))),
    };
    let restart = answer.is_ok() && matches!(name, "set_config" | "set_restart");
    Outcome { answer, parts, events: std::mem::take(&mut account.events), restart }
}

#[cfg(test)]
fn as_llonebot(account: &mut Account, action: &str, params: &Value, now: i64) -> Outcome {
    perform(account, Profile::Llonebot.dialect(), action, params, now)
}

/// The action without its suffix; suffixes do not combine.
pub(crate) fn base_name<'a>(action: &'a str, dialect: &Dialect) -> &'a str {
    dialect.suffixes.iter().find_map(|suffix| action.strip_suffix(suffix)).unwrap_or(action)
}

fn is_known(name: &str, dialect: &Dialect) -> bool {
    let streams = dialect.streams && stream::is_stream(name);
    streams || (CATALOGUE.contains(&name) && !dialect.lacks.contains(&name))
}

/// Who it is and how it fares, in each implementation's words.
fn introduce(name: &str, call: &Call<'_>, dialect: &Dialect) -> Option<Answer> {
    let (app_name, app_version) = dialect.app;
    match name {
        "get_version_info" => Some(Ok(json!({
            "app_name": app_name, "protocol_version": "v11", "app_version": app_version,
        }))),
        "get_status" => Some(Ok(meta::status(dialect.meta, call.account))),
        _ => None,
    }
}

/// How long an action waits by itself: `get_event` for an event that never comes, since LLOneBot keeps events for
/// it only while an HTTP server is configured.
pub(crate) fn patience(name: &str, params: &Value) -> Duration {
    let timeout = params.get("timeout").and_then(Value::as_u64).filter(|_| name == "get_event");
    Duration::from_millis(timeout.unwrap_or(0))
}

/// One call being carried out.
struct Call<'a> {
    account: &'a mut Account,
    params: Params<'a>,
    now: i64,
}

/// Answers the actions of one subject, and `None` for all others.
type Answerer = fn(&str, &mut Call<'_>) -> Option<Answer>;

const ANSWERERS: [Answerer; 9] = [
    send::answer,
    quick::answer,
    message::answer,
    group::answer,
    admin::answer,
    friend::answer,
    file::answer,
    album::answer,
    system::answer,
];

#[rustfmt::skip]
const CATALOGUE: [&str; 122] = [
    "send_private_msg", "send_group_msg", "send_msg", "send_forward_msg", "send_private_forward_msg",
    "send_group_forward_msg", "forward_friend_single_msg", "forward_group_single_msg", "get_msg",
    "delete_msg", "get_file", "get_image", "get_record", "set_msg_emoji_like", "unset_msg_emoji_like",
    "fetch_emoji_like", "get_friend_msg_history", "get_group_msg_history", "get_forward_msg",
    "mark_msg_as_read", "voice_msg_to_text", "send_group_ai_record", "get_ai_characters",
    "get_recommend_face", "ocr_image", "send_poke", "set_input_status", ".handle_quick_operation",
    "send_like", "get_friend_list", "get_friends_with_category", "delete_friend", "set_friend_add_request",
    "set_friend_remark", "set_friend_category", "get_stranger_info", "set_qq_avatar", "get_qq_avatar",
    "friend_poke", "upload_private_file", "get_profile_like", "get_profile_like_me",
    "get_profile_like_count", "get_robot_uin_range", "get_doubt_friends_add_request",
    "set_doubt_friends_add_request", "set_online_status", "set_qq_profile", "get_group_list",
    "get_group_info", "get_group_member_list", "get_group_member_info", "group_poke",
    "get_group_system_msg", "set_group_add_request", "set_group_leave", "set_group_admin", "set_group_card",
    "set_group_ban", "set_group_whole_ban", "set_group_name", "set_group_kick", "batch_delete_group_member",
    "set_group_special_title", "get_group_honor_info", "get_essence_msg_list", "set_essence_msg",
    "delete_essence_msg", "get_group_root_files", "get_group_files_by_folder", "get_group_file_system_info",
    "upload_group_file", "delete_group_file", "create_group_file_folder", "delete_group_folder",
    "rename_group_file_folder", "move_group_file", "rename_group_file", "set_group_file_forever",
    "get_group_file_url", "get_private_file_url", "get_group_at_all_remain", "_send_group_notice",
    "_get_group_notice", "_delete_group_notice", "send_group_sign", "get_group_signed_list",
    "set_group_msg_mask", "set_group_remark", "set_group_portrait", "get_group_ignore_add_request",
    "get_group_shut_list", "get_group_album_list", "get_group_album_media_list", "create_group_album",
    "delete_group_album", "upload_group_album", "get_flash_file_info", "download_flash_file",
    "get_flash_file_download_urls", "upload_flash_file", "reshare_flash_file", "get_rkey", "download_file",
    "get_login_info", "get_version_info", "get_status", "can_send_image", "can_send_record", "clean_cache",
    "set_restart", "get_cookies", "get_credentials", "get_csrf_token", "fetch_custom_face",
    "get_guild_list", "get_event", "get_config", "set_config", "llonebot_debug", "send_pb", "scan_qrcode",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::account::messages::Chat;
    use crate::simulator::cq;

    const NOW: i64 = 1_795_400_000;

    /// Parameters that suit every action of the catalogue.
    const GENEROUS: &str = r#"{
        "group_id": 618204977, "user_id": 2210947381, "message": "嗨",
        "messages": [{"type": "node", "data": {"user_id": "1", "nickname": "n", "content": "c"}}],
        "id": "m7Qd0xZpN3vKcR8sYtHfLw5eUjGaBo2iXlE9PzD4kTnWyVq6FhMbCuSrJ1gA+tO", "emoji_id": "76",
        "set": true, "file": "a.jpg", "name": "x", "new_folder_name": "y", "new_name": "y",
        "current_parent_directory": "/", "target_parent_directory": "/", "character": "lucy", "text": "t",
        "image": "a.jpg", "word": "w", "event_type": 1, "remark": "r", "category_id": 0, "nickname": "n",
        "status": 10, "ext_status": 0, "battery_status": 0, "card": "c", "group_name": "g",
        "user_ids": [3482216057], "enable": true, "special_title": "s", "content": "c", "notice_id": "x",
        "mask": 1, "album_id": "x", "files": ["a.jpg"], "share_link": "https://qfile.qq.com/q/x",
        "title": "t", "paths": ["/a"], "url": "http://x/", "cmd": "c", "hex": "00", "domain": "qun.qq.com",
        "method": "m", "args": [], "key": "k", "timeout": 0, "operation": {"reply": "好"},
        "context": {"post_type": "message", "message_type": "group", "group_id": 618204977}
    }"#;

    fn generous_params(account: &mut Account, name: &str) -> Value {
        let (message_id, _) = account.hear(Chat::Group(618_204_977), 2_210_947_381, &[cq::text("你好")], NOW);
        let drive = &account.group(618_204_977).unwrap().drive;
        let mut params: Value = serde_json::from_str(GENEROUS).unwrap();
        params["message_id"] = json!(message_id);
        params["file_id"] = json!(drive.files[0].file_id);
        params["folder_id"] = json!(drive.folders[0].folder_id);
        params["flag"] = json!("618204977|1795368571204433|7|0");
        match name {
            "set_friend_add_request" => params["flag"] = json!("u_kZ3pV8nQxW0tLrYc5HsBaA"),
            "set_friend_remark" | "set_friend_category" => params["user_id"] = json!(758_310_926),
            _ => {}
        }
        params
    }

    #[test]
    fn every_action_of_the_catalogue_is_answered() {
        for name in CATALOGUE {
            for suffix in ["", "_async", "_rate_limited"] {
                let mut account = Account::new(1, 1, NOW);
                let params = generous_params(&mut account, name);
                let outcome = as_llonebot(&mut account, &format!("{name}{suffix}"), &params, NOW);
                // These two always fail in LLOneBot 8 as well.
                let fails = ["get_group_ignore_add_request", "scan_qrcode"].contains(&name);
                let retcode = outcome
                    .answer
                    .as_ref()
                    .err()
                    .map_or(0, |failure| failure.retcode(Profile::Llonebot.dialect().retcodes));
                assert_eq!(retcode, if fails { 1200 } else { 0 }, "{name}: {:?}", outcome.answer);
            }
        }
    }

    #[test]
    fn unknown_actions_and_stacked_suffixes_do_not_exist() {
        let mut account = Account::new(1, 1, NOW);
        for name in ["nope", "get_msg_async_async", "set_group_anonymous", "get_supported_actions", ""] {
            let answer = as_llonebot(&mut account, name, &json!({}), NOW).answer;
            assert_eq!(answer, Err(Failure::Unknown(format!("{name} API 不存在"))));
        }
    }

    #[test]
    fn params_that_are_no_object_are_refused() {
        let answer = as_llonebot(&mut Account::new(1, 1, NOW), "get_status", &json!(1), NOW).answer;
        assert_eq!(answer, Err(Failure::Parameters("expected object but got 1".to_owned())));
    }
}
