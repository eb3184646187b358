//! Server-sent events: `GET /_events`, as LLOneBot serves them.
//!
//! Beyond LLOneBot every event has an `id`, so that a client that comes back with
//! `Last-Event-ID`, as browsers and SSE libraries do on their own, goes on exactly where it was.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::info;

use super::admission::Admission;
use super::http_answer::{not_admitted, shutting_down};
use super::tail::Tail;
use super::{Bot, Lagging};
use crate::hub::State;
use crate::journal::{Journal, Run, Seq};
use crate::net::Shutdown;
use crate::net::listener::{Body, HttpRequest, HttpResponse};
use crate::onebot::close::CloseReason;
use crate::onebot::event::meta;

/// Between two heartbeats: LLOneBot's, which cannot be changed there either.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Bytes of events that are made ready for one write.
const CHUNK: usize = 32 << 10;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Answers `GET /_events`.
#[derive(Debug, Clone)]
pub struct Sse {
    admission: Admission,
    shutdown: Shutdown,
}

impl Sse {
    /// The path, without the slash it may end with.
    pub const PATH: &str = "/_events";

    /// Lets in whom `admission` admits.
    #[must_use]
    pub fn new(admission: Admission, shutdown: Shutdown) -> Self {
        Self { admission, shutdown }
    }

    /// A response that lasts as long as the client stays.
    #[must_use]
    pub fn answer(&self, request: &HttpRequest) -> HttpResponse {
        if self.shutdown.drain.is_cancelled() {
            return shutting_down();
        }
        let bot = match self.admission.admit(request) {
            Ok(bot) => bot,
            Err(refused) => return not_admitted(&refused),
        };
        let stream = EventStream::open(bot, request.headers(), self.shutdown.clone());
        let mut response = HttpResponse::new(stream.into_body());
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // A proxy that collects the response first would hold events back.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }
}

/// One client's way through the journal. It reads only when there is room to write, and keeps
/// nothing but its place.
struct EventStream {
    bot: Arc<Bot>,
    tail: Tail,
    state: watch::Receiver<State>,
    heartbeat: Interval,
    shutdown: Shutdown,
    /// To be said first.
    comment: Option<String>,
    /// Whether nothing was read yet: a gap before the beginning is the client's own.
    fresh: bool,
    /// Where a shutdown ends it.
    last: Option<Seq>,
    ended: CloseReason,
}

impl EventStream {
    fn open(bot: Arc<Bot>, headers: &HeaderMap, shutdown: Shutdown) -> Self {
        let mut tail = Tail::attach(&bot);
        let mut comment = None;
        if let Some(id) = headers.get(LAST_EVENT_ID) {
            match Resume::at(id.to_str().unwrap_or_default(), bot.hub.journal()) {
                Resume::Next(seq) => tail.resume(seq),
                Resume::EarlierRun => {
                    tail.resume(Seq(1));
                    bot.metrics.gaps.inc();
                    comment = Some(
                        ": gap: this id is of an earlier run of the gateway; here is all that was kept since then\n\n",
                    );
                }
                Resume::NoSuchEvent => {
                    bot.metrics.bad_frames.inc();
                    comment =
                        Some(": there is no event with this id yet; here is what happens from now on\n\n");
                }
            }
        }
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        bot.metrics.sessions.inc();
        info!(consumer = bot.consumer.name, "bot reads server-sent events");
        Self {
            tail,
            state: bot.hub.watch(),
            heartbeat,
            shutdown,
            comment: comment.map(str::to_owned),
            fresh: true,
            last: None,
            ended: CloseReason::PeerClosed,
            bot,
        }
    }

    fn into_body(self) -> Body {
        let chunks = stream::unfold(self, async |mut stream| {
            let chunk = stream.next().await?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(chunk))), stream))
        });
        BodyExt::boxed_unsync(StreamBody::new(chunks).map_err(|never| match never {}))
    }

    /// What is to be written next; `None` when the stream is over.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(comment) = self.comment.take() {
                return Some(comment);
            }
            if self.shutdown.abort.is_cancelled() {
                return self.end(CloseReason::Shutdown);
            }
            let end = self.bot.hub.journal().end();
            let up_to = self.last.unwrap_or(end);
            if self.tail.has_more(up_to) {
                match self.read(up_to) {
                    Ok(chunk) if chunk.is_empty() => continue,
                    Ok(chunk) => return Some(chunk),
                    Err(reason) => return self.end(reason),
                }
            }
            if self.last.is_some() && !self.tail.is_held_before(up_to) {
                return self.end(CloseReason::Shutdown);
            }
            tokio::select! {
                biased;
                // What has happened so far is still written.
                () = self.shutdown.drain.cancelled(), if self.last.is_none() => self.last = Some(self.bot.hub.journal().end()),
                () = self.shutdown.abort.cancelled() => {}
                () = self.tail.moved() => {}
                _ = self.heartbeat.tick() => {
                    if let Some(beat) = self.beat() {
                        return Some(beat);
                    }
                }
            }
        }
    }

    fn read(&mut self, up_to: Seq) -> Result<String, CloseReason> {
        let mut runs: Vec<Run> = Vec::new();
        let missed = self.tail.read(up_to, CHUNK, &mut runs);
        let fresh = std::mem::take(&mut self.fresh);
        let mut chunk = String::new();
        if missed > 0 {
            if !fresh && self.bot.consumer.lagging == Lagging::Disconnect {
                return Err(CloseReason::Lagging);
            }
            // Writing to a String cannot fail.
            let _ = write!(chunk, ": gap: {missed} events had left the journal before they were read\n\n");
        }
        let epoch = self.bot.hub.journal().epoch();
        let mut delivered = 0;
        for event in runs.iter().flat_map(Run::events).filter(|event| self.bot.events.wants(*event)) {
            let _ = writeln!(chunk, "id: {epoch}-{}", event.seq.0);
            push_data(&String::from_utf8_lossy(event.text), &mut chunk);
            delivered += 1;
        }
        self.bot.metrics.delivered.inc_by(delivered);
        Ok(chunk)
    }

    /// A heartbeat as LLOneBot sends it, once there is an account. It has no id: whoever comes
    /// back goes on behind the last event.
    fn beat(&self) -> Option<String> {
        let state = self.state.borrow();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let beat = meta::heartbeat(
            now.as_secs().cast_signed(),
            state.self_id?,
            state.online,
            HEARTBEAT.as_millis() as u64,
        );
        let mut chunk = String::new();
        push_data(&beat, &mut chunk);
        Some(chunk)
    }

    fn end(&mut self, reason: CloseReason) -> Option<String> {
        self.ended = reason;
        None
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.bot.metrics.sessions.dec();
        self.bot.metrics.ended(self.ended.label());
        info!(consumer = self.bot.consumer.name, reason = self.ended.label(), "server-sent events ended");
    }
}

/// Where a client that was here before goes on.
#[derive(Debug, PartialEq, Eq)]
enum Resume {
    /// With this event, or what is left behind it.
    Next(Seq),
    /// Its place is older than everything this process knows.
    EarlierRun,
    /// The id is none of ours, or one of an event that has not happened.
    NoSuchEvent,
}

impl Resume {
    fn at(id: &str, journal: &Journal) -> Self {
        let Some((epoch, seq)) = id.trim().split_once('-') else { return Self::NoSuchEvent };
        let (Ok(epoch), Ok(seq)) = (epoch.parse::<u64>(), seq.parse::<u64>()) else {
            return Self::NoSuchEvent;
        };
        if epoch != journal.epoch() {
            return Self::EarlierRun;
        }
        if Seq(seq) < journal.end() { Self::Next(Seq(seq).plus(1)) } else { Self::NoSuchEvent }
    }
}

/// One event. JSON over several lines, which no string in it can cause, takes several fields.
fn push_data(json: &str, chunk: &mut String) {
    for line in json.split(['\n', '\r']) {
        chunk.push_str("data: ");
        chunk.push_str(line);
        chunk.push('\n');
    }
    chunk.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{self, SegmentBuilder};
    use crate::onebot::{Head, scan};
    use crate::telemetry::Metrics;

    #[test]
    fn ids_lead_back_to_their_place_or_say_why_not() {
        let journal = Journal::new(journal::Config::default(), Metrics::new().unwrap().journal());
        let mut builder = SegmentBuilder::default();
        for _ in 0..3 {
            builder.push(b"{}", Head::read(b"{}", &scan(b"{}").unwrap()));
        }
        journal.append(&mut builder, Instant::now());
        let epoch = journal.epoch();
        assert_eq!(Resume::at(&format!("{epoch}-2"), &journal), Resume::Next(Seq(3)));
        assert_eq!(Resume::at(&format!("{epoch}-3"), &journal), Resume::Next(Seq(4)));
        assert_eq!(Resume::at(&format!("{epoch}-4"), &journal), Resume::NoSuchEvent);
        assert_eq!(Resume::at(&format!("{}-2", epoch - 1), &journal), Resume::EarlierRun);
        let huge = format!("{epoch}-{}", u64::MAX);
        for id in ["", "7", "-", "x-1", "1-", "1--1", "99999999999999999999-1", huge.as_str()] {
            assert_eq!(Resume::at(id, &journal), Resume::NoSuchEvent, "{id}");
        }
    }

    #[test]
    fn json_over_several_lines_stays_one_event() {
        let mut chunk = String::new();
        push_data("{\n\"a\":1}", &mut chunk);
        assert_eq!(chunk, "data: {\ndata: \"a\":1}\n\n");
    }
}
