//! OneBot 11, clause by clause: one test for each demand of the standard, named by its number in
//! `docs/conformance.md`. Where the gateway follows LLOneBot instead, the test says so and why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod actions;
mod authorization;
mod document;
#[path = "../push/endpoint.rs"]
#[allow(dead_code, reason = "the suite of webhooks uses the rest")]
mod endpoint;
mod events;
mod forward_ws;
mod general;
mod http_api;
mod http_post;
mod messages;
mod reverse_ws;
#[path = "../stage/mod.rs"]
mod stage;
