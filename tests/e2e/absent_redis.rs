//! A node that starts before its Redis: what it refuses meanwhile leaves nothing behind.

use anyhow::{Context, Result, ensure};
use fanfare_rig::{Cluster, ClusterOptions, ReservedPort};

use crate::support::{GROUP_ROUTE, refused};

/// Handshakes after which what is kept once is there.
const FIRST: usize = 500;
/// Handshakes that are measured.
const MEASURED: usize = 2500;
/// What the allocator may keep more than before, in bytes: a tenth of what a group takes, for each.
const SLACK: u64 = 60 * MEASURED as u64;

fn resident(cluster: &mut Cluster) -> Result<u64> {
    let node = cluster.nodes_mut().first_mut().context("the node")?;
    node.process().resident_bytes()
}

#[tokio::test]
async fn handshakes_refused_before_redis_came_leave_nothing_behind() -> Result<()> {
    let layers = [("pubsub", "node"), ("core", "node"), ("core", "session")];
    for (format, members) in layers {
        let port = ReservedPort::reserve()?;
        let mut cluster = ClusterOptions::new()
            .config(GROUP_ROUTE)
            .redis(&format!("redis://127.0.0.1:{}", port.number()))
            .set("layer.format", format)
            .set("layer.core.members", members)
            .set("layer.join_ms", 1)
            .set("http.workers", 1)
            .set("log.level", "error")
            .unready()
            .start()
            .await?;
        let mut before = 0;
        for number in 0..FIRST + MEASURED {
            if number == FIRST {
                before = resident(&mut cluster)?;
            }
            // A group and a user that nobody had before.
            let path = format!("/g/room{number}?user=user{number}");
            let response = refused(&cluster[0], &path, "").await?;
            ensure!(response.status == 503, "{response:?}");
        }
        let after = resident(&mut cluster)?;
        ensure!(
            after < before + SLACK,
            "{format} {members}: {before}, {after}"
        );
        for table in ["fanfare_groups", "fanfare_sessions"] {
            let entries = cluster[0].metric(table, &[]).await?;
            ensure!(entries == 0.0, "{format} {members}: {entries} {table}");
        }
    }
    Ok(())
}
