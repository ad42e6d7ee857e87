//! Sessions that are members of groups under their own names, so that Python can take them out.

use std::time::Duration;

use anyhow::Result;
use fanfare_layer::redis::Format;
use fanfare_layer::{State, Subscription};
use fanfare_protocol::{GroupName, Target};
use fanfare_rig::{RedisServer, eventually, within};

use crate::support::zsets::{add, discard, keys, members, score};
use crate::support::{Node, SOON, core_options, group, numbered, numbers, options};

async fn node(server: &RedisServer, group_expiry: Duration) -> Result<Node> {
    let mut options = options([server.url()])?;
    let mut core = core_options()?;
    core.per_session = true;
    core.group_expiry = group_expiry;
    options.format = Format::Core(core);
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    Ok(node)
}

const A_DAY: Duration = Duration::from_secs(86_400);

/// The name of one of a node's sessions.
fn session(node: &Node, number: usize) -> String {
    format!("specific.{}!{number:016x}", node.id)
}

fn member(node: &Node, group: &str, number: usize) -> Result<Subscription> {
    Ok(Subscription::session_in_group(
        GroupName::parse(group)?,
        node.naming.channel(&session(node, number))?,
    ))
}

async fn join(node: &Node, group: &str, number: usize) -> Result<()> {
    let joined = node.layer.subscribe(vec![member(node, group, number)?]);
    Ok(within(SOON, "the subscription", joined).await??)
}

async fn leave(node: &Node, group: &str, number: usize) -> Result<()> {
    let left = node.layer.unsubscribe(vec![member(node, group, number)?]);
    Ok(within(SOON, "the unsubscription", left).await??)
}

/// Publishes, and checks which sessions get it.
async fn reaches(node: &Node, number: i64, sessions: &[usize]) -> Result<()> {
    let before = node.arrivals.len();
    node.publish(&group("room"), numbered(number)).await?;
    let arrived = node.arrivals.first(before + sessions.len()).await?;
    let targets = arrived[before..].iter().map(|it| match &it.target {
        Target::Channel(channel) => channel.as_str().to_owned(),
        Target::Group(group) => group.as_str().to_owned(),
    });
    let mut targets: Vec<_> = targets.collect();
    targets.sort_unstable();
    let expected: Vec<_> = sessions.iter().map(|it| session(node, *it)).collect();
    assert_eq!(targets, expected);
    Ok(())
}

#[tokio::test]
async fn sessions_are_members_under_their_own_names_until_they_leave() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server, A_DAY).await?;
    for number in 1..=3 {
        join(&node, "room", number).await?;
    }
    let all: Vec<_> = (1..=3).map(|number| session(&node, number)).collect();
    assert_eq!(members(&server, "room")?, all);
    reaches(&node, 1, &[1, 2, 3]).await?;
    leave(&node, "room", 2).await?;
    assert_eq!(members(&server, "room")?, [all[0].clone(), all[2].clone()]);
    reaches(&node, 2, &[1, 3]).await?;
    within(SOON, "the close", node.layer.close()).await?;
    assert_eq!(keys(&server, "*")?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn who_was_taken_out_by_others_can_join_again() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server, A_DAY).await?;
    join(&node, "room", 1).await?;
    discard(&server, "room", &session(&node, 1))?;
    join(&node, "room", 1).await?;
    assert_eq!(members(&server, "room")?, [session(&node, 1)]);
    reaches(&node, 1, &[1]).await
}

#[tokio::test]
async fn who_was_taken_out_by_others_stays_out_when_memberships_are_renewed() -> Result<()> {
    let server = RedisServer::start()?;
    // It is renewed four times in this time.
    let node = node(&server, Duration::from_secs(2)).await?;
    join(&node, "room", 1).await?;
    join(&node, "room", 2).await?;
    discard(&server, "room", &session(&node, 2))?;
    let kept = session(&node, 1);
    let mut before = score(&server, "room", &kept)?;
    assert!(before.is_some());
    for _ in 0..6 {
        let renewed = eventually(SOON, "a renewal", async || {
            let now = score(&server, "room", &kept)?;
            Ok((now > before).then_some(now))
        });
        before = renewed.await?;
    }
    assert_eq!(members(&server, "room")?, [kept]);
    // By now it has lived for longer than without renewals.
    reaches(&node, 1, &[1]).await
}

#[tokio::test]
async fn who_was_taken_out_by_others_stays_out_after_a_lost_connection() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server, A_DAY).await?;
    join(&node, "room", 1).await?;
    join(&node, "room", 2).await?;
    discard(&server, "room", &session(&node, 2))?;
    let mut status = node.layer.status();
    status.mark_unchanged();
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"])?;
    within(SOON, "the loss", status.changed()).await??;
    node.reaches(State::Up).await?;
    assert_eq!(members(&server, "room")?, [session(&node, 1)]);
    assert_eq!(node.metric("fanfare_layer_gaps_total", ""), 0.0);
    reaches(&node, 1, &[1]).await
}

#[tokio::test]
async fn a_session_that_others_added_is_taken_out_when_the_node_says_so() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server, A_DAY).await?;
    add(&server, "room", &session(&node, 1))?;
    reaches(&node, 1, &[1]).await?;
    leave(&node, "room", 1).await?;
    assert_eq!(members(&server, "room")?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_node_in_a_group_and_its_sessions_in_others_get_what_is_theirs() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server, A_DAY).await?;
    node.subscribe(&["fanfare.all"]).await?;
    join(&node, "room", 1).await?;
    node.publish(&group("fanfare.all"), numbered(1)).await?;
    node.publish(&group("room"), numbered(2)).await?;
    let arrived = node.arrivals.first(2).await?;
    assert_eq!(numbers(&arrived), [1, 2]);
    assert_eq!(arrived[0].target, group("fanfare.all"));
    assert_eq!(arrived[1].target, node.channel("0000000000000001")?);
    Ok(())
}
