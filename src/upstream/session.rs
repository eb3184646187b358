//! The link: one live connection to LLOneBot, whoever dialled.
//!
//! It reads everything LLOneBot sends, at once and always (LLOneBot buffers without limit for a
//! peer that does not), appends events to the journal, gives replies to the hub, and writes the
//! calls the hub has for it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{debug, info};

use super::Config;
use super::ending::Ending;
use crate::hub::{CallId, Hub, LinkId, Pending, Reply, UpstreamReply};
use crate::journal::SegmentBuilder;
use crate::net::handshake::Established;
use crate::net::outgoing::{Outgoing, Piece};
use crate::net::websocket::{Ended, Incoming, Limits, Receiver, Role};
use crate::net::{Shutdown, Stream};
use crate::onebot::event::{PostType, meta};
use crate::onebot::frame::Opcode;
use crate::onebot::meta::Meta;
use crate::onebot::reply::{is_stream_part, is_token_refusal};
use crate::onebot::{ActionName, Call, Envelope, Head, Key, Kind, encode_call, scan};
use crate::telemetry::metrics::{EventType, OddFrame};

/// Decoding buffer of the link, in bytes.
const READ_BUFFER: usize = 128 << 10;
/// Replies up to this size are copied out of the read buffer, which they would pin otherwise.
const COPY_UP_TO: usize = 32 << 10;
/// How often the link's health is looked at.
const CHECK: Duration = Duration::from_secs(1);
/// Time for a new connection to show which account is behind it. `get_login_info` takes up to
/// 2.5 s on an account that is offline.
const PROOF_LIMIT: Duration = Duration::from_secs(10);
/// Heartbeats that may be missing before the link counts as dead.
const MISSING_BEATS: u32 = 3;
/// How long we wait for the peer's half of a close.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Runs a link to its end and says why it ended.
pub(super) async fn run(
    connection: Established,
    role: Role,
    hub: Arc<Hub>,
    config: &Config,
    shutdown: &Shutdown,
) -> Ending {
    let mut session = Session::new(connection, role, hub, config);
    let ending = tokio::select! {
        biased;
        () = shutdown.abort.cancelled() => Ending::Shutdown,
        () = shutdown.drain.cancelled() => Ending::Shutdown,
        ending = session.run() => ending,
    };
    session.hub.link_lost(session.link, &ending.to_string());
    session.hub.metrics().lost(ending.label());
    session.close(&ending).await;
    ending
}

struct Session<'a> {
    hub: Arc<Hub>,
    link: LinkId,
    config: &'a Config,
    receiver: Receiver<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    out: Outgoing,
    inbox: VecDeque<Incoming>,
    control: Vec<u8>,
    /// Fires when the hub has calls for us, or has replaced us.
    wake: Arc<Notify>,
    calls: Vec<(CallId, Call)>,
    scratch: Vec<u8>,
    events: SegmentBuilder,
    replies: Vec<UpstreamReply>,
    /// Questions of our own.
    questions: FuturesUnordered<Question>,
    proven: bool,
    health: Health,
}

/// Signs of life.
struct Health {
    opened: Instant,
    /// Any byte.
    heard: Instant,
    /// When the peer last took a byte, while there is something to take.
    took: Instant,
    beat: Instant,
    /// The interval the heartbeats promise.
    beat_interval: Option<Duration>,
    pinged: Instant,
}

impl<'a> Session<'a> {
    fn new(connection: Established, role: Role, hub: Arc<Hub>, config: &'a Config) -> Self {
        let (reader, writer) = tokio::io::split(connection.stream);
        let wake = Arc::new(Notify::new());
        let link = hub.link_opened(Arc::clone(&wake));
        let now = Instant::now();
        Self {
            hub,
            link,
            config,
            receiver: Receiver::new(
                reader,
                connection.early,
                role,
                Limits { frame: config.max_frame, buffer: READ_BUFFER },
            ),
            writer,
            out: Outgoing::new(role),
            inbox: VecDeque::new(),
            control: Vec::new(),
            wake,
            calls: Vec::new(),
            scratch: Vec::new(),
            events: SegmentBuilder::default(),
            replies: Vec::new(),
            questions: FuturesUnordered::new(),
            proven: false,
            health: Health {
                opened: now,
                heard: now,
                took: now,
                beat: now,
                beat_interval: None,
                pinged: now,
            },
        }
    }

    async fn run(&mut self) -> Ending {
        // Lifecycle comes by itself on most implementations; this shows the account on all.
        self.ask(Topic::Login);
        let mut check = interval(CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if !self.take_calls() {
                return Ending::Replaced;
            }
            tokio::select! {
                biased;
                // Writing first: it ends when the queue is empty, and an upstream that never
                // stops talking would keep calls from it otherwise.
                written = self.out.write_to(&mut self.writer), if !self.out.is_empty() => {
                    if let Err(error) = written {
                        return Ending::Lost(error.kind().to_string());
                    }
                    self.health.took = Instant::now();
                }
                // Always, whatever else is going on: LLOneBot buffers without limit for us.
                read = self.receiver.receive(&mut self.inbox, &mut self.control) => {
                    self.out.push_raw(&self.control);
                    self.control.clear();
                    self.health.heard = Instant::now();
                    if let Err(ending) = self.take_frames() {
                        return ending;
                    }
                    if let Err(ended) = read {
                        return ending(ended, self.config.max_frame);
                    }
                }
                () = self.wake.notified(), if !self.out.is_full() => {}
                Some((topic, reply)) = self.questions.next(), if !self.questions.is_empty() => {
                    if let Err(ending) = self.learn(topic, &reply) {
                        return ending;
                    }
                }
                _ = check.tick() => if let Err(ending) = self.check() {
                    return ending;
                }
            }
        }
    }

    /// Moves calls that are due into the outgoing queue; `false` if another link took our place.
    fn take_calls(&mut self) -> bool {
        if self.out.is_full() {
            return true;
        }
        let room = Outgoing::HIGH_WATER - self.out.len();
        let current = self.hub.take_calls(self.link, room, &mut self.calls);
        if self.out.is_empty() && !self.calls.is_empty() {
            self.health.took = Instant::now();
        }
        for (id, call) in self.calls.drain(..) {
            self.scratch.clear();
            let params_at = encode_call(&call.action, id, &mut self.scratch);
            let (head, tail) = self.scratch.split_at_checked(params_at).unwrap_or_default();
            let pieces = [Piece::Copied(head), Piece::shared(&call.params), Piece::Copied(tail)];
            self.out.push_frame(Opcode::Text, pieces);
        }
        current
    }

    /// Takes what was read in the order it came: events into the journal before the replies that
    /// followed them are given out, and the other way round.
    fn take_frames(&mut self) -> Result<(), Ending> {
        let mut taken = Ok(());
        while let Some(incoming) = self.inbox.pop_front().filter(|_| taken.is_ok()) {
            taken = match incoming {
                Incoming::Text(text) => self.take_text(text),
                Incoming::NotText => {
                    self.hub.metrics().odd_frame(OddFrame::Malformed);
                    Ok(())
                }
                Incoming::Alive => Ok(()),
                // A wrong token is told so by LLOneBot and NapCat, after the 101.
                Incoming::Close { code: Some(1008), .. } if !self.proven => Err(Ending::TokenRefused),
                Incoming::Close { code: Some(1009), .. } => Err(Ending::CallTooLarge),
                Incoming::Close { code, reason } => Err(Ending::Closed { code, reason }),
            };
        }
        self.give_out_replies();
        self.append_events();
        taken
    }

    fn take_text(&mut self, text: Bytes) -> Result<(), Ending> {
        match scan(&text) {
            Ok(envelope) if envelope.kind() == Kind::Event => self.take_event(&text, &envelope),
            Ok(envelope) if envelope.kind() == Kind::Reply => self.take_reply(text, &envelope),
            Ok(_) => {
                debug!(upstream = self.hub.name(), "a call came from the upstream and was ignored");
                self.hub.metrics().odd_frame(OddFrame::Malformed);
                Ok(())
            }
            Err(malformed) => {
                debug!(upstream = self.hub.name(), %malformed, "a frame of the upstream was ignored");
                self.hub.metrics().odd_frame(OddFrame::Malformed);
                Ok(())
            }
        }
    }

    fn take_event(&mut self, text: &Bytes, envelope: &Envelope) -> Result<(), Ending> {
        let head = Head::read(text, envelope);
        self.hub.metrics().event(event_type(head.post_type));
        // Before its login an implementation may call its account 0.
        if let Some(self_id) = head.self_id.filter(|self_id| *self_id > 0 && !self.proven) {
            self.prove(self_id)?;
        }
        match meta::read(text, envelope) {
            // Each session makes its own, so these end here.
            Some(Meta::Lifecycle { .. }) => return Ok(()),
            Some(Meta::Heartbeat { online, interval_ms, .. }) => {
                self.health.beat = Instant::now();
                self.health.beat_interval =
                    interval_ms.filter(|interval| *interval > 0).map(Duration::from_millis);
                if let Some(online) = online {
                    self.hub.account_online(self.link, online);
                }
                return Ok(());
            }
            Some(Meta::Other) | None => {}
        }
        self.give_out_replies();
        self.hub.note_event(text, envelope, &head);
        self.events.push(text, head);
        Ok(())
    }

    fn take_reply(&mut self, text: Bytes, envelope: &Envelope) -> Result<(), Ending> {
        let echo_at = envelope.echo();
        let id = echo_at.and_then(|echo| CallId::from_echo(echo.value.of(&text)));
        if id.is_none() && !self.proven && is_token_refusal(&text, envelope) {
            return Err(Ending::TokenRefused);
        }
        self.append_events();
        let status = envelope.get(Key::Status).map(|span| span.of(&text));
        self.replies.push(UpstreamReply {
            id,
            echo_at,
            after: self.hub.journal().end(),
            ok: matches!(status, Some(b"\"ok\"" | b"\"async\"")),
            more: is_stream_part(&text, envelope),
            text: if text.len() <= COPY_UP_TO { Bytes::copy_from_slice(&text) } else { text },
        });
        Ok(())
    }

    fn append_events(&mut self) {
        if !self.events.is_empty() {
            self.hub.journal().append(&mut self.events, self.health.heard);
        }
    }

    fn give_out_replies(&mut self) {
        if !self.replies.is_empty() {
            self.hub.complete(self.link, self.replies.drain(..));
        }
    }

    fn prove(&mut self, self_id: i64) -> Result<(), Ending> {
        if !self.proven {
            self.hub.link_proven(self.link, self_id).map_err(Ending::WrongAccount)?;
            self.proven = true;
            info!(upstream = self.hub.name(), self_id, "connected to LLOneBot");
            self.ask(Topic::Version);
            self.ask(Topic::Status);
        }
        Ok(())
    }

    fn ask(&mut self, topic: Topic) {
        let call = Call { action: ActionName::new(topic.action()), params: Bytes::from_static(b"{}") };
        self.questions.push(Question { topic, reply: self.hub.probe(self.link, call) });
    }

    fn learn(&mut self, topic: Topic, reply: &Reply) -> Result<(), Ending> {
        let Ok(Answer { data: Some(data) }) = serde_json::from_slice::<Answer>(&reply.text) else {
            return Ok(());
        };
        match topic {
            Topic::Login => {
                data.user_id.filter(|self_id| *self_id > 0).map_or(Ok(()), |self_id| self.prove(self_id))
            }
            Topic::Version => {
                if let Some(version) = data.app_version {
                    self.hub.upstream_version(&version);
                }
                Ok(())
            }
            Topic::Status => {
                if let Some(online) = data.online {
                    self.hub.account_online(self.link, online);
                }
                Ok(())
            }
        }
    }

    /// Ends a link that only looks alive, and pings.
    fn check(&mut self) -> Result<(), Ending> {
        let now = Instant::now();
        let health = &mut self.health;
        if !self.proven && now - health.opened > PROOF_LIMIT {
            return Err(Ending::NotProven(PROOF_LIMIT));
        }
        let silence = now - health.heard;
        if silence > self.config.silence {
            return Err(Ending::Silent(silence));
        }
        if !self.out.is_empty() && now - health.took > self.config.silence {
            return Err(Ending::Stuck(now - health.took));
        }
        if let Some(interval) = health.beat_interval
            && now - health.beat > interval * MISSING_BEATS + CHECK
        {
            return Err(Ending::NoHeartbeat { missing_for: now - health.beat, interval });
        }
        if now - health.pinged >= self.config.ping {
            health.pinged = now;
            if self.out.is_empty() {
                health.took = now;
            }
            self.out.shrink();
            self.out.push_frame(Opcode::Ping, []);
        }
        Ok(())
    }

    async fn close(&mut self, ending: &Ending) {
        // Calls that were not written are answered already: they must not happen any more.
        if !self.out.is_empty() {
            return;
        }
        let Some((code, reason)) = ending.close_frame() else { return };
        self.out.push_close(code, reason);
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

/// What the gateway asks LLOneBot on its own account.
#[derive(Debug, Clone, Copy)]
enum Topic {
    /// Which account is it?
    Login,
    /// Which version, for the `User-Agent` towards bots?
    Version,
    /// Is it online?
    Status,
}

impl Topic {
    fn action(self) -> &'static str {
        match self {
            Self::Login => "get_login_info",
            Self::Version => "get_version_info",
            Self::Status => "get_status",
        }
    }
}

/// A question on its way.
struct Question {
    topic: Topic,
    reply: Pending,
}

impl Future for Question {
    type Output = (Topic, Reply);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = ready!(Pin::new(&mut self.reply).poll(cx));
        Poll::Ready((self.topic, reply))
    }
}

/// The part of an answer that we read; every field may be missing.
#[derive(Deserialize)]
struct Answer {
    data: Option<AnswerData>,
}

#[derive(Deserialize)]
struct AnswerData {
    user_id: Option<i64>,
    app_version: Option<String>,
    online: Option<bool>,
}

fn ending(ended: Ended, limit: usize) -> Ending {
    match ended {
        Ended::Lost(how) => Ending::Lost(how),
        Ended::Closed => Ending::Closed { code: None, reason: String::new() },
        Ended::TooLarge { size, .. } => Ending::TooLarge { size, limit },
        Ended::NotUtf8 => Ending::Protocol("a text frame is not UTF-8".to_owned()),
        Ended::Protocol(what) => Ending::Protocol(what),
    }
}

fn event_type(post_type: PostType) -> EventType {
    match post_type {
        PostType::Message => EventType::Message,
        PostType::MessageSent => EventType::MessageSent,
        PostType::Notice => EventType::Notice,
        PostType::Request => EventType::Request,
        PostType::MetaEvent => EventType::MetaEvent,
        PostType::Other => EventType::Other,
    }
}
