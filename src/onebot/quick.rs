//! Quick operations: what a webhook's answer asks for, as the calls it stands for.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ActionName, Call, quoted};

/// The calls that `answer` asks for in reaction to `event`, both the text of JSON, in the order in
/// which LLOneBot does them. Fields that are missing or `null` ask for nothing, and so does a whole
/// answer that is not an object.
///
/// As in LLOneBot, a reply quotes its message, and `at_sender` has to be asked for, where the
/// standard (event/message.md) would have it by default.
///
/// # Errors
/// What is wrong with an answer that is not JSON, or says one thing twice.
pub fn operations(event: &[u8], answer: &[u8]) -> Result<Vec<Call>, String> {
    let answer: &RawValue = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    if !answer.get().starts_with('{') {
        return Ok(Vec::new());
    }
    let answer: Answer<'_> = serde_json::from_str(answer.get()).map_err(|error| error.to_string())?;
    let Ok(context) = serde_json::from_slice::<Context<'_>>(event) else { return Ok(Vec::new()) };
    Ok(match word(context.post_type) {
        r#""message""# => reactions(&context, &answer),
        r#""request""# => decision(&context, &answer).into_iter().collect(),
        _ => Vec::new(),
    })
}

/// Of the answer. Raw, so that nothing is decided about what is only passed on.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    reply: Option<&'a RawValue>,
    #[serde(borrow)]
    auto_escape: Option<&'a RawValue>,
    #[serde(borrow)]
    at_sender: Option<&'a RawValue>,
    #[serde(borrow)]
    delete: Option<&'a RawValue>,
    #[serde(borrow)]
    kick: Option<&'a RawValue>,
    #[serde(borrow)]
    ban: Option<&'a RawValue>,
    #[serde(borrow)]
    ban_duration: Option<&'a RawValue>,
    #[serde(borrow)]
    approve: Option<&'a RawValue>,
    #[serde(borrow)]
    remark: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
}

/// Of the event.
#[derive(Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    post_type: Option<&'a RawValue>,
    #[serde(borrow)]
    message_type: Option<&'a RawValue>,
    #[serde(borrow)]
    request_type: Option<&'a RawValue>,
    #[serde(borrow)]
    sub_type: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    group_id: Option<&'a RawValue>,
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    flag: Option<&'a RawValue>,
}

fn reactions(context: &Context<'_>, answer: &Answer<'_>) -> Vec<Call> {
    let in_group = word(context.message_type) == r#""group""#;
    let group = ("group_id", context.group_id);
    let user = ("user_id", context.user_id);
    let mut calls = Vec::new();
    if let Some(message) = message(context, answer, in_group) {
        let (action, target) = if in_group { ("send_group_msg", group) } else { ("send_private_msg", user) };
        calls.push(call(action, &[(target.0, target.1.map(RawValue::get)), ("message", Some(&message))]));
    }
    let (group, user) = ((group.0, group.1.map(RawValue::get)), (user.0, user.1.map(RawValue::get)));
    if in_group && is_true(answer.delete) {
        calls.push(call("delete_msg", &[("message_id", context.message_id.map(RawValue::get))]));
    }
    if in_group && is_true(answer.ban) {
        // Half an hour (standard, event/message.md).
        let duration = answer.ban_duration.map_or("1800", RawValue::get);
        calls.push(call("set_group_ban", &[group, user, ("duration", Some(duration))]));
    }
    if in_group && is_true(answer.kick) {
        calls.push(call("set_group_kick", &[group, user]));
    }
    calls
}

/// The reply behind what LLOneBot puts before it: the quoted message, and the mention if asked for.
fn message(context: &Context<'_>, answer: &Answer<'_>, in_group: bool) -> Option<String> {
    let reply = answer.reply?.get();
    let quote = context.message_id.map(|id| ("reply", "id", bare(id)));
    let mention = context.user_id.filter(|_| in_group && is_true(answer.at_sender));
    let before = quote.into_iter().chain(mention.map(|id| ("at", "qq", bare(id))));
    let segments = |last: &str| {
        let before = before
            .clone()
            .map(|(kind, key, id)| format!(r#"{{"type":"{kind}","data":{{"{key}":{}}}}}"#, quoted(id)));
        let all: Vec<String> = before.chain([last.to_owned()]).collect();
        format!("[{}]", all.join(","))
    };
    match reply.as_bytes().first()? {
        b'"' if reply == r#""""# => None,
        b'"' if is_true(answer.auto_escape) => {
            Some(segments(&format!(r#"{{"type":"text","data":{{"text":{reply}}}}}"#)))
        }
        b'"' => {
            let reply: String = serde_json::from_str(reply).ok()?;
            let mut text: Vec<String> =
                before.map(|(kind, key, id)| format!("[CQ:{kind},{key}={id}]")).collect();
            text.push(reply);
            Some(quoted(&text.concat()))
        }
        b'[' => {
            let inner = reply.strip_prefix('[')?.strip_suffix(']')?.trim();
            (!inner.is_empty()).then(|| segments(inner))
        }
        b'{' => Some(segments(reply)),
        _ => None,
    }
}

fn decision(context: &Context<'_>, answer: &Answer<'_>) -> Option<Call> {
    let approve = ("approve", Some(answer.approve?.get()));
    let flag = ("flag", context.flag.map(RawValue::get));
    let remark = ("remark", answer.remark.map(RawValue::get));
    let reason = ("reason", answer.reason.map(RawValue::get));
    match word(context.request_type) {
        r#""friend""# => Some(call("set_friend_add_request", &[flag, approve, remark])),
        r#""group""# => {
            let sub_type = ("sub_type", context.sub_type.map(RawValue::get));
            Some(call("set_group_add_request", &[flag, sub_type, approve, reason]))
        }
        _ => None,
    }
}

fn call(action: &str, params: &[(&str, Option<&str>)]) -> Call {
    let params: Vec<String> =
        params.iter().filter_map(|(key, value)| value.map(|value| format!(r#""{key}":{value}"#))).collect();
    Call { action: ActionName::new(action), params: Bytes::from(format!("{{{}}}", params.join(","))) }
}

/// A word of the protocol, with its quotes.
fn word(value: Option<&RawValue>) -> &str {
    value.map_or("", RawValue::get)
}

fn is_true(value: Option<&RawValue>) -> bool {
    word(value) == "true"
}

/// An id, which may be a number or a string.
fn bare(id: &RawValue) -> &str {
    id.get().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = r#"{"post_type":"message","message_type":"group","user_id":1639027745,"group_id":618204977,"message_id":-1307745921}"#;
    const PRIVATE: &str =
        r#"{"post_type":"message","message_type":"private","user_id":1639027745,"message_id":5}"#;

    fn asked(event: &str, answer: &str) -> Vec<String> {
        let calls = operations(event.as_bytes(), answer.as_bytes()).unwrap();
        let text = |call: Call| format!("{} {}", call.action, String::from_utf8_lossy(&call.params));
        calls.into_iter().map(text).collect()
    }

    #[test]
    fn a_reply_quotes_its_message_in_every_form_it_may_have() {
        for (reply, message) in [
            (r#""hi [CQ:face,id=1]\n""#, r#""[CQ:reply,id=-1307745921]hi [CQ:face,id=1]\n""#),
            (
                r#"{"type":"face","data":{"id":"1"}}"#,
                r#"[{"type":"reply","data":{"id":"-1307745921"}},{"type":"face","data":{"id":"1"}}]"#,
            ),
            (
                r#"[{"type":"text","data":{"text":"a"}}]"#,
                r#"[{"type":"reply","data":{"id":"-1307745921"}},{"type":"text","data":{"text":"a"}}]"#,
            ),
        ] {
            let expected = format!(r#"send_group_msg {{"group_id":618204977,"message":{message}}}"#);
            assert_eq!(asked(GROUP, &format!(r#"{{"reply":{reply}}}"#)), [expected]);
        }
        assert_eq!(
            asked(PRIVATE, r#"{"reply":"[a]","auto_escape":true,"at_sender":true,"kick":true}"#),
            [
                r#"send_private_msg {"user_id":1639027745,"message":[{"type":"reply","data":{"id":"5"}},{"type":"text","data":{"text":"[a]"}}]}"#
            ]
        );
    }

    #[test]
    fn everything_at_once_is_done_in_llonebots_order() {
        assert_eq!(
            asked(GROUP, r#"{"kick":true,"ban":true,"delete":true,"at_sender":true,"reply":"x"}"#),
            [
                r#"send_group_msg {"group_id":618204977,"message":"[CQ:reply,id=-1307745921][CQ:at,qq=1639027745]x"}"#,
                r#"delete_msg {"message_id":-1307745921}"#,
                r#"set_group_ban {"group_id":618204977,"user_id":1639027745,"duration":1800}"#,
                r#"set_group_kick {"group_id":618204977,"user_id":1639027745}"#,
            ]
        );
        assert_eq!(
            asked(GROUP, r#"{"ban":true,"ban_duration":60}"#),
            [r#"set_group_ban {"group_id":618204977,"user_id":1639027745,"duration":60}"#]
        );
    }

    #[test]
    fn a_request_is_decided_only_when_asked() {
        let friend = r#"{"post_type":"request","request_type":"friend","user_id":1,"flag":"u_k|1"}"#;
        let group = r#"{"post_type":"request","request_type":"group","sub_type":"add","flag":"f"}"#;
        assert_eq!(
            asked(friend, r#"{"approve":true,"remark":"路人"}"#),
            [r#"set_friend_add_request {"flag":"u_k|1","approve":true,"remark":"路人"}"#]
        );
        assert_eq!(
            asked(group, r#"{"approve":false,"reason":"no"}"#),
            [r#"set_group_add_request {"flag":"f","sub_type":"add","approve":false,"reason":"no"}"#]
        );
        assert!(asked(friend, r#"{"remark":"x","reply":"x","approve":null}"#).is_empty());
    }

    #[test]
    fn what_asks_for_nothing_does_nothing() {
        let sent = GROUP.replace("\"message\"", "\"message_sent\"");
        for (event, answer) in [
            (GROUP, "{}"),
            (GROUP, "[]"),
            (GROUP, "\"ok\""),
            (GROUP, "null"),
            (GROUP, r#"{"reply":"","delete":false,"kick":"true","ban":null}"#),
            (GROUP, r#"{"reply":[]}"#),
            (GROUP, r#"{"reply":7,"approve":true}"#),
            (sent.as_str(), r#"{"reply":"x"}"#),
            (r#"{"post_type":"notice"}"#, r#"{"reply":"x","approve":true}"#),
        ] {
            assert!(asked(event, answer).is_empty(), "{event} {answer}");
        }
    }

    #[test]
    fn broken_answers_are_told_apart() {
        for answer in ["", "ok", "{", r#"{"kick":true,"kick":false}"#, "{}{}", "\u{0}"] {
            assert!(operations(GROUP.as_bytes(), answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
