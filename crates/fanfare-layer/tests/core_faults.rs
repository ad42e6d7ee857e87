//! Redis goes away, stands still or forgets, with the core format.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use fanfare_layer::redis::{Capacities, Format, RedisOptions, RedisPace, shard};
use fanfare_layer::{PublishError, State};
use fanfare_rig::{RedisServer, eventually, within};
use tokio::task::JoinHandle;

use crate::outage::PROBE;
use crate::support::zsets::{keys, members};
use crate::support::{
    Cluster, Node, SOON, core_options, group, next, numbered, numbers, options, subscription,
};

/// How often a layer looks whether Redis still knows it.
pub(crate) const BEAT: Duration = Duration::from_secs(2);

pub(crate) fn core(urls: impl IntoIterator<Item = String>) -> Result<RedisOptions> {
    let mut options = options(urls)?;
    let mut core = core_options()?;
    core.capacity = Capacities::new(10_000, &[])?;
    options.format = Format::Core(core);
    options.pace = RedisPace::every(PROBE);
    Ok(options)
}

pub(crate) async fn node(server: &RedisServer) -> Result<Node> {
    let node = Node::redis(core([server.url()])?)?.reading();
    node.reaches(State::Up).await?;
    Ok(node)
}

/// The name under which a node is in a group.
pub(crate) fn is_of(node: &Node, member: &str) -> bool {
    member.starts_with(&format!("specific.{}.g", node.id))
}

/// A node that publishes to `room` all the time, whatever becomes of it.
struct Steady {
    node: Arc<Node>,
    task: JoinHandle<()>,
}

impl Steady {
    fn start(node: Node) -> Self {
        let node = Arc::new(node);
        let publisher = node.clone();
        let task = tokio::spawn(async move {
            let mut turns = tokio::time::interval(Duration::from_millis(5));
            for number in 0.. {
                turns.tick().await;
                // While Redis is away it is told so.
                let envelope = Arc::new(numbered(number).into());
                let _ = publisher
                    .layer
                    .publish(group("room"), envelope)
                    .confirmed()
                    .await;
            }
        });
        Self { node, task }
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for an event that was published after all that has arrived.
async fn goes_on(node: &Node) -> Result<()> {
    let before = node.arrivals.len();
    let last = numbers(&node.arrivals.first(before).await?)
        .into_iter()
        .max();
    eventually(SOON, "a later event", async || {
        let all = node.arrivals.first(node.arrivals.len()).await?;
        Ok((numbers(&all).into_iter().max() > last).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_restarted_server_has_all_memberships_again_within_two_seconds() -> Result<()> {
    let mut server = RedisServer::start()?;
    let one = node(&server).await?;
    let groups: Vec<_> = (0..1200).map(|number| format!("g{number}")).collect();
    one.subscribe(&groups.iter().map(String::as_str).collect::<Vec<_>>())
        .await?;
    one.subscribe(&["room"]).await?;
    let steady = Steady::start(node(&server).await?);
    one.arrivals.first(1).await?;

    server.kill();
    one.reaches(State::Down).await?;
    server.restart()?;
    one.reaches(State::Up).await?;
    let since = one.layer.status().borrow().since;
    eventually(BEAT, "all memberships", async || {
        let count = keys(&server, "asgi:group:g*")?.len();
        Ok((count == 1200 && members(&server, "room")?.len() == 1).then_some(()))
    })
    .await?;
    assert!(since.elapsed() < BEAT, "{:?}", since.elapsed());
    assert_eq!(one.metric("fanfare_layer_gaps_total", ""), 1.0);
    goes_on(&one).await?;
    drop(steady);
    Ok(())
}

/// What a flush does, and how: all keys of the server, or those of the prefix as channels_redis has
/// it.
async fn a_flush_costs_no_membership(flush: &[&str]) -> Result<()> {
    let server = RedisServer::start()?;
    let one = node(&server).await?;
    one.subscribe(&["room", "other"]).await?;
    let steady = Steady::start(node(&server).await?);
    one.arrivals.first(1).await?;
    server.cli(flush)?;
    let start = Instant::now();
    one.metric_becomes("fanfare_layer_memberships_lost_total", "", 1.0)
        .await?;
    for name in ["room", "other"] {
        eventually(BEAT, name, async || {
            let members = members(&server, name)?;
            Ok(members.iter().any(|it| is_of(&one, it)).then_some(()))
        })
        .await?;
    }
    assert!(start.elapsed() < BEAT * 2, "{:?}", start.elapsed());
    goes_on(&one).await?;
    assert_eq!(one.metric("fanfare_layer_reconnects_total", ""), 0.0);
    // The other node has noticed too, or will: both beat on.
    let other = &steady.node;
    other
        .metric_becomes("fanfare_layer_memberships_lost_total", "", 1.0)
        .await
}

#[tokio::test]
async fn a_flush_of_the_server_costs_no_membership() -> Result<()> {
    a_flush_costs_no_membership(&["FLUSHALL"]).await
}

#[tokio::test]
async fn a_flush_of_the_prefix_by_python_costs_no_membership() -> Result<()> {
    let script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";
    a_flush_costs_no_membership(&["EVAL", script, "0", "asgi*"]).await
}

#[tokio::test]
async fn a_group_that_is_left_while_redis_is_away_is_left_when_it_is_back() -> Result<()> {
    let server = RedisServer::start()?;
    let one = node(&server).await?;
    one.subscribe(&["gone", "kept"]).await?;
    server.pause()?;
    one.reaches(State::Down).await?;
    one.leave("gone").await?;
    let late = one.layer.subscribe(vec![subscription("late")]);
    server.resume()?;
    one.reaches(State::Up).await?;
    within(SOON, "the late subscription", late).await??;
    assert_eq!(members(&server, "gone")?, [""; 0]);
    for name in ["kept", "late"] {
        assert_eq!(members(&server, name)?.len(), 1, "{name}");
    }
    assert_eq!(one.metric("fanfare_layer_gaps_total", ""), 0.0);
    Ok(())
}

#[tokio::test]
async fn a_server_that_stood_still_for_five_seconds_loses_nothing_that_it_took() -> Result<()> {
    let server = RedisServer::start()?;
    let (one, two) = (node(&server).await?, node(&server).await?);
    one.subscribe(&["room"]).await?;
    two.publish(&group("room"), numbered(-1)).await?;
    one.arrivals.first(1).await?;
    server.pause()?;
    let start = Instant::now();
    one.reaches(State::Down).await?;
    two.reaches(State::Down).await?;
    let refused = two.publish(&group("room"), numbered(-2)).await;
    assert!(refused.is_err());
    // How long it stands still is what is tested.
    tokio::time::sleep_until((start + Duration::from_secs(5)).into()).await;
    server.resume()?;
    one.reaches(State::Up).await?;
    two.reaches(State::Up).await?;
    for number in 0..100 {
        two.publish(&group("room"), numbered(number)).await?;
    }
    let arrived = numbers(&one.arrivals.first(101).await?);
    assert_eq!(arrived[1..], (0..100).collect::<Vec<_>>());
    assert_eq!(one.metric("fanfare_layer_gaps_total", ""), 0.0);
    Ok(())
}

#[tokio::test]
async fn one_wish_on_three_hosts_takes_one_message_and_the_others_stay_for_others() -> Result<()> {
    let cluster = Cluster::core(3)?;
    let (one, two) = (cluster.node().await?, cluster.node().await?);
    let mut first = one.receive("jobs").await?;
    // It waits on all hosts.
    let waiting = tokio::spawn(async move {
        let message = next(&mut first).await;
        (message, first)
    });
    tokio::task::yield_now().await;
    for number in 0..3 {
        two.send("jobs", number).await?;
    }
    let (message, _first) = within(SOON, "a message", waiting).await??;
    let mut received = vec![message?];
    let mut second = two.receive("jobs").await?;
    for _ in 0..2 {
        received.push(next(&mut second).await?);
    }
    received.sort_unstable();
    assert_eq!(received, [0, 1, 2]);
    Ok(())
}

#[tokio::test]
async fn what_waited_while_a_node_connected_anew_arrives() -> Result<()> {
    let server = RedisServer::start()?;
    let (one, two) = (node(&server).await?, node(&server).await?);
    one.subscribe(&["room"]).await?;
    let mut sent = 0;
    for _ in 0..5 {
        server.cli(&["CLIENT", "KILL", "TYPE", "normal"])?;
        let accepted = eventually(SOON, "a publish", async || {
            let done = two.publish(&group("room"), numbered(sent)).await;
            Ok(done.ok())
        });
        accepted.await?;
        sent += 1;
        one.reaches(State::Up).await?;
    }
    eventually(SOON, "all that was taken", async || {
        let mut all = numbers(&one.arrivals.first(one.arrivals.len()).await?);
        all.dedup();
        Ok((all == (0..sent).collect::<Vec<_>>()).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_lost_host_takes_its_groups_and_lanes_and_normal_channels_go_on() -> Result<()> {
    let mut servers = [
        RedisServer::start()?,
        RedisServer::start()?,
        RedisServer::start()?,
    ];
    let one = Node::redis(core(servers.iter().map(RedisServer::url))?)?.reading();
    let mut receiver = one.receive("jobs").await?;
    let names: Vec<_> = (0..30).map(|number| format!("room-{number}")).collect();
    one.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await?;
    servers[1].kill();
    one.reaches(State::Down).await?;
    for name in names.iter().filter(|name| shard(name, 3) == 1) {
        let refused = one.publish(&group(name), numbered(1)).await.unwrap_err();
        let refused = refused.downcast::<PublishError>()?;
        assert!(matches!(refused, PublishError::Down(_)), "{refused}");
    }
    let session = one.channel("0000000000000001")?;
    let lane = format!("specific.{}!", one.id);
    let sent = one.publish(&session, numbered(1)).await;
    assert_eq!(sent.is_err(), shard(&lane, 3) == 1, "{sent:?}");
    let mut received = Vec::new();
    for number in 0..6 {
        one.send("jobs", number).await?;
        received.push(next(&mut receiver).await?);
    }
    assert_eq!(received, [0, 1, 2, 3, 4, 5]);
    servers[1].restart()?;
    one.reaches(State::Up).await?;
    let before = one.arrivals.len();
    for name in &names {
        one.publish(&group(name), numbered(2)).await?;
    }
    let arrived = one.arrivals.first(before + 30).await?;
    assert_eq!(numbers(&arrived[before..]), [2; 30]);
    Ok(())
}

#[tokio::test]
async fn a_server_that_forgets_the_scripts_is_set_up_again() -> Result<()> {
    let server = RedisServer::start()?;
    let one = node(&server).await?;
    one.subscribe(&["room"]).await?;
    server.cli(&["SCRIPT", "FLUSH"])?;
    let refused = one.publish(&group("room"), numbered(1)).await;
    assert!(refused.is_err());
    eventually(SOON, "a publish", async || {
        Ok(one.publish(&group("room"), numbered(2)).await.ok())
    })
    .await?;
    assert_eq!(numbers(&one.arrivals.first(1).await?), [2]);
    assert_eq!(one.metric("fanfare_layer_gaps_total", ""), 0.0);
    Ok(())
}
