//! The gateway over real sockets of this machine, in this process and as the program itself: what bots, LLOneBot
//! and the operator see when they, or their networks, misbehave.
//!
//! Every port is a free one. Nothing sleeps to wait for something: each test waits for what it is about to
//! check, and only a test that fails waits for long.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking; counters are whole numbers and small"
)]
#![allow(unreachable_pub, reason = "a test has no outside")]

mod admin;
mod bad_input;
mod drain;
mod handshake;
mod link;
mod listener;
mod memory;
mod program;
mod reverse_upstream;
mod reverse_ws;
mod secrets;
mod sessions;
mod slow_peers;
mod support;
mod upstream;
