//! The bound over the memory of a whole node: what waits together, whoever keeps it.

use anyhow::{Context, Result, ensure};
use fanfare_rig::{
    Cluster, ClusterOptions, Node, Opcode, RawConnection, RawFrame, Recorder, Socket,
    SocketOptions, eventually, path_segment,
};
use serde_json::json;

use crate::support::{GROUP_ROUTE, SOON, say};

const MIB: u64 = 1 << 20;
/// What the process may need beyond what it keeps for others: buffers on the way in and out, the
/// allocator's reserve.
const SLACK: u64 = 40 * MIB;

async fn start(memory: u64) -> Result<Cluster> {
    let cluster = ClusterOptions::new().set("limits.memory_bytes", memory);
    // What a debug build takes in must not take as long as a slow client.
    let cluster = cluster.set("limits.handshake_ms", 20_000);
    let cluster = cluster.set("limits.outbox_bytes", 64 * MIB);
    cluster.config(GROUP_ROUTE).alone().start().await
}

fn resident(cluster: &mut Cluster) -> Result<u64> {
    let node = cluster.nodes_mut().first_mut().context("the node")?;
    node.process().resident_bytes()
}

/// Insists that no more waits than may.
async fn within_bound(node: &Node, memory: u64) -> Result<()> {
    let waiting = node.metric("fanfare_memory_waiting_bytes", &[]).await?;
    ensure!(waiting <= memory as f64, "{waiting} bytes wait");
    Ok(())
}

#[tokio::test]
async fn channels_that_nobody_receives_from_stay_under_the_bound_of_the_node() -> Result<()> {
    let memory = 32 * MIB;
    let mut cluster = start(memory).await?;
    let before = resident(&mut cluster)?;
    let event = say(&"x".repeat(1_900_000));
    let mut refused = 0;
    for number in 0..150 {
        let path = format!("/api/v1/channels/jobs{}/events", number % 3);
        let answer = cluster[0].api().post(&path, &event).await?;
        match answer.status {
            202 => {}
            503 => {
                ensure!(answer.error_code() == "no_room", "{answer:?}");
                ensure!(answer.header("retry-after").is_some(), "{answer:?}");
                refused += 1;
            }
            _ => anyhow::bail!("{answer:?}"),
        }
        if number % 20 == 0 {
            within_bound(&cluster[0], memory).await?;
            let now = resident(&mut cluster)?;
            ensure!(now < before + memory + SLACK, "{now} of {before}");
        }
    }
    ensure!(refused < 50, "{refused} were refused");
    let cause = [("cause", "no_memory")];
    let node = &cluster[0];
    let dropped = node.metric("fanfare_events_dropped_total", &cause).await?;
    ensure!(dropped > 100.0, "{dropped} were dropped");
    node.logged("memory is short").await?;
    node.ready_is(200, SOON).await
}

#[tokio::test]
async fn slow_readers_stay_under_the_bound_together_and_the_others_keep_their_sessions()
-> Result<()> {
    let memory = 16 * MIB;
    let mut cluster = start(memory).await?;
    let before = resident(&mut cluster)?;
    let reader = Recorder::new(cluster[0].connect("/g/red").await?);
    let tiny = SocketOptions {
        receive_buffer: Some(4096),
        ..SocketOptions::default()
    };
    let mut slow = Vec::new();
    for _ in 0..12 {
        slow.push(Socket::connect(cluster[0].address(), "/g/blue", &tiny).await?);
    }
    // More than the system takes in for one socket.
    let event = say(&"x".repeat(900_000));
    for round in 0..14 {
        for socket in &slow {
            let channel = path_segment(socket.channel());
            let path = format!("/api/v1/channels/{channel}/events");
            let answer = cluster[0].api().post(&path, &event).await?;
            ensure!([202, 503].contains(&answer.status), "{answer:?}");
        }
        within_bound(&cluster[0], memory).await?;
        let now = resident(&mut cluster)?;
        ensure!(now < before + memory + SLACK, "{now} of {before}");
        let number = json!({"type": "say", "message": round.to_string()});
        eventually(SOON, "a publish that is taken", async || {
            let path = "/api/v1/groups/red/events";
            let status = cluster[0].api().post(path, &number).await?.status;
            Ok((status == 202).then_some(()))
        })
        .await?;
        reader.reaches(round + 1, SOON).await?;
    }
    let node = &cluster[0];
    let reason = [("reason", "no_memory")];
    let cut = node
        .metric("fanfare_sessions_closed_total", &reason)
        .await?;
    ensure!(cut >= 3.0, "{cut} were cut");
    ensure!(reader.closed().is_none(), "it read all the time");
    Ok(())
}

#[tokio::test]
async fn bodies_that_arrive_at_the_same_time_stay_under_the_bound_of_the_node() -> Result<()> {
    let cluster = start(4 * MIB).await?;
    let node = &cluster[0];
    let announced = 2 * MIB as usize;
    let head = format!(
        "POST /api/v1/groups/red/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {announced}\r\n\r\n",
        node.address(),
        fanfare_rig::API_KEY,
    );
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut connection = RawConnection::open(node.address()).await?;
        connection.write(head.as_bytes()).await?;
        connection.write(&vec![b' '; 1_600_000]).await?;
        waiting.push(connection);
    }
    let bodies = [("what", "bodies")];
    let all = |bytes: f64| bytes >= 3_200_000.0;
    node.metric_when("fanfare_memory_waiting_bytes", &bodies, SOON, all)
        .await?;
    let event = say(&"x".repeat(1_900_000));
    let answer = node.api().post("/api/v1/groups/red/events", &event).await?;
    ensure!(answer.status == 503, "{answer:?}");
    ensure!(answer.error_code() == "no_room", "{answer:?}");
    drop(waiting);
    let none = |bytes: f64| bytes == 0.0;
    node.metric_when("fanfare_memory_waiting_bytes", &bodies, SOON, none)
        .await?;
    node.api().publish_group("red", &event).await
}

#[tokio::test]
async fn after_a_peak_memory_goes_back_to_the_system_without_traffic() -> Result<()> {
    let mut cluster = start(512 * MIB).await?;
    let before = resident(&mut cluster)?;
    let mut clients = Vec::new();
    let unfinished = RawFrame::fragment(Opcode::BINARY, vec![0; 1_000_000]);
    for _ in 0..100 {
        let mut client = RawConnection::upgrade(cluster[0].address(), "/g/red").await?;
        client.send(&unfinished).await?;
        clients.push(client);
    }
    let sessions = [("what", "sessions")];
    let all = |bytes: f64| bytes >= 100e6;
    let node = &cluster[0];
    node.metric_when("fanfare_memory_waiting_bytes", &sessions, SOON, all)
        .await?;
    ensure!(resident(&mut cluster)? > before + 90 * MIB);
    drop(clients);
    // Nothing is asked of the server meanwhile.
    let node = cluster.nodes_mut().first_mut().context("the node")?;
    eventually(SOON, "the memory of the peak is given back", async || {
        let now = node.process().resident_bytes()?;
        Ok((now < before + 30 * MIB).then_some(()))
    })
    .await
}
