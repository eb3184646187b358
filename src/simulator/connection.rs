//! One WebSocket connection, whoever opened it.
//!
//! Every connection has one queue of outgoing frames, events and replies mixed, of [`QUEUE`] frames. When it is
//! full, whoever adds to it waits: an emitted event, or the connection that carries out a call. Nothing is
//! dropped. (LLOneBot itself buffers without bound, so a gateway must keep reading either way.)

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role as Side, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_util::sync::CancellationToken;

use super::actions::{self, stream};
use super::behaviour::{Answer, Plan};
use super::envelope::{Reply, Request, json_stringify};
use super::profile::{FirstBeat, Paths, Refusal};
use super::record::Activity;
use super::shared::Shared;

/// Outgoing frames one connection may hold.
pub(crate) const QUEUE: usize = 16 << 10;
/// Frames written between two flushes.
const BATCH: usize = 256;
/// Calls of one connection that may wait for their delay at once; beyond it the connection is not read.
const OPEN_CALLS: usize = 64 << 10;
/// How long a peer may take to answer a close frame, or to hang up after ours. (LLOneBot waits 30 s.)
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a connection is for, by the path it was opened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) calls: bool,
    pub(crate) events: bool,
}

impl Role {
    pub(crate) const UNIVERSAL: Self = Self { calls: true, events: true };

    pub(crate) const API: Self = Self { calls: true, events: false };
    pub(crate) const EVENT: Self = Self { calls: false, events: true };
    const MUTE: Self = Self { calls: false, events: false };

    pub(crate) fn of_path(path: &str, paths: Paths) -> Self {
        let (api, event) = (matches!(path, "/api" | "/api/"), matches!(path, "/event" | "/event/"));
        match paths {
            Paths::Known | Paths::ApiApart | Paths::BothApart if api => Self::API,
            Paths::Known | Paths::EventApart | Paths::BothApart if event => Self::EVENT,
            Paths::Known if path != "/" => Self::MUTE,
            _ => Self::UNIVERSAL,
        }
    }
}

/// A byte stream whose handshake is done.
pub(crate) struct Arrival<S> {
    pub(crate) io: S,
    /// What was read beyond the handshake.
    pub(crate) rest: Vec<u8>,
    pub(crate) side: Side,
}

/// A place among the open connections, given up when dropped.
pub(crate) struct Seat {
    pub(crate) number: u64,
    pub(crate) role: Role,
    pub(crate) queue: mpsc::Sender<Message>,
    pub(crate) frames: Option<mpsc::Receiver<Message>>,
    pub(crate) abort: CancellationToken,
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.state().connections.remove(&self.number);
        self.shared.note(Activity::Closed { connection: self.number });
    }
}

/// Speaks with one peer until either side ends it. Without a seat the peer is refused as a wrong token is.
pub(crate) async fn run<S>(arrival: Arrival<S>, seat: Option<Seat>, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Arrival { io, rest, side } = arrival;
    let limit = shared.dialect.max_message;
    let limits = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    let stream = WebSocketStream::from_partially_read(io, rest, side, Some(limits)).await;
    let Some(mut seat) = seat else { return refuse(stream, &shared).await };
    let Some(frames) = seat.frames.take() else { return };

    let (sink, source) = stream.split();
    let abort = seat.abort.clone();
    let converse = async {
        let read = read(source, &seat);
        let write = write(sink, frames, &shared.shutdown);
        tokio::pin!(read, write);
        tokio::select! {
            () = &mut read => {}
            closing = &mut write => if closing {
                let _ = timeout(CLOSE_TIMEOUT, read).await;
            }
        }
    };
    tokio::select! {
        biased; // an abrupt end must not wait for a frame
        () = abort.cancelled() => {}
        () = converse => {}
    }
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: WebSocketStream<S>, shared: &Shared) {
    shared.note_refusal();
    // Who refuses in the handshake has no more to say after it.
    let Refusal::AfterHandshake(close) = shared.dialect.refusal else { return };
    let close = close.map(|(code, reason)| CloseFrame { code: code.into(), reason: reason.into() });
    let farewell = async {
        stream.send(Message::text(Reply::refused_token().to_text(shared.dialect.reply))).await?;
        stream.send(Message::Close(close)).await?;
        drain(&mut stream).await;
        Ok::<_, Error>(())
    };
    tokio::select! {
        biased; // an abrupt end must not wait for the peer
        () = shared.abort.cancelled() => {}
        _ = timeout(CLOSE_TIMEOUT, farewell) => {}
    }
}

/// Writes what is queued, all that is there with one flush. Returns true after a close frame, false if the peer
/// is gone.
async fn write(
    mut sink: impl SinkExt<Message, Error = Error> + Unpin,
    mut frames: mpsc::Receiver<Message>,
    shutdown: &CancellationToken,
) -> bool {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased; // what was queued before the shutdown is still written
            count = frames.recv_many(&mut batch, BATCH) => if count == 0 {
                return false;
            },
            () = shutdown.cancelled() => batch.push(Message::Close(None)),
        }
        for frame in batch.drain(..) {
            let closing = frame.is_close();
            if sink.feed(frame).await.is_err() {
                return false;
            }
            if closing {
                return sink.flush().await.is_ok();
            }
        }
        if sink.flush().await.is_err() {
            return false;
        }
    }
}

/// Reads until the peer is gone, and keeps the heart beating.
async fn read<S>(mut source: S, seat: &Seat)
where
    S: StreamExt<Item = Result<Message, Error>> + Unpin,
{
    let shared = &seat.shared;
    let beats = seat.role.events && !(shared.config.heartbeat.is_zero() && shared.dialect.heart.zero_is_off);
    let mut heartbeat = heartbeat(shared);
    let mut stalled = shared.stalled.subscribe();
    let open_calls = Arc::new(Semaphore::new(OPEN_CALLS));
    loop {
        let frame = tokio::select! {
            biased; // a busy peer must not hold back the heartbeat
            _ = heartbeat.tick(), if beats => {
                let _ = seat.queue.send(Message::text(shared.heartbeat())).await;
                continue;
            }
            frame = next_unless_stalled(&mut source, &mut stalled) => frame,
        };
        match frame {
            Some(Ok(Message::Text(text))) => on_frame(text.as_bytes(), seat, &open_calls).await,
            Some(Ok(Message::Binary(bytes))) if shared.dialect.binary => {
                on_frame(&bytes, seat, &open_calls).await;
            }
            // The protocol layer has answered already; LLOneBot answers a second time, empty.
            Some(Ok(Message::Ping(_))) => {
                let _ = seat.queue.send(Message::Pong(Bytes::new())).await;
            }
            // Reading on sends the answering close frame and waits for the server to hang up.
            Some(Ok(Message::Close(_))) => {
                let _ = timeout(CLOSE_TIMEOUT, drain(&mut source)).await;
                return;
            }
            Some(Ok(Message::Binary(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(Error::Capacity(_))) => {
                let close = CloseFrame { code: CloseCode::Size, reason: "".into() };
                let _ = seat.queue.send(Message::Close(Some(close))).await;
                // The rest of the message is never read; the peer hangs up, or we do.
                return sleep(CLOSE_TIMEOUT).await;
            }
            Some(Err(_)) | None => return,
        }
    }
}

/// The timer of one connection's heartbeats.
fn heartbeat(shared: &Shared) -> Interval {
    // An interval of zero is one millisecond to a JavaScript timer.
    let period = shared.config.heartbeat.max(Duration::from_millis(1));
    let now = Instant::now();
    let first = match shared.dialect.heart.first {
        FirstBeat::Later => now + period,
        FirstBeat::AtOnce => now,
        FirstBeat::Shared => {
            let running = now - shared.started();
            let beaten = running.as_nanos() / period.as_nanos();
            let next = period.saturating_mul(u32::try_from(beaten + 1).unwrap_or(u32::MAX));
            shared.started() + next
        }
    };
    let mut heartbeat = interval_at(first, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

async fn drain<S>(source: &mut S)
where
    S: StreamExt<Item = Result<Message, Error>> + Unpin,
{
    while source.next().await.is_some_and(|frame| frame.is_ok()) {}
}

async fn next_unless_stalled<S>(source: &mut S, stalled: &mut watch::Receiver<bool>) -> Option<S::Item>
where
    S: StreamExt + Unpin,
{
    loop {
        stalled.wait_for(|stalled| !stalled).await.ok()?;
        tokio::select! {
            biased; // a stall begins before the next frame, not after it
            _ = stalled.changed() => {}
            frame = source.next() => return frame,
        }
    }
}

async fn on_frame(frame: &[u8], seat: &Seat, open_calls: &Arc<Semaphore>) {
    if !seat.role.calls {
        return;
    }
    let shared = &seat.shared;
    let call = match Request::parse(frame, shared.dialect) {
        Request::Call { action, params, echo } => {
            let name = actions::base_name(&action, shared.dialect);
            let mut state = shared.state();
            let state = &mut *state;
            let recorded = state.calls.record(seat.number, frame.len(), (&action, &params, &echo));
            let mut plan = state.behaviour.plan(name, &mut state.random);
            plan.wait += actions::patience(name, &params);
            shared.note(Activity::Called(recorded));
            Call { number: state.calls.count, action, params, echo, plan, arrived: Instant::now() }
        }
        Request::Refused(reply) => {
            let _ = seat.queue.send(Message::text(reply.to_text(shared.dialect.reply))).await;
            return;
        }
        Request::Unanswered => return,
    };
    if call.plan.wait.is_zero() && !stream::is_stream(&call.action) {
        return perform(call, shared, &seat.queue).await;
    }
    let Ok(permit) = Arc::clone(open_calls).acquire_owned().await else { return };
    let (shared, queue) = (Arc::clone(shared), seat.queue.clone());
    seat.shared.tracker.spawn(async move {
        // A call outlives its connection: LLOneBot carries it out and drops the reply.
        let _permit = permit;
        if shared.shutdown.run_until_cancelled(sleep(call.plan.wait)).await.is_some() {
            perform(call, &shared, &queue).await;
        }
    });
}

struct Call {
    number: u64,
    action: String,
    params: Value,
    echo: Option<Value>,
    plan: Plan,
    arrived: Instant,
}

/// Carries out a call. What it did to the account is told before its reply, as LLOneBot's own connection does.
async fn perform(call: Call, shared: &Shared, queue: &mpsc::Sender<Message>) {
    let Call { number, action, params, echo, plan, arrived } = call;
    if let Some(script) = plan.script {
        let echo = echo.map_or_else(|| "null".to_owned(), |echo| json_stringify(&echo));
        for frame in script {
            let _ = queue.send(Message::text(frame.replace("$echo", &echo))).await;
        }
        return;
    }
    let dialect = shared.dialect;
    let outcome = actions::perform(&mut shared.state().account, dialect, &action, &params, shared.now());
    shared.emit_all(outcome.events).await;
    for part in outcome.parts {
        let part = Reply::ok(part, echo.clone()).streamed();
        let _ = queue.send(Message::text(part.to_text(dialect.reply))).await;
        sleep(stream::PACE).await;
    }

    let mut reply = match outcome.answer {
        Ok(data) => Reply::ok(data, echo),
        Err(failure) => Reply::failed(failure.retcode(dialect.retcodes), failure.message(), echo),
    };
    if dialect.streams && stream::is_stream(&action) {
        reply = reply.streamed();
    }
    let retcode = reply.retcode;
    let copies = match plan.answer {
        Answer::Never => 0,
        Answer::Twice => 2,
        Answer::Once | Answer::UnknownEcho | Answer::NullEcho => 1,
    };
    match plan.answer {
        Answer::UnknownEcho => reply.echo = Some(Value::from(format!("unknown-{number}"))),
        Answer::NullEcho => reply.echo = Some(Value::Null),
        Answer::Once | Answer::Never | Answer::Twice => {}
    }
    let frame = Message::text(reply.to_text(dialect.reply));
    for _ in 0..copies {
        // A reply for a connection that has ended is dropped.
        let _ = queue.send(frame.clone()).await;
    }
    shared.note(Activity::Answered { number, action, retcode, took: arrived.elapsed(), sent: copies > 0 });
    if outcome.restart {
        let handles: Vec<_> = shared.state().connections.values().cloned().collect();
        for handle in handles {
            let _ = handle.queue.send(Message::Close(None)).await;
        }
    }
}
