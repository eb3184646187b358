//! What one connection still has to write: WebSocket frames, staged so that one system call
//! takes many of them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::websocket::{Role, give_way};
use crate::onebot::frame::{Header, Opcode};

/// Slices handed to the kernel in one `writev`.
const MAX_SLICES: usize = 64;
/// Pieces up to this size are copied into the staging buffer; larger ones are shared.
const COPY_UP_TO: usize = 8 << 10;
/// Bytes of a large payload that are masked at once, when it is their turn to be written. All of it
/// beforehand would take a second buffer of its size, and hold up everybody else for as long.
const MASK_AT_ONCE: usize = 64 << 10;

/// A queue of bytes on their way to one peer. It has no bound of its own: the session that owns
/// it stops filling it at [`Outgoing::is_full`].
#[derive(Debug)]
pub struct Outgoing {
    role: Role,
    chunks: VecDeque<Chunk>,
    staging: BytesMut,
    len: usize,
    /// Whether the carrier may still hold what it was given: TLS does, a socket does not.
    unflushed: bool,
    /// Whether a part of a large payload was masked, which takes its time, and others are due.
    owes_a_turn: bool,
}

impl Outgoing {
    /// Bytes after which a session stops adding events and reading calls until some are written.
    pub const HIGH_WATER: usize = 256 << 10;

    /// An empty queue of the given side of the connection; a client masks what it sends.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self {
            role,
            chunks: VecDeque::new(),
            staging: BytesMut::new(),
            len: 0,
            unflushed: false,
            owes_a_turn: false,
        }
    }

    /// Bytes not yet written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether everything has been written, and nothing is held back on the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0 && !self.unflushed
    }

    /// Whether the owner should write before adding more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len >= Self::HIGH_WATER
    }

    /// The side of the connection we are.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Adds one frame whose payload is the concatenation of `pieces`.
    pub fn push_frame<const N: usize>(&mut self, opcode: Opcode, pieces: [Piece<'_>; N]) {
        let length = pieces.iter().map(|piece| piece.as_ref().len()).sum();
        self.stage_header(opcode, length);
        match self.role {
            Role::Server => {
                for piece in pieces {
                    self.push_piece(piece);
                }
            }
            Role::Client => {
                let mut mask = Mask::random();
                self.stage(&mask.key);
                for piece in pieces {
                    self.push_masked(piece, &mut mask);
                }
            }
        }
    }

    /// Adds one text frame of one piece.
    pub fn push_text(&mut self, text: &[u8]) {
        self.push_frame(Opcode::Text, [Piece::Copied(text)]);
    }

    /// Adds bytes that already are whole unmasked frames: what the journal keeps.
    pub fn push_wire(&mut self, frames: &Bytes) {
        self.push_piece(Piece::shared(frames));
    }

    /// Adds a close frame. `reason` is cut to the 123 bytes that fit (RFC 6455, 5.5).
    pub fn push_close(&mut self, code: u16, reason: &str) {
        let code = code.to_be_bytes();
        let reason = reason.get(..reason.floor_char_boundary(123)).unwrap_or_default();
        self.push_frame(Opcode::Close, [Piece::Copied(&code), Piece::Copied(reason.as_bytes())]);
    }

    /// Adds bytes that are frames already, masked if they have to be: the codec's own pongs.
    pub fn push_raw(&mut self, bytes: &[u8]) {
        self.stage(bytes);
    }

    /// Writes once, as much as the peer takes, up to `MAX_SLICES` slices, and flushes behind the
    /// last byte. Returns the number of bytes that left. Cancel safe: what was not written or
    /// flushed stays due.
    ///
    /// # Errors
    /// Those of the socket; a peer that takes nothing any more is [`io::ErrorKind::WriteZero`].
    pub async fn write_to<W: AsyncWrite + Unpin>(&mut self, io: &mut W) -> io::Result<usize> {
        poll_fn(|cx| give_way(&mut self.owes_a_turn, cx)).await;
        self.seal();
        self.mask_next();
        let mut written = 0;
        if self.len > 0 {
            written = poll_fn(|cx| self.poll_write(cx, io)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.advance(written);
            self.unflushed = true;
        }
        if self.len == 0 {
            poll_fn(|cx| Pin::new(&mut *io).poll_flush(cx)).await?;
            self.unflushed = false;
        }
        Ok(written)
    }

    /// The slices live on the stack of one poll: across an await they would make every idle
    /// session a kilobyte larger.
    fn poll_write<W: AsyncWrite + Unpin>(&self, cx: &mut Context<'_>, io: &mut W) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut used = 0;
        let ready = self.chunks.iter().map_while(Chunk::ready);
        for (slice, bytes) in slices.iter_mut().zip(ready) {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        Pin::new(io).poll_write_vectored(cx, slices.get(..used).unwrap_or_default())
    }

    /// Gives up the buffers that a busy time left behind; for connections that are idle now.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.staging = BytesMut::new();
            self.chunks = VecDeque::new();
        }
    }

    fn push_piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Part { of, bytes } if bytes.len() > COPY_UP_TO => {
                self.push_chunk(of.slice_ref(bytes), None);
            }
            small => self.stage(small.as_ref()),
        }
    }

    fn push_masked(&mut self, piece: Piece<'_>, mask: &mut Mask) {
        match piece {
            Piece::Part { of, bytes } if bytes.len() > COPY_UP_TO => {
                self.push_chunk(of.slice_ref(bytes), Some(*mask));
                mask.skip(bytes.len());
            }
            small => self.stage_masked(small.as_ref(), mask),
        }
    }

    fn push_chunk(&mut self, bytes: Bytes, mask: Option<Mask>) {
        self.seal();
        self.len += bytes.len();
        self.chunks.push_back(Chunk { bytes, mask });
    }

    fn stage_header(&mut self, opcode: Opcode, length: usize) {
        let header = Header::new(opcode, self.role == Role::Client, length);
        self.stage(header.as_ref());
    }

    fn stage(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        self.staging.extend_from_slice(bytes);
    }

    fn stage_masked(&mut self, bytes: &[u8], mask: &mut Mask) {
        let from = self.staging.len();
        self.stage(bytes);
        if let Some(staged) = self.staging.get_mut(from..) {
            mask.apply(staged);
        }
    }

    /// Moves what is staged behind the chunks, where it keeps its order and can be written.
    fn seal(&mut self) {
        if !self.staging.is_empty() {
            self.chunks.push_back(Chunk { bytes: self.staging.split().freeze(), mask: None });
        }
    }

    /// Masks the next of what has to be, unless there is enough to write before it.
    fn mask_next(&mut self) {
        let mut ahead = 0;
        let next = self.chunks.iter().position(|chunk| {
            ahead += chunk.bytes.len();
            chunk.mask.is_some() || ahead >= MASK_AT_ONCE
        });
        let Some((at, chunk)) = next.and_then(|at| Some((at, self.chunks.get_mut(at)?))) else { return };
        let Some(mask) = &mut chunk.mask else { return };
        let part = chunk.bytes.split_to(chunk.bytes.len().min(MASK_AT_ONCE));
        let mut masked = BytesMut::from(&part[..]);
        mask.apply(&mut masked);
        let masked = Chunk { bytes: masked.freeze(), mask: None };
        if chunk.bytes.is_empty() {
            *chunk = masked;
        } else {
            self.chunks.insert(at, masked);
            self.owes_a_turn = true;
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.len = self.len.saturating_sub(written);
        while let Some(front) = self.chunks.front_mut() {
            if front.bytes.len() > written {
                front.bytes.advance(written);
                return;
            }
            written -= front.bytes.len();
            self.chunks.pop_front();
        }
    }
}

/// Bytes in the order they are written.
#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// What `bytes` have to be masked with before they may leave.
    mask: Option<Mask>,
}

impl Chunk {
    fn ready(&self) -> Option<&[u8]> {
        self.mask.is_none().then_some(&self.bytes[..])
    }
}

/// A part of a payload.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// Always copied.
    Copied(&'a [u8]),
    /// Shared by reference count when it is large.
    Part {
        /// What `bytes` is a part of.
        of: &'a Bytes,
        /// The part.
        bytes: &'a [u8],
    },
}

impl<'a> Piece<'a> {
    /// The whole of `bytes`, shared when it is large.
    #[must_use]
    pub fn shared(bytes: &'a Bytes) -> Self {
        Self::Part { of: bytes, bytes }
    }
}

impl AsRef<[u8]> for Piece<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) | Self::Part { bytes, .. } => bytes,
        }
    }
}

/// The masking of a client's frame (RFC 6455, 5.3), carried across the pieces of its payload.
#[derive(Debug, Clone, Copy)]
struct Mask {
    key: [u8; 4],
    offset: u32,
}

impl Mask {
    fn random() -> Self {
        Self { key: rand::random(), offset: 0 }
    }

    /// Past `bytes` that are masked elsewhere.
    fn skip(&mut self, bytes: usize) {
        self.offset = (self.offset + (bytes % 4) as u32) % 4;
    }

    fn apply(&mut self, bytes: &mut [u8]) {
        let key = u32::from_ne_bytes(self.key);
        // The key as it lies at the current offset, in memory order.
        let key = if cfg!(target_endian = "little") {
            key.rotate_right(8 * self.offset)
        } else {
            key.rotate_left(8 * self.offset)
        };
        self.skip(bytes.len());
        let wide = (u64::from(key) << 32) | u64::from(key);
        let (blocks, rest) = bytes.as_chunks_mut::<8>();
        for block in blocks {
            *block = (u64::from_ne_bytes(*block) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(wide.to_ne_bytes()) {
            *byte ^= key;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::super::websocket::{Decoder, Incoming, Limits};
    use super::*;

    /// What the peer of `role` reads out of everything queued.
    async fn as_read_by_peer(mut queue: Outgoing) -> Vec<Incoming> {
        let mut wire = Vec::new();
        while !queue.is_empty() {
            queue.write_to(&mut wire).await.unwrap();
        }
        let mut decoder = Decoder::new(queue.role().peer(), Limits { frame: 1 << 30, buffer: 4096 });
        let (mut messages, mut control) = (Vec::new(), Vec::new());
        decoder.feed(&wire, &mut messages, &mut control).unwrap();
        messages
    }

    #[tokio::test]
    async fn frames_of_every_length_class_arrive_whole_from_both_sides() {
        for role in [Role::Server, Role::Client] {
            let texts: Vec<String> = [0, 1, 125, 126, 65_535, 65_536, 300_000].map(|n| "x".repeat(n)).into();
            let mut queue = Outgoing::new(role);
            for text in &texts {
                let shared = Bytes::from(text.clone());
                queue.push_frame(Opcode::Text, [Piece::shared(&shared)]);
            }
            let expected: Vec<Incoming> = texts.into_iter().map(|t| Incoming::Text(t.into())).collect();
            assert_eq!(as_read_by_peer(queue).await, expected, "{role:?}");
        }
    }

    #[tokio::test]
    async fn a_carrier_that_holds_bytes_back_is_flushed_behind_the_last_one() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut carrier = tokio::io::BufWriter::new(ours);
        let mut queue = Outgoing::new(Role::Server);
        queue.push_text(&[b'x'; 100]);
        // The peer reads nothing yet, so the flush has to wait; giving up on it loses nothing.
        let given_up = futures_util::poll!(std::pin::pin!(queue.write_to(&mut carrier)));
        assert!(given_up.is_pending() && !queue.is_empty());

        let mut read = vec![0; 102];
        let write = async {
            while !queue.is_empty() {
                queue.write_to(&mut carrier).await.unwrap();
            }
        };
        let ((), read_all) = tokio::join!(write, theirs.read_exact(&mut read));
        read_all.unwrap();
        assert_eq!(read[2..], [b'x'; 100]);
    }

    #[tokio::test]
    async fn others_have_a_turn_between_the_parts_of_a_large_masked_frame() {
        let mut queue = Outgoing::new(Role::Client);
        queue.push_frame(Opcode::Text, [Piece::shared(&Bytes::from(vec![b'x'; 3 * MASK_AT_ONCE]))]);
        let (mut wire, mut turns) = (Vec::new(), 0);
        while !queue.is_empty() {
            // Given up on while others have theirs, it goes on where it was.
            turns += u32::from(futures_util::poll!(std::pin::pin!(queue.write_to(&mut wire))).is_pending());
        }
        assert_eq!(turns, 2);
        assert_eq!(wire.len(), 14 + 3 * MASK_AT_ONCE);
    }

    #[tokio::test]
    async fn close_reason_is_cut_at_a_character() {
        let mut queue = Outgoing::new(Role::Server);
        queue.push_close(1001, &"关".repeat(60));
        let messages = as_read_by_peer(queue).await;
        assert_eq!(messages, [Incoming::Close { code: Some(1001), reason: "关".repeat(41) }]);
    }

    proptest! {
        #[test]
        fn a_masked_payload_in_pieces_is_the_payload(
            pieces in prop::collection::vec((".{0,40}", prop::sample::select(vec![1, 1, 7000, 30_000])), 0..=6),
        ) {
            let mut queue = Outgoing::new(Role::Client);
            let pieces: Vec<Bytes> = pieces.into_iter().map(|(text, times)| text.repeat(times).into()).collect();
            let empty = Bytes::new();
            let parts: [Piece<'_>; 6] = std::array::from_fn(|n| Piece::shared(pieces.get(n).unwrap_or(&empty)));
            queue.push_frame(Opcode::Text, parts);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let messages = runtime.block_on(as_read_by_peer(queue));
            prop_assert_eq!(messages, vec![Incoming::Text(pieces.concat().into())]);
        }
    }
}
