//! Whom to believe behind an `https` URL.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// The authorities of a PEM file, or without one those that browsers believe.
///
/// # Errors
/// When the file cannot be read or holds no certificate that could be an authority's.
pub(super) fn client(ca_file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let roots = match ca_file {
        Some(path) => of_file(path).with_context(|| format!("auth.ca_file {}", path.display()))?,
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions for auth.url")?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn of_file(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    ensure!(!roots.is_empty(), "no certificate in it");
    Ok(roots)
}
