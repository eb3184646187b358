//! Which events a consumer receives.

use crate::onebot::{Head, PostType};

/// The rule over events of one consumer: the same on every transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventRules {
    /// Whether the account's own messages (`message_sent`) are delivered.
    pub self_messages: bool,
}

impl EventRules {
    /// Whether the consumer receives the event with this head.
    #[must_use]
    pub fn wants(self, head: &Head) -> bool {
        self.self_messages || head.post_type != PostType::MessageSent
    }
}
