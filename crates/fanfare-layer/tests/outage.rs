//! Redis goes away, and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use fanfare_layer::redis::{Format, RedisPace};
use fanfare_layer::{Publish, PublishError, State};
use fanfare_rig::{RedisOptions, RedisServer, ReservedPort, eventually, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::formats::{in_both_formats, is_core};
use crate::support::{Node, SOON, group, next, numbered, numbers, options, subscription};

pub(crate) const PROBE: Duration = Duration::from_millis(300);

/// How long Redis may stand still before it counts as lost. With core it is waited for messages for
/// whole seconds.
fn patience(format: &Format) -> Duration {
    if is_core(format) {
        PROBE * 4 + Duration::from_secs(1)
    } else {
        PROBE * 4
    }
}

pub(crate) fn node_of(server: &RedisServer, format: Format) -> Result<Node> {
    let mut options = options([server.url()])?;
    options.format = format;
    options.pace = RedisPace::every(PROBE);
    options.publish_in_flight = 32;
    Ok(Node::redis(options)?.reading())
}

fn publish(node: &Node, number: i64) -> Publish {
    node.layer
        .publish(group("room"), Arc::new(numbered(number).into()))
}

async fn a_server_that_appears_late_is_found(format: Format) -> Result<()> {
    let port = ReservedPort::reserve()?;
    let mut options = options([format!("redis://127.0.0.1:{}", port.number())])?;
    options.pace = RedisPace::every(PROBE);
    options.format = format;
    let node = Node::redis(options)?.reading();
    let subscribed = node.layer.subscribe(vec![subscription("room")]);
    node.metric_becomes("fanfare_layer_reconnects_total", "", 2.0)
        .await?;
    assert_eq!(node.layer.status().borrow().state, State::Connecting);
    assert!(matches!(
        publish(&node, 1),
        Publish::Done(Err(PublishError::Down(_)))
    ));

    let _server = RedisServer::with(RedisOptions {
        port: Some(port),
        ..Default::default()
    })?;
    within(SOON, "the subscription", subscribed).await??;
    node.reaches(State::Up).await?;
    node.publish(&group("room"), numbered(2)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [2]);
    assert_eq!(node.metric("fanfare_layer_gaps_total", ""), 0.0);
    Ok(())
}

async fn a_restarted_server_gets_every_subscription_again(format: Format) -> Result<()> {
    let mut server = RedisServer::start()?;
    let node = node_of(&server, format.clone())?;
    let mut groups: Vec<_> = (0..1200).map(|number| format!("g{number}")).collect();
    groups.push("room".into());
    node.subscribe(&groups.iter().map(String::as_str).collect::<Vec<_>>())
        .await?;
    assert_eq!(node.metric("fanfare_layer_subscriptions", ""), 1201.0);

    let mut receiver = node.receive("thumbnails").await?;

    server.kill();
    node.reaches(State::Down).await?;
    assert!(matches!(
        publish(&node, 1),
        Publish::Done(Err(PublishError::Down(_)))
    ));
    assert_eq!(node.metric("fanfare_layer_up", ""), 0.0);
    assert_eq!(node.metric("fanfare_layer_subscriptions", ""), 0.0);
    // Wanted while it is away: subscribed when it is back.
    let late = node.layer.subscribe(vec![subscription("late")]);
    let dropped = node.layer.unsubscribe(vec![subscription("g0")]);
    within(SOON, "nothing to take back", dropped).await??;

    server.restart()?;
    node.reaches(State::Up).await?;
    within(SOON, "the late subscription", late).await??;
    assert_eq!(node.metric("fanfare_layer_subscriptions", ""), 1202.0);
    node.send("thumbnails", 7).await?;
    assert_eq!(next(&mut receiver).await?, 7);
    // With core too: what waited in Redis is gone.
    assert_eq!(node.metric("fanfare_layer_gaps_total", ""), 1.0);
    for (number, name) in [(2, "room"), (3, "g1"), (4, "g1199"), (5, "late")] {
        node.publish(&group(name), numbered(number)).await?;
    }
    node.publish(&node.channel("0000000000000001")?, numbered(6))
        .await?;
    assert_eq!(numbers(&node.arrivals.first(5).await?), [2, 3, 4, 5, 6]);
    Ok(())
}

async fn a_stopped_server_fails_publishes_within_the_probe_time_and_nothing_piles_up(
    format: Format,
) -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of(&server, format.clone())?;
    node.subscribe(&["room"]).await?;
    server.pause()?;
    let start = Instant::now();
    let steps: Vec<_> = (0..1000).map(|number| publish(&node, number)).collect();
    let sent = steps
        .iter()
        .filter(|step| matches!(step, Publish::Sent(_)))
        .count();
    assert_eq!(sent, 32, "only the pipeline is taken");
    for step in steps {
        let outcome = within(SOON, "an answer", step.confirmed()).await?;
        assert!(matches!(
            outcome,
            Err(PublishError::Unanswered(_) | PublishError::Down(_))
        ));
    }
    assert!(start.elapsed() < PROBE * 3, "{:?}", start.elapsed());
    node.reaches(State::Down).await?;
    assert!(matches!(
        publish(&node, 1),
        Publish::Done(Err(PublishError::Down(_)))
    ));
    assert_eq!(
        node.metric("fanfare_layer_publish_failures_total", ""),
        1001.0
    );

    server.resume()?;
    node.reaches(State::Up).await?;
    node.publish(&group("room"), numbered(-1)).await?;
    eventually(SOON, "the last one", async || {
        let all = node.arrivals.first(node.arrivals.len()).await?;
        Ok((numbers(&all).last() == Some(&-1)).then_some(()))
    })
    .await?;
    let gaps = node.metric("fanfare_layer_gaps_total", "");
    if is_core(&format) {
        // What was sent meanwhile waits in Redis.
        assert_eq!(gaps, 0.0);
    } else {
        assert!(gaps >= 1.0);
    }
    Ok(())
}

async fn a_silently_dead_connection_is_noticed_without_traffic(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of(&server, format.clone())?;
    node.reaches(State::Up).await?;
    server.pause()?;
    let start = Instant::now();
    node.reaches(State::Down).await?;
    assert!(start.elapsed() < patience(&format), "{:?}", start.elapsed());
    server.resume()?;
    node.reaches(State::Up).await
}

/// Stands between a layer and its server. Frozen, it brings the answers of the connection that
/// messages come over (the second that the layer opens, of two with pub/sub and of four with core)
/// no more and keeps it open: a path that died on one side.
pub(crate) async fn freezing_proxy(
    server: &RedisServer,
    format: &Format,
) -> Result<(u16, watch::Sender<bool>)> {
    let of = if is_core(format) { 4 } else { 2 };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (port, target) = (listener.local_addr()?.port(), server.port());
    let (freeze, frozen) = watch::channel(false);
    tokio::spawn(async move {
        for number in 0_u64.. {
            let (client, _) = listener.accept().await?;
            let (mut from_client, mut to_client) = client.into_split();
            let server = TcpStream::connect(("127.0.0.1", target)).await?;
            let (mut from_server, mut to_server) = server.into_split();
            let frozen = frozen.clone();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                loop {
                    let count = from_server.read(&mut buffer).await?;
                    let lost = number % of == 1 && *frozen.borrow();
                    if count == 0 {
                        return to_client.shutdown().await;
                    }
                    if !lost {
                        to_client.write_all(&buffer[..count]).await?;
                    }
                }
            });
        }
        std::io::Result::Ok(())
    });
    Ok((port, freeze))
}

async fn a_connection_that_brings_nothing_is_noticed_while_publishing_works(
    format: Format,
) -> Result<()> {
    let server = RedisServer::start()?;
    let (port, freeze) = freezing_proxy(&server, &format).await?;
    let mut options = options([format!("redis://127.0.0.1:{port}")])?;
    options.pace = RedisPace::every(PROBE);
    options.format = format.clone();
    let node = Node::redis(options)?.reading();
    node.subscribe(&["room"]).await?;
    freeze.send_replace(true);
    let start = Instant::now();
    node.reaches(State::Down).await?;
    assert!(start.elapsed() < patience(&format), "{:?}", start.elapsed());
    freeze.send_replace(false);
    node.reaches(State::Up).await?;
    node.publish(&group("room"), numbered(1)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
    Ok(())
}

#[tokio::test]
async fn one_lost_host_of_three_takes_the_layer_down_and_its_own_groups_only() -> Result<()> {
    let mut servers = [
        RedisServer::start()?,
        RedisServer::start()?,
        RedisServer::start()?,
    ];
    let mut options = options(servers.iter().map(RedisServer::url))?;
    options.pace = RedisPace::every(PROBE);
    let node = Node::redis(options)?.reading();
    let names: Vec<_> = (0..30).map(|number| format!("room-{number}")).collect();
    node.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await?;
    servers[1].kill();
    node.reaches(State::Down).await?;
    for name in &names {
        let lives_there = fanfare_layer::redis::shard(&format!("asgi__group__{name}"), 3) == 1;
        let outcome = node.publish(&group(name), numbered(1)).await;
        assert_eq!(outcome.is_err(), lives_there, "{name}: {outcome:?}");
    }
    servers[1].restart()?;
    node.reaches(State::Up).await
}

async fn a_layer_closes_while_its_server_is_away(format: Format) -> Result<()> {
    let mut server = RedisServer::start()?;
    let node = node_of(&server, format.clone())?;
    node.subscribe(&["room"]).await?;
    server.kill();
    node.reaches(State::Down).await?;
    let waiting = node.layer.subscribe(vec![subscription("late")]);
    within(SOON, "the close", node.layer.close()).await?;
    assert!(within(SOON, "the subscription", waiting).await?.is_err());
    assert!(matches!(
        publish(&node, 1),
        Publish::Done(Err(PublishError::Closed))
    ));
    Ok(())
}

/// Keeps a server from answering anybody for some seconds, as a slow script does.
const STALL: &str = "local from = redis.call('TIME')
    while true do
        local now = redis.call('TIME')
        if now[1] - from[1] + (now[2] - from[2]) / 1000000 > 3 then return end
    end";

async fn a_stall_shorter_than_the_timeout_loses_nothing_and_a_longer_one_is_an_outage(
    format: Format,
) -> Result<()> {
    let server = Arc::new(RedisServer::start()?);
    let node = |pace| {
        let mut options = options([server.url()])?;
        options.format = format.clone();
        options.pace = pace;
        anyhow::Ok(Node::redis(options)?.reading())
    };
    let patient = RedisPace {
        probe: PROBE,
        timeout: SOON,
    };
    let [one, other] = [node(patient)?, node(patient)?];
    let hasty = node(RedisPace::every(PROBE))?;
    for node in [&one, &other, &hasty] {
        node.subscribe(&["room"]).await?;
    }
    let stalled = server.clone();
    let stall = tokio::task::spawn_blocking(move || stalled.cli(&["EVAL", STALL, "0"]));
    hasty.reaches(State::Down).await?;
    one.publish(&group("room"), numbered(1)).await?;
    stall.await??;
    hasty.reaches(State::Up).await?;
    for node in [&one, &other] {
        assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
        assert_eq!(node.metric("fanfare_layer_reconnects_total", ""), 0.0);
        assert_eq!(node.metric("fanfare_layer_gaps_total", ""), 0.0);
    }
    let gaps = hasty.metric("fanfare_layer_gaps_total", "");
    assert_eq!(gaps == 0.0, is_core(&format), "{gaps} gaps");
    Ok(())
}

#[tokio::test]
async fn probes_measure_the_way_through_the_bus() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of(&server, Format::default())?;
    node.probes_return(2).await
}

in_both_formats! {
    a_server_that_appears_late_is_found,
    a_restarted_server_gets_every_subscription_again,
    a_stopped_server_fails_publishes_within_the_probe_time_and_nothing_piles_up,
    a_silently_dead_connection_is_noticed_without_traffic,
    a_layer_closes_while_its_server_is_away,
    a_stall_shorter_than_the_timeout_loses_nothing_and_a_longer_one_is_an_outage,
    a_connection_that_brings_nothing_is_noticed_while_publishing_works,
}
