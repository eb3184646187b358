//! The HTTP API: one call per request (standard, communication/http.md).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as _, Frame};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use tower::ServiceExt;

use super::admission::Admission;
use super::http_answer::{json, not_admitted, refuse, shutting_down};
use super::{Bot, Config};
use crate::hub::{Parts, Reply};
use crate::net::Shutdown;
use crate::net::listener::{Body, BoxError, HttpRequest, HttpResponse, body};
use crate::onebot::reply::failed;
use crate::onebot::{ActionName, Call, Malformed, Retcode, scan};

/// Answers `GET|POST /:action`.
#[derive(Debug, Clone)]
pub struct HttpApi {
    admission: Admission,
    config: Arc<Config>,
    shutdown: Shutdown,
}

impl HttpApi {
    /// Lets in whom `admission` admits.
    #[must_use]
    pub fn new(admission: Admission, config: Arc<Config>, shutdown: Shutdown) -> Self {
        Self { admission, config, shutdown }
    }

    /// One request, one call, one answer.
    pub async fn answer(self, request: HttpRequest) -> HttpResponse {
        if self.shutdown.drain.is_cancelled() {
            return shutting_down();
        }
        let bot = match self.admission.admit(&request) {
            Ok(bot) => bot,
            Err(refused) => return not_admitted(&refused),
        };
        match self.read_call(&bot, request).await {
            Ok(call) => respond(&bot, call).await,
            Err(refusal) => {
                bot.metrics.bad_frames.inc();
                *refusal
            }
        }
    }

    async fn read_call(&self, bot: &Bot, request: HttpRequest) -> Result<Call, Box<HttpResponse>> {
        let action = action_of(request.uri().path()).ok_or_else(|| {
            Box::new(refuse(
                Retcode::UnknownAction,
                "no such path; call an action as /<action>, for example /get_status, read events at /_events, \
                 or connect with WebSocket",
            ))
        })?;
        let query = |uri: &Uri| from_form(uri.query().unwrap_or_default().as_bytes());
        let params = match *request.method() {
            Method::GET => query(request.uri()),
            Method::POST => {
                let kind = BodyKind::of(request.headers())?;
                let uri = request.uri().clone();
                let body = self.read_body(bot, request).await?;
                // Where LLOneBot would see nothing at all, what the query says is meant.
                if body.trim_ascii().is_empty() { query(&uri) } else { kind.read(body)? }
            }
            _ => {
                let mut refusal = json(
                    StatusCode::METHOD_NOT_ALLOWED,
                    failed(Retcode::Malformed, "an action is called by GET or POST"),
                );
                refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
                return Err(Box::new(refusal));
            }
        };
        Ok(Call { action, params })
    }

    /// The whole body, within the bot's `max_frame` and the time one request may take to arrive.
    async fn read_body(&self, bot: &Bot, request: HttpRequest) -> Result<Bytes, Box<HttpResponse>> {
        let (body, limit) = (request.into_body(), bot.max_frame());
        // What is announced to be too large is not even begun.
        if body.size_hint().lower() > limit as u64 {
            return Err(Box::new(too_large(limit)));
        }
        match timeout(self.config.write_timeout, whole(Limited::new(body, limit))).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Box::new(too_large(limit))),
            Ok(Err(error)) => {
                Err(Box::new(refuse(Retcode::Malformed, &format!("the body could not be read: {error}"))))
            }
            Err(_) => Err(Box::new(json(
                StatusCode::REQUEST_TIMEOUT,
                failed(Retcode::Malformed, "the body did not arrive in time (server.write_timeout)"),
            ))),
        }
    }
}

fn too_large(limit: usize) -> HttpResponse {
    let message =
        format!("the body is larger than {limit} bytes (server.max_frame, or the bot's own max_frame)");
    json(StatusCode::PAYLOAD_TOO_LARGE, failed(Retcode::Malformed, &message))
}

/// A body in one piece. A large one is put together as it arrives, in one buffer of the size its
/// sender announced, as a frame is; what is collected first and joined later is there twice.
async fn whole<B: hyper::body::Body<Data = Bytes> + Unpin>(mut body: B) -> Result<Bytes, B::Error> {
    let announced = body.size_hint().lower();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        // The usual body is small and comes as one piece.
        if data.len() as u64 == announced && joined.is_empty() {
            return Ok(data);
        }
        if joined.is_empty() {
            joined.reserve(announced as usize);
        }
        joined.extend_from_slice(&data);
    }
    Ok(joined.freeze())
}

/// How a POST body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    Json,
    Form,
}

impl BodyKind {
    /// By the content type; without one, and with any that is not a form, it is JSON, as in
    /// LLOneBot. Only what cannot be either is refused (standard, http.md: 406).
    fn of(headers: &HeaderMap) -> Result<Self, Box<HttpResponse>> {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.to_ascii_lowercase();
        if kind.contains("application/x-www-form-urlencoded") {
            return Ok(Self::Form);
        }
        if kind.starts_with("multipart/") {
            let message = "multipart bodies are not supported; send JSON or a urlencoded form";
            return Err(Box::new(json(StatusCode::NOT_ACCEPTABLE, failed(Retcode::Malformed, message))));
        }
        Ok(Self::Json)
    }

    /// The parameters, as the text of a JSON object.
    fn read(self, body: Bytes) -> Result<Bytes, Box<HttpResponse>> {
        let malformed = match scan(&body) {
            _ if std::str::from_utf8(&body).is_err() => "the body is not UTF-8".to_owned(),
            Ok(_) => return Ok(body),
            Err(Malformed::NotAnObject(kind)) if self == Self::Json => {
                format!("expected object but got {kind}: the parameters are one JSON object")
            }
            // `curl -d '{…'` says it is a form whatever it is; what does not begin like an object is one.
            Err(_) if self == Self::Form && !body.trim_ascii_start().starts_with(b"{") => {
                return Ok(from_form(&body));
            }
            Err(malformed) => format!("请求体解析失败: {malformed}"),
        };
        Err(Box::new(refuse(Retcode::Malformed, &malformed)))
    }
}

async fn respond(bot: &Bot, call: Call) -> HttpResponse {
    let Ok(mut reply) = bot.caller("http").oneshot(call).await;
    let rest = reply.rest.take();
    let mut response = json(status(&reply), without_echo(&reply));
    if let Some(wait) = reply.retry_after {
        // Whole seconds (RFC 9110, 10.2.3), and never too early.
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(rest) = rest {
        // The frames of a stream action follow each other in one response, as NapCat has it.
        let first = std::mem::replace(response.body_mut(), body(""));
        *response.body_mut() = BodyExt::boxed_unsync(StreamBody::new(frames(first, rest)));
    }
    response
}

fn frames(first: Body, rest: Parts) -> impl Stream<Item = Result<Frame<Bytes>, BoxError>> {
    let first = first.into_data_stream().map_ok(Frame::data);
    let rest = stream::unfold(rest, async |mut rest| {
        let part = rest.next().await?;
        let text = [b"\r\n\r\n", &without_echo(&part)[..]].concat();
        Some((Ok(Frame::data(Bytes::from(text))), rest))
    });
    first.chain(rest)
}

/// The reply's exact bytes, but for the gateway's echo: HTTP has none (LLOneBot's has none
/// either, even if the body carries one).
fn without_echo(reply: &Reply) -> Vec<u8> {
    let mut text = Vec::new();
    reply.with_echo(None).write_to(&mut text);
    text
}

/// 200 for every answer of LLOneBot; the gateway's own refusals say the same as their retcode.
fn status(reply: &Reply) -> StatusCode {
    let own = reply.refused.map(Retcode::http_status).map(StatusCode::from_u16);
    own.and_then(Result::ok).unwrap_or(StatusCode::OK)
}

/// The action a path names: `/get_status` or `/get_status/` (standard, http.md), percent-encoded
/// or not. `None` for anything that no action can be called.
fn action_of(path: &str) -> Option<ActionName> {
    let name = path.strip_prefix('/')?;
    let name = percent_decode_str(name.strip_suffix('/').unwrap_or(name)).decode_utf8().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let is_name = !name.is_empty() && name.bytes().all(plain) && name.bytes().any(|byte| byte != b'.');
    is_name.then(|| ActionName::new(&name))
}

/// The pairs of a form or a query as a JSON object of strings, which is what LLOneBot's own HTTP
/// server makes of them: the first of equal names counts. The access token is not a parameter.
fn from_form(form: &[u8]) -> Bytes {
    let mut object = serde_json::Map::new();
    for (name, value) in form_urlencoded::parse(form) {
        if name != "access_token" {
            object.entry(name).or_insert_with(|| value.into_owned().into());
        }
    }
    serde_json::Value::Object(object).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str) -> Option<String> {
        action_of(path).map(|action| action.as_str().to_owned())
    }

    #[test]
    fn paths_name_actions_or_nothing() {
        for path in ["/get_status", "/get_status/", "/get%5Fstatus", "/%67et_status"] {
            assert_eq!(named(path).as_deref(), Some("get_status"), "{path}");
        }
        assert_eq!(named("/.handle_quick_operation").as_deref(), Some(".handle_quick_operation"));
        for path in [
            "/",
            "//",
            "/..",
            "/../get_status",
            "/get_status/x",
            "/a%2Fb",
            "/%2e%2e",
            "/a%00",
            "/a b",
            "/%ff",
        ] {
            assert_eq!(named(path), None, "{path}");
        }
    }

    #[test]
    fn forms_become_objects_of_strings_without_the_token() {
        let read = |form: &str| String::from_utf8(from_form(form.as_bytes()).to_vec()).unwrap();
        assert_eq!(
            read("group_id=1&message=%E4%BD%A0+%22&group_id=2"),
            r#"{"group_id":"1","message":"你 \""}"#
        );
        assert_eq!(read("access_token=secret&a=1"), r#"{"a":"1"}"#);
        assert_eq!(read(""), "{}");
    }

    #[test]
    fn a_body_is_json_unless_it_is_a_form() {
        let text = |kind: BodyKind, body: &'static str| {
            kind.read(Bytes::from_static(body.as_bytes()))
                .map(|params| params.to_vec())
                .map_err(|r| r.status())
        };
        assert_eq!(text(BodyKind::Json, r#"{"a": 1}"#), Ok(br#"{"a": 1}"#.to_vec()));
        assert_eq!(text(BodyKind::Form, r#"{"a": 1}"#), Ok(br#"{"a": 1}"#.to_vec()));
        assert_eq!(text(BodyKind::Form, "a=1"), Ok(br#"{"a":"1"}"#.to_vec()));
        for (kind, broken) in
            [(BodyKind::Json, "a=1"), (BodyKind::Json, "[1]"), (BodyKind::Form, r#"{"a": "#)]
        {
            assert_eq!(text(kind, broken), Err(StatusCode::BAD_REQUEST), "{broken}");
        }
    }
}
