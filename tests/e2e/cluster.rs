//! Three nodes, 300 sockets, ten groups, with joins and leaves meanwhile: every event reaches
//! exactly the members, once, in one order for each group on all nodes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use fanfare_rig::{Api, Cluster, ClusterOptions, Recorder, RedisServer, Socket, SocketOptions};
use tokio::task::JoinSet;

use crate::support::{GROUP_ROUTE, SOON, message_of, say};

const NODES: usize = 3;
const GROUPS: usize = 10;
/// Sockets of each group that stay from the first event to the last.
const STEADY: usize = 24;
/// Sockets that join, stay for a few events, leave, and join another group.
const MOVERS: usize = 60;
/// Events of each group from each of its publishers.
const ROUNDS: usize = 25;
/// A mover leaves once it has seen this many events.
const STAY: usize = 8;

/// When the publishing of each event began.
type Begun = Arc<Mutex<HashMap<String, Instant>>>;

/// What a mover saw of one group.
struct Visit {
    group: usize,
    opened: Instant,
    messages: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_reaches_exactly_the_members_once_and_in_one_order_on_all_nodes() -> Result<()>
{
    let redis = RedisServer::start()?;
    let cluster = ClusterOptions::new()
        .nodes(NODES)
        .redis(&redis.url())
        .config(GROUP_ROUTE);
    let cluster = cluster.start().await?;
    let mut steady = join_steady(&cluster).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let mut movers = JoinSet::new();
    for number in 0..MOVERS {
        movers.spawn(wander(number, addresses(&cluster), Arc::clone(&stop)));
    }
    let begun = publish(&cluster, &mut steady).await?;
    stop.store(true, Ordering::Relaxed);
    // The movers stay in their last group until this event comes.
    for group in 0..GROUPS {
        let last = say(&message(group, "end", 0));
        cluster
            .nth(group)
            .api()
            .publish_group(&name(group), &last)
            .await?;
    }

    let expected = expected_per_group();
    let mut orders = Vec::new();
    for sockets in &steady {
        let mut members = Vec::new();
        for socket in sockets {
            socket.reaches(expected, SOON).await?;
            members.push(messages(socket.texts())?);
        }
        orders.push(one_order(members)?);
    }
    for (group, order) in orders.iter().enumerate() {
        check_order(group, order, expected)?;
    }
    let mut visits = 0;
    while let Some(seen) = movers.join_next().await {
        for visit in seen?? {
            let order = orders.get(visit.group).context("a group")?;
            check_visit(&visit, order, &begun)?;
            visits += 1;
        }
    }
    assert!(visits >= 2 * MOVERS, "the movers made {visits} visits only");
    Ok(())
}

fn name(group: usize) -> String {
    format!("group-{group}")
}

fn message(group: usize, publisher: &str, round: usize) -> String {
    format!("{group}|{publisher}|{round}")
}

fn messages(frames: Vec<String>) -> Result<Vec<String>> {
    frames.iter().map(|frame| message_of(frame)).collect()
}

/// Each node's API and one socket on each node publish to each group; then comes the end.
fn expected_per_group() -> usize {
    2 * NODES * ROUNDS + 1
}

fn addresses(cluster: &Cluster) -> Vec<SocketAddr> {
    cluster
        .nodes()
        .iter()
        .map(fanfare_rig::Node::address)
        .collect()
}

async fn join_steady(cluster: &Cluster) -> Result<Vec<Vec<Recorder>>> {
    let mut groups = Vec::new();
    for group in 0..GROUPS {
        let mut sockets = Vec::new();
        for number in 0..STEADY {
            let socket = cluster
                .nth(number)
                .connect(&format!("/g/{}", name(group)))
                .await?;
            sockets.push(Recorder::new(socket));
        }
        groups.push(sockets);
    }
    Ok(groups)
}

/// Publishes through every node's API and through a socket on every node, all at the same time.
async fn publish(cluster: &Cluster, steady: &mut [Vec<Recorder>]) -> Result<Begun> {
    let begun = Begun::default();
    let mut publishers = JoinSet::new();
    for (index, node) in cluster.nodes().iter().enumerate() {
        publishers.spawn(publish_by_api(
            node.api().clone(),
            index,
            Arc::clone(&begun),
        ));
    }
    for round in 0..ROUNDS {
        for (group, sockets) in steady.iter_mut().enumerate() {
            for (index, socket) in sockets.iter_mut().take(NODES).enumerate() {
                let text = message(group, &format!("socket-{index}"), round);
                note(&begun, &text);
                socket.send_text(&text).await?;
            }
        }
        // As fast as the slowest of them hears, so that joins and leaves fall into the traffic.
        let heard = round * NODES;
        for sockets in steady.iter() {
            sockets
                .first()
                .context("a socket")?
                .reaches(heard, SOON)
                .await?;
        }
    }
    while let Some(published) = publishers.join_next().await {
        published??;
    }
    Ok(begun)
}

async fn publish_by_api(api: Api, node: usize, begun: Begun) -> Result<()> {
    for round in 0..ROUNDS {
        for group in 0..GROUPS {
            let text = message(group, &format!("api-{node}"), round);
            note(&begun, &text);
            api.publish_group(&name(group), &say(&text)).await?;
        }
    }
    Ok(())
}

fn note(begun: &Begun, text: &str) {
    let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
    begun.insert(text.to_owned(), Instant::now());
}

async fn wander(
    number: usize,
    nodes: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
) -> Result<Vec<Visit>> {
    let mut visits = Vec::new();
    for hop in number.. {
        let group = hop % GROUPS;
        let node = nodes.get(hop % nodes.len()).context("a node")?;
        let path = format!("/g/{}", name(group));
        let socket = Socket::connect(*node, &path, &SocketOptions::default()).await?;
        let mut socket = Recorder::new(socket);
        let end = message(group, "end", 0);
        let is_end = |text: &str| message_of(text).is_ok_and(|message| message == end);
        if stop.load(Ordering::Relaxed) {
            // What it joined for may be over already: it leaves with whatever has come.
            visits.push(visit(group, &mut socket).await?);
            return Ok(visits);
        }
        // Near the end fewer events may be left than it wants to see.
        tokio::select! {
            reached = socket.reaches(STAY, SOON) => reached?,
            ended = socket.sees(SOON, is_end) => ended?,
        }
        visits.push(visit(group, &mut socket).await?);
    }
    Ok(visits)
}

async fn visit(group: usize, socket: &mut Recorder) -> Result<Visit> {
    let received = socket.leave(SOON).await?;
    let messages = messages(received.into_iter().map(|received| received.text).collect())?;
    Ok(Visit {
        group,
        opened: socket.opened(),
        messages,
    })
}

/// The order that all members of a group saw.
fn one_order(members: Vec<Vec<String>>) -> Result<Vec<String>> {
    let mut members = members.into_iter();
    let first = members.next().context("a member")?;
    for (number, other) in members.enumerate() {
        let differs = first.iter().zip(&other).position(|(a, b)| a != b);
        ensure!(
            first == other,
            "members 0 and {} differ from event {differs:?} on; {} and {} events",
            number + 1,
            first.len(),
            other.len()
        );
    }
    Ok(first)
}

/// Nothing foreign, nothing twice, nothing missing, and each publisher's events in its order.
fn check_order(group: usize, order: &[String], expected: usize) -> Result<()> {
    let mut next: HashMap<&str, usize> = HashMap::new();
    for text in order {
        let mut parts = text.split('|');
        let owner = parts.next().context("a group")?;
        let publisher = parts.next().context("a publisher")?;
        let round: usize = parts.next().context("a round")?.parse()?;
        ensure!(owner == group.to_string(), "group {group} got {text}");
        let due = next.entry(publisher).or_default();
        ensure!(
            round == *due,
            "group {group}: {text} came where round {due} was due"
        );
        *due += 1;
    }
    ensure!(
        order.len() == expected,
        "group {group}: {} events of {expected}",
        order.len()
    );
    Ok(())
}

/// A visitor saw a part of the order without a hole, from the time it was open.
fn check_visit(visit: &Visit, order: &[String], begun: &Begun) -> Result<()> {
    let Some(first) = visit.messages.first() else {
        return Ok(());
    };
    let start = order
        .iter()
        .position(|text| text == first)
        .context("an event nobody else got")?;
    let seen = order
        .get(start..start + visit.messages.len())
        .context("more than there was")?;
    ensure!(
        seen == visit.messages,
        "a hole: {:?} of {seen:?}",
        visit.messages
    );
    let begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
    let before = order.get(..start).context("what came before")?;
    for text in before {
        let missed = begun.get(text).is_some_and(|begun| *begun > visit.opened);
        ensure!(
            !missed,
            "{text} was published after the socket was open, and it got {first} first"
        );
    }
    Ok(())
}
