//! Why a link ended, in words for the log, for `/readyz` and for callers.

use std::time::Duration;

use thiserror::Error;

use crate::hub::WrongAccount;

/// Why a link ended.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Ending {
    /// LLOneBot does not accept our token.
    #[error("LLOneBot refuses the token: set upstream.*.token to the token of its OneBot 11 connection")]
    TokenRefused,
    /// Another account than configured.
    #[error("{0}; correct self_id or log the right account in")]
    WrongAccount(WrongAccount),
    /// A newer connection took over.
    #[error("a new connection from LLOneBot took its place")]
    Replaced,
    /// Nothing said which account this is.
    #[error("the peer did not say within {0:?} which account it is; is this LLOneBot's OneBot 11 port?")]
    NotProven(Duration),
    /// No byte for too long.
    #[error("LLOneBot sent nothing for {0:?}, not even a pong")]
    Silent(Duration),
    /// It takes no byte any more.
    #[error("LLOneBot has read nothing for {0:?}")]
    Stuck(Duration),
    /// Pongs, but no heartbeats.
    #[error("LLOneBot's heartbeats are missing for {missing_for:?}, promised was one each {interval:?}")]
    NoHeartbeat {
        /// Since the last one.
        missing_for: Duration,
        /// What the last one promised.
        interval: Duration,
    },
    /// A frame over the limit.
    #[error("LLOneBot sent a frame of {size} bytes, over upstream.*.max_frame = {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// It does not take what a consumer sent.
    #[error(
        "LLOneBot closed the connection because a call was too large for it (code 1009; NapCat takes 50 MiB): \
         lower server.max_frame"
    )]
    CallTooLarge,
    /// Not WebSocket.
    #[error("LLOneBot violated the WebSocket protocol: {0}")]
    Protocol(String),
    /// It said goodbye.
    #[error("LLOneBot closed the connection (code {})", describe(*.code, .reason))]
    Closed {
        /// The code of its close frame.
        code: Option<u16>,
        /// The reason in it.
        reason: String,
    },
    /// It did not.
    #[error("the connection was lost ({0})")]
    Lost(String),
    /// We are shutting down.
    #[error("the gateway is shutting down")]
    Shutdown,
}

fn describe(code: Option<u16>, reason: &str) -> String {
    let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    if reason.is_empty() { code } else { format!("{code}, {reason:?}") }
}

impl Ending {
    /// A metric label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::TokenRefused => "token_refused",
            Self::WrongAccount(_) => "wrong_account",
            Self::Replaced => "replaced",
            Self::NotProven(_) => "not_proven",
            Self::Silent(_) => "silent",
            Self::Stuck(_) => "stuck",
            Self::NoHeartbeat { .. } => "no_heartbeat",
            Self::TooLarge { .. } => "too_large",
            Self::CallTooLarge => "call_too_large",
            Self::Protocol(_) => "protocol",
            Self::Closed { .. } => "closed",
            Self::Lost(_) => "lost",
            Self::Shutdown => "shutdown",
        }
    }

    /// What we say to the peer, if it can still hear us.
    pub(super) fn close_frame(&self) -> Option<(u16, &'static str)> {
        match self {
            Self::Shutdown => Some((1001, "the gateway is shutting down")),
            Self::Replaced => Some((1008, "replaced by a newer connection")),
            Self::WrongAccount(_) => Some((1008, "another account is expected here")),
            Self::NotProven(_) => Some((1008, "no lifecycle event and no answer to get_login_info")),
            Self::TooLarge { .. } => Some((1009, "frame over the limit of the gateway")),
            Self::Protocol(_) => Some((1002, "protocol violation")),
            _ => None,
        }
    }

    /// Whether only a person can mend it, so that trying again quickly is of no use.
    pub(super) fn needs_a_person(&self) -> bool {
        matches!(self, Self::TokenRefused | Self::WrongAccount(_))
    }
}
