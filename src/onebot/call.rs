//! Calls: read from a consumer, written anew for the upstream.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::catalogue::{self, Action};
use super::echo::{Echo, recover_echo};
use super::envelope::{Envelope, JsonType, Key, Malformed, scan};
use super::quoted;
use super::reply::{Retcode, failed};

/// One call of an action. The caller's echo is not part of it: it stays with the session.
///
/// Its `Debug` shows no parameters: they may hold what people wrote, or tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Which action.
    pub action: ActionName,
    /// The raw JSON text of the parameters, an object: `{}` if the call had none or `null`.
    pub params: Bytes,
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Call({}, {} bytes)", self.action, self.params.len())
    }
}

/// Reads a frame of a consumer as a call.
///
/// Whoever decides about the call decides about what is sent: the name and the parameters are those that
/// [`encode_call`] writes out again, so equal keys, escapes and unknown keys cannot smuggle in another one.
///
/// # Errors
///
/// [`Refused`] holds the reply `LLOneBot` would give; where `LLOneBot` is silent (`null`) it says so. Names and
/// echoes larger than any that mean something are refused too: they are kept as long as their call is open, and
/// no other bound counts them.
pub fn parse_call(text: &Bytes) -> Result<(Call, Option<Echo>), Refused> {
    let envelope = scan(text).map_err(|malformed| Refused::malformed(text, malformed))?;
    // Copied, so that an echo kept for as long as its call is open does not keep the whole frame.
    let echo = envelope.get(Key::Echo).and_then(|span| Echo::from_raw(Bytes::copy_from_slice(span.of(text))));
    match read_call(text, &envelope) {
        Ok(_) if echo.as_ref().is_some_and(|echo| echo.as_raw().len() > LONGEST_ECHO) => {
            let message = format!("the echo is longer than {LONGEST_ECHO} bytes");
            Err(Refused { echo, retcode: Retcode::Malformed, message })
        }
        Ok(call) => Ok((call, echo)),
        Err((retcode, message)) => Err(Refused { echo, retcode, message }),
    }
}

fn read_call(text: &Bytes, envelope: &Envelope) -> Result<Call, (Retcode, String)> {
    let name = envelope.get(Key::Action).map(|span| span.of(text));
    let Some(action) = name.and_then(ActionName::from_raw) else {
        return Err((Retcode::UnknownAction, NO_ACTION.to_owned()));
    };
    if action.as_str().len() > LONGEST_NAME {
        let message = format!("no action has a name of more than {LONGEST_NAME} bytes");
        return Err((Retcode::UnknownAction, message));
    }
    let params = match envelope.get(Key::Params) {
        None => Bytes::from_static(b"{}"),
        Some(span) => match JsonType::of(span.of(text)) {
            JsonType::Object => span.slice(text),
            JsonType::Null => Bytes::from_static(b"{}"),
            other => {
                let message = format!("expected object but got {other}: params must be a JSON object");
                return Err((Retcode::Malformed, message));
            }
        },
    };
    Ok(Call { action, params })
}

/// Bytes of the name of an action, suffixes included.
const LONGEST_NAME: usize = 256;

/// Bytes of an echo. Frameworks send a number or an id; some put a small object there.
const LONGEST_ECHO: usize = 64 << 10;

/// What `LLOneBot` says of a frame without an action.
const NO_ACTION: &str = "undefined API 不存在";

/// Appends to `out` what stands around the parameters in the frame of a call whose echo is the string
/// `call_id`, and returns how much of that comes before them. The parameters, which may be large, are not
/// copied.
///
/// `call_id` is written as it is; the gateway's own need no escapes.
pub fn encode_call(action: &ActionName, call_id: impl fmt::Display, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(b"{\"action\":");
    match &action.spoken {
        Spoken::Catalogued(name) => {
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.push(b'"');
        }
        Spoken::Other(name) => out.extend_from_slice(quoted(name).as_bytes()),
    }
    out.extend_from_slice(b",\"params\":");
    let params_at = out.len();
    // Writing to a Vec cannot fail.
    let _ = write!(out, ",\"echo\":\"{call_id}\"}}");
    params_at
}

/// The name of an action as a caller wrote it. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActionName {
    spoken: Spoken,
    /// How much of it is the name without suffixes.
    base: usize,
    entry: Option<&'static Action>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Spoken {
    Catalogued(&'static str),
    Other(Arc<str>),
}

impl ActionName {
    /// The action called `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut base = name;
        while let Some(shorter) = SUFFIXES.iter().find_map(|suffix| base.strip_suffix(suffix)) {
            base = shorter;
        }
        let entry = catalogue::find(base);
        let spoken = match entry {
            Some(action) if action.name == name => Spoken::Catalogued(action.name),
            _ => Spoken::Other(name.into()),
        };
        Self { spoken, base: base.len(), entry }
    }

    /// From the raw JSON text of a string; `None` for anything else, and for a lone surrogate, which no
    /// name has.
    fn from_raw(raw: &[u8]) -> Option<Self> {
        let plain = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if plain.contains(&b'\\') {
            return serde_json::from_slice::<String>(raw).ok().map(|name| Self::new(&name));
        }
        std::str::from_utf8(plain).ok().map(Self::new)
    }

    /// The whole name, as it is sent to the upstream.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.spoken {
            Spoken::Catalogued(name) => name,
            Spoken::Other(name) => name,
        }
    }

    /// The name without `_async` and `_rate_limited`, however many: what permissions, limits and caches
    /// go by, since implementations treat the suffixed names as the action itself.
    #[must_use]
    pub fn base(&self) -> &str {
        self.as_str().get(..self.base).unwrap_or_default()
    }

    /// What [`base`](Self::base) leaves out: empty, `_async`, `_rate_limited`, or several of them.
    #[must_use]
    pub fn suffix(&self) -> &str {
        self.as_str().get(self.base..).unwrap_or_default()
    }

    /// Whether the caller does not wait for the answer: the name has a suffix (standard, api/README.md).
    #[must_use]
    pub fn is_deferred(&self) -> bool {
        self.base > 0 && !self.suffix().is_empty()
    }

    /// Whether the call has to wait for its turn.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.is_deferred() && self.suffix().contains("_rate_limited")
    }

    /// The action itself.
    #[must_use]
    pub fn without_suffix(&self) -> Self {
        Self::new(self.base())
    }

    /// What the catalogue knows of it.
    #[must_use]
    pub fn entry(&self) -> Option<&'static Action> {
        self.entry
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Standard, api/README.md.
const SUFFIXES: [&str; 2] = ["_async", "_rate_limited"];

/// Why a frame is no call, and what its sender must be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The echo to answer with, if one could be found.
    pub echo: Option<Echo>,
    /// [`Retcode::Malformed`] or [`Retcode::UnknownAction`].
    pub retcode: Retcode,
    /// What was wrong and where.
    pub message: String,
}

impl Refused {
    /// The reply that says so, without the echo.
    #[must_use]
    pub fn reply(&self) -> Bytes {
        failed(self.retcode, &self.message)
    }

    fn malformed(text: &[u8], malformed: Malformed) -> Self {
        let (retcode, message) = match malformed {
            Malformed::NotJson { at, what } => {
                (Retcode::Malformed, format!("JSON 解析失败: {what} in JSON at position {at}"))
            }
            Malformed::NotAnObject(kind) if kind != JsonType::Null => {
                (Retcode::UnknownAction, NO_ACTION.to_owned())
            }
            _ => (Retcode::Malformed, malformed.to_string()),
        };
        // An array or a string is JSON: what looks like an echo in it is none.
        let echo = match malformed {
            Malformed::NotJson { .. } | Malformed::TooDeep { .. } => recover_echo(text),
            Malformed::NotAnObject(_) | Malformed::TooLong => None,
        };
        let echo = echo.map(Bytes::copy_from_slice).and_then(Echo::from_raw);
        Self { echo, retcode, message }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::onebot::catalogue::Risk;

    fn parse(text: &str) -> Result<(Call, Option<Echo>), Refused> {
        parse_call(&Bytes::copy_from_slice(text.as_bytes()))
    }

    fn refused(text: &str) -> (u16, String, Option<String>) {
        let refused = parse(text).unwrap_err();
        let echo = refused.echo.map(|echo| String::from_utf8(echo.as_raw().to_vec()).unwrap());
        (refused.retcode.code(), refused.message, echo)
    }

    #[test]
    fn a_call_keeps_its_parameters_and_its_echo_as_they_were_written() {
        let (call, echo) =
            parse(r#"{"echo":{"seq": 1e2},"params":{"group_id":"1", "x":-0.0},"action":"send_group_msg"}"#)
                .unwrap();
        assert_eq!(call.action.as_str(), "send_group_msg");
        assert_eq!(call.params, r#"{"group_id":"1", "x":-0.0}"#);
        assert_eq!(echo.unwrap().as_raw(), br#"{"seq": 1e2}"#);
    }

    #[test]
    fn a_call_shows_no_parameters() {
        let (call, _) = parse(r#"{"action":"set_config","params":{"token":"secret"}}"#).unwrap();
        assert_eq!(format!("{call:?}"), "Call(set_config, 18 bytes)");
    }

    #[test]
    fn parameters_and_echo_may_be_missing_or_null() {
        for text in [r#"{"action":"get_status"}"#, r#"{"action":"get_status","params":null,"echo":null}"#] {
            let (call, echo) = parse(text).unwrap();
            assert_eq!((call.params.as_ref(), echo), (&b"{}"[..], None));
        }
    }

    #[test]
    fn what_is_no_call_is_refused_as_llonebot_refuses_it() {
        let unknown = |echo: Option<&str>| (1404, "undefined API 不存在".to_owned(), echo.map(str::to_owned));
        assert_eq!(refused(r#"{"params":{},"echo":"a"}"#), unknown(Some(r#""a""#)));
        assert_eq!(refused(r#"{"action":5,"echo":0}"#), unknown(Some("0")));
        assert_eq!(refused(r#"{"action":"\ud83d"}"#), unknown(None));
        assert_eq!(refused(r#"[{"echo":1}]"#), unknown(None));
        assert_eq!(refused("null").0, 1400);
        let (retcode, message, echo) = refused(r#"{"action":"get_msg","params":1,"echo":[1]}"#);
        assert_eq!((retcode, echo.as_deref()), (1400, Some("[1]")));
        assert!(message.starts_with("expected object but got a number"), "{message}");
        let deep = format!(r#"{{"action":"x","echo":7,"params":{}"#, "[".repeat(1000));
        assert_eq!((refused(&deep).0, refused(&deep).2.as_deref()), (1400, Some("7")));
    }

    #[test]
    fn what_is_kept_while_a_call_is_open_is_bounded() {
        let name = |length: usize| format!(r#"{{"action":"{}","echo":7}}"#, "x".repeat(length));
        assert!(parse(&name(LONGEST_NAME)).is_ok());
        let (retcode, message, echo) = refused(&name(LONGEST_NAME + 1));
        assert_eq!((retcode, echo.as_deref()), (1404, Some("7")));
        assert!(message.contains("256 bytes"), "{message}");
        // An echo that is too long still comes back with the refusal.
        let echo = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        let call = |length: usize| format!(r#"{{"action":"get_status","echo":{}}}"#, echo(length));
        assert!(parse(&call(LONGEST_ECHO)).is_ok());
        let (retcode, message, found) = refused(&call(LONGEST_ECHO + 1));
        assert_eq!((retcode, found), (1400, Some(echo(LONGEST_ECHO + 1))));
        assert!(message.contains("65536 bytes"), "{message}");
    }

    #[test]
    fn a_broken_frame_is_answered_with_its_echo_and_the_place_of_the_fault() {
        let broken: Value =
            serde_json::from_str(include_str!("../../tests/samples/calls.jsonl").lines().last().unwrap())
                .unwrap();
        let (retcode, message, echo) = refused(broken["request_text"].as_str().unwrap());
        assert_eq!((retcode, echo.as_deref()), (1400, Some(r#""cut-1""#)));
        assert_eq!(message, "JSON 解析失败: unexpected end of the text in JSON at position 88");
    }

    #[test]
    fn suffixes_are_no_way_around_permissions() {
        let name = ActionName::new("get_cookies_async_rate_limited_async");
        assert_eq!((name.base(), name.suffix()), ("get_cookies", "_async_rate_limited_async"));
        assert_eq!(name.entry().unwrap().risk, Risk::Danger);
        assert_eq!(ActionName::new("set_\u{1F600}_async").entry(), None);
        assert_eq!(ActionName::new("_async").base(), "");
        let (call, _) = parse(r#"{"action":"get\u005fcookies","action":"get_cookie\u0073"}"#).unwrap();
        assert_eq!(call.action, ActionName::new("get_cookies"));
    }

    /// What is sent is what was decided about, in one spelling: no second `action` survives.
    #[test]
    fn an_encoded_call_reads_back_as_itself() {
        let hostile =
            r#"{"action":"get_cookies","action":"a\"b\\\n\u0000é","params":{"a":1},"x":1,"echo":"e"}"#;
        let (call, _) = parse(hostile).unwrap();
        let mut out = Vec::new();
        let params_at = encode_call(&call.action, "g-1", &mut out);
        out.splice(params_at..params_at, call.params.iter().copied());
        let text = String::from_utf8(out.clone()).unwrap();
        assert_eq!(text, r#"{"action":"a\"b\\\n\u0000é","params":{"a":1},"echo":"g-1"}"#);
        let (again, echo) = parse_call(&out.into()).unwrap();
        assert_eq!((again, echo.unwrap().as_raw()), (call, &br#""g-1""#[..]));
    }

    #[test]
    fn the_catalogue_knows_what_llonebot_answered() {
        let mut seen = 0;
        for line in include_str!("../../tests/samples/calls.jsonl").lines() {
            let pair: Value = serde_json::from_str(line).unwrap();
            let Some(request) = pair.get("request") else { continue };
            let (call, echo) = parse(&request.to_string()).unwrap();
            let in_llonebot = call.action.entry().is_some_and(|action| action.in_llonebot);
            assert_eq!(in_llonebot, pair["response"]["retcode"] != 1404, "{}", call.action);
            assert_eq!(echo.is_some(), pair["response"].get("echo").is_some(), "{}", call.action);
            seen += 1;
        }
        assert_eq!(seen, 27);
    }
}
