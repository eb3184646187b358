//! Replies: those the gateway makes itself, and what it must know of `LLOneBot`'s.

use bytes::Bytes;

use super::envelope::{Envelope, Key, scan};
use super::event::integer;
use super::quoted;

/// The outcomes the gateway itself answers with. A reply of `LLOneBot` is never altered.
///
/// The numbers are HTTP statuses plus 1000 (standard, communication/ws.md).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
pub enum Retcode {
    /// Done.
    Ok = 0,
    /// The consumer sent something that is no call.
    Malformed = 1400,
    /// The consumer did not say who it is.
    Unauthenticated = 1401,
    /// The consumer's rules forbid it.
    Forbidden = 1403,
    /// There is no such action.
    UnknownAction = 1404,
    /// A limit is used up.
    Limited = 1429,
    /// There is no connection to `LLOneBot`.
    UpstreamDown = 1502,
    /// The gateway has too much to do or is shutting down.
    Overloaded = 1503,
    /// `LLOneBot` did not answer in time. What was asked may still have happened.
    NoAnswer = 1504,
}

impl Retcode {
    /// As it stands in a reply.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The same outcome as the status of an HTTP response.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Ok => 200,
            failure => failure.code() - 1000,
        }
    }
}

/// A failed reply without an echo, its fields in `LLOneBot`'s order. `message` is one sentence that says
/// what to do about it; it stands in `wording` too, since some clients show only that.
#[must_use]
pub fn failed(retcode: Retcode, message: &str) -> Bytes {
    let (retcode, message) = (retcode.code(), quoted(message));
    format!(
        r#"{{"status":"failed","retcode":{retcode},"data":null,"message":{message},"wording":{message}}}"#
    )
    .into()
}

/// A successful reply without an echo. `data` must be valid JSON.
#[must_use]
pub fn ok(data: &str) -> Bytes {
    format!(r#"{{"status":"ok","retcode":0,"data":{data},"message":"","wording":""}}"#).into()
}

/// The answer to a call nobody waits for (standard, api/README.md), without an echo.
#[must_use]
pub fn deferred() -> Bytes {
    Bytes::from_static(br#"{"status":"async","retcode":1,"data":null,"message":"","wording":""}"#)
}

/// The reply's `retcode`; `None` if it has none that is an integer.
#[must_use]
pub fn retcode(text: &[u8], envelope: &Envelope) -> Option<i64> {
    integer(text, envelope, Key::Retcode)
}

/// The `message_id` in the reply's data: of the message that a call has sent.
#[must_use]
pub fn message_id(text: &[u8]) -> Option<i64> {
    let data = scan(text).ok()?.get(Key::Data)?.of(text);
    integer(data, &scan(data).ok()?, Key::MessageId)
}

/// Whether more replies with the same echo follow: a part of one of `NapCat`'s stream actions that is
/// neither its last (`data.type` is `response` or `error`) nor failed.
///
/// An upload (`upload_file_stream`, its `data` has a `stream_id`) streams the other way: each chunk is a call of
/// its own and has this one reply, though that is marked like a part.
#[must_use]
pub fn is_stream_part(text: &[u8], envelope: &Envelope) -> bool {
    let is = |key, value: &[u8]| envelope.get(key).is_some_and(|span| span.of(text) == value);
    if !is(Key::Stream, br#""stream-action""#) || is(Key::Status, br#""failed""#) {
        return false;
    }
    let data = envelope.get(Key::Data).map(|span| span.of(text)).unwrap_or_default();
    let Ok(fields) = scan(data) else { return true };
    let kind = fields.get(Key::Type).map(|span| span.of(data));
    fields.get(Key::StreamId).is_none() && !matches!(kind, Some(br#""response""# | br#""error""#))
}

/// Whether this is how `LLOneBot` and `NapCat` refuse a wrong token: after the handshake, with a failed
/// frame of retcode 1403 that answers no call.
#[must_use]
pub fn is_token_refusal(text: &[u8], envelope: &Envelope) -> bool {
    let answers_a_call =
        envelope.get(Key::Echo).is_some_and(|span| !matches!(span.of(text), b"null" | br#""""#));
    envelope.get(Key::Status).is_some_and(|span| span.of(text) == br#""failed""#)
        && retcode(text, envelope) == Some(1403)
        && !answers_a_call
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream_part(text: &str) -> bool {
        is_stream_part(text.as_bytes(), &scan(text.as_bytes()).unwrap())
    }

    #[test]
    fn own_replies_have_llonebots_fields_in_its_order() {
        assert_eq!(
            failed(Retcode::UpstreamDown, "no \"link\"\n"),
            r#"{"status":"failed","retcode":1502,"data":null,"message":"no \"link\"\n","wording":"no \"link\"\n"}"#
        );
        assert_eq!(ok("[1]"), r#"{"status":"ok","retcode":0,"data":[1],"message":"","wording":""}"#);
        let reply = failed(Retcode::Limited, "");
        assert_eq!(retcode(&reply, &scan(&reply).unwrap()), Some(1429));
        assert_eq!(Retcode::Limited.http_status(), 429);
        assert_eq!(Retcode::Ok.http_status(), 200);
    }

    #[test]
    fn a_stream_lasts_until_its_response_or_its_error() {
        let part = |status: &str, kind: &str, stream: &str| {
            stream_part(&format!(
                r#"{{"status":"{status}","data":{{"type":"{kind}","data":"…"}},"echo":"S","stream":"{stream}"}}"#
            ))
        };
        assert!(part("ok", "stream", "stream-action"));
        assert!(part("ok", "reset", "stream-action"));
        assert!(!part("ok", "response", "stream-action"));
        assert!(!part("ok", "error", "stream-action"));
        assert!(!part("failed", "stream", "stream-action"));
        assert!(!part("ok", "stream", "normal-action"));
        assert!(stream_part(r#"{"status":"ok","data":null,"stream":"stream-action"}"#));
        assert!(!stream_part(r#"{"status":"ok","data":{"type":"stream"}}"#));
    }

    #[test]
    fn each_chunk_of_an_upload_has_one_reply() {
        assert!(!stream_part(
            r#"{"status":"ok","data":{"type":"stream","stream_id":"u","status":"chunk_received"},"stream":"stream-action"}"#
        ));
    }

    #[test]
    fn a_refused_token_is_told_from_a_refused_call() {
        let refusal = |text: &str| is_token_refusal(text.as_bytes(), &scan(text.as_bytes()).unwrap());
        assert!(refusal(
            r#"{"status":"failed","retcode":1403,"data":null,"message":"token验证失败","wording":"token验证失败"}"#
        ));
        assert!(refusal(r#"{"status":"failed","retcode":1403,"data":null,"echo":null}"#));
        assert!(!refusal(r#"{"status":"failed","retcode":1403,"data":null,"echo":"g-1"}"#));
        assert!(!refusal(r#"{"status":"failed","retcode":1404,"data":null}"#));
        assert!(!refusal(r#"{"status":"ok","retcode":1403}"#));
    }
}
