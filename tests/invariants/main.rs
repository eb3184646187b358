//! What must stay true whatever bots, LLOneBot and the network between them do: the whole gateway
//! in memory, on a clock that only moves while everybody waits.
//!
//! A test that says "nothing comes" waits on that clock; it costs no time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod audit;
mod bot;
mod bounds;
mod cache;
mod calls;
mod chaos;
mod drain;
mod echoes;
mod endings;
mod event_rules;
mod events;
mod gateway;
mod heartbeats;
mod late_answers;
mod limits;
mod link_loss;
mod liveness;
mod permissions;
mod rules;
mod slots;
mod stalled;
mod streams;
mod upstream;
