//! Every way to a Redis server.

use std::fs;

use anyhow::Result;
use fanfare_layer::State;
use fanfare_layer::redis::{self, Format};
use fanfare_rig::{RedisOptions, RedisServer, within};

use crate::formats::in_both_formats;
use crate::support::{Node, SOON, group, numbered, numbers, options};

in_both_formats! {
    a_password_is_given_over_tcp,
    a_password_is_given_over_a_unix_socket,
    a_wrong_password_is_refused_by_name_and_not_shown,
    a_password_for_a_server_that_asks_for_none_is_as_good_as_none,
    a_database_is_selected,
    tls_with_the_authority_given_is_trusted,
    tls_with_a_password_and_a_client_certificate_works,
    tls_of_an_unknown_authority_is_refused_unless_told_otherwise,
    a_missing_authority_is_named,
    tls_with_the_authority_in_a_directory_is_trusted,
    a_directory_without_authorities_is_named,
}

/// Options of a layer on one server.
pub(crate) fn options_of(url: String, format: &Format) -> Result<redis::RedisOptions> {
    let mut options = options([url])?;
    options.format = format.clone();
    Ok(options)
}

/// Publishes to a group over a URL and waits for it to come back.
pub(crate) async fn round_trip(url: String, format: &Format) -> Result<()> {
    round_trip_of(options_of(url, format)?).await
}

/// Publishes to a group and waits for it to come back.
pub(crate) async fn round_trip_of(options: redis::RedisOptions) -> Result<()> {
    let node = Node::redis(options)?.reading();
    node.subscribe(&["room"]).await?;
    node.publish(&group("room"), numbered(1)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
    within(SOON, "the close", node.layer.close()).await
}

/// Waits until the server has refused the layer for a reason, which publishing then shows.
pub(crate) async fn refusal(url: String, format: &Format, reason: &str) -> Result<()> {
    refusal_of(options_of(url, format)?, reason).await
}

/// The same with any options.
pub(crate) async fn refusal_of(options: redis::RedisOptions, reason: &str) -> Result<()> {
    let node = Node::redis(options)?;
    fanfare_rig::eventually(SOON, "the refusal", async || {
        let error = node
            .publish(&group("room"), numbered(1))
            .await
            .unwrap_err()
            .to_string();
        // What stands there before the first attempt has ended is no refusal.
        anyhow::ensure!(!error.contains("has not answered yet"), "{error}");
        anyhow::ensure!(error.contains(reason), "{error}");
        Ok(Some(()))
    })
    .await?;
    assert_eq!(node.layer.status().borrow().state, State::Connecting);
    Ok(())
}

fn with_password(tls: bool) -> Result<RedisServer> {
    let password = Some("s:s@me/pw".into());
    RedisServer::with(RedisOptions {
        password,
        tls,
        ..RedisOptions::default()
    })
}

fn with_tls() -> Result<RedisServer> {
    RedisServer::with(RedisOptions {
        tls: true,
        ..RedisOptions::default()
    })
}

async fn a_password_is_given_over_tcp(format: Format) -> Result<()> {
    let server = with_password(false)?;
    let port = server.port();
    let url = format!("redis://:s%3As%40me%2Fpw@127.0.0.1:{port}/0");
    round_trip(url, &format).await?;
    let url = format!("redis://127.0.0.1:{port}?password=s%3As%40me%2Fpw");
    round_trip(url, &format).await
}

async fn a_password_is_given_over_a_unix_socket(format: Format) -> Result<()> {
    let server = with_password(false)?;
    let path = server.socket();
    let url = format!("unix://:s%3As%40me%2Fpw@{}?db=0", path.display());
    round_trip(url, &format).await
}

async fn a_wrong_password_is_refused_by_name_and_not_shown(format: Format) -> Result<()> {
    let server = with_password(false)?;
    let url = format!("redis://:wrong@127.0.0.1:{}", server.port());
    refusal(url, &format, "authentication failed").await
}

/// Core has its keys there; the space of pub/sub names is one for all databases.
async fn a_database_is_selected(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let node = Node::redis(options_of(
        format!("redis://127.0.0.1:{}/9", server.port()),
        &format,
    )?)?
    .reading();
    node.subscribe(&["room"]).await?;
    let clients = format!("{:?}", server.cli(&["CLIENT", "LIST"])?);
    assert!(clients.contains("db=9"), "{clients}");
    node.publish(&group("room"), numbered(1)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
    // The rig's own connection is in database 0.
    assert_eq!(server.cli(&["DBSIZE"])?, ::redis::Value::Int(0));
    node.layer.close().await;
    let url = format!("redis://127.0.0.1:{}/99", server.port());
    refusal(url, &format, "atabase").await
}

async fn tls_with_the_authority_given_is_trusted(format: Format) -> Result<()> {
    round_trip(with_tls()?.url(), &format).await
}

async fn tls_with_a_password_and_a_client_certificate_works(format: Format) -> Result<()> {
    let arguments = ["--tls-auth-clients", "yes"].map(String::from).to_vec();
    let password = Some("pw".into());
    let server = RedisServer::with(RedisOptions {
        password,
        tls: true,
        arguments,
        ..Default::default()
    })?;
    let (certificate, key) = (server.certificate(), server.key());
    let own = format!(
        "&ssl_certfile={}&ssl_keyfile={}",
        certificate.display(),
        key.display()
    );
    round_trip(server.url() + &own, &format).await?;
    refusal(server.url(), &format, "").await
}

async fn tls_of_an_unknown_authority_is_refused_unless_told_otherwise(
    format: Format,
) -> Result<()> {
    let server = with_tls()?;
    let url = format!("rediss://127.0.0.1:{}", server.port());
    refusal(url.clone(), &format, "certificate").await?;
    round_trip(url + "?ssl_cert_reqs=none", &format).await
}

async fn a_missing_authority_is_named(format: Format) -> Result<()> {
    let url = "rediss://127.0.0.1:1?ssl_ca_certs=/no/such/ca.pem";
    refusal(url.into(), &format, "/no/such/ca.pem").await
}

async fn a_password_for_a_server_that_asks_for_none_is_as_good_as_none(
    format: Format,
) -> Result<()> {
    let server = RedisServer::start()?;
    let port = server.port();
    round_trip(format!("redis://:unasked@127.0.0.1:{port}"), &format).await?;
    round_trip(format!("redis://127.0.0.1:{port}?password=a"), &format).await
}

async fn tls_with_the_authority_in_a_directory_is_trusted(format: Format) -> Result<()> {
    let server = with_tls()?;
    let directory = tempfile::tempdir()?;
    // The form of `openssl rehash`, beside what else may lie there.
    fs::copy(server.certificate(), directory.path().join("0a1b2c3d.0"))?;
    fs::write(directory.path().join("README"), "no certificate")?;
    let path = directory.path().display();
    let url = format!("rediss://localhost:{}?ssl_ca_path={path}", server.port());
    round_trip(url, &format).await
}

async fn a_directory_without_authorities_is_named(format: Format) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().display();
    let url = format!("rediss://127.0.0.1:1?ssl_ca_path={path}");
    let reason = format!("ssl_ca_path {path}: no certificate in it");
    refusal(url, &format, &reason).await
}
