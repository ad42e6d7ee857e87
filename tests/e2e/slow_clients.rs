//! Clients that stop reading: closed by the outbox bound, at nobody else's cost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fanfare_rig::{Cluster, ClusterOptions, Recorder, Socket, SocketOptions};

use crate::support::{GROUP_ROUTE, SOON, message_of, percentile, say};

const SLOW: usize = 32;
const READERS: usize = 5;
const OUTBOX_BYTES: u64 = 262_144;
const EVENT_BYTES: usize = 65_536;
const EVENTS: usize = 2_500;
/// What the process may need beyond what the bounds say: buffers on the way in and out, the
/// allocator's reserve.
const SLACK_BYTES: u64 = 40 << 20;
/// Events before the slow ones join, for comparison.
const BEFORE: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stop_reading_are_closed_while_others_keep_their_latency() -> Result<()> {
    let cluster = ClusterOptions::new().set("limits.outbox_bytes", OUTBOX_BYTES);
    let mut cluster = cluster.config(GROUP_ROUTE).alone().start().await?;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(Recorder::new(cluster[0].connect("/g/red").await?));
    }
    let undisturbed = publish(&mut cluster, &readers, 0..BEFORE).await?;

    let tiny = SocketOptions {
        receive_buffer: Some(4096),
        ..SocketOptions::default()
    };
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(Socket::connect(cluster[0].address(), "/g/red", &tiny).await?);
    }
    let before = cluster
        .nodes_mut()
        .first_mut()
        .context("the node")?
        .process()
        .resident_bytes()?;
    let run = publish(&mut cluster, &readers, BEFORE..BEFORE + EVENTS).await?;

    let allowed = before + (SLOW as u64) * OUTBOX_BYTES + SLACK_BYTES;
    assert!(
        (EVENTS * EVENT_BYTES) as u64 > 3 * (allowed - before),
        "too little to tell"
    );
    assert!(
        run.resident < allowed,
        "{} bytes resident, {allowed} allowed",
        run.resident
    );
    let limit = undisturbed.latency.max(Duration::from_millis(50)) * 5;
    assert!(
        run.latency < limit,
        "p99 {:?} with slow clients, {:?} without",
        run.latency,
        undisturbed.latency
    );

    let node = &cluster[0];
    let closed = |count: f64| count == SLOW as f64;
    node.metric_when("fanfare_slow_sessions_closed_total", &[], SOON, closed)
        .await?;
    let reason = [("reason", "slow")];
    node.metric_when("fanfare_sessions_closed_total", &reason, SOON, closed)
        .await?;
    for mut socket in slow {
        let code = socket.close_code().await?;
        assert!(matches!(code, 1006 | 1008), "closed with {code}");
    }
    assert!(readers.iter().all(|reader| reader.closed().is_none()));
    Ok(())
}

struct Run {
    /// 99 of 100 deliveries took no longer.
    latency: Duration,
    /// The most memory the process was seen to hold.
    resident: u64,
}

/// Publishes big events one after the other and measures each one's way to every reader.
async fn publish(
    cluster: &mut Cluster,
    readers: &[Recorder],
    numbers: std::ops::Range<usize>,
) -> Result<Run> {
    let filling = "x".repeat(EVENT_BYTES);
    let mut begun = Vec::new();
    let mut resident = 0;
    let end = numbers.end;
    let start = numbers.start;
    for number in numbers {
        begun.push(Instant::now());
        let event = say(&format!("{number} {filling}"));
        cluster[0].api().publish_group("red", &event).await?;
        let node = cluster.nodes_mut().first_mut().context("the node")?;
        resident = resident.max(node.process().resident_bytes()?);
        // The readers are to be measured against a server that is busy, not against their own
        // speed: they may be one event behind.
        for reader in readers {
            reader.reaches(number, SOON).await?;
        }
    }
    let mut latencies = Vec::new();
    for reader in readers {
        reader.reaches(end, SOON).await?;
        for received in reader.received().into_iter().skip(start) {
            let message = message_of(&received.text)?;
            let number: usize = message.split(' ').next().context("a number")?.parse()?;
            let begun = begun.get(number - start).context("an event of this run")?;
            latencies.push(received.at.duration_since(*begun));
        }
    }
    assert_eq!(latencies.len(), readers.len() * (end - start));
    Ok(Run {
        latency: percentile(&mut latencies, 0.99),
        resident,
    })
}
