//! Authorities that the operating system trusts, of Redis and of the application.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fanfare_rig::{RedisOptions, RedisServer};

use crate::handshake::{expect, refused};
use crate::{auth_tls, node_in};

const LIMIT: Duration = Duration::from_secs(10);
const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// A file with the certificate, and a directory that holds it as `openssl rehash` names it.
fn store(home: &Path, certificate: &str) -> Result<[(&'static str, PathBuf); 2]> {
    let directory = home.join("certs");
    fs::create_dir(&directory)?;
    let file = home.join("bundle.pem");
    fs::write(&file, certificate)?;
    fs::write(directory.join("0a1b2c3d.0"), certificate)?;
    Ok([(FILE, file), (DIRECTORY, directory)])
}

#[tokio::test]
async fn a_redis_whose_authority_the_system_knows_is_trusted_and_another_is_not() -> Result<()> {
    let redis = RedisServer::with(RedisOptions {
        tls: true,
        ..RedisOptions::default()
    })?;
    let home = tempfile::tempdir()?;
    let hosts = format!("layer.redis.hosts=rediss://localhost:{}", redis.port());
    let certificate = fs::read_to_string(redis.certificate())?;
    for (name, place) in store(home.path(), &certificate)? {
        let node = node_in(&[(name, place.as_os_str())], "", &[&hosts]).await?;
        node.ready_is(200, LIMIT).await?;
    }
    let node = node_in(&[], "", &[&hosts]).await?;
    node.logged("UnknownIssuer").await?;
    let missing = home.path().join("missing.pem");
    // Both: the machine of the test may have either.
    let nothing = [FILE, DIRECTORY].map(|name| (name, missing.as_os_str()));
    let node = node_in(&nothing, "", &[&hosts]).await?;
    let log = node.logged("no certificates of authorities").await?;
    ensure!(log.contains("No such file"), "{log}");
    Ok(())
}

#[tokio::test]
async fn an_application_whose_authority_the_system_knows_is_asked_and_another_is_not() -> Result<()>
{
    let (url, certificate) = auth_tls::application().await?;
    let home = tempfile::tempdir()?;
    let url = format!("auth.url={url}");
    for (name, place) in store(home.path(), &certificate)? {
        let node = node_in(&[(name, place.as_os_str())], "", &[&url]).await?;
        node.connect("/ws/echo").await?;
    }
    let node = node_in(&[], "", &[&url]).await?;
    let response = refused(&node, "/ws/echo", "").await?;
    expect(&response, 503, "auth_unavailable")?;
    let missing = home.path().join("missing.pem");
    let nothing = [FILE, DIRECTORY].map(|name| (name, missing.as_os_str()));
    let unable = node_in(&nothing, "", &[&url]).await;
    let error = unable.err().context("it started")?.to_string();
    ensure!(error.contains("no certificates of authorities"), "{error}");
    // Without TLS nobody has to be believed.
    let plain = ["auth.url=http://127.0.0.1:1/"];
    node_in(&nothing, "", &plain).await?;
    Ok(())
}
