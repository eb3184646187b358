//! The envelope around a call: what a frame means, and how a reply is written.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Value, json};

use super::object::put;
use super::profile::{BrokenJson, Dialect, ReplyShape};

/// What one incoming frame asks for.
pub(crate) enum Request {
    Call {
        action: String,
        params: Value,
        echo: Option<Value>,
    },
    /// Answered without looking at any action.
    Refused(Reply),
    /// JSON `null`, over which LLOneBot trips, and what an implementation ignores.
    Unanswered,
}

impl Request {
    /// Reads one text or binary frame; both are JSON text.
    pub(crate) fn parse(frame: &[u8], dialect: &Dialect) -> Self {
        let unknown = |action: &str, echo| Self::Refused(Reply::unknown_action(action, echo, dialect));
        let text = String::from_utf8_lossy(frame);
        let mut fields = match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => fields,
            Ok(Value::Null) => return Self::Unanswered,
            Ok(_) => return unknown("undefined", None),
            Err(error) => {
                return match dialect.broken_json {
                    BrokenJson::Explained => {
                        let message = format!("JSON 解析失败: {}", v8_message(&text, &error));
                        Self::Refused(Reply::failed(1400, &message, recover_echo(&text)))
                    }
                    BrokenJson::Refused(message) => Self::Refused(Reply::failed(1400, message, None)),
                    BrokenJson::Ignored => Self::Unanswered,
                    BrokenJson::Guessed => unknown("", recover_echo(&text)),
                };
            }
        };
        let mut take = |key| fields.get_mut(key).map(Value::take).filter(|value| !value.is_null());
        let echo = take("echo");
        let params = take("params").unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        match take("action") {
            Some(Value::String(action)) => Self::Call { action, params, echo },
            Some(other) => unknown(&other.to_string(), echo),
            None => unknown("undefined", echo),
        }
    }
}

/// One reply. `echo` is absent if the call had none, or `null`.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) retcode: i64,
    data: Value,
    message: String,
    pub(crate) echo: Option<Value>,
    /// It belongs to an action that is answered in several frames.
    stream: bool,
}

impl Reply {
    pub(crate) const fn ok(data: Value, echo: Option<Value>) -> Self {
        Self { retcode: 0, data, message: String::new(), echo, stream: false }
    }

    pub(crate) fn failed(retcode: i64, message: &str, echo: Option<Value>) -> Self {
        Self { retcode, data: Value::Null, message: message.to_owned(), echo, stream: false }
    }

    pub(crate) fn unknown_action(action: &str, echo: Option<Value>, dialect: &Dialect) -> Self {
        Self::failed(dialect.retcodes.unknown, &dialect.unknown.replace("$action", action), echo)
    }

    pub(crate) fn refused_token() -> Self {
        Self::failed(1403, "token验证失败", None)
    }

    /// The same as a frame of a stream.
    pub(crate) fn streamed(mut self) -> Self {
        self.stream = true;
        if self.retcode != 0 {
            self.data = json!({"type": "error", "data_type": "error"});
        }
        self
    }

    pub(crate) fn to_text(&self, shape: ReplyShape) -> String {
        let Self { retcode, data, message, echo, stream } = self;
        let status = if *retcode == 0 { "ok" } else { "failed" };
        let echo = echo.as_ref();
        let plain = || {
            json!({
                "status": status, "retcode": retcode, "data": data, "message": message, "wording": message,
            })
        };
        let reply = match shape {
            ReplyShape::Llonebot => {
                let mut reply = plain();
                if let Some(echo) = echo {
                    put(&mut reply, "echo", echo.clone());
                }
                reply
            }
            ReplyShape::Napcat => {
                let not_understood = matches!(retcode, 1400 | 1403 | 1404);
                let none = if not_understood { Value::Null } else { Value::from("") };
                let mut reply = plain();
                put(&mut reply, "echo", echo.cloned().unwrap_or(none));
                put(&mut reply, "stream", if *stream { "stream-action" } else { "normal-action" });
                reply
            }
            ReplyShape::Lagrange => {
                json!({"status": status, "retcode": retcode, "data": data, "echo": echo})
            }
            ReplyShape::GoCqhttp => {
                let mut reply = json!({"data": data});
                if let Some(echo) = echo {
                    put(&mut reply, "echo", echo.clone());
                }
                put(&mut reply, "message", message.as_str());
                if *retcode != 0 {
                    put(&mut reply, "msg", if *retcode == 404 { "API_NOT_FOUND" } else { "API_ERROR" });
                }
                put(&mut reply, "retcode", *retcode);
                put(&mut reply, "status", status);
                if *retcode != 0 {
                    put(&mut reply, "wording", message.as_str());
                }
                reply
            }
        };
        json_stringify(&reply)
    }
}

/// JSON text as `JSON.stringify` writes it: every number went through a double.
pub(crate) fn json_stringify(value: &impl Serialize) -> String {
    let mut text = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, JavaScript);
    if value.serialize(&mut serializer).is_err() {
        return "null".to_owned();
    }
    String::from_utf8(text).unwrap_or_default()
}

struct JavaScript;

impl JavaScript {
    #[expect(clippy::float_cmp, reason = "asks whether the number is integral, exactly")]
    fn write_number<W: io::Write + ?Sized>(writer: &mut W, number: f64) -> io::Result<()> {
        if number.trunc() == number && number.abs() < 1e21 {
            // Display pads the shortest digits with zeros, as JavaScript does; -0 is written as 0.
            write!(writer, "{}", number + 0.0)
        } else {
            CompactFormatter.write_f64(writer, number)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "losing precision as JavaScript does is the point")]
impl Formatter for JavaScript {
    fn write_i64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        Self::write_number(writer, value as f64)
    }

    fn write_u64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        Self::write_number(writer, value as f64)
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        Self::write_number(writer, value)
    }
}

/// The wording of the JavaScript engine for the usual mistakes.
fn v8_message(text: &str, error: &serde_json::Error) -> String {
    let reason = error.to_string();
    let length = text.encode_utf16().count();
    if reason.starts_with("EOF while parsing an object") {
        return format!("Expected ',' or '}}' after property value in JSON at position {length}");
    }
    if reason.starts_with("EOF while parsing a list") {
        return format!("Expected ',' or ']' after array element in JSON at position {length}");
    }
    if reason.starts_with("EOF while parsing a string") {
        return format!("Unterminated string in JSON at position {length}");
    }
    let line_start =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    // serde counts bytes from 1.
    let at = text.floor_char_boundary(line_start + error.column().saturating_sub(1));
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let position = before.encode_utf16().count();
    match rest.chars().next() {
        Some(_) if reason.starts_with("trailing characters") => {
            format!("Unexpected non-whitespace character after JSON at position {position}")
        }
        Some(_) if reason.starts_with("key must be a string") => {
            format!("Expected double-quoted property name in JSON at position {position}")
        }
        Some(token) if !error.is_eof() => {
            format!("Unexpected token '{token}', {} is not valid JSON", surroundings(text, before, rest))
        }
        _ => "Unexpected end of JSON input".to_owned(),
    }
}

/// The text in quotes if it is short, else ten characters on either side.
fn surroundings(text: &str, before: &str, rest: &str) -> String {
    const EACH_SIDE: usize = 10;
    if text.chars().nth(2 * EACH_SIDE).is_none() {
        return format!("\"{text}\"");
    }
    let start = before.char_indices().rev().nth(EACH_SIDE - 1).map_or(0, |(start, _)| start);
    let left = before.get(start..).unwrap_or_default();
    let right: String = rest.chars().take(EACH_SIDE).collect();
    let from = if start > 0 { "..." } else { "" };
    let to = if right.len() < rest.len() { "..." } else { "" };
    format!("{from}\"{left}{right}\"{to}")
}

/// LLOneBot looks for the first `"echo":` even in broken JSON.
fn recover_echo(text: &str) -> Option<Value> {
    let (_, rest) = text.split_once("\"echo\"")?;
    let rest = rest.trim_start().strip_prefix(':')?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    values.next()?.ok().filter(|echo| !echo.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::simulator::Profile;

    const LLONEBOT: &Dialect = Profile::Llonebot.dialect();

    fn refusal(frame: &str) -> String {
        match Request::parse(frame.as_bytes(), LLONEBOT) {
            Request::Refused(reply) => reply.to_text(ReplyShape::Llonebot),
            Request::Call { .. } => panic!("{frame} was accepted"),
            Request::Unanswered => panic!("{frame} was not answered"),
        }
    }

    fn echo_of(frame: &str) -> String {
        match Request::parse(frame.as_bytes(), LLONEBOT) {
            Request::Call { echo, .. } => Reply::ok(Value::Null, echo).to_text(ReplyShape::Llonebot),
            _ => panic!("{frame} was refused"),
        }
    }

    #[test]
    fn broken_json_is_refused_with_its_echo() {
        let cut =
            r#"{"action":"send_group_msg","params":{"group_id":618204977,"message":"hi"},"echo":"cut-1""#;
        assert_eq!(
            refusal(cut),
            r#"{"status":"failed","retcode":1400,"data":null,"message":"JSON 解析失败: Expected ',' or '}' after property value in JSON at position 88","wording":"JSON 解析失败: Expected ',' or '}' after property value in JSON at position 88","echo":"cut-1"}"#
        );
        assert!(refusal("nope").contains(r#"Unexpected token 'o', \"nope\" is not valid JSON"#));
        assert!(
            refusal(&"xa".repeat(99))
                .contains(r#"Unexpected token 'x', \"xaxaxaxaxa\"... is not valid JSON"#)
        );
        let chinese = r#"{"action":"get_status","echo":中文在这里}"#;
        assert!(refusal(chinese).contains(r#"'中', ...\"s\",\"echo\":中文在这里}\" is not valid JSON"#));
        assert!(refusal("[1]x").contains("Unexpected non-whitespace character after JSON at position 3"));
        assert!(refusal("").contains("Unexpected end of JSON input"));
        assert!(refusal(r#"{"a":"b"#).contains("Unterminated string in JSON at position 7"));
        assert!(refusal(r#"{"echo" : [1,"x"], oops"#).ends_with(r#","echo":[1,"x"]}"#));
    }

    #[test]
    fn what_is_not_a_call_names_no_action() {
        for frame in ["1", "[]", "\"x\"", "{}", r#"{"action":null}"#] {
            assert!(
                refusal(frame).contains(r#""retcode":1404,"data":null,"message":"undefined API 不存在""#)
            );
        }
        assert!(matches!(Request::parse(b"null", LLONEBOT), Request::Unanswered));
    }

    #[test]
    fn the_echo_keeps_its_type_and_loses_what_a_double_cannot_hold() {
        let written = |echo: &str| {
            let reply = echo_of(&format!(r#"{{"action":"x","echo":{echo}}}"#));
            reply.split_once(r#""wording":"","echo":"#).map(|(_, echo)| echo.trim_end_matches('}').to_owned())
        };
        let cases = [
            ("12345678901234567890", "12345678901234567000"),
            ("1e3", "1000"),
            ("-1.50", "-1.5"),
            ("0", "0"),
            ("-0", "0"),
            ("false", "false"),
            ("\"\"", "\"\""),
            (r#"[4,"x"]"#, r#"[4,"x"]"#),
        ];
        for (sent, expected) in cases {
            assert_eq!(written(sent).as_deref(), Some(expected));
        }
        assert!(echo_of(r#"{"action":"x","echo":{"b":1,"a":2}}"#).ends_with(r#""echo":{"b":1,"a":2}}"#));
        assert!(!echo_of(r#"{"action":"x","echo":null}"#).contains("echo"));
    }

    #[test]
    fn missing_params_are_an_empty_object() {
        for frame in [r#"{"action":"x"}"#, r#"{"action":"x","params":null}"#] {
            let Request::Call { params, .. } = Request::parse(frame.as_bytes(), LLONEBOT) else {
                panic!("refused")
            };
            assert_eq!(params, json!({}));
        }
    }
}
