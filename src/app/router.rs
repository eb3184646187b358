//! Which adapter answers a request on the server's listener.

use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};

use tower::Service;

use crate::net::listener::{HttpRequest, HttpResponse};
use crate::{downstream, upstream};

/// LLOneBot has its one path; everything else is for consumers.
#[derive(Debug, Clone)]
pub(super) struct Router {
    accept: Option<(String, upstream::ws_server::WsServer)>,
    consumers: downstream::ws_server::WsServer,
}

impl Router {
    pub(super) fn new(
        accept: Option<(String, upstream::ws_server::WsServer)>,
        consumers: downstream::ws_server::WsServer,
    ) -> Self {
        Self { accept, consumers }
    }
}

impl Service<HttpRequest> for Router {
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = Ready<Result<HttpResponse, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let path = request.uri().path().trim_end_matches('/');
        match &mut self.accept {
            Some((accept, upstream)) if path == accept.trim_end_matches('/') => upstream.call(request),
            _ => self.consumers.call(request),
        }
    }
}
