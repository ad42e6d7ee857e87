//! What many handshakes ask of an application, and how long it may take.

use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::{eventually, within};
use futures_util::future::try_join_all;

use crate::application::Application;
use crate::auth::{asked, connect, with};
use crate::handshake::{expect, refused};
use crate::node;

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_application_that_is_slow_lets_nobody_in() -> Result<()> {
    let application = Application::held(|_| with(204))?;
    let node = node(&[&application.setting(), "auth.timeout_ms=1000"]).await?;
    let response = within(LIMIT, "an answer", refused(&node, "/ws/echo", "")).await??;
    expect(&response, 503, "auth_unavailable")?;
    ensure!(asked(&node, "timeout").await? == 1.0);
    node.logged("not within 1000 ms").await?;
    // Nothing was decided: the next client asks again.
    application.release(9);
    node.connect("/ws/echo").await?;
    ensure!(application.asked().len() == 2);
    Ok(())
}

#[tokio::test]
async fn no_more_requests_run_at_once_than_are_allowed() -> Result<()> {
    let application = Application::held(|_| with(204))?;
    let node = node(&[
        &application.setting(),
        "auth.concurrency=2",
        "auth.timeout_ms=20000",
        "limits.handshake_ms=30000",
    ])
    .await?;
    let cookies: Vec<_> = (0..5).map(|number| format!("id={number}")).collect();
    let sockets = try_join_all(
        cookies
            .iter()
            .map(|cookie| connect(&node, "/ws/echo", cookie)),
    );
    let releasing = async {
        for due in [2, 2, 2, 2, 1] {
            application.waiting(due).await?;
            ensure!(application.asked().len() <= 6);
            application.release(1);
        }
        Ok(())
    };
    let (sockets, ()) = tokio::try_join!(sockets, releasing)?;
    ensure!(sockets.len() == 5 && application.asked().len() == 5);
    Ok(())
}

#[tokio::test]
async fn who_gets_no_turn_in_time_is_refused() -> Result<()> {
    let application = Application::held(|_| with(204))?;
    let node = node(&[
        &application.setting(),
        "auth.concurrency=1",
        "auth.timeout_ms=4000",
    ])
    .await?;
    let first = connect(&node, "/ws/echo", "id=1");
    let second = async {
        application.waiting(1).await?;
        let response = refused(&node, "/ws/echo", "Cookie: id=2\r\n").await?;
        expect(&response, 503, "auth_unavailable")?;
        ensure!(response.header("retry-after").is_some(), "{response:?}");
        ensure!(asked(&node, "busy").await? == 1.0);
        application.release(1);
        Ok(())
    };
    tokio::try_join!(first, second)?;
    ensure!(application.asked().len() == 1);
    Ok(())
}

#[tokio::test]
async fn decisions_count_for_equal_handshakes_until_they_are_too_old() -> Result<()> {
    let application = Application::start(|request| {
        let cookie = request.headers().get("cookie");
        with(if cookie.is_some_and(|cookie| cookie == "id=evil") {
            403
        } else {
            204
        })
    })?;
    let node = node(&[&application.setting(), "auth.cache_ms=60000"]).await?;
    for _ in 0..3 {
        connect(&node, "/ws/echo", "id=1").await?;
        let response = refused(&node, "/ws/echo", "Cookie: id=evil\r\n").await?;
        expect(&response, 403, "access_denied")?;
    }
    ensure!(application.asked().len() == 2, "refusals count too");
    connect(&node, "/ws/echo", "id=2").await?;
    connect(&node, "/ws/echo?x", "id=1").await?;
    connect(&node, "/room/x", "id=1").await?;
    ensure!(
        application.asked().len() == 5,
        "another cookie or path is another question"
    );
    ensure!(node.metric("fanfare_auth_cache_hits_total", &[]).await? == 4.0);
    ensure!(node.metric("fanfare_auth_seconds_count", &[]).await? == 5.0);
    Ok(())
}

#[tokio::test]
async fn a_decision_that_is_too_old_is_asked_for_again() -> Result<()> {
    let application = Application::start(|_| with(204))?;
    let short = node(&[&application.setting(), "auth.cache_ms=300"]).await?;
    connect(&short, "/ws/echo", "id=1").await?;
    eventually(LIMIT, "another question", async || {
        connect(&short, "/ws/echo", "id=1").await?;
        Ok((application.asked().len() == 2).then_some(()))
    })
    .await?;
    let off = node(&[&application.setting(), "auth.cache_ms=0"]).await?;
    for count in 3..6 {
        connect(&off, "/ws/echo", "id=1").await?;
        ensure!(application.asked().len() == count);
    }
    Ok(())
}

#[tokio::test]
async fn a_storm_of_equal_handshakes_asks_once() -> Result<()> {
    let application = Application::held(|_| with(204))?;
    let node = node(&[
        &application.setting(),
        "auth.cache_ms=0",
        "auth.timeout_ms=20000",
        "limits.handshake_ms=30000",
    ])
    .await?;
    let sockets = try_join_all((0..8).map(|_| connect(&node, "/ws/echo", "id=1")));
    let release = async {
        let hits = node.metric_when("fanfare_auth_cache_hits_total", &[], LIMIT, |n| n == 7.0);
        hits.await?;
        application.release(8);
        Ok(())
    };
    let (sockets, ()) = tokio::try_join!(sockets, release)?;
    ensure!(sockets.len() == 8 && application.asked().len() == 1);
    Ok(())
}
