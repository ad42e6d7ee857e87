//! A clock for all clients, which one of the nodes runs: `cargo run -p fanfare --example clock`. With
//! `-- 127.0.0.1:8001 redis://127.0.0.1:6379` several of them are one cluster with one clock.

use std::time::Duration;

use actix_web::{App, web};
use fanfare::{Cluster, Consumer, Frames, InvalidLease, Server, consumer};
use serde_json::json;

struct Clock;

impl Consumer for Clock {
    type Event = Frames;
    const GROUPS: &'static [&'static str] = &["clock"];
}

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(consumer("/ws/clock/", || Clock));
}

/// Runs on every node, and ticks on one of them.
pub(crate) async fn run(cluster: Cluster) -> Result<(), InvalidLease> {
    let lease = cluster.lease("clock", Duration::from_secs(5))?;
    let ticking = async || {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        let tick = json!({"type": "clock.tick"});
        loop {
            seconds.tick().await;
            if let Err(error) = cluster.group_send("clock", &tick).await {
                tracing::warn!(%error, "a tick is lost");
            }
        }
    };
    let _closed: Option<()> = lease.run(ticking).await;
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let cluster = match std::env::args().nth(2) {
        Some(redis) => Cluster::redis([redis])?,
        None => Cluster::memory()?,
    };
    let server = Server::new(cluster.clone(), || App::new().configure(routes)).bind(address)?;
    println!("listening on {server}");
    let clock = actix_web::rt::spawn(run(cluster));
    // The clock ends when the server has closed the cluster.
    server.serve().await?;
    Ok(clock.await??)
}
