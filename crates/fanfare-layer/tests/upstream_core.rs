//! What channels_redis' tests of its core layer show, of ours; `docs/UPSTREAM-TESTS.md` says which
//! is which. As there, three messages may wait in a channel.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fanfare_layer::redis::{CoreOptions, Format, RedisOptions, shard};
use fanfare_layer::{PublishError, State, Subscription};
use fanfare_protocol::serializer::Notation;
use fanfare_protocol::{GroupName, Naming, Serializer, Target};
use fanfare_rig::{Logs, RedisServer, eventually, within};
use futures_util::FutureExt as _;

use crate::support::zsets::{add, clock};
use crate::support::{CAPACITY, Node, SOON, core_options, group, next, numbered, numbers, options};

/// The session of another process that reads nothing, as Python's channels are.
const AWAY: &str = "specific.00000000000000000000000000000001!11111111111111111111111111111111";
const AWAY_TOO: &str = "specific.00000000000000000000000000000002!22222222222222222222222222222222";

/// Its databases as ten hosts.
fn ten_hosts(server: &RedisServer) -> impl Iterator<Item = String> {
    let port = server.port();
    (0..10).map(move |number| format!("redis://127.0.0.1:{port}/{number}"))
}

async fn node_of(urls: impl IntoIterator<Item = String>, core: CoreOptions) -> Result<Node> {
    let mut options = options(urls)?;
    options.format = Format::Core(core);
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    Ok(node)
}

async fn node(server: &RedisServer) -> Result<Node> {
    node_of([server.url()], core_options()?).await
}

/// How many messages wait under a key.
fn waiting(server: &RedisServer, key: &str) -> Result<usize> {
    Ok(redis::from_redis_value(server.cli(&["ZCARD", key])?)?)
}

/// The numbers of the messages that wait for a channel of another process.
fn unread(server: &RedisServer, channel: &str) -> Result<Vec<i64>> {
    let (process, _) = channel.split_once('!').context("it is of no process")?;
    let key = format!("asgi{process}!");
    let bodies: Vec<bytes::Bytes> =
        redis::from_redis_value(server.cli(&["ZRANGE", &key, "0", "-1"])?)?;
    let serializer = core_options()?.serializer;
    let number = |body| match serializer.read(body)?.envelope.event.get("number") {
        Some(fanfare_protocol::Value::Int(number)) => Ok(*number),
        other => anyhow::bail!("no number but {other:?}"),
    };
    bodies.iter().map(number).collect()
}

/// Lets time pass, by Redis' clock: messages grow older by nothing else.
async fn clock_reaches(server: &RedisServer, time: f64) -> Result<()> {
    let reached = async || Ok((clock(server)? >= time).then_some(()));
    eventually(SOON, "the time", reached).await
}

/// Messages that may wait for three seconds.
fn three_seconds() -> Result<CoreOptions> {
    let expiry = Duration::from_secs(3);
    Ok(CoreOptions {
        serializer: Serializer::core(Notation::Msgpack, &[], 12, expiry),
        expiry,
        ..core_options()?
    })
}

/// Three messages, some seconds after each other.
async fn three(server: &RedisServer, node: &Node, to: &Target, pause: f64) -> Result<()> {
    let start = clock(server)?;
    for number in 1..=3 {
        clock_reaches(server, start + pause * (number - 1) as f64).await?;
        node.publish(to, numbered(number)).await?;
    }
    Ok(())
}

/// `test_send_specific_capacity`
#[tokio::test]
async fn a_channel_may_have_a_capacity_of_its_own() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server).await?;
    node.send("one", 1).await?;
    let refused = node.send("one", 2).await.unwrap_err();
    let refused = refused.downcast_ref::<PublishError>();
    assert!(
        matches!(refused, Some(PublishError::ChannelFull { channel }) if channel.as_str() == "one")
    );
    node.send("other", 1).await?;
    node.send("other", 2).await?;
    Ok(())
}

/// `test_reject_bad_channel`
#[test]
fn a_bad_name_is_refused_before_anything_is_sent_or_received() {
    assert!(Naming::plain("asgi").channel("=+135!").is_err());
}

/// `test_reject_bad_client_prefix`
#[tokio::test]
async fn what_is_for_another_process_stays_where_that_reads_it() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server).await?;
    let mut receiver = node.receive(AWAY).await?;
    node.send(AWAY, 1).await?;
    node.publish(&node.channel("0000000000000001")?, numbered(2))
        .await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [2]);
    assert!(receiver.next().now_or_never().is_none());
    assert_eq!(unread(&server, AWAY)?, [1]);
    Ok(())
}

/// `test_groups_channel_full`
#[tokio::test]
async fn a_full_channel_in_a_group_is_no_error_for_the_publisher() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server).await?;
    add(&server, "test-group", "test-gr-chan-1")?;
    for number in 0..5 {
        node.publish(&group("test-group"), numbered(number)).await?;
    }
    assert_eq!(waiting(&server, "asgitest-gr-chan-1")?, CAPACITY);
    assert_eq!(node.metric("fanfare_layer_over_capacity_total", ""), 2.0);
    Ok(())
}

/// `test_groups_multiple_hosts`
#[tokio::test]
async fn groups_work_on_ten_hosts() -> Result<()> {
    let server = RedisServer::start()?;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(node_of(ten_hosts(&server), core_options()?).await?);
    }
    for node in &nodes {
        node.subscribe(&["test-group"]).await?;
    }
    nodes[1].leave("test-group").await?;
    nodes[0].publish(&group("test-group"), numbered(1)).await?;
    nodes[0].publish(&group("test-group"), numbered(2)).await?;
    nodes[1].subscribe(&["test-group"]).await?;
    nodes[0].publish(&group("test-group"), numbered(3)).await?;
    for (node, expected) in nodes.iter().zip([&[1, 2, 3][..], &[3], &[1, 2, 3]]) {
        let arrived = within(Duration::from_secs(1), "the events", async {
            node.arrivals.first(expected.len()).await
        });
        assert_eq!(numbers(&arrived.await??), expected);
    }
    Ok(())
}

/// `test_groups_same_prefix`
#[tokio::test]
async fn three_sessions_of_one_process_share_one_copy_and_each_get_it() -> Result<()> {
    let server = RedisServer::start()?;
    let mut core = core_options()?;
    core.per_session = true;
    let node = node_of([server.url()], core).await?;
    let mut members = Vec::new();
    for session in 1..=3 {
        let Target::Channel(channel) = node.channel(&format!("{session:016x}"))? else {
            anyhow::bail!("a channel");
        };
        let group = GroupName::parse("test-group")?;
        members.push(Subscription::session_in_group(group, channel));
    }
    let added = node.layer.subscribe(members.clone());
    within(SOON, "the subscription", added).await??;
    node.publish(&group("test-group"), numbered(1)).await?;
    let arrived = node.arrivals.first(3).await?;
    assert_eq!(numbers(&arrived), [1, 1, 1]);
    let mut targets: Vec<_> = arrived.into_iter().map(|it| it.target).collect();
    targets.sort_by_key(|target| format!("{target:?}"));
    let expected = members.into_iter().map(|member| match member {
        Subscription::SessionInGroup(member) => Target::Channel(member.1.clone()),
        other => panic!("{other:?}"),
    });
    assert_eq!(targets, expected.collect::<Vec<_>>());
    assert_eq!(node.metric("fanfare_layer_received_total", ""), 1.0);
    Ok(())
}

/// `test_groups_multiple_hosts_performance`
#[tokio::test]
async fn a_hundred_processes_on_ten_hosts_are_reached_in_time() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of(ten_hosts(&server), core_options()?).await?;
    let mut hosts = Vec::new();
    for url in ten_hosts(&server) {
        let client = redis::Client::open(url)?;
        hosts.push(client.get_multiplexed_async_connection().await?);
    }
    let score = clock(&server)?;
    for (members, limit) in [(1, 1), (10, 1), (100, 10)] {
        let name = format!("group-of-{members}");
        let mut processes = Vec::new();
        for number in 0..members {
            let process = format!("channel{number}.{members:032x}!");
            let mut add = redis::cmd("ZADD");
            add.arg(format!("asgi:group:{name}")).arg(score);
            add.arg(format!("{process}{number:032x}"));
            add.exec_async(&mut hosts[shard(&name, 10)]).await?;
            processes.push(process);
        }
        let start = Instant::now();
        node.publish(&group(&name), numbered(1)).await?;
        assert!(start.elapsed() < Duration::from_secs(limit));
        for process in processes {
            let mut count = redis::cmd("ZCARD");
            count.arg(format!("asgi{process}"));
            let count: i64 = count.query_async(&mut hosts[shard(&process, 10)]).await?;
            assert_eq!(count, 1, "{process}");
        }
    }
    Ok(())
}

/// `test_group_send_capacity`
#[tokio::test]
async fn a_process_that_does_not_read_gets_what_its_capacity_allows() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server).await?;
    add(&server, "test-group", AWAY)?;
    let logs = Logs::of_this_thread();
    for number in 1..=4 {
        node.publish(&group("test-group"), numbered(number)).await?;
    }
    assert_eq!(unread(&server, AWAY)?, [1, 2, 3]);
    assert_eq!(node.metric("fanfare_layer_over_capacity_total", ""), 1.0);
    let told = logs.take();
    assert!(told.contains("1 of 1 channels over capacity"), "{told}");
    assert!(told.contains("test-group"), "{told}");
    Ok(())
}

/// `test_group_send_capacity_multiple_channels`
#[tokio::test]
async fn a_full_process_takes_nothing_from_the_others() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node(&server).await?;
    add(&server, "test-group", AWAY)?;
    add(&server, "test-group", AWAY_TOO)?;
    let logs = Logs::of_this_thread();
    node.send(AWAY_TOO, 0).await?;
    for number in 1..=3 {
        node.publish(&group("test-group"), numbered(number)).await?;
    }
    assert_eq!(unread(&server, AWAY)?, [1, 2, 3]);
    assert_eq!(unread(&server, AWAY_TOO)?, [0, 1, 2]);
    let told = logs.take();
    assert!(told.contains("1 of 2 channels over capacity"), "{told}");
    Ok(())
}

/// `test_message_expiry__earliest_message_expires`
#[tokio::test]
async fn the_first_of_three_messages_expires_when_the_third_comes_too_late() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of([server.url()], three_seconds()?).await?;
    let channel = Target::Channel(node.naming.channel("test-channel-1")?);
    three(&server, &node, &channel, 2.0).await?;
    let mut receiver = node.receive("test-channel-1").await?;
    assert_eq!(next(&mut receiver).await?, 2);
    assert_eq!(next(&mut receiver).await?, 3);
    node.send("test-channel-1", 4).await?;
    assert_eq!(
        next(&mut receiver).await?,
        4,
        "nothing is left, not even out of order"
    );
    Ok(())
}

/// `test_message_expiry__all_messages_under_expiration_time`
#[tokio::test]
async fn messages_that_are_not_too_old_arrive_in_order() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of([server.url()], three_seconds()?).await?;
    let channel = Target::Channel(node.naming.channel("test-channel-1")?);
    three(&server, &node, &channel, 1.0).await?;
    let mut receiver = node.receive("test-channel-1").await?;
    for number in 1..=3 {
        assert_eq!(next(&mut receiver).await?, number);
    }
    Ok(())
}

/// The options of a process that will read later, and the first of its sessions.
fn late(server: &RedisServer) -> Result<(RedisOptions, String)> {
    let mut options = options([server.url()])?;
    let mut core = three_seconds()?;
    core.per_session = true;
    options.format = Format::Core(core);
    let channel = format!("specific.{}!0000000000000001", options.node);
    Ok((options, channel))
}

/// `test_message_expiry__group_send`
#[tokio::test]
async fn events_of_a_group_expire_for_a_process_that_reads_late() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of([server.url()], three_seconds()?).await?;
    let (options, channel) = late(&server)?;
    add(&server, "test-group", &channel)?;
    three(&server, &node, &group("test-group"), 2.0).await?;
    let late = Node::redis(options)?.reading();
    late.reaches(State::Up).await?;
    node.send(&channel, 4).await?;
    assert_eq!(numbers(&late.arrivals.first(3).await?), [2, 3, 4]);
    Ok(())
}

/// `test_message_expiry__group_send__one_channel_expires_message`
#[tokio::test]
async fn what_expires_for_one_process_does_not_for_another() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of([server.url()], three_seconds()?).await?;
    let (first, second) = (late(&server)?, late(&server)?);
    add(&server, "test-group", &first.1)?;
    add(&server, "test-group", &second.1)?;
    let start = clock(&server)?;
    node.send(&first.1, 0).await?;
    clock_reaches(&server, start + 2.0).await?;
    three(&server, &node, &group("test-group"), 1.0).await?;
    let (first, second) = (Node::redis(first.0)?, Node::redis(second.0)?);
    for late in [first.reading(), second.reading()] {
        late.reaches(State::Up).await?;
        let session = late.channel("0000000000000001")?;
        node.publish(&session, numbered(4)).await?;
        assert_eq!(numbers(&late.arrivals.first(4).await?), [1, 2, 3, 4]);
    }
    Ok(())
}

/// Python leaves this to the next sender.
#[tokio::test]
async fn a_message_that_is_read_too_late_is_dropped_by_its_reader_too() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of([server.url()], three_seconds()?).await?;
    let (options, channel) = late(&server)?;
    let start = clock(&server)?;
    node.send(&channel, 1).await?;
    clock_reaches(&server, start + 2.0).await?;
    // Keeps the key, and the first message in it.
    node.send(&channel, 2).await?;
    clock_reaches(&server, start + 3.2).await?;
    let late = Node::redis(options)?.reading();
    assert_eq!(numbers(&late.arrivals.first(1).await?), [2]);
    assert_eq!(late.metric("fanfare_layer_dropped_total", "expired"), 1.0);
    Ok(())
}

/// `test_default_group_key_format`, `test_custom_group_key_format`
#[tokio::test]
async fn a_group_is_kept_under_the_prefix() -> Result<()> {
    for prefix in ["asgi", "test_prefix"] {
        let server = RedisServer::start()?;
        let mut options = options([server.url()])?;
        options.prefix = prefix.into();
        options.format = Format::Core(core_options()?);
        let node = Node::redis(options)?;
        node.subscribe(&["test_group"]).await?;
        assert_eq!(waiting(&server, &format!("{prefix}:group:test_group"))?, 1);
    }
    Ok(())
}

/// `test_receive_buffer_respects_capacity`: there the oldest messages are dropped in silence; here
/// the newest are refused, and their publisher counts them.
#[tokio::test]
async fn a_node_whose_stream_is_not_read_keeps_bounded_many_and_the_rest_is_counted() -> Result<()>
{
    let server = RedisServer::start()?;
    let mut options = options([server.url()])?;
    options.inbox = 10;
    options.format = Format::Core(core_options()?);
    let slow = Node::redis(options)?;
    slow.subscribe(&["test-group"]).await?;
    let node = node(&server).await?;
    for number in 0..500 {
        node.publish(&group("test-group"), numbered(number)).await?;
    }
    let refused = node.metric("fanfare_layer_over_capacity_total", "");
    assert!(refused > 400.0, "only {refused} were refused");
    let slow = slow.reading();
    slow.metric_becomes("fanfare_layer_received_total", "", 500.0 - refused)
        .await?;
    let arrived = numbers(&slow.arrivals.first(500 - refused as usize).await?);
    assert!(arrived.is_sorted());
    assert_eq!(arrived[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    Ok(())
}
