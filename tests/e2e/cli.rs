//! The command line against running nodes.

use std::process::Stdio;

use anyhow::{Context, Result};
use fanfare_rig::{API_KEY, ClusterOptions, Process, RedisServer, eventually, server_binary};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{GROUP_ROUTE, SOON, said, say, subscribed};

/// A command of the binary under test. The environment's own configuration stays out of it.
pub(crate) fn fanfare(arguments: &[&str]) -> Command {
    let binary = server_binary().unwrap_or_else(|_| "fanfare".into());
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// `fanfare publish` through the API of a running node.
pub(crate) fn cluster_command(url: &str, arguments: &[&str]) -> Command {
    let mut command = fanfare(&["publish", "--url", url, "--key", API_KEY]);
    command.args(arguments);
    command
}

#[tokio::test]
async fn publish_goes_straight_to_redis_and_needs_no_node_to_ask() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = ClusterOptions::new()
        .redis(&redis.url())
        .config(GROUP_ROUTE)
        .start()
        .await?;
    let mut socket = cluster[0].connect("/g/red?user=ann").await?;
    let channel = socket.channel().to_owned();
    let hosts = format!("layer.redis.hosts=[\"{}\"]", redis.url());
    for target in [
        vec!["--group", "red"],
        vec!["--channel", &channel],
        vec!["--user", "ann"],
        vec!["--all"],
    ] {
        let what = target.join(" ");
        let event = say(&what).to_string();
        let mut command = fanfare(&["publish", "--set", &hosts]);
        let output = command.args(target).arg(event).output().await?;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(socket.text().await?, said(&what));
    }
    Ok(())
}

#[tokio::test]
async fn publish_goes_through_the_api_of_a_node_on_the_memory_layer() -> Result<()> {
    let cluster = ClusterOptions::new().config(GROUP_ROUTE).start().await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    let event = say("through the API").to_string();
    let arguments = ["--group", "red", &event];
    let output = cluster_command(&cluster[0].url(), &arguments)
        .output()
        .await?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(socket.text().await?, said("through the API"));

    let mut wrong = fanfare(&["publish", "--url", &cluster[0].url(), "--key", "wrong"]);
    let output = wrong.args(arguments).output().await?;
    assert_ne!(output.status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn tail_prints_every_event_of_a_group() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = ClusterOptions::new()
        .redis(&redis.url())
        .config(GROUP_ROUTE)
        .start()
        .await?;
    let hosts = format!("layer.redis.hosts=[\"{}\"]", redis.url());
    let mut command = std::process::Command::new(server_binary()?);
    command.args(["tail", "--group", "red", "--set", &hosts]);
    let mut tail = Process::spawn("tail", command)?;
    subscribed(&redis, "asgi__group__red", 1).await?;
    let event = json!({"type": "say", "message": "grün", "n": 1});
    cluster[0].api().publish_group("red", &event).await?;
    let line = eventually(SOON, "a line of tail", async || {
        Ok(tail.stdout().lines().next().map(str::to_owned))
    })
    .await?;
    assert_eq!(serde_json::from_str::<Value>(&line)?, event);
    tail.terminate()?;
    tail.exit_status(SOON).await?;
    Ok(())
}

#[tokio::test]
async fn nodes_prints_the_node_that_was_asked() -> Result<()> {
    let cluster = ClusterOptions::new().start().await?;
    let url = cluster[0].url();
    let output = fanfare(&["nodes", "--url", &url, "--key", API_KEY])
        .output()
        .await?;
    let table = String::from_utf8(output.stdout)?;
    assert!(
        output.status.success() && table.contains("node-0"),
        "{table}"
    );
    Ok(())
}

#[tokio::test]
async fn all_errors_of_the_configuration_are_told_at_once() -> Result<()> {
    let sets = ["http.bnid=x", "limits.sessions=many", "log.format=xml"];
    let mut command = fanfare(&[]);
    command.env("FANFARE__PING__INTERVAL_MS", "soon");
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().await?;
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8(output.stderr)?;
    for key in [
        "http.bnid",
        "limits.sessions",
        "log.format",
        "ping.interval_ms",
        "many",
        "soon",
    ] {
        assert!(told.contains(key), "{key} is not in: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_chosen_user_is_refused_unless_this_is_development() -> Result<()> {
    let route = r#"routes=[{ path = "/a", user = { query = "user" } }]"#;
    let output = fanfare(&["check", "--set", route]).output().await?;
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8(output.stderr)?;
    assert!(
        told.contains("development") && told.contains("/a"),
        "{told}"
    );
    let mut development = fanfare(&["check", "--set", route]);
    let output = development
        .args(["--set", "development=true"])
        .output()
        .await?;
    assert_eq!(output.status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn without_a_key_one_is_made_and_the_banner_s_command_works_as_it_stands() -> Result<()> {
    let mut command = std::process::Command::new(server_binary()?);
    command.args(["--set", "http.bind=127.0.0.1:0"]);
    let server = Process::spawn("fanfare", command)?;
    let pasted = eventually(SOON, "a command in the banner", async || {
        let banner = server.stdout();
        let line = banner
            .lines()
            .find(|line| line.trim_start().starts_with("curl "));
        Ok(line.map(str::to_owned))
    })
    .await?;
    let arguments = format!("{} --silent --show-error --fail", pasted.trim());
    let output = Command::new("sh")
        .args(["-c", &arguments])
        .output()
        .await
        .context("sh")?;
    let answer = String::from_utf8(output.stdout)?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(answer.trim(), r#"{"published":1}"#, "{told}");
    Ok(())
}
