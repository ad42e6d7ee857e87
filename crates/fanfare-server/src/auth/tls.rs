//! Whom to believe behind an `https` URL.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::settings::Auth;

/// Believes the authorities of `auth.ca_file`, or without it those of the operating system, which
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
///
/// # Errors
/// When there is no certificate that could be an authority's, or the file cannot be read.
pub(super) fn client(settings: &Auth) -> anyhow::Result<ClientConfig> {
    let roots = match (&settings.ca_file, settings.url.scheme_str()) {
        (Some(path), _) => {
            of_file(path).with_context(|| format!("auth.ca_file {}", path.display()))?
        }
        (None, Some("https")) => of_the_system()?,
        // Nobody has to be believed.
        (None, _) => RootCertStore::empty(),
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

fn of_the_system() -> anyhow::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let unread = found.errors.first().map(|error| format!(": {error}"));
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    ensure!(
        !roots.is_empty(),
        "the system has no certificates of authorities for auth.url (install ca-certificates, or \
         set auth.ca_file){}",
        unread.unwrap_or_default()
    );
    Ok(roots)
}
