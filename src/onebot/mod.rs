//! The protocol: what frames look like, and nothing of how they travel.
//!
//! Everything here is a pure function of bytes. No value is parsed that nobody asked for, and what is
//! passed on keeps its bytes: a frame is scanned once at its top level, and afterwards only cut and joined.
//!
//! | module | what it knows |
//! |---|---|
//! | [`envelope`] | one validating scan: which keys a frame has, where their values lie, what kind it is |
//! | [`mod@blockage`] | whether a failed send means that the account is muted or frozen |
//! | [`call`] | a consumer's call, read and written anew; names of actions; why a frame is no call |
//! | [`catalogue`] | every action: what it does, to whom, how dangerous that is |
//! | [`close`] | every reason a connection ends, and what the peer is told |
//! | [`event`] | the head of an event for routing and filters; meta events |
//! | [`message`] | messages as arrays of segments or as CQ strings, in events and in replies |
//! | [`Json`] | one value, read where it lies |
//! | [`echo`] | a consumer's echo: opaque, put back byte for byte |
//! | [`quick`] | what a webhook's answer asks for |
//! | [`reply`] | the gateway's own replies and their retcodes; stream parts |
//! | [`signature`] | how a webhook's receiver knows an event is genuine |

pub mod blockage;
pub mod call;
pub mod catalogue;
pub mod close;
mod cq;
pub mod echo;
pub mod envelope;
pub mod event;
pub mod frame;
mod lazy;
pub mod message;
pub mod quick;
pub mod reply;
pub mod signature;
mod walk;

pub use self::blockage::{Blockage, blockage};
pub use self::call::{ActionName, Call, Refused, encode_call, parse_call};
pub use self::close::CloseReason;
pub use self::echo::{Echo, EchoSpan, Spliced, recover_echo, splice};
pub use self::envelope::{Envelope, JsonType, Key, Kind, MAX_DEPTH, Malformed, Span, scan};
pub use self::event::{Head, PostType, meta};
pub use self::lazy::Json;
pub use self::message::MessageFormat;
pub use self::reply::Retcode;

/// `text` as a JSON string, with its quotes.
fn quoted(text: &str) -> String {
    let is_plain = |byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
    if text.bytes().all(is_plain) {
        ["\"", text, "\""].concat()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
