//! An authentication URL with `https`.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::handshake::{expect, refused};
use crate::node;

/// An application for `localhost` that lets everyone in; its URL, and its certificate in PEM.
pub(crate) async fn application() -> Result<(String, String)> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // Who does not believe the certificate hangs up.
            drop(answer(&acceptor, connection).await);
        }
    });
    Ok((format!("https://localhost:{port}/auth/"), cert.pem()))
}

async fn answer(acceptor: &TlsAcceptor, connection: TcpStream) -> Result<()> {
    let mut connection = acceptor.accept(connection).await?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(connection.read_u8().await?);
    }
    let response = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    connection.write_all(response).await?;
    connection.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn an_authority_of_ones_own_is_believed_when_it_is_named_and_not_without() -> Result<()> {
    let (url, certificate) = application().await?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("ca.pem");
    fs::write(&file, certificate)?;
    let url = format!("auth.url={url}");
    let named = node(&[&url, &format!("auth.ca_file={}", file.display())]).await?;
    named.connect("/ws/echo").await?;
    let unnamed = node(&[&url]).await?;
    let response = refused(&unnamed, "/ws/echo", "").await?;
    expect(&response, 503, "auth_unavailable")?;
    unnamed.logged("certificate").await?;
    Ok(())
}

#[tokio::test]
async fn a_file_without_certificates_is_an_error_at_the_start() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("ca.pem");
    fs::write(&file, "nothing")?;
    let setting = format!("auth.ca_file={}", file.display());
    let refused = node(&["auth.url=https://localhost/", &setting]).await;
    let error = refused.err().context("it started")?.to_string();
    ensure!(error.contains("auth.ca_file"), "{error}");
    ensure!(error.contains("no certificate in it"), "{error}");
    Ok(())
}
