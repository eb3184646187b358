//! What a failed send says of the account: that it is muted, frozen or under risk control (风控).
//!
//! No implementation has a retcode of its own for that, so the sentences are read that LLOneBot, `NapCat`,
//! Lagrange and go-cqhttp answer with. A sentence that is not known blames the message, not the account.

use serde::Deserialize;

/// Why the account could not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blockage {
    /// It cannot speak in this chat: muted, or not a member any more.
    Chat,
    /// It cannot speak anywhere: frozen, under risk control, offline.
    Account,
}

/// What the failed reply `text` to a call that sends says of the account; `None` if it says nothing.
#[must_use]
pub fn blockage(text: &[u8]) -> Option<Blockage> {
    let reply: Reasons<'_> = serde_json::from_slice(text).ok()?;
    // Parameters that do not fit, and actions that do not exist.
    if matches!(reply.retcode, 0 | 1 | 400 | 403 | 404 | 1400..=1499) {
        return None;
    }
    let said = [reply.message, reply.msg, reply.wording].into_iter().flatten().collect::<Vec<_>>().join("\n");
    let said = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let codes = numbers_behind(&said, &["result", "code", "error"]);
    if has(OF_THE_ACCOUNT) || codes.iter().any(|code| CODES_OF_THE_ACCOUNT.contains(code)) {
        Some(Blockage::Account)
    } else if has(OF_THE_CHAT) || codes.iter().any(|code| CODES_OF_THE_CHAT.contains(code)) {
        Some(Blockage::Chat)
    } else {
        None
    }
}

/// Sentences differ between versions, their words hardly.
const OF_THE_ACCOUNT: &[&str] = &[
    "风控",
    "冻结",
    "封号",
    "封禁",
    "限制使用",
    "频繁",
    "离线",
    "blocked by server",
    "frozen",
    "risk control",
    "offline",
];
const OF_THE_CHAT: &[&str] = &[
    "禁言",
    "不在群",
    "不是群成员",
    "muted",
    "mute",
    "not in group",
    "not in the group",
    "send_msg_api_error",
    // The message went out and QQ never said that it arrived, which is how a frozen chat looks.
    "发送超时",
    "timeout: ntevent",
    "waitforselfecho timeout",
];
/// QQ's own: too often, risk control.
const CODES_OF_THE_ACCOUNT: &[i64] = &[299, 355];
/// QQ's own: not a member, muted.
const CODES_OF_THE_CHAT: &[i64] = &[110, 120];

#[derive(Deserialize)]
struct Reasons<'a> {
    #[serde(default)]
    retcode: i64,
    #[serde(default, borrow)]
    message: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow)]
    msg: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow)]
    wording: Option<std::borrow::Cow<'a, str>>,
}

/// The numbers that follow one of `words` with nothing but punctuation between: `{"result":120}`,
/// `error code=120`.
fn numbers_behind(text: &str, words: &[&str]) -> Vec<i64> {
    let mut numbers = Vec::new();
    for word in words {
        for (at, _) in text.match_indices(word) {
            let rest = text.get(at + word.len()..).unwrap_or_default();
            let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            numbers.extend(rest.get(..end).and_then(|digits| digits.parse::<i64>().ok()));
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(retcode: i64, message: &str) -> Option<Blockage> {
        let message = serde_json::Value::from(message);
        blockage(
            format!(r#"{{"status":"failed","retcode":{retcode},"data":null,"message":{message}}}"#)
                .as_bytes(),
        )
    }

    #[test]
    fn what_implementations_say_of_a_muted_or_frozen_account_is_understood() {
        for (message, blocked) in [
            ("群消息发送失败: 账号可能被风控", Blockage::Account),
            ("send group message failed: blocked by server", Blockage::Account),
            ("消息发送失败: 你的账号已被冻结", Blockage::Account),
            ("发送失败,你已被禁言", Blockage::Chat),
            (r#"sendMsg failed: {"result":120,"errMsg":""}"#, Blockage::Chat),
            ("group message pkg response failed error code=120", Blockage::Chat),
            ("Timeout: NTEvent serviceAndMethod:NodeIKernelMsgService/sendMsg", Blockage::Chat),
        ] {
            assert_eq!(of(1200, message), Some(blocked), "{message}");
        }
        let gocq = br#"{"data":null,"msg":"SEND_MSG_API_ERROR","retcode":100,"status":"failed","wording":"send group message failed: blocked by server"}"#;
        assert_eq!(blockage(gocq), Some(Blockage::Account));
    }

    #[test]
    fn a_bad_message_says_nothing_of_the_account() {
        assert_eq!(of(1400, "$.message missing required value 禁言"), None);
        assert_eq!(of(1404, "nope API 不存在"), None);
        for message in ["ENOENT: no such file or directory, open 'x.png'", "文件下载失败 error 404", ""]
        {
            assert_eq!(of(1200, message), None, "{message}");
        }
        for text in ["", "{}", "[]", r#"{"retcode":"x"}"#] {
            assert_eq!(blockage(text.as_bytes()), None, "{text}");
        }
    }
}
