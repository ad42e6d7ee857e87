//! Normal channels: workers in Python and here.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use fanfare::{Cluster, Worker, WorkerError, Workers};
use fanfare_rig::within;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::scene::{JOBS, Scene};
use crate::support::SOON;

const RUST_JOBS: &str = "rust-jobs";

/// On the core layer senders and receivers take the hosts of a normal channel in turn, each for
/// itself: only as many messages as there are hosts are sure to be on the one where a receiver
/// waits.
fn round(scene: &Scene) -> usize {
    scene.configuration.hosts
}

fn number_of(event: &Value) -> Result<u64> {
    let number = event.get("number").and_then(Value::as_u64);
    number.with_context(|| format!("a number in {event}"))
}

pub(super) async fn a_python_worker_gets_what_a_rust_program_sends(
    scene: &mut Scene,
) -> Result<()> {
    scene.listened_to(JOBS, 1).await?;
    let count = 2 * round(scene);
    for number in 0..count {
        let event = json!({"type": "job.note", "number": number});
        scene.cluster[0].api().publish_channel(JOBS, &event).await?;
    }
    let mut noted = BTreeSet::new();
    for _ in 0..count {
        let (channel, event) = scene.worker.next().await?;
        assert_eq!(channel, JOBS);
        noted.insert(number_of(&event)?);
    }
    assert_eq!(noted, (0..count as u64).collect());
    Ok(())
}

/// The channel travels in an event, as it might from a database, and another process uses it.
pub(super) async fn a_python_worker_answers_a_session_whose_channel_was_stored(
    scene: &mut Scene,
) -> Result<()> {
    let [_, mut socket] = scene.sockets("askers").await?;
    let api = scene.cluster[0].api();
    for number in 0..round(scene) {
        let event = json!({"type": "job.answer", "reply_to": socket.channel(), "number": number});
        api.publish_channel(JOBS, &event).await?;
    }
    let mut numbers = BTreeSet::new();
    for _ in 0..round(scene) {
        let answer = socket.json().await?;
        assert_eq!(answer.get("reply_to"), Some(&json!(socket.channel())));
        numbers.insert(number_of(&answer)?);
    }
    assert_eq!(numbers, (0..round(scene) as u64).collect());
    Ok(())
}

pub(super) async fn a_python_worker_announces_to_a_group(scene: &mut Scene) -> Result<()> {
    let sockets = scene.sockets("announced").await?;
    let member = scene.python_member("announced").await?;
    for number in 0..round(scene) {
        let event = json!({"type": "job.announce", "group": "announced", "number": number});
        scene.python.send(JOBS, &event).await?;
    }
    for mut socket in sockets {
        for _ in 0..round(scene) {
            let event = socket.json().await?;
            assert_eq!(event.get("group"), Some(&json!("announced")));
        }
    }
    for _ in 0..round(scene) {
        let event = scene.python.receive(&member).await?;
        assert_eq!(event.get("type"), Some(&json!("job.done")));
    }
    Ok(())
}

/// Says what it got, and answers the channel in `reply_to`.
struct Clerk(mpsc::Sender<u64>);

impl Worker for Clerk {
    type Event = Value;

    async fn handle(&mut self, cluster: &Cluster, event: &Value) -> Result<(), WorkerError> {
        let reply_to = event.get("reply_to").and_then(Value::as_str);
        let answer = json!({"type": "job.done", "event": event});
        cluster
            .send(reply_to.context("a reply_to")?, &answer)
            .await?;
        Ok(self.0.send(number_of(event)?).await?)
    }
}

pub(super) async fn a_rust_worker_gets_what_python_sends(scene: &mut Scene) -> Result<()> {
    let cluster = Cluster::new(scene.rust_program()?)?;
    let (tell, mut told) = mpsc::channel(64);
    let workers = Workers::new(cluster.clone());
    let workers = workers.channel(RUST_JOBS, 2, move || Clerk(tell.clone()))?;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = workers.run(async {
        let _dropped = stopped.await;
    });
    let asking = async {
        let outcome = python_asks(scene, &mut told).await;
        drop(stop);
        outcome
    };
    let (_report, outcome) = tokio::join!(running, asking);
    cluster.close().await;
    outcome
}

async fn python_asks(scene: &mut Scene, told: &mut mpsc::Receiver<u64>) -> Result<()> {
    let channel = scene.python.new_channel().await?;
    scene.listened_to(&channel, 1).await?;
    scene.listened_to(RUST_JOBS, 1).await?;
    let count = 2 * round(scene) as u64;
    for number in 0..count {
        let event = json!({"type": "job.note", "reply_to": channel, "number": number});
        scene.python.send(RUST_JOBS, &event).await?;
    }
    let (mut worked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..count {
        let number = within(SOON, "an event for the worker", told.recv()).await?;
        worked.insert(number.context("the worker has ended")?);
        let answer = scene.python.receive(&channel).await?;
        answered.insert(number_of(answer.get("event").context("an event")?)?);
    }
    assert_eq!(worked, (0..count).collect());
    assert_eq!(answered, worked);
    Ok(())
}
