//! Sockets without roles: a listener, dialling, and WebSocket frames in both directions.
//!
//! Nothing here knows what a consumer or an upstream is. The two edges put their sessions on
//! top of [`websocket::Receiver`] and [`outgoing::Outgoing`].

pub mod backoff;
pub mod handshake;
pub mod http_client;
pub mod listener;
pub mod outgoing;
mod shutdown;
mod stream;
mod target;
pub mod tls;
pub mod websocket;
mod write_deadline;

pub use outgoing::Outgoing;
pub use shutdown::Shutdown;
pub use stream::{Stream, Transport};
pub use target::Target;
pub use write_deadline::WriteDeadline;
