//! What the HTTP transports say themselves: JSON, in the shape of every other reply.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::admission::Refused;
use crate::net::listener::{HttpResponse, body};
use crate::onebot::Retcode;
use crate::onebot::reply::failed;

/// A failed reply whose status says the same as its retcode.
pub(super) fn refuse(retcode: Retcode, message: &str) -> HttpResponse {
    let status = StatusCode::from_u16(retcode.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    json(status, failed(retcode, message))
}

/// For somebody who may not come in.
pub(super) fn not_admitted(refused: &Refused) -> HttpResponse {
    let retcode = match refused.status {
        StatusCode::UNAUTHORIZED => Retcode::Unauthenticated,
        _ => Retcode::Forbidden,
    };
    json(refused.status, failed(retcode, &refused.sentence))
}

/// For somebody who comes too late.
pub(super) fn shutting_down() -> HttpResponse {
    refuse(Retcode::Overloaded, "the gateway is shutting down")
}

pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> HttpResponse {
    let mut response = HttpResponse::new(body(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
