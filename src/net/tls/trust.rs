//! The side that dials.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::{debug, info};

use super::{HTTP_1_1, pem, provider};

/// Whose certificates we believe when we dial: the system's roots, and possibly a CA of the
/// operator's own.
///
/// A value to be put in any room's configuration. The roots are read at the first dial that needs
/// them and shared by all clones: who dials no `wss://` pays nothing. `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` say where the roots are, as they do for OpenSSL; a system without any gets
/// Mozilla's, which are built in.
#[derive(Clone, Default)]
pub struct Trust {
    own: Arc<[CertificateDer<'static>]>,
    connector: Arc<OnceCell<TlsConnector>>,
}

impl Trust {
    /// Trusts the certificates in this PEM file too.
    ///
    /// # Errors
    /// One sentence that says what is wrong with the file.
    pub fn with_ca(path: &Path) -> Result<Self, String> {
        let own = pem::certificates(&pem::read(path)?, path)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in own.iter().enumerate() {
            roots
                .add(certificate.clone())
                .map_err(|_| format!("file {}: certificate {} cannot be read", path.display(), index + 1))?;
        }
        Ok(Self { own: own.into(), connector: Arc::default() })
    }

    /// Speaks TLS on `socket`, whose other end has to prove that it is `host`, a name or an address.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub async fn connect<S>(&self, host: &str, socket: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::NotAName(host.to_owned()))?;
        let connector = self.connector.get_or_try_init(|| self.connector()).await?;
        connector.connect(name, socket).await.map_err(TlsError::from)
    }

    async fn connector(&self) -> Result<TlsConnector, TlsError> {
        let own = Arc::clone(&self.own);
        // Hundreds of certificates, possibly as many files.
        let roots = spawn_blocking(move || roots(&own)).await.map_err(io::Error::other)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// Equal if the same CA is trusted; the system's roots are the same for all.
impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.own == other.own
    }
}

impl Eq for Trust {}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust(system + {})", self.own.len())
    }
}

fn roots(own: &[CertificateDer<'static>]) -> RootCertStore {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        debug!(%error, "some root certificates of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(system.certs);
    if added == 0 {
        info!("the system has no root certificates (package ca-certificates); using the built-in ones");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(own.iter().cloned());
    roots
}

/// Why there is no TLS with a peer we dialled. "It" is the peer.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The host of the address is neither a DNS name nor an IP address.
    #[error("{0:?} is not a name that a certificate can be for")]
    NotAName(String),
    /// Signed by nobody we know, or not by whom it says.
    #[error("its certificate is signed by no CA we trust; if that CA is your own, name its file in `ca`")]
    Untrusted,
    /// Too late.
    #[error("its certificate has expired; it has to be renewed there")]
    Expired,
    /// Too early.
    #[error("its certificate is not valid yet; is the clock right on both sides?")]
    NotYetValid,
    /// For another host.
    #[error("its certificate is for another host: {0}")]
    WrongHost(CertificateError),
    /// What `openssl req -x509` makes unless told otherwise.
    #[error(
        "its certificate is a CA's (CA:TRUE), which no server may show; make it anew with \
         `openssl req -x509 -addext basicConstraints=critical,CA:FALSE …`"
    )]
    ShowsCa,
    /// Something else answered.
    #[error("it does not speak TLS; is the address to begin with ws:// or http:// instead?")]
    NotTls,
    /// The peer ended the handshake and said why.
    #[error("it refused: {0:?}")]
    Refused(AlertDescription),
    /// The peer ended the handshake and said nothing.
    #[error("it hung up during the handshake")]
    HungUp,
    /// Any other violation of TLS.
    #[error("{0}")]
    Other(#[from] rustls::Error),
    /// The connection failed.
    #[error("{0}")]
    Io(io::Error),
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::HungUp;
        }
        match error.downcast::<rustls::Error>() {
            Ok(rustls::Error::InvalidCertificate(fault)) => Self::of_certificate(fault),
            Ok(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::NotTls,
            Ok(rustls::Error::AlertReceived(alert)) => Self::Refused(alert),
            Ok(error) => Self::Other(error),
            Err(error) => Self::Io(error),
        }
    }
}

impl TlsError {
    fn of_certificate(fault: CertificateError) -> Self {
        match fault {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongHost(fault)
            }
            // rustls hands on the verifier's own words for what has none of its.
            CertificateError::Other(fault) if fault.to_string().contains("CaUsedAsEndEntity") => {
                Self::ShowsCa
            }
            fault => Self::Other(fault.into()),
        }
    }
}
