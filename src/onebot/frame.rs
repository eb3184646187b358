//! A JSON text as one WebSocket message (RFC 6455, 5.2): the form in which `OneBot` 11 moves
//! everything, and in which the journal keeps events.

use bytes::BytesMut;

/// The opcodes that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A JSON text.
    Text = 0x1,
    /// The end, with code and reason.
    Close = 0x8,
    /// Keep-alive.
    Ping = 0x9,
}

/// The header of an unfragmented frame, without a masking key.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    bytes: [u8; 10],
    used: usize,
}

impl Header {
    /// The header of `length` bytes of payload. If `masked`, the key follows the header.
    #[must_use]
    pub fn new(opcode: Opcode, masked: bool, length: usize) -> Self {
        let [l0, l1, l2, l3, l4, l5, l6, l7] = (length as u64).to_be_bytes();
        let first = 0x80 | opcode as u8;
        let mask = if masked { 0x80 } else { 0 };
        let (bytes, used) = match length {
            0..=125 => ([first, mask | l7, 0, 0, 0, 0, 0, 0, 0, 0], 2),
            126..=0xffff => ([first, mask | 0x7e, l6, l7, 0, 0, 0, 0, 0, 0], 4),
            _ => ([first, mask | 0x7f, l0, l1, l2, l3, l4, l5, l6, l7], 10),
        };
        Self { bytes, used }
    }
}

impl AsRef<[u8]> for Header {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

/// Appends `text` as one unmasked text frame, and returns the length of its header.
pub fn encode_text(text: &[u8], wire: &mut BytesMut) -> usize {
    let header = Header::new(Opcode::Text, false, text.len());
    let header = header.as_ref();
    wire.reserve(header.len() + text.len());
    wire.extend_from_slice(header);
    wire.extend_from_slice(text);
    header.len()
}
