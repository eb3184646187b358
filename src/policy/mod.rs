//! Decisions as pure functions of (rule, input): who somebody is, and what they may call.

pub mod acl;
pub mod actions;
pub mod events;
pub mod identity;
mod secret;
pub mod target;

pub use secret::Secret;
