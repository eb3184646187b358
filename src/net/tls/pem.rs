//! Certificates and private keys as files hold them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Several times the bundle of a whole system; a path that names something endless must not fill
/// the memory.
const LARGEST: u64 = 4 << 20;

/// The bytes of a file, as far as [`LARGEST`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut pem))
        .map_err(|error| format!("file {} cannot be read: {error}", path.display()))?;
    Ok(pem)
}

/// All certificates in `pem`, read from `path`; at least one.
pub(super) fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| broken(&error, path))?;
    if certificates.is_empty() {
        return Err(format!(
            "file {} has no certificate in it; expected PEM, with -----BEGIN CERTIFICATE-----",
            path.display()
        ));
    }
    Ok(certificates)
}

/// The first private key in `pem`, read from `path`. No part of it is in the error.
pub(super) fn private_key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        Error::NoItemsFound if is_encrypted(pem) => format!(
            "file {} is locked with a passphrase; unlock it with `openssl pkey -in locked.pem -out key.pem`",
            path.display()
        ),
        Error::NoItemsFound => format!(
            "file {} has no private key in it; expected PEM, with -----BEGIN PRIVATE KEY-----",
            path.display()
        ),
        error => broken(&error, path),
    })
}

/// `error` may quote the file, which may be a key.
fn broken(error: &Error, path: &Path) -> String {
    let fault = match error {
        Error::MissingSectionEnd { .. } => "a section has no END line; is the file cut off?",
        Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        Error::Base64Decode(_) => "a section is not base64",
        _ => "a section cannot be read",
    };
    format!("file {} is not PEM: {fault}", path.display())
}

fn is_encrypted(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}
