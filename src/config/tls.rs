//! The files of TLS, read while the configuration is: who starts a gateway hears then what is wrong
//! with them.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::Report;
use super::raw;
use crate::net::tls::{Certificate, CertificateError, Trust};

/// `[section] tls`: what that listener shows.
pub(super) fn certificate(
    section: &str,
    raw: Option<raw::Tls>,
    report: &mut Report<'_>,
) -> Option<Certificate> {
    let raw::Tls { cert, key } = raw?;
    for (name, written, advice) in [
        ("cert", &cert, "the PEM file of the certificate, followed by those that signed it"),
        ("key", &key, "the PEM file of the private key that belongs to `cert`"),
    ] {
        if written.is_none() {
            report.missing(&[section, "tls", name], format!("missing; expected {advice}"));
        }
    }
    Certificate::load(cert?, key?)
        .map_err(|error| {
            let name = match error {
                CertificateError::Cert(_) => "cert",
                CertificateError::Key(_) => "key",
            };
            report.refuse(&[section, "tls", name], error.to_string());
        })
        .ok()
}

/// Whom we believe, by the `ca` that is written: keys that name the same file share what is read.
#[derive(Default)]
pub(super) struct Trusts {
    system: Trust,
    with_ca: BTreeMap<String, Trust>,
}

impl Trusts {
    /// The meaning of the key `ca` at `path`, beside an address that is dialled with TLS or is not.
    pub(super) fn of(
        &mut self,
        path: &[&str],
        ca: Option<String>,
        is_tls: bool,
        report: &mut Report<'_>,
    ) -> Trust {
        let Some(ca) = ca else { return self.system.clone() };
        if !is_tls {
            let message = "is of no use here: it is for an address that begins with wss:// or https://";
            report.refuse(path, message);
            return self.system.clone();
        }
        if let Some(trust) = self.with_ca.get(&ca) {
            return trust.clone();
        }
        let trust = Trust::with_ca(Path::new(&ca)).unwrap_or_else(|message| {
            report.refuse(path, message);
            self.system.clone()
        });
        self.with_ca.insert(ca, trust.clone());
        trust
    }
}
