//! Sessions of a node that others, such as a view in Python, add to groups.

use anyhow::Result;
use fanfare_layer::redis::{CoreOptions, Format};
use fanfare_layer::{Presence, State};
use fanfare_rig::{RedisServer, eventually};

use crate::support::zsets::{add, members};
use crate::support::{Node, SOON, core_options, group, numbered, numbers, options};

const SESSION: &str = "0000000000000001";

/// A node that others add a session of to the group `room`.
async fn node_with_guest(server: &RedisServer, per_session: bool) -> Result<(Node, String)> {
    let mut options = options([server.url()])?;
    options.format = Format::Core(CoreOptions {
        per_session,
        ..core_options()?
    });
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    let session = format!("specific.{}!{SESSION}", node.id);
    add(server, "room", &session)?;
    Ok((node, session))
}

/// Waits until a name is not in the group any more.
async fn is_taken_out(server: &RedisServer, name: &str) -> Result<()> {
    eventually(SOON, "the end of a name", async || {
        let members = members(server, "room")?;
        Ok((!members.iter().any(|it| it == name)).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_session_that_others_added_gets_the_events_of_the_group() -> Result<()> {
    let server = RedisServer::start()?;
    let (node, session) = node_with_guest(&server, false).await?;
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
async fn a_session_that_has_joined_here_too_gets_one_copy() -> Result<()> {
    let server = RedisServer::start()?;
    let (node, session) = node_with_guest(&server, false).await?;
    node.arrivals.say(|_, _| Presence::Member);
    node.subscribe(&["room"]).await?;
    assert_eq!(members(&server, "room")?.len(), 2);
    node.publish(&group("room"), numbered(1)).await?;
    is_taken_out(&server, &session).await?;
    // What is for the session comes the way of what it was added under, so it is behind the
    // first event's second copy, if there is one.
    node.publish(&node.channel(SESSION)?, numbered(2)).await?;
    node.publish(&group("room"), numbered(3)).await?;
    let arrived = node.arrivals.first(3).await?;
    assert_eq!(numbers(&arrived), [1, 2, 3]);
    assert_eq!(arrived[0].target, group("room"));
    assert_eq!(members(&server, "room")?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_guest_that_joins_later_is_one_member() -> Result<()> {
    let server = RedisServer::start()?;
    let (node, session) = node_with_guest(&server, false).await?;
    node.publish(&group("room"), numbered(1)).await?;
    node.arrivals.first(1).await?;
    node.arrivals.say(|_, _| Presence::Member);
    node.subscribe(&["room"]).await?;
    is_taken_out(&server, &session).await?;
    node.publish(&group("room"), numbered(2)).await?;
    let arrived = node.arrivals.first(2).await?;
    assert_eq!(numbers(&arrived), [1, 2]);
    assert_eq!(arrived[1].target, group("room"));
    Ok(())
}

#[tokio::test]
async fn the_name_of_a_session_that_is_gone_is_taken_out_with_the_next_event() -> Result<()> {
    let server = RedisServer::start()?;
    let (node, session) = node_with_guest(&server, false).await?;
    node.arrivals.say(|_, _| Presence::Gone);
    node.publish(&group("room"), numbered(1)).await?;
    is_taken_out(&server, &session).await?;
    // The event itself may go to whoever has that name: there is nobody.
    node.publish(&group("room"), numbered(2)).await?;
    node.publish(&node.channel(SESSION)?, numbered(3)).await?;
    let arrived = node.arrivals.first(2).await?;
    assert_eq!(numbers(&arrived), [1, 3]);
    Ok(())
}

#[tokio::test]
async fn where_sessions_are_members_themselves_a_name_that_is_left_behind_goes_too() -> Result<()> {
    let server = RedisServer::start()?;
    let (node, session) = node_with_guest(&server, true).await?;
    node.arrivals.say(|_, _| Presence::Gone);
    node.publish(&group("room"), numbered(1)).await?;
    is_taken_out(&server, &session).await
}

#[tokio::test]
async fn a_session_that_is_a_guest_in_one_group_and_a_member_of_another_gets_each_event_once()
-> Result<()> {
    let server = RedisServer::start()?;
    let (node, session) = node_with_guest(&server, false).await?;
    add(&server, "hall", &session)?;
    node.arrivals.say(|group, _| match group.as_str() {
        "room" => Presence::Member,
        _ => Presence::Guest,
    });
    node.subscribe(&["room"]).await?;
    node.publish(&group("room"), numbered(1)).await?;
    node.publish(&group("hall"), numbered(2)).await?;
    is_taken_out(&server, &session).await?;
    node.publish(&node.channel(SESSION)?, numbered(3)).await?;
    let mut arrived = node.arrivals.first(3).await?;
    arrived.sort_by_key(|delivery| numbers(std::slice::from_ref(delivery)));
    assert_eq!(numbers(&arrived), [1, 2, 3]);
    assert_eq!(arrived[0].target, group("room"));
    assert_eq!(arrived[1].target, node.channel(SESSION)?);
    Ok(())
}

#[tokio::test]
async fn the_name_of_a_guest_that_goes_is_taken_out_without_an_event() -> Result<()> {
    let server = RedisServer::start()?;
    let (node, session) = node_with_guest(&server, false).await?;
    node.publish(&group("room"), numbered(1)).await?;
    node.arrivals.first(1).await?;
    node.arrivals.say(|_, _| Presence::Gone);
    is_taken_out(&server, &session).await
}
