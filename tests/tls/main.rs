//! TLS on every side of the gateway: bots that connect to it, LLOneBot and bots that it connects to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod authority;
mod dialling;
#[path = "../push/endpoint.rs"]
#[allow(dead_code, reason = "the suite of webhooks uses the rest")]
mod endpoint;
mod keys;
mod listening;
mod posting;
mod stage;
