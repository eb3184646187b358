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
mod keys;
mod listening;
mod stage;
