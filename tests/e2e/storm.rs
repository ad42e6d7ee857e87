//! The descriptor storm: sockets come and go as fast as they can while their groups, their users
//! and their channels, the dead ones too, are written to all the while. A descriptor is given to
//! the next socket as soon as the last one's is closed, so a write that comes late would hit a
//! stranger: each socket checks everything it gets.

use std::collections::{HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use fanfare_rig::{Api, ClusterOptions, Socket, SocketOptions};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{GROUP_ROUTE, SOON, message_of, say};

const CYCLES: usize = 20_000;
const AT_ONCE: usize = 96;
const GROUPS: usize = 16;
/// Channels and users that are written to after their socket may be gone.
const REMEMBERED: usize = 192;
/// Source addresses: each has ports of its own, so that none runs out of them.
const SOURCES: usize = 16;

#[derive(Default)]
struct Storm {
    next: AtomicUsize,
    stop: AtomicBool,
    /// Frames that came to a group's member, and those for one channel or user.
    shared: AtomicUsize,
    own: AtomicUsize,
    recent: Mutex<VecDeque<(usize, String)>>,
    /// Every channel there ever was: none may come twice.
    channels: Mutex<HashSet<String>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_of_joins_and_drops_no_byte_reaches_the_wrong_socket() -> Result<()> {
    let cluster = ClusterOptions::new()
        .set("log.access", false)
        .config(GROUP_ROUTE)
        .alone();
    let cluster = cluster.start().await?;
    let node = &cluster[0];
    let storm = Arc::new(Storm::default());

    let mut writers = JoinSet::new();
    for writer in 0..2 {
        writers.spawn(write(Arc::clone(&storm), node.api().clone(), writer));
    }
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        clients.spawn(come_and_go(Arc::clone(&storm), node.address()));
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    storm.stop.store(true, Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        writer??;
    }

    let (shared, own) = (
        storm.shared.load(Ordering::Relaxed),
        storm.own.load(Ordering::Relaxed),
    );
    assert!(
        shared > CYCLES && own > CYCLES / 10,
        "{shared} group frames, {own} own ones"
    );
    node.metric_when("fanfare_sessions", &[], SOON, |open| open == 0.0)
        .await?;
    let opened = node.metric("fanfare_sessions_opened_total", &[]).await?;
    assert!(opened >= CYCLES as f64, "{opened}");
    assert_eq!(
        node.metric("fanfare_sessions_closed_total", &[]).await?,
        opened
    );
    let stale = [("cause", "no_session")];
    let stale = node.metric("fanfare_events_dropped_total", &stale).await?;
    assert!(
        stale > CYCLES as f64,
        "{stale} events only for channels whose socket was gone"
    );
    assert_eq!(node.metric("fanfare_restarts_total", &[]).await?, 0.0);
    Ok(())
}

async fn come_and_go(storm: Arc<Storm>, address: SocketAddr) -> Result<()> {
    loop {
        let cycle = storm.next.fetch_add(1, Ordering::Relaxed);
        if cycle >= CYCLES {
            return Ok(());
        }
        visit(&storm, address, cycle)
            .await
            .with_context(|| format!("cycle {cycle}"))?;
    }
}

async fn visit(storm: &Storm, address: SocketAddr, cycle: usize) -> Result<()> {
    let group = cycle % GROUPS;
    let last = u8::try_from(2 + cycle % SOURCES)?;
    let source = Some(Ipv4Addr::new(127, 0, 0, last));
    let options = SocketOptions {
        source,
        ..SocketOptions::default()
    };
    let path = format!("/g/storm-{group}?user=u{cycle}");
    let mut socket = Socket::connect(address, &path, &options).await?;
    ensure!(
        storm.remember(cycle, socket.channel()),
        "{} a second time",
        socket.channel()
    );
    match cycle % 4 {
        0 => socket.reset(),
        1 => {
            let own = format!("group {group} cycle {cycle}");
            socket.send_text(&own).await?;
            while storm.take(&mut socket, group, cycle).await? != own {}
            socket.reset()
        }
        2 => {
            // Until one for itself comes; it may have been forgotten before its turn came.
            for _ in 0..16 {
                if !storm
                    .take(&mut socket, group, cycle)
                    .await?
                    .starts_with("group ")
                {
                    break;
                }
            }
            let code = socket.close(1000).await?;
            ensure!(code == 1000, "closed with {code}");
            Ok(())
        }
        _ => {
            socket
                .send_text(&format!("group {group} cycle {cycle}"))
                .await?;
            storm.take(&mut socket, group, cycle).await?;
            drop(socket);
            Ok(())
        }
    }
}

impl Storm {
    /// The next message of a socket, which must be for its group, its user or itself.
    async fn take(&self, socket: &mut Socket, group: usize, cycle: usize) -> Result<String> {
        let message = message_of(&socket.text().await?)?;
        if message.starts_with(&format!("group {group} ")) {
            self.shared.fetch_add(1, Ordering::Relaxed);
        } else if message == format!("user {cycle}")
            || message == format!("channel {}", socket.channel())
        {
            self.own.fetch_add(1, Ordering::Relaxed);
        } else {
            bail!("{} of group {group} got {message:?}", socket.channel());
        }
        Ok(message)
    }

    /// Answers whether the channel is new.
    fn remember(&self, cycle: usize, channel: &str) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back((cycle, channel.to_owned()));
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.insert(channel.to_owned())
    }

    fn batch(&self, writer: usize, round: usize) -> Vec<Value> {
        let group = |group: usize| {
            let message = say(&format!("group {group} writer {writer} round {round}"));
            json!({"group": format!("storm-{group}"), "event": message})
        };
        let mut events: Vec<Value> = (0..GROUPS).map(group).collect();
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for (cycle, channel) in recent.iter() {
            let message = say(&format!("channel {channel}"));
            events.push(json!({"channel": channel, "event": message}));
            let message = say(&format!("user {cycle}"));
            events.push(json!({"user": format!("u{cycle}"), "event": message}));
        }
        events
    }
}

async fn write(storm: Arc<Storm>, api: Api, writer: usize) -> Result<()> {
    for round in 0.. {
        if storm.stop.load(Ordering::Relaxed) {
            break;
        }
        let events = json!({ "events": storm.batch(writer, round) });
        let answer = api.post("/api/v1/batch", &events).await?;
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(!answer.body.contains("error"), "{answer:?}");
    }
    Ok(())
}
