//! One live WebSocket attachment of a consumer, whoever dialled.
//!
//! A session is one task with one loop. It reads calls, writes replies and events, and keeps
//! their order as LLOneBot's single socket would: an event before the replies that arrived after
//! it, a reply before the events that arrived after it. It queues nothing but what is about to
//! be written; events wait in the journal.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tower::{Service, ServiceExt};
use tracing::warn;

use super::bot::Bot;
use super::open_call::{Answer, OpenCall};
use super::reader::Reader;
use crate::call::Caller;
use crate::hub::State;
use crate::net::handshake::Established;
use crate::net::outgoing::{Outgoing, Piece};
use crate::net::websocket::{Ended, Incoming, Limits, Receiver, Role};
use crate::net::{Shutdown, Stream};
use crate::onebot::close::CloseReason;
use crate::onebot::event::meta;
use crate::onebot::frame::Opcode;
use crate::onebot::reply::failed;
use crate::onebot::{Call, Echo, Retcode, Spliced, parse_call, splice};

/// Decoding buffer of an idle session, in bytes.
const READ_BUFFER: usize = 1 << 10;
/// How long we wait for the peer's half of a close.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// What a session carries (standard, communication/ws.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Calls and events.
    Universal,
    /// Calls only: no event, not even lifecycle.
    Api,
    /// Events only.
    Event,
}

impl Channel {
    /// What a path means: `/api` and `/event` as the standard has it, anything else both, as
    /// `NapCat` and Lagrange do.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        match path.trim_end_matches('/') {
            "/api" => Self::Api,
            "/event" => Self::Event,
            _ => Self::Universal,
        }
    }
}

/// Runs a session over a connection whose handshake is done, and says why it ended.
pub async fn run(
    connection: Established,
    role: Role,
    channel: Channel,
    bot: Arc<Bot>,
    shutdown: Shutdown,
) -> CloseReason {
    let mut session = Session::new(connection, role, channel, bot);
    let reason = tokio::select! {
        biased;
        // A session that is busy for ever must still end when the time is over.
        () = shutdown.abort.cancelled() => CloseReason::Shutdown,
        reason = session.run(&shutdown) => reason,
    };
    session.bot.metrics.ended(reason.label());
    session.close(reason).await;
    reason
}

struct Session {
    bot: Arc<Bot>,
    channel: Channel,
    receiver: Receiver<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    out: Outgoing,
    /// Decoded and not looked at yet.
    inbox: VecDeque<Incoming>,
    /// What the codec wants to send: pongs, the answer to a close.
    control: Vec<u8>,
    /// A call that waits for the path to be ready. While there is one, nothing more is read.
    held: Option<(Call, Option<Echo>)>,
    caller: Caller,
    calls: FuturesUnordered<OpenCall>,
    /// Answers that wait for room in `out`, or for an event that came before them. No call is taken
    /// meanwhile, so there are no more of them than calls may be open; their slots are free again.
    answered: VecDeque<Answer>,
    /// Whose calls and events these are, once that is known.
    account: Option<i64>,
    /// The events' side, there once the account is known.
    reader: Option<Reader>,
    state: watch::Receiver<State>,
    /// When the peer must have taken something; set while it takes nothing.
    write_deadline: Option<Instant>,
}

impl Session {
    fn new(connection: Established, role: Role, channel: Channel, bot: Arc<Bot>) -> Self {
        let (read_half, writer) = tokio::io::split(connection.stream);
        let limits = Limits { frame: bot.max_frame(), buffer: READ_BUFFER };
        bot.metrics.sessions.inc();
        Self {
            channel,
            receiver: Receiver::new(read_half, connection.early, role, limits),
            writer,
            out: Outgoing::new(role),
            inbox: VecDeque::new(),
            control: Vec::new(),
            held: None,
            caller: bot.caller(match role {
                Role::Server => "ws",
                Role::Client => "reverse_ws",
            }),
            calls: FuturesUnordered::new(),
            answered: VecDeque::new(),
            account: None,
            reader: None,
            state: bot.hub.watch(),
            write_deadline: None,
            bot,
        }
    }

    async fn run(&mut self, shutdown: &Shutdown) -> CloseReason {
        let mut heartbeat = ticks(self.bot.consumer.heartbeat);
        let mut ping = ticks(self.bot.config.ping);
        let mut draining = false;
        if let Err(reason) = self.follow_account() {
            return reason;
        }
        loop {
            if let Err(reason) = self.turn() {
                return reason;
            }
            if draining && self.is_idle() {
                return CloseReason::Shutdown;
            }
            let full = self.out.is_full();
            let may_read = !draining
                && !full
                && self.held.is_none()
                && self.answered.is_empty()
                && self.inbox.is_empty();
            tokio::select! {
                biased;
                // First what frees memory and serves the peer.
                written = self.out.write_to(&mut self.writer), if !self.out.is_empty() => match written {
                    Ok(_) => self.write_deadline = None,
                    Err(_) => return CloseReason::PeerClosed,
                },
                // Behind the write, so that it is armed only for a peer that takes nothing.
                () = deadline(&mut self.write_deadline, self.bot.config.write_timeout),
                    if !self.out.is_empty() => return CloseReason::WriteTimeout,
                // Answers before new calls, and also for a peer that takes none: they give slots back.
                Some(answer) = self.calls.next(), if !self.calls.is_empty() => self.answered.extend(answer),
                ready = self.caller.ready(), if self.held.is_some() => {
                    let Ok(_) = ready;
                    if let Some((call, echo)) = self.held.take() {
                        self.open(call, echo);
                    }
                }
                read = self.receiver.receive(&mut self.inbox, &mut self.control), if may_read => {
                    self.out.push_raw(&self.control);
                    self.control.clear();
                    if let Err(ended) = read {
                        // A script may call and hang up: what came before the end is done.
                        return self.take_calls().err().unwrap_or(closing(&ended));
                    }
                }
                () = moved(&mut self.reader), if !full => {}
                changed = self.state.changed() => {
                    let followed = if changed.is_ok() { self.follow_account() } else { Err(CloseReason::Shutdown) };
                    if let Err(reason) = followed {
                        return reason;
                    }
                }
                _ = heartbeat.tick() => self.beat(),
                _ = ping.tick() => {
                    self.shrink();
                    if !full {
                        self.out.push_frame(Opcode::Ping, []);
                    }
                }
                // Last: what is under way comes first, and draining only has to begin.
                () = shutdown.drain.cancelled(), if !draining => draining = true,
            }
        }
    }

    /// Everything that can be done without waiting: new calls go up, answers and events go out.
    fn turn(&mut self) -> Result<(), CloseReason> {
        if !self.out.is_full() && self.answered.is_empty() {
            self.take_calls()?;
        }
        // The end is read before the answers are collected: an event that is visible now came
        // before any answer that is not, so writing up to here keeps their order.
        let end = self.bot.hub.journal().end();
        loop {
            // Anew for each: writing one frame of a stream asks for the next.
            while let Some(Some(answer)) = self.calls.next().now_or_never() {
                self.answered.extend(answer);
            }
            let next = if self.out.is_full() { None } else { self.answered.pop_front() };
            let Some(answer) = next else { break };
            if let Some(early) = self.answer(answer)? {
                self.answered.push_front(early);
                break;
            }
        }
        match &mut self.reader {
            Some(reader) if self.answered.is_empty() => reader.write_events(end, &mut self.out),
            _ => Ok(()),
        }
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        self.held.is_none() && self.calls.is_empty() && self.answered.is_empty() && self.out.is_empty()
    }

    /// Looks at what was read, until a call has to wait for its turn.
    fn take_calls(&mut self) -> Result<(), CloseReason> {
        while self.held.is_none() {
            match self.inbox.pop_front() {
                Some(Incoming::Text(text)) => self.take_text(&text),
                Some(Incoming::NotText) => self.refuse(Retcode::Malformed, NOT_TEXT, None),
                Some(Incoming::Alive) => {}
                Some(Incoming::Close { code, reason }) => {
                    // What a bot says when it refuses us is what its owner has to know.
                    if !reason.is_empty() {
                        warn!(
                            consumer = self.bot.consumer.name,
                            code, "the bot closed the connection: {reason}"
                        );
                    }
                    return Err(CloseReason::PeerClosed);
                }
                None => break,
            }
        }
        Ok(())
    }

    fn take_text(&mut self, text: &Bytes) {
        let (call, echo) = match parse_call(text) {
            Ok(parsed) => parsed,
            Err(refused) => return self.refuse(refused.retcode, &refused.message, refused.echo.as_ref()),
        };
        if self.channel == Channel::Event {
            return self.refuse(Retcode::UnknownAction, EVENTS_ONLY, echo.as_ref());
        }
        // A path that is ready takes the call at once; another makes the session wait with it.
        match self.caller.ready().now_or_never() {
            Some(_) => self.open(call, echo),
            None => self.held = Some((call, echo)),
        }
    }

    fn open(&mut self, call: Call, echo: Option<Echo>) {
        let answer = self.caller.call(call);
        self.calls.push(OpenCall::new(answer, echo));
    }

    /// Writes the next frame of an answer, behind the events that arrived before it. Gives it back if one
    /// of them has to wait.
    fn answer(&mut self, answer: Answer) -> Result<Option<Answer>, CloseReason> {
        if let Some(reader) = &mut self.reader {
            reader.write_events(answer.reply.after, &mut self.out)?;
            if reader.is_held_before(answer.reply.after) {
                return Ok(Some(answer));
            }
        }
        self.push(&answer.reply.text, answer.reply.with_echo(answer.echo.as_ref()));
        if let Some(rest) = answer.rest {
            self.calls.push(OpenCall::rest(rest, answer.echo));
        }
        Ok(None)
    }

    /// Answers a frame that is not a call.
    fn refuse(&mut self, retcode: Retcode, message: &str, echo: Option<&Echo>) {
        self.bot.metrics.bad_frames.inc();
        let refusal = failed(retcode, message);
        self.push(&refusal, splice(&refusal, None, echo));
    }

    /// Queues `text`, whose large pieces are parts of `reply` and are not copied.
    fn push(&mut self, reply: &Bytes, text: Spliced<'_>) {
        let [head, key, echo, tail] = text.pieces();
        let part = |bytes| Piece::Part { of: reply, bytes };
        self.out.push_frame(Opcode::Text, [part(head), Piece::Copied(key), Piece::Copied(echo), part(tail)]);
    }

    /// Begins with the events once the account is known, and ends if it becomes another one.
    fn follow_account(&mut self) -> Result<(), CloseReason> {
        let Some(self_id) = self.state.borrow_and_update().self_id else { return Ok(()) };
        if self.account.is_some_and(|known| known != self_id) {
            return Err(CloseReason::AccountChanged);
        }
        if self.account.replace(self_id).is_none() && self.channel != Channel::Api {
            self.reader = Some(Reader::attach(&self.bot, self_id));
            // The first frame: NoneBot makes its bot out of it, ncatbot reads self_id.
            self.out.push_text(meta::lifecycle_connect(unix_time(), self_id).as_bytes());
        }
        Ok(())
    }

    /// Our own heartbeat, whose `online` is the truth about the account. One that finds no room
    /// is left out.
    fn beat(&mut self) {
        if let Some(reader) = self.reader.as_ref().filter(|_| !self.out.is_full()) {
            let online = self.state.borrow().online;
            let interval = self.bot.consumer.heartbeat.as_millis() as u64;
            let beat = meta::heartbeat(unix_time(), reader.self_id(), online, interval);
            self.out.push_text(beat.as_bytes());
        }
    }

    /// Gives up the buffers of a burst that is over.
    fn shrink(&mut self) {
        self.out.shrink();
        if self.inbox.is_empty() {
            self.inbox = VecDeque::new();
        }
        if self.answered.is_empty() {
            self.answered = VecDeque::new();
        }
        self.control = Vec::new();
    }

    /// Says goodbye, as far as the peer still listens.
    async fn close(&mut self, reason: CloseReason) {
        match reason {
            CloseReason::WriteTimeout => return,
            // The codec has queued the answer to the peer's close.
            CloseReason::PeerClosed => {}
            _ => self.out.push_close(reason.code(), reason.text()),
        }
        let goodbye = async {
            while !self.out.is_empty() {
                if self.out.write_to(&mut self.writer).await.is_err() {
                    return;
                }
            }
            // The peer waits for this end once it has answered our close (RFC 6455, 7.1.1).
            if self.writer.shutdown().await.is_ok() {
                self.receiver.discard().await;
            }
        };
        let _ = timeout(CLOSE_GRACE, goodbye).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.bot.metrics.sessions.dec();
    }
}

const NOT_TEXT: &str = "a binary frame that is not UTF-8 is no call; send JSON text";
const EVENTS_ONLY: &str = "this connection carries events only (/event); send calls to / or /api";

fn closing(ended: &Ended) -> CloseReason {
    match ended {
        Ended::Lost(_) | Ended::Closed => CloseReason::PeerClosed,
        Ended::TooLarge { .. } => CloseReason::TooLarge,
        Ended::NotUtf8 => CloseReason::BadText,
        Ended::Protocol(_) => CloseReason::Protocol,
    }
}

/// Resolves when the journal has moved; never while there is no reader.
async fn moved(reader: &mut Option<Reader>) {
    match reader {
        Some(reader) => reader.moved().await,
        None => pending().await,
    }
}

/// Sleeps until `at`, which is set to `limit` from now when this is first awaited.
async fn deadline(at: &mut Option<Instant>, limit: Duration) {
    sleep_until(*at.get_or_insert_with(|| Instant::now() + limit)).await;
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn unix_time() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().cast_signed()
}
