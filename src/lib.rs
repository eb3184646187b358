//! `onebot-gateway`: one LLOneBot account, shared by many bots.
//!
//! The daemon holds *one* upstream connection to LLOneBot (OneBot 11), fans events out to any
//! number of consumers and returns each response to the bot that asked. Two ideas carry it:
//! events are a log and every reader is a cursor ([`journal`]); a call is a
//! `tower::Service<Call, Response = Reply>` ([`call`]).
//!
//! The rooms, from the edge inwards; an import only points down this list
//! (`tests/architecture.rs` holds it):
//!
//! | level | rooms |
//! |---|---|
//! | 4 | [`app`] composition (with [`cli`] above it) |
//! | 3 | [`config`] raw file to typed values |
//! | 2 | [`downstream`] consumer edge · [`upstream`] bot edge · [`admin`] operator edge |
//! | 1 | [`call`] → [`hub`] → [`journal`] · [`net`] sockets without roles, unknown to [`hub`] |
//! | 0 | [`onebot`] ← [`policy`] · [`telemetry`] |
//! | – | [`simulator`] a stand-in for LLOneBot, above [`onebot`] and [`net`] only |

pub mod admin;
pub mod app;
pub mod call;
pub mod cli;
pub mod config;
pub mod downstream;
pub mod hub;
pub mod journal;
pub mod net;
pub mod onebot;
pub mod policy;
pub mod simulator;
pub mod telemetry;
pub mod upstream;
