//! The bot's side of a webhook: an HTTP server that does what the test says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use onebot_gateway::downstream::Webhook;
use onebot_gateway::net::Target;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::stage::patiently;

/// How one post is answered.
#[derive(Clone)]
pub(crate) enum Answer {
    Status(u16),
    Json(String),
    /// Never.
    Hang,
    /// 50 MB of it.
    Huge,
}

#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

pub(crate) struct Endpoint {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct State {
    down: bool,
    connections: usize,
    posts: Vec<Post>,
    /// For the next posts of messages; 204 when there are none.
    answers: VecDeque<Answer>,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let changed = watch::Sender::new(());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&state), changed.clone()));
        Self { address, state, changed, _server: server }
    }

    pub(crate) fn webhook(&self) -> Webhook {
        let url = Target::parse_http(&format!("http://{}/hook", self.address)).unwrap();
        Webhook { max_backoff: Duration::from_millis(100), ..Webhook::new(url) }
    }

    /// Hangs up on everybody from now on, or not any more.
    pub(crate) fn down(&self, down: bool) {
        self.state().down = down;
    }

    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().answers.extend(answers);
    }

    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    /// Waits for `count` posts that are not meta events, and returns all of those.
    pub(crate) async fn messages(&self, count: usize) -> Vec<Post> {
        self.posts(count, |post| !post.body.contains("meta_event")).await
    }

    /// Waits for `count` posts that are like this, and returns all of those.
    pub(crate) async fn posts(&self, count: usize, like: impl Fn(&Post) -> bool) -> Vec<Post> {
        let mut changes = self.changed.subscribe();
        patiently(async {
            loop {
                // Looked at closely only when there may be enough.
                if self.state().posts.len() >= count {
                    let posts: Vec<Post> =
                        self.state().posts.iter().filter(|post| like(post)).cloned().collect();
                    if posts.len() >= count {
                        return posts;
                    }
                }
                changes.changed().await.unwrap();
            }
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, changed: watch::Sender<()>) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        {
            let mut state = state.lock().unwrap();
            if state.down {
                continue;
            }
            state.connections += 1;
        }
        let (state, changed) = (Arc::clone(&state), changed.clone());
        let service = service_fn(move |request| respond(request, Arc::clone(&state), changed.clone()));
        connections.spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
    let answer = {
        let mut state = state.lock().unwrap();
        if state.down {
            // Nobody saw it.
            Answer::Status(503)
        } else {
            let is_meta = body.contains("meta_event");
            state.posts.push(Post { headers: head.headers, body });
            let scripted = if is_meta { None } else { state.answers.pop_front() };
            scripted.unwrap_or(Answer::Status(204))
        }
    };
    changed.send_replace(());
    Ok(match answer {
        Answer::Hang => std::future::pending().await,
        Answer::Status(status) => {
            let mut response = Response::new(Full::default().boxed());
            *response.status_mut() = status.try_into().unwrap();
            if status == 302 {
                response.headers_mut().insert("location", "/elsewhere".parse().unwrap());
            }
            response
        }
        // Whatever the content type says, it is JSON (standard, communication/http-post.md).
        Answer::Json(text) => Response::new(Full::from(text).boxed()),
        Answer::Huge => {
            let piece = Bytes::from(vec![b' '; 1 << 20]);
            let pieces = stream::repeat(piece).take(50).map(|piece| Ok(Frame::data(piece)));
            Response::new(BodyExt::boxed(StreamBody::new(pieces)))
        }
    })
}
