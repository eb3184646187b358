//! The catalogue of endings: every reason a connection is closed, and what the peer is told.

/// Why a connection ended: with a consumer, or the link to the upstream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseReason {
    /// The gateway is stopping.
    Shutdown,
    /// The peer closed the connection or it broke.
    PeerClosed,
    /// The peer broke the WebSocket protocol.
    Protocol,
    /// A text message was not UTF-8.
    BadText,
    /// A message was larger than this gateway accepts.
    TooLarge,
    /// The consumer reads too slowly: what it has not read no longer fits into its bound.
    Lagging,
    /// The peer took nothing for as long as one write may take.
    WriteTimeout,
    /// The peer said nothing for as long as it may be silent, not even a pong.
    Silent,
    /// No valid token came in the time a peer has to prove who it is.
    NotProven,
    /// The consumer's token was changed or the consumer was removed.
    TokenRevoked,
    /// The configuration of this connection changed; it will be made anew.
    Reconfigured,
    /// A newer connection of the same peer took its place.
    Replaced,
    /// Another QQ account logged in behind the upstream.
    AccountChanged,
    /// The gateway holds as many connections as it may.
    TooMany,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::Shutdown,
        Self::PeerClosed,
        Self::Protocol,
        Self::BadText,
        Self::TooLarge,
        Self::Lagging,
        Self::WriteTimeout,
        Self::Silent,
        Self::NotProven,
        Self::TokenRevoked,
        Self::Reconfigured,
        Self::Replaced,
        Self::AccountChanged,
        Self::TooMany,
    ];

    /// The status code of the close frame (RFC 6455, 7.4.1 and the IANA registry).
    #[must_use]
    pub const fn code(self) -> u16 {
        self.entry().0
    }

    /// The text of the close frame: at most 123 bytes, says what happened and what to do about it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.entry().1
    }

    /// Whether it makes sense for the peer to connect again as it is.
    #[must_use]
    pub const fn come_back(self) -> bool {
        self.entry().2
    }

    /// The value of the metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.entry().3
    }

    const fn entry(self) -> (u16, &'static str, bool, &'static str) {
        match self {
            Self::Shutdown => (1001, "the gateway is shutting down; connect again later", true, "shutdown"),
            Self::PeerClosed => (1000, "", true, "peer_closed"),
            Self::Protocol => (1002, "this is not the WebSocket protocol", false, "protocol"),
            Self::BadText => (1007, "a text message must be UTF-8", false, "bad_text"),
            Self::TooLarge => (1009, "the message is larger than this gateway accepts", false, "too_large"),
            Self::Lagging => {
                (1013, "too slow: events were lost; connect again and read faster", true, "lagging")
            }
            Self::WriteTimeout => (1013, "nothing was read in time; connect again", true, "write_timeout"),
            Self::Silent => (1008, "no sign of life; answer pings, or connect again", true, "silent"),
            Self::NotProven => (1008, "no valid access token; check the token", false, "not_proven"),
            Self::TokenRevoked => (1008, "the access token is no longer valid", false, "token_revoked"),
            Self::Reconfigured => (1012, "the configuration changed; connect again", true, "reconfigured"),
            Self::Replaced => (1008, "another connection took this one's place", false, "replaced"),
            Self::AccountChanged => {
                (1012, "another account logged in; connect again", true, "account_changed")
            }
            Self::TooMany => (1013, "too many connections; connect again later", true, "too_many"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_is_total_and_its_labels_are_unique() {
        let labels: BTreeSet<_> = CloseReason::ALL.iter().map(|reason| reason.label()).collect();
        let reasons: BTreeSet<_> = CloseReason::ALL.iter().map(|reason| format!("{reason:?}")).collect();
        assert_eq!((labels.len(), reasons.len()), (CloseReason::ALL.len(), CloseReason::ALL.len()));
        // The last variant's number is the count of those before it.
        assert_eq!(CloseReason::ALL.last().map(|last| *last as usize + 1), Some(CloseReason::ALL.len()));
    }

    #[test]
    fn every_ending_fits_into_a_close_frame() {
        for reason in CloseReason::ALL {
            assert!(reason.text().len() <= 123, "{reason:?}");
            // 1004 to 1006 and 1015 must never be sent; the rest of 1000 to 1014 is assigned.
            assert!(matches!(reason.code(), 1000..=1003 | 1007..=1014), "{reason:?}");
        }
    }
}
