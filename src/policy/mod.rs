//! Decisions as pure functions of (rule, input): who somebody is, what they may call, what they hear, and how
//! fast.

pub mod acl;
pub mod actions;
pub mod bucket;
pub mod budget;
pub mod condition;
pub mod events;
pub mod filter;
pub mod identity;
pub mod limit;
pub mod media;
pub mod quoted;
mod secret;
pub mod spelling;
pub mod target;

pub use secret::Secret;
