//! Which adapter answers a request on the server's listener.

use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::Method;
use tower::Service;

use crate::downstream::http_api::HttpApi;
use crate::downstream::sse::Sse;
use crate::net::handshake::is_upgrade;
use crate::net::listener::{HttpRequest, HttpResponse};
use crate::{downstream, upstream};

/// LLOneBot has its one path; everything else is for consumers.
#[derive(Debug, Clone)]
pub(super) struct Router {
    pub(super) accept: Option<(String, upstream::ws_server::WsServer)>,
    pub(super) sessions: downstream::ws_server::WsServer,
    pub(super) sse: Sse,
    pub(super) http_api: HttpApi,
}

impl Service<HttpRequest> for Router {
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<HttpResponse, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let path = request.uri().path().trim_end_matches('/');
        match &mut self.accept {
            Some((accept, upstream)) if path == accept.trim_end_matches('/') => {
                Box::pin(upstream.call(request))
            }
            _ if is_upgrade(request.headers()) => Box::pin(self.sessions.call(request)),
            // Any other method there is an unknown action, as in LLOneBot.
            _ if path == Sse::PATH && request.method() == Method::GET => {
                Box::pin(ready(Ok(self.sse.answer(&request))))
            }
            _ => {
                let http_api = self.http_api.clone();
                Box::pin(async { Ok(http_api.answer(request).await) })
            }
        }
    }
}
