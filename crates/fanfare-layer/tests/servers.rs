//! Servers that are not the plain Redis of the other tests.

use std::time::Duration;

use anyhow::Result;
use fanfare_layer::redis::Format;
use fanfare_layer::{State, Subscription};
use fanfare_protocol::GroupName;
use fanfare_rig::{
    Logs, Program, RedisCluster, RedisOptions, RedisServer, documented_rules, eventually, within,
};
use futures_util::future::try_join_all;

use crate::formats::{core, in_both_formats, is_core, pubsub};
use crate::support::{Node, SOON, group, next, numbered, numbers, options};
use crate::transport::{options_of, refusal, round_trip};

in_both_formats! {
    a_user_with_the_documented_rules_may_do_everything,
    every_documented_rule_is_needed,
    another_database_needs_one_rule_more,
    valkey_is_as_good_as_redis,
    valkey_with_tls_and_a_password_is_as_good,
}

/// By when a dead node is cleared away.
const DEATH: Duration = Duration::from_secs(30);
/// A session of another node, and the node that it was on; nobody has heard of it for long.
const DEAD_NODE: &str = "dddddddddddddddddddddddddddddddd";

/// What an ACL user needs, as the documentation says.
pub(crate) fn rules(format: &Format) -> Result<Vec<String>> {
    let heading = if is_core(format) { "Core" } else { "Pub/sub" };
    documented_rules(heading, "fanfare")
}

pub(crate) fn add_user(server: &RedisServer, user: &str, rules: &[String]) -> Result<()> {
    let rules: Vec<_> = rules.iter().map(String::as_str).collect();
    server.add_user(user, "pw", &rules)
}

async fn leave(node: &Node, name: &str) -> Result<()> {
    let group = Subscription::Group(GroupName::parse(name)?);
    let left = node.layer.unsubscribe(vec![group]);
    Ok(within(SOON, "the unsubscription", left).await??)
}

/// What a layer does every day.
async fn whole_day(one: &Node, other: &Node) -> Result<()> {
    one.subscribe(&["room", "hall"]).await?;
    other.reaches(State::Up).await?;
    let mut receiver = one.receive("thumbnails").await?;
    other.publish(&group("room"), numbered(1)).await?;
    other
        .publish(&one.channel("0000000000000001")?, numbered(2))
        .await?;
    other.send("thumbnails", 3).await?;
    let mut arrived = numbers(&one.arrivals.first(2).await?);
    // In the core format these two are in lanes of their own.
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 2]);
    assert_eq!(next(&mut receiver).await?, 3);
    leave(one, "hall").await
}

/// Everything that a layer does on one server.
async fn whole_life(server: &RedisServer, url: &str, format: &Format) -> Result<()> {
    let one = Node::redis(options_of(url.to_owned(), format)?)?.reading();
    let other = Node::redis(options_of(url.to_owned(), format)?)?.reading();
    whole_day(&one, &other).await?;
    if is_core(format) {
        an_added_session_gets_the_events(server, &one, &other).await?;
        a_dead_node_is_cleared_away(server, [&one, &other]).await?;
    } else {
        other.probes_return(1).await?;
    }
    within(SOON, "the close", one.layer.close()).await?;
    within(SOON, "the close", other.layer.close()).await
}

/// A session that Python added to a group.
async fn an_added_session_gets_the_events(
    server: &RedisServer,
    one: &Node,
    other: &Node,
) -> Result<()> {
    let before = one.arrivals.len();
    let session = format!("{}0000000000000001", one.naming.node_prefix(one.id));
    server.cli(&["ZADD", "asgi:group:added", "99999999999", &session])?;
    other.publish(&group("added"), numbered(4)).await?;
    let arrived = numbers(&one.arrivals.first(before + 1).await?);
    assert_eq!(arrived.last(), Some(&4));
    Ok(())
}

async fn a_dead_node_is_cleared_away(server: &RedisServer, nodes: [&Node; 2]) -> Result<()> {
    let member = format!("specific.{DEAD_NODE}.g0!room");
    let notes = format!("fanfare:asgi:node:{DEAD_NODE}:members");
    server.cli(&["ZADD", "asgi:group:room", "99999999999", &member])?;
    server.cli(&["SADD", &notes, &format!("room {member}")])?;
    server.cli(&["ZADD", "fanfare:asgi:nodes", "1", DEAD_NODE])?;
    eventually(DEATH, "the end of a dead node", async || {
        let cleaned = |node: &Node| node.metric("fanfare_layer_nodes_cleaned_total", "");
        Ok((nodes.into_iter().map(cleaned).sum::<f64>() == 1.0).then_some(()))
    })
    .await?;
    let left = server.cli(&["ZSCORE", "asgi:group:room", &member])?;
    assert_eq!(left, redis::Value::Nil);
    Ok(())
}

async fn a_user_with_the_documented_rules_may_do_everything(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    add_user(&server, "node", &rules(&format)?)?;
    whole_life(&server, &server.user_url("node", "pw"), &format).await?;
    assert_eq!(server.denials()?, [""; 0]);
    Ok(())
}

async fn every_documented_rule_is_needed(format: Format) -> Result<()> {
    let all = rules(&format)?;
    let denied = all.iter().map(async |rule| {
        let server = RedisServer::start()?;
        let rules: Vec<_> = all.iter().filter(|it| *it != rule).cloned().collect();
        add_user(&server, "node", &rules)?;
        let url = server.user_url("node", "pw");
        // Whatever becomes of the node, the denial decides.
        let life = async {
            let _ = whole_life(&server, &url, &format).await;
            std::future::pending::<()>().await;
        };
        let what = format!("a denial without {rule}");
        let denied = eventually(DEATH, &what, async || {
            Ok((!server.denials()?.is_empty()).then_some(()))
        });
        tokio::select! {
            () = life => Ok(()),
            denied = denied => denied,
        }
    });
    // At once: some are only denied when a dead node is cleared away.
    try_join_all(denied).await.map(drop)
}

async fn another_database_needs_one_rule_more(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let mut rules = rules(&format)?;
    add_user(&server, "node", &rules)?;
    let url = format!("redis://node:pw@127.0.0.1:{}/3", server.port());
    refusal(url.clone(), &format, "select").await?;
    rules.push("+select".into());
    add_user(&server, "node", &rules)?;
    round_trip(url, &format).await
}

#[tokio::test]
async fn a_user_of_the_layers_prefix_alone_is_refused_by_reason_with_pubsub() -> Result<()> {
    let server = RedisServer::start()?;
    let rules = ["&asgi*", "&fanfare:asgi:*", "+@pubsub"];
    server.add_user("node", "pw", &rules)?;
    refusal(
        server.user_url("node", "pw"),
        &pubsub()?,
        "no permissions to access one of the channels",
    )
    .await
}

async fn valkey_is_as_good_as_redis(format: Format) -> Result<()> {
    let server = RedisServer::with(RedisOptions {
        program: Program::Valkey,
        ..RedisOptions::default()
    })?;
    whole_life(&server, &server.url(), &format).await?;
    server.cli(&["FLUSHALL"])?;
    add_user(&server, "node", &rules(&format)?)?;
    whole_life(&server, &server.user_url("node", "pw"), &format).await?;
    assert_eq!(server.denials()?, [""; 0]);
    round_trip(server.unix_url(), &format).await
}

async fn valkey_with_tls_and_a_password_is_as_good(format: Format) -> Result<()> {
    let server = RedisServer::with(RedisOptions {
        program: Program::Valkey,
        tls: true,
        password: Some("pw".into()),
        ..RedisOptions::default()
    })?;
    round_trip(server.url(), &format).await
}

#[tokio::test]
async fn every_server_of_a_redis_cluster_brings_what_is_published_at_another_with_pubsub()
-> Result<()> {
    let cluster = RedisCluster::start().await?;
    let reader = Node::redis(options([cluster.url(0)?])?)?.reading();
    let names: Vec<_> = (0..20).map(|number| format!("room-{number}")).collect();
    reader
        .subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await?;
    let writer = Node::redis(options([cluster.url(1)?])?)?.reading();
    writer.reaches(State::Up).await?;
    for (number, name) in (0..).zip(&names) {
        writer.publish(&group(name), numbered(number)).await?;
    }
    writer
        .publish(&reader.channel("0000000000000001")?, numbered(20))
        .await?;
    let arrived = numbers(&reader.arrivals.first(21).await?);
    assert_eq!(arrived, (0..21).collect::<Vec<_>>());
    let [one, other] = [(); 2].map(|()| options_of(cluster.url(2)?, &pubsub()?));
    whole_day(
        &Node::redis(one?)?.reading(),
        &Node::redis(other?)?.reading(),
    )
    .await
}

#[tokio::test]
async fn a_redis_cluster_is_refused_in_one_line_that_helps_with_core() -> Result<()> {
    let cluster = RedisCluster::start().await?;
    let logs = Logs::of_this_thread();
    let node = Node::redis(options_of(cluster.url(0)?, &core()?)?)?;
    node.metric_becomes("fanfare_layer_reconnects_total", "", 3.0)
        .await?;
    let told = logs.take();
    let lines: Vec<_> = told
        .lines()
        .filter(|line| line.contains("this is a Redis Cluster"))
        .collect();
    assert_eq!(lines.len(), 1, "{told}");
    assert!(lines[0].contains("WARN"), "{told}");
    assert!(
        lines[0].contains("set layer.format to \\\"pubsub\\\""),
        "{told}"
    );
    assert_eq!(node.layer.status().borrow().state, State::Connecting);
    let refused = node.publish(&group("room"), numbered(1)).await.unwrap_err();
    let refused = refused.to_string();
    for part in ["this is a Redis Cluster", "set layer.format to \"pubsub\""] {
        assert!(refused.contains(part), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn options_without_effect_are_told_in_one_line() -> Result<()> {
    let logs = Logs::of_this_thread();
    let hosts = [
        "redis://127.0.0.1:1?socket_timeout=5&max_connections=9",
        "redis://127.0.0.1:2",
        "redis://:s3cret@127.0.0.1:3?retry_on_timeout=yes",
    ];
    let node = Node::redis(options(hosts.map(String::from))?)?;
    let told = logs.take();
    let warnings: Vec<_> = told
        .lines()
        .filter(|line| line.contains("no effect"))
        .collect();
    assert_eq!(warnings.len(), 1, "{told}");
    for part in [
        "redis://127.0.0.1:1/0: socket_timeout, max_connections;",
        "redis://:***@127.0.0.1:3/0: retry_on_timeout",
    ] {
        assert!(warnings[0].contains(part), "{told}");
    }
    node.layer.close().await;
    let _quiet = Node::redis(options(["redis://127.0.0.1:2".into()])?)?;
    assert!(!logs.take().contains("no effect"));
    Ok(())
}
