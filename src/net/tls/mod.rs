//! TLS: whom we believe when we dial ([`Trust`]), and what we show when we are dialled
//! ([`Certificate`]).

mod certificate;
mod pem;
mod trust;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use certificate::{Certificate, CertificateError};
pub use trust::{TlsError, Trust};

/// OneBot is spoken over HTTP/1.1 only (ALPN).
const HTTP_1_1: &[u8] = b"http/1.1";

/// Named in every configuration: rustls' own choice panics once a dependency brings a second one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
