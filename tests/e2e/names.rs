//! Groups whose names only some layers take: from a path, an answer of the application, the API, the
//! command line, a socket and Python.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use fanfare_rig::{
    API_KEY, Cluster, ClusterOptions, PythonLayer, PythonOptions, RedisServer, Socket, eventually,
    path_segment,
};
use redis::FromRedisValue as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::cli::fanfare;
use crate::support::{SOON, error_code, refused, said, say, subscribed};

const NAMES: [&str; 3] = ["user:42", "café", "ann@example.com"];

/// A path names the group of a session, or the application does.
const ROUTES: &str = r#"
[[routes]]
path = "/g/{group:str}"
groups = ["{group}"]
on_receive = "group_send"
event_type = "say"
auth = false

[[routes]]
path = "/mine"
groups = []
"#;

/// Everybody who is in one group.
struct Members {
    by_path: Socket,
    by_answer: Socket,
}

impl Members {
    async fn join(cluster: &Cluster, group: &str) -> Result<Self> {
        let path = format!("/g/{}/", path_segment(group));
        Ok(Self {
            by_path: cluster[0].connect(&path).await?,
            by_answer: cluster[1].connect("/mine").await?,
        })
    }

    async fn hear(&mut self, text: &str) -> Result<()> {
        assert_eq!(self.by_path.text().await?, said(text));
        assert_eq!(self.by_answer.text().await?, said(text));
        Ok(())
    }
}

/// An application that lets everybody into these groups.
async fn application(groups: &[&str]) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let body = json!({"user": null, "groups": groups}).to_string();
    let length = body.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The session that asked fails its test if this does.
            let _answered = respond(stream, &answer).await;
        }
    });
    Ok(address)
}

async fn respond(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        question.push(stream.read_u8().await?);
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

async fn cluster(redis: &RedisServer, format: &str, groups: &[&str]) -> Result<Cluster> {
    let application = application(groups).await?;
    let cluster = ClusterOptions::new()
        .nodes(2)
        .redis(&redis.url())
        .set("layer.format", format)
        .set("auth.url", format!("http://{application}/"))
        .config(ROUTES);
    cluster.start().await
}

/// `fanfare publish`, which must succeed.
async fn publish(how: &[&str], group: &str, event: &Value) -> Result<()> {
    let mut command = fanfare(&["publish", "--group", group]);
    let output = command.args(how).arg(event.to_string()).output().await?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    Ok(())
}

#[tokio::test]
async fn on_pubsub_any_name_is_the_group_of_the_same_name_in_python() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = cluster(&redis, "pubsub", &NAMES).await?;
    let mut python = PythonLayer::start(&[&redis.url()]).await?;
    let hosts = format!("layer.redis.hosts=[\"{}\"]", redis.url());
    for group in NAMES {
        let mut members = Members::join(&cluster, group).await?;
        let channel = python.join(group).await?;
        subscribed(&redis, &format!("asgi__group__{group}"), 3).await?;
        subscribed(&redis, &channel, 1).await?;

        python.group_send(group, &say("python")).await?;
        cluster[0].api().publish_group(group, &say("api")).await?;
        members.by_path.send_text("socket").await?;
        for text in ["python", "api", "socket"] {
            members.hear(text).await?;
            assert_eq!(python.receive(&channel).await?, say(text));
        }
        let url = cluster[1].url();
        publish(&["--set", &hosts], group, &say("redis")).await?;
        publish(&["--url", &url, "--key", API_KEY], group, &say("url")).await?;
        for text in ["redis", "url"] {
            members.hear(text).await?;
            assert_eq!(python.receive(&channel).await?, say(text));
        }
        let listed = cluster[0].api().get("/api/v1/groups").await?.json()?;
        let expected = json!([{"group": group, "members": 1}]);
        assert_eq!(listed["groups"], expected);
        members.by_path.close(1000).await?;
        subscribed(&redis, &format!("asgi__group__{group}"), 2).await?;
    }
    Ok(())
}

#[tokio::test]
async fn on_core_a_name_that_python_refuses_is_a_group_of_fanfare_alone() -> Result<()> {
    let redis = RedisServer::start()?;
    let long = "l".repeat(100);
    let names = [NAMES[0], NAMES[1], NAMES[2], "a b!c", &long];
    let cluster = cluster(&redis, "core", &names).await?;
    let options = PythonOptions::core([redis.url()]);
    let mut python = PythonLayer::with(&options).await?;
    let hosts = format!("layer.redis.hosts=[\"{}\"]", redis.url());
    let core = ["--set", &hosts, "--set", "layer.format=core"];
    for (group, key) in names.into_iter().zip([
        "%user%3A42",
        "%caf%C3%A9",
        "%ann%40example.com",
        "%a%20b%21c",
        &format!("%{long}"),
    ]) {
        let mut members = Members::join(&cluster, group).await?;
        let key = format!("asgi:group:{key}");
        let count = async || u64::from_redis_value(redis.cli(&["ZCARD", &key])?).context("ZCARD");
        assert_eq!(count().await?, 2, "{key}");
        assert!(python.group_send(group, &say("python")).await.is_err());

        cluster[1].api().publish_group(group, &say("api")).await?;
        members.hear("api").await?;
        members.by_path.send_text("socket").await?;
        members.hear("socket").await?;
        publish(&core, group, &say("redis")).await?;
        members.hear("redis").await?;
        members.by_path.close(1000).await?;
        eventually(SOON, "the node to leave the group", async || {
            Ok((count().await? == 1).then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_dead_node_is_taken_out_of_a_group_with_an_escaped_name() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut cluster = cluster(&redis, "core", &["a b"]).await?;
    let _kept = cluster[0].connect("/mine").await?;
    let _lost = cluster[1].connect("/mine").await?;
    cluster.nodes_mut()[1].process().kill();
    // 15 s without a sign of life.
    eventually(2 * SOON, "the dead node to be taken out", async || {
        let now = u64::from_redis_value(redis.cli(&["ZCARD", "asgi:group:%a%20b"])?)?;
        Ok((now == 1).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_name_that_no_group_can_have_is_refused_with_the_reason() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = cluster(&redis, "pubsub", &["a\u{85}"]).await?;
    let long = "é".repeat(128);
    for (name, reason) in [
        ("a\u{7f}", "U+007F"),
        ("\u{9b}b", "U+009B"),
        (&long, "256 bytes"),
    ] {
        let segment = path_segment(name);
        let answer = refused(&cluster[0], &format!("/g/{segment}"), "").await?;
        assert_eq!(
            (answer.status, error_code(&answer)?),
            (400, "invalid_group".into())
        );
        assert!(answer.body.contains(reason), "{answer:?}");

        let output = fanfare(&["publish", "--group", name, "{\"type\": \"say\"}"]);
        let output = { output }.output().await?;
        let told = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(64), "{told}");
        assert!(
            told.contains(&format!("{name:?}")) && told.contains(reason),
            "{told}"
        );
    }
    let answer = refused(&cluster[0], "/g/%FF", "").await?;
    assert_eq!(
        (answer.status, error_code(&answer)?),
        (400, "invalid_group".into())
    );
    assert!(answer.body.contains("UTF-8"), "{answer:?}");
    let answer = refused(&cluster[0], "/mine", "").await?;
    assert_eq!(
        answer.status, 503,
        "the application's answer cannot be used"
    );
    assert!(cluster[0].log().contains("U+0085"));
    Ok(())
}
