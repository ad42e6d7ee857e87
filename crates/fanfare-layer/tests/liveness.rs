//! What counts as a lost connection, what does not, and what survives one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use fanfare_layer::State;
use fanfare_layer::redis::{Format, RedisPace};
use fanfare_protocol::Event;
use fanfare_rig::{RedisServer, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::formats::in_both_formats;
use crate::outage::{PROBE, freezing_proxy, node_of};
use crate::support::{Node, SOON, group, numbered, numbers, options};

/// Stands between a layer and its server and brings at most so many bytes a second to the server.
async fn slow_line(server: &RedisServer, bytes_per_second: usize) -> Result<u16> {
    const PIECE: usize = 16 << 10;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (port, target) = (listener.local_addr()?.port(), server.port());
    let pause = Duration::from_secs_f64(PIECE as f64 / bytes_per_second as f64);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await?;
            let (mut from_client, mut to_client) = client.into_split();
            let server = TcpStream::connect(("127.0.0.1", target)).await?;
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut piece = vec![0; PIECE];
                let mut turn = tokio::time::interval(pause);
                loop {
                    let count = from_client.read(&mut piece).await?;
                    if count == 0 {
                        return to_server.shutdown().await;
                    }
                    turn.tick().await;
                    to_server.write_all(&piece[..count]).await?;
                }
            });
        }
        #[expect(unreachable_code, reason = "it gives the block its type")]
        std::io::Result::Ok(())
    });
    Ok(port)
}

async fn a_slow_line_full_of_large_publishes_is_not_taken_for_a_dead_one(
    format: Format,
) -> Result<()> {
    let server = RedisServer::start()?;
    let port = slow_line(&server, 4 << 20).await?;
    let mut options = options([format!("redis://127.0.0.1:{port}")])?;
    options.pace = RedisPace::every(PROBE);
    options.format = format;
    let node = Node::redis(options)?.reading();
    node.reaches(State::Up).await?;
    // With core an event without members is not sent at all.
    node.subscribe(&["room"]).await?;
    let body = "x".repeat(256 << 10);
    let start = Instant::now();
    let steps: Vec<_> = (0..24)
        .map(|_| {
            let event = Event::new("large").with("body", body.clone());
            node.layer.publish(group("room"), Arc::new(event.into()))
        })
        .collect();
    for step in steps {
        within(SOON, "an answer", step.confirmed()).await??;
    }
    assert!(
        start.elapsed() > PROBE * 3,
        "it was not slow, so nothing is shown"
    );
    assert_eq!(node.metric("fanfare_layer_reconnects_total", ""), 0.0);
    node.arrivals.first(24).await?;
    Ok(())
}

in_both_formats! {
    a_slow_line_full_of_large_publishes_is_not_taken_for_a_dead_one,
}

#[tokio::test]
async fn a_number_that_is_no_probe_of_this_link_does_not_keep_a_dead_one_alive() -> Result<()> {
    let server = RedisServer::start()?;
    let (port, freeze) = freezing_proxy(&server, &Format::default()).await?;
    let mut options = options([format!("redis://127.0.0.1:{port}")])?;
    options.pace = RedisPace::every(PROBE);
    let node = Node::redis(options)?.reading();
    node.subscribe(&["room"]).await?;
    node.probes_return(1).await?;
    let channel = format!("fanfare:asgi:node:{}", node.id);
    server.cli(&["PUBLISH", &channel, "1000000"])?;
    node.publish(&group("room"), numbered(1)).await?;
    node.arrivals.first(1).await?;
    freeze.send_replace(true);
    let start = Instant::now();
    node.reaches(State::Down).await?;
    assert!(start.elapsed() < PROBE * 4, "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_subscriber_cut_off_by_redis_comes_back_and_the_gap_is_counted() -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of(&server, Format::default())?;
    node.subscribe(&["room", "other"]).await?;
    let mut status = node.layer.status();
    status.mark_unchanged();
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
    within(SOON, "the loss", status.changed()).await??;
    node.reaches(State::Up).await?;
    assert_eq!(node.metric("fanfare_layer_gaps_total", ""), 1.0);
    node.publish(&group("other"), numbered(1)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
    Ok(())
}
