//! How fast consumers may call: the rules of `[limit.NAME]`.

use std::sync::Arc;
use std::time::Duration;

use super::actions::ActionPatterns;
use super::bucket::Pacing;

/// `[limit.NAME]`: one kind of bucket, and which calls take from it. Several may apply to one call, which
/// then takes from each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name; a metric label.
    pub name: Arc<str>,
    /// Which actions it is about.
    pub actions: ActionPatterns,
    /// Whose calls it is about; `None` for everybody's.
    pub consumers: Option<Vec<String>>,
    /// Who shares a bucket.
    pub per: Per,
    /// How fast it lets calls through.
    pub pacing: Pacing,
    /// What happens to a call that comes too early.
    pub excess: Excess,
}

/// Who shares a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Everybody: there is one.
    Account,
    /// All sessions of a consumer.
    Consumer,
    /// All calls that name a group; others are not limited.
    Group,
    /// All calls that name a group, or a user outside of groups; others are not limited.
    Target,
}

/// What happens to a call that comes too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It waits for its turn, in order; refused with 1429 if that takes longer than this.
    Wait(Duration),
    /// It is refused with 1429 at once.
    Reject,
}

impl Limit {
    /// Whether it is about the calls of `consumer`.
    #[must_use]
    pub fn covers(&self, consumer: &str) -> bool {
        self.consumers.as_ref().is_none_or(|names| names.iter().any(|name| name == consumer))
    }
}
