//! Sockets without roles.

pub mod listener;
mod target;

pub use target::Target;
