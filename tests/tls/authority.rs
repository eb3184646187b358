//! A certificate authority of the tests' own.

use std::fs;
use std::path::{Path, PathBuf};

use onebot_gateway::net::tls::Trust;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// It keeps its files as long as it lives.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// Where a certificate and its key were written.
pub(crate) struct Issued {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::with_ca(&self.file()).unwrap()
    }

    /// Certifies a new key as `host`, in files of its own.
    pub(crate) fn issue(&self, host: &str) -> Issued {
        self.issue_with(host, |_| {})
    }

    pub(crate) fn issue_with(&self, host: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let number = fs::read_dir(self.directory()).unwrap().count();
        let file = |kind: &str| self.directory().join(format!("{number}.{kind}.pem"));
        let issued = Issued { cert: file("cert"), key: file("key") };
        fs::write(&issued.cert, certificate.pem()).unwrap();
        fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }
}
