//! A token or password that no log, error or metric can show.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A secret string. It has no `Display`, its `Debug` is masked, and comparing it takes the same
/// time whatever the other side is.
#[derive(Clone)]
pub struct Secret {
    text: String,
    digest: [u8; 32],
}

impl Secret {
    /// Keeps `text` secret from here on.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let digest = Sha256::digest(text.as_bytes()).into();
        Self { text, digest }
    }

    /// The text itself, for the one place that has to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

/// Equal secrets. Digests are compared in constant time, so neither content nor length leaks through
/// timing.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.digest.ct_eq(&other.digest).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        let shown = format!("{:?}", Secret::new("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = Secret::new("hunter2");
        assert_eq!(secret, Secret::new("hunter2"));
        for wrong in ["", "hunter", "hunter22", "HUNTER2"] {
            assert_ne!(secret, Secret::new(wrong), "{wrong}");
        }
    }
}
