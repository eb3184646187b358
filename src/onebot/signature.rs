//! How the receiver of a webhook knows that an event is genuine.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The value of `X-Signature` for these exact bytes (standard, communication/http-post.md):
/// `sha1=` and the HMAC in lower-case hexadecimal.
#[must_use]
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut signature = "sha1=".to_owned();
    // An HMAC takes keys of every length.
    if let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) {
        mac.update(body);
        for byte in mac.finalize().into_bytes() {
            // Writing to a String cannot fail.
            let _ = write!(signature, "{byte:02x}");
        }
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202, case 2.
    #[test]
    fn signs_as_the_rfc_does() {
        let signature = sign("Jefe", b"what do ya want for nothing?");
        assert_eq!(signature, "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    }
}
