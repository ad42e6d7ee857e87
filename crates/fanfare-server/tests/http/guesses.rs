//! API keys that somebody guesses, and those that anybody could.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use fanfare_rig::{Node, server_binary};
use reqwest::Method;

use crate::{error, node};

const PATH: &str = "/api/v1/nodes";

/// The status of a request with this key, which a proxy sends for this client.
async fn guess(node: &Node, key: &str, client: &str) -> Result<fanfare_rig::Answer> {
    let request = node.api().anonymous(Method::GET, PATH).bearer_auth(key);
    node.api()
        .send(request.header("x-forwarded-for", client))
        .await
}

async fn counted(node: &Node, status: &str) -> Result<f64> {
    let labels = [("status", status)];
    node.metric("fanfare_http_wrong_keys_total", &labels).await
}

#[tokio::test]
async fn of_a_thousand_guesses_a_handful_is_answered_and_a_right_key_still_works() -> Result<()> {
    let node = node(&["http.trusted_proxies=127.0.0.1"]).await?;
    let started = Instant::now();
    let (mut refused, mut slowed) = (0, 0);
    for number in 0..1000 {
        let answer = guess(&node, &format!("guess-{number}"), "203.0.113.9").await?;
        match answer.status {
            401 => refused += 1,
            _ => {
                error(&answer, 429, "rate_limited")?;
                let wait = answer.header("retry-after").unwrap_or_default();
                ensure!((1..=6).contains(&wait.parse::<u64>()?), "{wait}");
                slowed += 1;
            }
        }
        if number % 100 == 99 {
            ensure!(node.api().get(PATH).await?.status == 200, "the right key");
        }
    }
    // Ten at once, and one in every six seconds.
    let most = 11 + started.elapsed().as_secs() / 6;
    ensure!(
        (10..=most).contains(&refused),
        "{refused} of at most {most}"
    );
    ensure!(refused + slowed == 1000);
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let due = (refused as f64, slowed as f64);
    let found = (counted(&node, "401").await?, counted(&node, "429").await?);
    ensure!(found == due, "{found:?} {due:?}");
    // Others have tries of their own.
    error(
        &guess(&node, "guess", "203.0.113.10").await?,
        401,
        "unauthorized",
    )?;
    error(
        &guess(&node, "guess", "2001:db8::1").await?,
        401,
        "unauthorized",
    )?;
    node.logged("an address sends many wrong API keys").await?;
    Ok(())
}

#[tokio::test]
async fn a_request_without_a_key_is_no_guess() -> Result<()> {
    let node = node(&[]).await?;
    for _ in 0..50 {
        let request = node.api().anonymous(Method::GET, PATH);
        error(&node.api().send(request).await?, 401, "unauthorized")?;
    }
    ensure!(counted(&node, "401").await? == 0.0);
    Ok(())
}

#[tokio::test]
async fn a_short_key_is_warned_about_at_the_start() -> Result<()> {
    let node = node(&["api.keys=['quick-try']"]).await?;
    let log = node
        .logged("api.keys[0] (--set api.keys): is shorter")
        .await?;
    let line = log.lines().find(|line| line.contains("is shorter"));
    ensure!(line.is_some_and(|line| line.contains("WARN")), "{log}");
    ensure!(!log.contains("quick-try"), "{log}");
    Ok(())
}

#[test]
fn check_refuses_placeholders_and_twins_and_warns_of_short_keys() -> Result<()> {
    let check = |keys: &str| -> Result<(Option<i32>, String)> {
        let mut command = Command::new(server_binary()?);
        command.args(["check", "--set", &format!("api.keys={keys}")]);
        let output = command.env_clear().output()?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    };
    let long = "0123456789abcdef";
    ensure!(check(long)? == (Some(0), String::new()));
    let (status, said) = check("a")?;
    ensure!(
        status == Some(0) && said.starts_with("warning: api.keys"),
        "{said}"
    );
    ensure!(said.contains("shorter than 16 characters"), "{said}");
    for (keys, says) in [
        ("changeme".to_owned(), "everyone knows it"),
        (
            format!("{long},{long}"),
            "api.keys[1] (--set api.keys): is the same key as api.keys[0]",
        ),
    ] {
        let (status, said) = check(&keys)?;
        ensure!(status == Some(78) && said.contains(says), "{said}");
        ensure!(!said.contains(&keys), "{said}");
    }
    Ok(())
}
