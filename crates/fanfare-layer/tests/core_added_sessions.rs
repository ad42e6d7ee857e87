//! Sessions of a node that others, such as a view in Python, add to groups by name.

use anyhow::Result;
use fanfare_layer::State;
use fanfare_layer::redis::Format;
use fanfare_rig::RedisServer;

use crate::support::zsets::{add, members};
use crate::support::{Node, core_options, group, numbered, numbers, options};

const SESSION: &str = "0000000000000001";

/// A node that others add a session of to the group `room`.
async fn node_with_added_session(server: &RedisServer) -> Result<(Node, String)> {
    let mut options = options([server.url()])?;
    options.format = Format::Core(core_options()?);
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    let session = format!("specific.{}!{SESSION}", node.id);
    add(server, "room", &session)?;
    Ok((node, session))
}

#[tokio::test]
async fn a_session_that_others_added_gets_the_events_of_the_group() -> Result<()> {
    let server = RedisServer::start()?;
    let (node, session) = node_with_added_session(&server).await?;
    for number in 1..=3 {
        node.publish(&group("room"), numbered(number)).await?;
    }
    let arrived = node.arrivals.first(3).await?;
    assert_eq!(numbers(&arrived), [1, 2, 3]);
    let target = node.channel(SESSION)?;
    assert!(arrived.iter().all(|delivery| delivery.target == target));
    assert_eq!(members(&server, "room")?, [session]);
    Ok(())
}

#[tokio::test]
async fn a_session_that_joined_here_and_was_added_as_well_gets_the_event_twice() -> Result<()> {
    let server = RedisServer::start()?;
    let (node, _) = node_with_added_session(&server).await?;
    node.subscribe(&["room"]).await?;
    assert_eq!(members(&server, "room")?.len(), 2);
    node.publish(&group("room"), numbered(1)).await?;
    let arrived = node.arrivals.first(2).await?;
    assert_eq!(numbers(&arrived), [1, 1]);
    let targets = arrived.iter().map(|delivery| &delivery.target);
    let session = node.channel(SESSION)?;
    assert_eq!(
        targets.clone().filter(|it| **it == group("room")).count(),
        1
    );
    assert_eq!(targets.filter(|it| **it == session).count(), 1);
    Ok(())
}
