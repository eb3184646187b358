//! What the gateway pushes, and what is answered without LLOneBot: the whole program over
//! loopback, with a simulated LLOneBot above and plain HTTP below.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod calls;
mod endpoint;
mod limits;
mod own_messages;
mod roles;
mod sse;
mod stage;
mod webhook;
