//! WebSocket (RFC 6455): the handshake on both sides, and decoding of what a peer sends.
//!
//! Frames come in through tungstenite, which checks masking, fragments, UTF-8 and control
//! frames. Frames go out through [`super::Outgoing`], which can write bytes that are framed
//! already. tungstenite's own pongs and close answers join that same queue.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use thiserror::Error;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::yield_now;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{self, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error as TungsteniteError, Message};

/// Bytes taken from a socket at once. Shared by all connections of a thread.
const READ_AT_ONCE: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_AT_ONCE]);
}

/// The side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The peer dialled us: it masks what it sends, we do not.
    Server,
    /// We dialled the peer: we mask what we send.
    Client,
}

impl Role {
    /// The other side.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// What a peer may send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one message.
    pub frame: usize,
    /// Bytes of decoding buffer an idle connection keeps.
    pub buffer: usize,
}

/// One thing a peer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A JSON text, valid UTF-8. Text and binary frames are the same (LLOneBot parses both).
    Text(Bytes),
    /// A binary frame that is not UTF-8.
    NotText,
    /// A ping or pong; answered already, worth knowing as a sign of life.
    Alive,
    /// The peer closes; its close frame is answered already.
    Close {
        /// The code, if one was given.
        code: Option<u16>,
        /// The reason, possibly empty.
        reason: String,
    },
}

/// Why nothing more can be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Ended {
    /// The connection is gone without a close frame.
    #[error("the connection was lost ({0})")]
    Lost(String),
    /// The close handshake is complete.
    #[error("closed")]
    Closed,
    /// A message over the limit; it was not read.
    #[error("a frame of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes of the message, as far as known.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A text frame that is not UTF-8 (RFC 6455, 8.1).
    #[error("a text frame is not UTF-8")]
    NotUtf8,
    /// A violation of RFC 6455.
    #[error("WebSocket protocol violation: {0}")]
    Protocol(String),
}

/// Bytes in, messages out; no socket.
#[derive(Debug)]
pub struct Decoder {
    context: WebSocketContext,
}

impl Decoder {
    /// A decoder for our side of a connection.
    #[must_use]
    pub fn new(role: Role, limits: Limits) -> Self {
        let role = match role {
            Role::Server => protocol::Role::Server,
            Role::Client => protocol::Role::Client,
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(limits.buffer)
            .write_buffer_size(0)
            .max_frame_size(Some(limits.frame))
            .max_message_size(Some(limits.frame));
        Self { context: WebSocketContext::new(role, Some(config)) }
    }

    /// Decodes every message that `input` completes. What has to be sent back at once (pongs, the
    /// answer to a close) is appended to `control`, ready for the wire.
    ///
    /// # Errors
    /// When the connection cannot go on. Messages decoded before are in `messages` all the same.
    pub fn feed(
        &mut self,
        input: &[u8],
        messages: &mut impl Extend<Incoming>,
        control: &mut Vec<u8>,
    ) -> Result<(), Ended> {
        let mut pipe = Pipe { input, control };
        loop {
            match self.context.read(&mut pipe) {
                Ok(message) => messages.extend(classify(message)),
                Err(TungsteniteError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(());
                }
                Err(error) => return Err(ended(error)),
            }
        }
    }
}

fn classify(message: Message) -> Option<Incoming> {
    Some(match message {
        Message::Text(text) => Incoming::Text(text.into()),
        Message::Binary(bytes) if std::str::from_utf8(&bytes).is_ok() => Incoming::Text(bytes),
        Message::Binary(_) => Incoming::NotText,
        Message::Ping(_) | Message::Pong(_) => Incoming::Alive,
        Message::Close(frame) => Incoming::Close {
            code: frame.as_ref().map(|frame| frame.code.into()),
            reason: frame.map(|frame| frame.reason.to_string()).unwrap_or_default(),
        },
        Message::Frame(_) => return None,
    })
}

fn ended(error: TungsteniteError) -> Ended {
    match error {
        TungsteniteError::ConnectionClosed | TungsteniteError::AlreadyClosed => Ended::Closed,
        TungsteniteError::Io(error) => Ended::Lost(error.kind().to_string()),
        TungsteniteError::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            Ended::TooLarge { size, limit: max_size }
        }
        TungsteniteError::Utf8(_) => Ended::NotUtf8,
        other => Ended::Protocol(other.to_string()),
    }
}

/// The "socket" tungstenite sees: the bytes just read, and the queue its answers go to.
struct Pipe<'a> {
    input: &'a [u8],
    control: &'a mut Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(buf)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.control.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The reading half of a session.
#[derive(Debug)]
pub struct Receiver<R> {
    io: R,
    decoder: Decoder,
    /// Read behind the handshake, before the first read of our own.
    early: Bytes,
    /// Whether a large frame is coming in as fast as it can be read, and others are due.
    owes_a_turn: bool,
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    /// Reads from `io`, after `early`: bytes that came in one piece with the handshake.
    pub fn new(io: R, early: Bytes, role: Role, limits: Limits) -> Self {
        Self { io, decoder: Decoder::new(role, limits), early, owes_a_turn: false }
    }

    /// Waits for bytes and decodes all messages they complete, possibly none. Cancel safe.
    ///
    /// # Errors
    /// When nothing more can be read; `messages` may hold some all the same.
    pub async fn receive(
        &mut self,
        messages: &mut VecDeque<Incoming>,
        control: &mut Vec<u8>,
    ) -> Result<(), Ended> {
        poll_fn(|cx| self.poll_receive(cx, messages, control)).await
    }

    /// Reads on without decoding until the peer ends: closing with unread bytes would reset the
    /// connection and lose what was written last.
    pub async fn discard(&mut self) {
        while poll_fn(|cx| self.poll_discard(cx)).await {}
    }

    /// Whether there may be more to come.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            Poll::Ready(read.is_ok() && !buffer.filled().is_empty())
        })
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        messages: &mut VecDeque<Incoming>,
        control: &mut Vec<u8>,
    ) -> Poll<Result<(), Ended>> {
        if !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            return Poll::Ready(self.decoder.feed(&early, messages, control));
        }
        ready!(give_way(&mut self.owes_a_turn, cx));
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            if let Err(error) = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)) {
                return Poll::Ready(Err(Ended::Lost(error.kind().to_string())));
            }
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(Ended::Lost("end of stream".to_owned())));
            }
            let decoded = messages.len();
            let fed = self.decoder.feed(buffer.filled(), messages, control);
            self.owes_a_turn = buffer.remaining() == 0 && messages.len() == decoded;
            Poll::Ready(fed)
        })
    }
}

/// Lets every other task have its turn, and looks for news on all sockets, before what owes it that
/// goes on. Asked again, it is settled: whoever is polled for another reason goes on, too.
pub(super) fn give_way(owed: &mut bool, cx: &mut Context<'_>) -> Poll<()> {
    if std::mem::take(owed) { pin!(yield_now()).poll(cx) } else { Poll::Ready(()) }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::onebot::frame::encode_text;

    #[tokio::test]
    async fn others_have_a_turn_while_a_large_frame_comes_in() {
        let text = vec![b'x'; 3 * READ_AT_ONCE];
        let mut wire = bytes::BytesMut::new();
        encode_text(&text, &mut wire);
        let (mut theirs, ours) = tokio::io::duplex(1 << 20);
        theirs.write_all(&wire).await.unwrap();

        let limits = Limits { frame: 1 << 20, buffer: 1 << 10 };
        let mut receiver = Receiver::new(ours, Bytes::new(), Role::Client, limits);
        let (mut messages, mut control, mut turns) = (VecDeque::new(), Vec::new(), 0);
        while messages.is_empty() {
            // Given up on while others have theirs, it goes on where it was.
            turns += u32::from(poll!(pin!(receiver.receive(&mut messages, &mut control))).is_pending());
        }
        assert_eq!(turns, 3);
        assert_eq!(messages, [Incoming::Text(text.into())]);
    }
}
