//! The simulated LLOneBot on the wire: what a client and a server see of it.

mod behaviour;
mod calls;
mod connection;
mod handshake;
#[cfg(test)]
mod peer;
mod profile;
mod reverse;
