//! The side that is dialled.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};

use super::{HTTP_1_1, pem, provider};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// `tls = { cert, key }`: the certificate a listener shows, and the private key that belongs to it.
///
/// Whoever renews the certificate only writes the files: [`Certificate::follow_files`] takes them
/// over for the connections to come.
#[derive(Clone)]
pub struct Certificate {
    files: Files,
    shown: Arc<Shown>,
    acceptor: TlsAcceptor,
}

/// Why a certificate cannot be used, by the file that is to be mended.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CertificateError {
    /// The file of the certificate.
    #[error("{0}")]
    Cert(String),
    /// The file of the private key.
    #[error("{0}")]
    Key(String),
}

impl Certificate {
    /// Reads a PEM chain, the host's own certificate first, and its key in PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// One sentence about the file that is missing, unreadable, not what it should be, or does not
    /// fit the other one.
    pub fn load(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, CertificateError> {
        let files = Files { cert: cert.into(), key: key.into() };
        let read = files.read()?;
        let shown =
            Arc::new(Shown(RwLock::new(Loaded { digest: read.digest(), key: files.certify(&read)? })));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::Cert(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Shown>::clone(&shown));
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Self { files, shown, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Takes the files over whenever what is in them has changed, for ever. Files that cannot be
    /// used are told once and change nothing.
    pub async fn follow_files(self) {
        let mut said = String::new();
        loop {
            sleep(LOOK).await;
            let certificate = self.clone();
            let Ok(taken) = spawn_blocking(move || certificate.take_files()).await else { continue };
            match taken {
                Ok(changed) => {
                    said.clear();
                    if changed {
                        info!(cert = %self.files.cert.display(), "a new certificate is in use");
                    }
                }
                Err(error) => {
                    let sentence = error.to_string();
                    if sentence != said {
                        warn!("the old certificate stays in use, as the new one cannot be: {sentence}");
                        said = sentence;
                    }
                }
            }
        }
    }

    /// The server's side of the handshake.
    pub(in crate::net) async fn accept<S>(&self, socket: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.acceptor.accept(socket).await
    }

    /// Whether there was something new to take. What is compared is the contents: times and inodes
    /// mislead where files are written in place, linked or mounted.
    fn take_files(&self) -> Result<bool, CertificateError> {
        let read = self.files.read()?;
        let digest = read.digest();
        if digest == self.shown.0.read().unwrap_or_else(PoisonError::into_inner).digest {
            return Ok(false);
        }
        let key = self.files.certify(&read)?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Loaded { digest, key };
        Ok(true)
    }
}

/// Equal if the files are the same ones; what is in them is followed anyway.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// What is in the files.
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(&self) -> Result<Contents, CertificateError> {
        let cert = pem::read(&self.cert).map_err(CertificateError::Cert)?;
        let key = pem::read(&self.key).map_err(CertificateError::Key)?;
        Ok(Contents { cert, key })
    }

    fn certify(&self, contents: &Contents) -> Result<Arc<CertifiedKey>, CertificateError> {
        let chain = pem::certificates(&contents.cert, &self.cert).map_err(CertificateError::Cert)?;
        let key = pem::private_key(&contents.key, &self.key).map_err(CertificateError::Key)?;
        let (cert_file, key_file) = (self.cert.display(), self.key.display());
        CertifiedKey::from_der(chain, key, &provider()).map(Arc::new).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => CertificateError::Key(format!(
                "file {key_file} is not the key of the first certificate in {cert_file}; \
                 the host's own certificate comes first, then those that signed it"
            )),
            rustls::Error::InvalidCertificate(_) => {
                CertificateError::Cert(format!("file {cert_file}: the first certificate cannot be read"))
            }
            _ => CertificateError::Key(format!(
                "file {key_file} has a key of an unknown kind; expected RSA, ECDSA (P-256, P-384) or Ed25519"
            )),
        })
    }
}

impl Contents {
    /// Tells contents apart without keeping a key around.
    fn digest(&self) -> [u8; 32] {
        let length = (self.cert.len() as u64).to_be_bytes();
        let digest = Sha256::new().chain_update(length).chain_update(&self.cert).chain_update(&self.key);
        digest.finalize().into()
    }
}

/// What the next connection is shown.
struct Shown(RwLock<Loaded>);

struct Loaded {
    digest: [u8; 32],
    key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&loaded.key))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::Path;
    use std::sync::Mutex;

    use rustls::pki_types::CertificateDer;
    use tempfile::TempDir;
    use tokio::io::duplex;
    use tokio_util::task::AbortOnDropHandle;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::net::tls::Trust;

    #[tokio::test(start_paused = true)]
    async fn what_is_renewed_on_disk_is_shown_to_the_next_connection() {
        let directory = tempfile::tempdir().unwrap();
        let first = renew(&directory);
        let certificate = load(&directory);
        let _following = follow(&certificate);
        assert_eq!(shown(&certificate, &first.trust).await, first.der);

        let second = renew(&directory);
        while certificate.shown.end_entity() != second.der {
            sleep(LOOK).await;
        }
        assert_eq!(shown(&certificate, &second.trust).await, second.der);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_renewal_changes_nothing_and_is_told_once() {
        let (log, _guard) = Log::start();
        let directory = tempfile::tempdir().unwrap();
        let first = renew(&directory);
        let certificate = load(&directory);
        let _following = follow(&certificate);

        // Another key's certificate: what is on disk between the two writes of a renewal.
        let other = tempfile::tempdir().unwrap();
        renew(&other);
        fs::copy(other.path().join("cert.pem"), directory.path().join("cert.pem")).unwrap();
        sleep(10 * LOOK).await;
        assert_eq!(shown(&certificate, &first.trust).await, first.der);
        let told = log.text();
        assert_eq!(told.matches("the old certificate stays in use").count(), 1, "{told}");
        assert!(told.contains("key.pem is not the key of the first certificate in"), "{told}");

        fs::remove_file(directory.path().join("key.pem")).unwrap();
        sleep(10 * LOOK).await;
        assert_eq!(shown(&certificate, &first.trust).await, first.der);

        let second = renew(&directory);
        while certificate.shown.end_entity() != second.der {
            sleep(LOOK).await;
        }
        assert!(log.text().contains("a new certificate is in use"), "{}", log.text());
    }

    impl Shown {
        fn end_entity(&self) -> CertificateDer<'static> {
            self.0.read().unwrap().key.cert[0].clone()
        }
    }

    struct Renewed {
        der: CertificateDer<'static>,
        trust: Trust,
    }

    /// Writes a new certificate for `localhost` and its key.
    fn renew(directory: &TempDir) -> Renewed {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let trust = Trust::with_ca(&directory.path().join("cert.pem")).unwrap();
        Renewed { der: made.cert.der().clone(), trust }
    }

    fn load(directory: &TempDir) -> Certificate {
        let file = |name: &str| Path::join(directory.path(), name);
        Certificate::load(file("cert.pem"), file("key.pem")).unwrap()
    }

    fn follow(certificate: &Certificate) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(TaskTracker::new().spawn(certificate.clone().follow_files()))
    }

    /// What a peer sees who connects now.
    async fn shown(certificate: &Certificate, trust: &Trust) -> CertificateDer<'static> {
        let (ours, theirs) = duplex(1 << 10);
        let (accepted, connected) =
            tokio::join!(certificate.accept(ours), trust.connect("localhost", theirs));
        accepted.unwrap();
        connected.unwrap().get_ref().1.peer_certificates().unwrap()[0].clone()
    }

    /// What is logged on this thread.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn start() -> (Self, tracing::subscriber::DefaultGuard) {
            let log = Self::default();
            let writer = log.clone();
            let subscriber =
                tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
            (log, tracing::subscriber::set_default(subscriber))
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Log {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
