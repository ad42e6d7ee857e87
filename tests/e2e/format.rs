//! The configured wire format, from the command line to the sockets.

use anyhow::{Context as _, Result};
use fanfare_rig::{
    ClusterOptions, Process, PythonLayer, PythonOptions, RedisServer, eventually, server_binary,
};
use redis::FromRedisValue as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::cli::fanfare;
use crate::support::{GROUP_ROUTE, SOON, said, say};

/// The core format in JSON, encrypted.
const CORE: [&str; 3] = [
    "layer.format=core",
    "layer.serializer=json",
    "layer.symmetric_encryption_keys=['the key']",
];

/// What a command takes to speak as [`CORE`] says.
fn arguments(redis: &RedisServer) -> Vec<String> {
    let hosts = format!("layer.redis.hosts={}", redis.url());
    let sets = CORE.into_iter().map(str::to_owned).chain([hosts]);
    sets.flat_map(|set| ["--set".to_owned(), set]).collect()
}

/// `fanfare publish` straight to Redis: its status and what it said.
async fn publish(redis: &RedisServer, more: &[&str], event: &Value) -> Result<(i32, String)> {
    let mut command = fanfare(&["publish"]);
    let output = command
        .args(arguments(redis))
        .args(more)
        .arg(event.to_string())
        .output()
        .await?;
    let told = String::from_utf8(output.stderr)?;
    Ok((output.status.code().context("ended by itself")?, told))
}

/// Everything that is in Redis, in the order of the names.
fn keys(redis: &RedisServer) -> Result<Vec<String>> {
    let mut keys = Vec::<String>::from_redis_value(redis.cli(&["KEYS", "*"])?)?;
    keys.sort_unstable();
    Ok(keys)
}

fn tail(redis: &RedisServer, group: &str) -> Result<Process> {
    let mut command = std::process::Command::new(server_binary()?);
    command.args(["tail", "--group", group]);
    command.args(arguments(redis));
    Process::spawn("tail", command)
}

/// Waits until a group has so many members in Redis.
async fn members(redis: &RedisServer, group: &str, count: u64) -> Result<()> {
    let key = format!("asgi:group:{group}");
    eventually(SOON, &format!("{count} members of {group}"), async || {
        let now = u64::from_redis_value(redis.cli(&["ZCARD", &key])?)?;
        Ok((now == count).then_some(()))
    })
    .await
}

async fn lines(tail: &Process, count: usize) -> Result<Vec<Value>> {
    eventually(SOON, &format!("{count} lines of tail"), async || {
        let out = tail.stdout();
        let lines: Vec<_> = out.lines().map(serde_json::from_str).collect();
        Ok((lines.len() >= count).then_some(lines))
    })
    .await?
    .into_iter()
    .map(|line| line.context("a line of JSON"))
    .collect()
}

#[tokio::test]
async fn commands_on_the_core_format_leave_nothing_in_redis() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut tail = tail(&redis, "red")?;
    members(&redis, "red", 1).await?;
    let event = json!({"type": "say", "message": "grün", "n": 1});
    let published = publish(&redis, &["--group", "red"], &event).await?;
    assert_eq!(published, (0, String::new()));
    assert_eq!(lines(&tail, 1).await?, [event]);
    tail.terminate()?;
    assert!(tail.exit_status(SOON).await?.success(), "{}", tail.stderr());
    assert_eq!(tail.stderr(), "");
    assert_eq!(keys(&redis)?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_command_that_fails_leaves_nothing_of_its_own_in_redis() -> Result<()> {
    let redis = RedisServer::start()?;
    let to = ["--channel", "work", "--set", "layer.core.capacity=1"];
    let first = publish(&redis, &to, &say("taken")).await?;
    assert_eq!(first, (0, String::new()));
    let (status, told) = publish(&redis, &to, &say("refused")).await?;
    assert_eq!(status, 69, "{told}");
    assert!(told.contains("channel work is full"), "{told}");
    assert_eq!(keys(&redis)?, ["asgiwork"]);
    Ok(())
}

#[tokio::test]
async fn commands_and_python_understand_each_other_on_the_core_format() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut options = PythonOptions::core([redis.url()]);
    options.serializer_format = Some("json".to_owned());
    options.symmetric_encryption_keys = vec!["the key".to_owned()];
    let mut python = PythonLayer::with(&options).await?;
    let member = python.join("red").await?;
    let mut tail = tail(&redis, "red")?;
    members(&redis, "red", 2).await?;
    python.group_send("red", &say("from Python")).await?;
    assert_eq!(python.receive(&member).await?, say("from Python"));
    assert_eq!(lines(&tail, 1).await?, [say("from Python")]);
    let published = publish(&redis, &["--group", "red"], &say("to all")).await?;
    assert_eq!(published, (0, String::new()));
    assert_eq!(python.receive(&member).await?, say("to all"));
    assert_eq!(lines(&tail, 2).await?[1], say("to all"));
    tail.terminate()?;
    assert!(tail.exit_status(SOON).await?.success(), "{}", tail.stderr());
    members(&redis, "red", 1).await
}

#[tokio::test]
async fn bytes_that_the_serializer_has_no_notation_for_close_their_sender_alone() -> Result<()> {
    for format in ["pubsub", "core"] {
        let redis = RedisServer::start()?;
        let cluster = ClusterOptions::new()
            .redis(&redis.url())
            .set("layer.format", format)
            .set("layer.serializer", "json")
            .config(GROUP_ROUTE)
            .start()
            .await?;
        let mut sender = cluster[0].connect("/g/red").await?;
        let mut other = cluster[0].connect("/g/red").await?;
        sender.send_text("text").await?;
        assert_eq!(sender.text().await?, said("text"));
        sender.send(Message::binary(vec![1, 2, 3])).await?;
        assert_eq!(sender.close_code().await?, 1003, "{format}");
        cluster[0]
            .api()
            .publish_group("red", &say("goes on"))
            .await?;
        assert_eq!(other.text().await?, said("text"));
        assert_eq!(other.text().await?, said("goes on"));
    }
    Ok(())
}

#[tokio::test]
async fn the_log_says_at_the_start_what_is_spoken_and_what_has_no_effect() -> Result<()> {
    let redis = RedisServer::start()?;
    let hosts = json!([format!("{}?socket_timeout=1", redis.url())]);
    let cluster = ClusterOptions::new()
        .set("layer.redis.hosts", hosts)
        .set("layer.format", "core")
        .set("layer.serializer", "json")
        .set("layer.symmetric_encryption_keys", "['s3cret']")
        .start()
        .await?;
    let log = cluster[0].logged("socket_timeout").await?;
    let line = log.lines().find(|line| line.contains(" layer "));
    let line = line.with_context(|| log.clone())?;
    for part in ["format=\"core\"", "serializer=\"json\"", "encrypted=true"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("socket_timeout"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    Ok(())
}
