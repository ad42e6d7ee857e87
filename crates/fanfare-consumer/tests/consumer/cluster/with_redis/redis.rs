//! Clusters of several nodes, over Redis.

use std::time::{Duration, Instant};

use anyhow::Result;
use fanfare_consumer::{Cluster, ClusterError, ClusterOptions, Layer, SendError, blocking};
use fanfare_protocol::{CloseCode, GroupName};
use fanfare_rig::RedisServer;

use super::super::rig::{Listener, Visitor, flash};

#[actix_web::test]
async fn a_program_without_a_server_reaches_the_members_of_a_node() -> Result<()> {
    let server = RedisServer::start()?;
    let node = Cluster::redis([server.url()])?;
    let mut listener = Listener::in_group(&node, "room").await;
    // Its first line publishes: it waits for the connection, and for nothing else.
    let program = Cluster::redis([server.url()])?;
    program.group_send("room", &flash("async")).await?;
    assert_eq!(listener.text().await, "async");
    let url = server.url();
    let thread = std::thread::spawn(move || {
        let program = blocking::Cluster::redis([url])?;
        program.group_send("room", &flash("blocking"))?;
        anyhow::Ok(program.cluster().local().sessions())
    });
    assert_eq!(listener.text().await, "blocking");
    assert_eq!(thread.join().unwrap()?, 0);
    program.close().await;
    let closed = program.group_send("room", &flash("late")).await;
    assert!(closed.unwrap_err().to_string().contains("closed"));
    Ok(())
}

#[actix_web::test]
async fn a_disconnect_closes_the_right_sessions_of_all_nodes() -> Result<()> {
    let server = RedisServer::start()?;
    let one = Cluster::redis([server.url()])?;
    let two = Cluster::redis([server.url()])?;
    let groups = |names: &[&str]| -> Vec<_> {
        let parsed = names.iter().map(|name| GroupName::parse(name).unwrap());
        parsed.collect()
    };
    let ann_here = Visitor::open(&one, &groups(&["fanfare.user.ann"])).await;
    let ann_there = Visitor::open(&two, &groups(&["fanfare.user.ann"])).await;
    let room_here = Visitor::open(&one, &groups(&["room"])).await;
    let room_there = Visitor::open(&two, &groups(&["room"])).await;
    let alone = Visitor::open(&two, &[]).await;
    let other = Visitor::open(&two, &groups(&["hall", "fanfare.user.bob"])).await;

    one.disconnect_user("ann", CloseCode(4001), "signed out")
        .await?;
    for visitor in [ann_here, ann_there] {
        assert_eq!(visitor.closed().await, (4001, "signed out".to_owned()));
    }
    one.disconnect_group("room", CloseCode(4002), "").await?;
    for visitor in [room_here, room_there] {
        assert_eq!(visitor.closed().await, (4002, String::new()));
    }
    one.disconnect_channel(&alone.channel, CloseCode(4003), "you")
        .await?;
    assert_eq!(alone.closed().await, (4003, "you".to_owned()));
    assert!(other.has_nothing());
    let thread = std::thread::spawn(move || {
        one.blocking()
            .disconnect_group("fanfare.all", CloseCode(1001), "all")
    });
    assert_eq!(other.closed().await, (1001, "all".to_owned()));
    thread.join().unwrap()?;
    Ok(())
}

#[actix_web::test]
async fn a_redis_that_does_not_answer_is_named_in_time() -> Result<()> {
    let mut server = RedisServer::start()?;
    let url = server.url();
    server.kill();
    let options = ClusterOptions {
        layer: Layer::redis([&url])?,
        join_timeout: Duration::from_millis(200),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::new(options)?;
    let begun = Instant::now();
    let down = cluster.broadcast(&flash("lost")).await.unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(matches!(down, SendError::Layer(_)), "{down}");
    assert!(
        down.to_string().contains(&server.port().to_string()),
        "{down}"
    );
    let twin = cluster.blocking();
    let blocked = std::thread::spawn(move || twin.broadcast(&flash("lost")));
    assert!(matches!(blocked.join().unwrap(), Err(SendError::Layer(_))));
    Ok(())
}

#[test]
fn a_cluster_over_redis_names_what_it_lacks() {
    let error = Cluster::redis(["redis://localhost"]).unwrap_err();
    assert!(matches!(error, ClusterError::NoRuntime), "{error}");
    assert!(error.to_string().contains("blocking::Cluster"), "{error}");
    let error = Cluster::redis(["http://:secret@host"]).unwrap_err();
    assert!(matches!(error, ClusterError::Host(_)), "{error}");
    assert!(error.to_string().contains("host"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = blocking::Cluster::redis([""; 0]).unwrap_err();
    assert!(matches!(error, ClusterError::NoHosts), "{error}");
}
