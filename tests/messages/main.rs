//! What bots see of messages: in the form each wants, and whose they are. In memory, on a paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod formats;
mod own_messages;
mod stage;
