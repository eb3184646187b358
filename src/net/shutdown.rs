//! The two words a shutdown says.

use tokio_util::sync::CancellationToken;

/// Passed to every task that can be asked to end.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Finish what is under way, take nothing new.
    pub drain: CancellationToken,
    /// The time for that is over.
    pub abort: CancellationToken,
}

impl Shutdown {
    /// The same words for a part that can also be asked alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { drain: self.drain.child_token(), abort: self.abort.child_token() }
    }
}
