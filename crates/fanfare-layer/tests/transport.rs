//! Every way to a Redis server.

use anyhow::Result;
use fanfare_layer::State;
use fanfare_rig::{RedisOptions, RedisServer, within};

use crate::support::{Node, SOON, group, numbered, numbers, options};

/// Publishes to a group over a URL and waits for it to come back.
async fn round_trip(url: String) -> Result<()> {
    let node = Node::redis(options([url])?)?.reading();
    node.subscribe(&["room"]).await?;
    node.publish(&group("room"), numbered(1)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
    within(SOON, "the close", node.layer.close()).await
}

/// Waits until the server has refused the layer for a reason, which publishing then shows.
async fn refusal(url: String, reason: &str) -> Result<()> {
    let node = Node::redis(options([url])?)?;
    fanfare_rig::eventually(SOON, "the refusal", async || {
        let error = node
            .publish(&group("room"), numbered(1))
            .await
            .unwrap_err()
            .to_string();
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

#[tokio::test]
async fn a_password_is_given_over_tcp() -> Result<()> {
    let server = with_password(false)?;
    let port = server.port();
    round_trip(format!("redis://:s%3As%40me%2Fpw@127.0.0.1:{port}/0")).await?;
    round_trip(format!("redis://127.0.0.1:{port}?password=s%3As%40me%2Fpw")).await
}

#[tokio::test]
async fn a_password_is_given_over_a_unix_socket() -> Result<()> {
    let server = with_password(false)?;
    let path = server.socket();
    round_trip(format!("unix://:s%3As%40me%2Fpw@{}?db=0", path.display())).await
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_name_and_not_shown() -> Result<()> {
    let server = with_password(false)?;
    refusal(
        format!("redis://:wrong@127.0.0.1:{}", server.port()),
        "authentication failed",
    )
    .await
}

#[tokio::test]
async fn a_user_with_an_acl_is_enough() -> Result<()> {
    let server = RedisServer::start()?;
    let rights = [
        "+publish",
        "+subscribe",
        "+psubscribe",
        "+unsubscribe",
        "+punsubscribe",
    ];
    // All channels: an ACL pattern allows PSUBSCRIBE only of that very pattern.
    let user = ["ACL", "SETUSER", "node", "on", ">pw", "allchannels"];
    server.cli(&[&user[..], &rights[..]].concat())?;
    round_trip(format!("redis://node:pw@127.0.0.1:{}", server.port())).await
}

#[tokio::test]
async fn a_database_is_selected_and_changes_nothing() -> Result<()> {
    let server = RedisServer::start()?;
    round_trip(format!("redis://127.0.0.1:{}/9", server.port())).await?;
    refusal(format!("redis://127.0.0.1:{}/99", server.port()), "atabase").await
}

#[tokio::test]
async fn tls_with_the_authority_given_is_trusted() -> Result<()> {
    let server = RedisServer::with(RedisOptions {
        tls: true,
        ..RedisOptions::default()
    })?;
    round_trip(server.url()).await
}

#[tokio::test]
async fn tls_with_a_password_and_a_client_certificate_works() -> Result<()> {
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
    round_trip(server.url() + &own).await?;
    refusal(server.url(), "").await
}

#[tokio::test]
async fn tls_of_an_unknown_authority_is_refused_unless_told_otherwise() -> Result<()> {
    let server = RedisServer::with(RedisOptions {
        tls: true,
        ..RedisOptions::default()
    })?;
    let url = format!("rediss://127.0.0.1:{}", server.port());
    refusal(url.clone(), "certificate").await?;
    round_trip(url + "?ssl_cert_reqs=none").await
}

#[tokio::test]
async fn a_missing_authority_is_named() -> Result<()> {
    refusal(
        "rediss://127.0.0.1:1?ssl_ca_certs=/no/such/ca.pem".into(),
        "/no/such/ca.pem",
    )
    .await
}
