//! TLS to a server.

use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::{ClientTlsConfig, TlsCertificates};
use rustls::RootCertStore;
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

/// How a server proves itself, and we ourselves to it; files are PEM.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::redis) struct Tls {
    pub(in crate::redis) verify: bool,
    pub(in crate::redis) check_hostname: bool,
    /// A file of authorities. With neither this nor a directory, those of the system are trusted.
    pub(in crate::redis) authorities: Option<PathBuf>,
    /// A directory of such files.
    pub(in crate::redis) authority_directory: Option<PathBuf>,
    pub(in crate::redis) certificate: Option<PathBuf>,
    pub(in crate::redis) key: Option<PathBuf>,
}

impl Tls {
    /// Reads the certificates, which may have changed since the last time.
    pub(super) fn certificates(&self) -> Result<TlsCertificates, String> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that somebody else was faster.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let client_tls = match (&self.certificate, &self.key) {
            (Some(certificate), key) => Some(ClientTlsConfig {
                client_cert: read(certificate)?,
                // As in Python's ssl: one file may hold both.
                client_key: read(key.as_ref().unwrap_or(certificate))?,
            }),
            (None, Some(_)) => return Err("ssl_keyfile without ssl_certfile".into()),
            (None, None) => None,
        };
        // Always given: redis-rs has a list of authorities of its own for when there is none.
        let root_cert = if self.verify {
            self.trusted()?
        } else {
            Vec::new()
        };
        Ok(TlsCertificates {
            client_tls,
            root_cert: Some(root_cert),
        })
    }

    /// The authorities in PEM.
    fn trusted(&self) -> Result<Vec<u8>, String> {
        let (file, directory) = (&self.authorities, &self.authority_directory);
        let found = match (file, directory) {
            (None, None) => load_native_certs(),
            _ => load_certs_from_paths(file.as_deref(), directory.as_deref()),
        };
        let unread = found.errors.first();
        if let (Some(path), Some(error)) = (file, unread) {
            return Err(format!("ssl_ca_certs {}: {error}", path.display()));
        }
        let pem = pem(&found);
        if !pem.is_empty() {
            return Ok(pem.into_bytes());
        }
        let unread = unread.map(|error| format!(": {error}")).unwrap_or_default();
        Err(match (file, directory) {
            (Some(path), _) => format!("ssl_ca_certs {}: no certificate in it", path.display()),
            (None, Some(path)) => {
                let path = path.display();
                format!("ssl_ca_path {path}: no certificate in it{unread}")
            }
            (None, None) => format!(
                "the system has no certificates of authorities (install ca-certificates, or name \
                 yours with ssl_ca_certs){unread}"
            ),
        })
    }
}

/// The certificates that could be an authority's. Directories of a system hold others too, of which
/// one would make redis-rs refuse all.
fn pem(found: &CertificateResult) -> String {
    let mut pem = String::new();
    for certificate in &found.certs {
        if RootCertStore::empty().add(certificate.clone()).is_ok() {
            let text = STANDARD.encode(certificate);
            // Writing into a string cannot fail.
            let _ = write!(
                pem,
                "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
            );
        }
    }
    pem
}
