//! A normal channel that processes share.

use std::future::pending;
use std::time::Duration;

use anyhow::{Context, Result};
use fanfare::{
    Cluster, ClusterOptions, CoreFormat, Layer, RedisFormat, RedisLayer, Worker, WorkerError,
    Workers,
};
use fanfare_rig::{
    PythonLayer, PythonOptions, PythonTarget, PythonWorker, RedisServer, eventually, within,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{number_of, waiting};
use crate::support::SOON;

const CHANNEL: &str = "shared";
/// As many as may wait at once.
const ROUND: u64 = 100;
const ROUNDS: u64 = 4;

type Noted = (&'static str, u64);

/// Notes what it gets, and is done with it when the gate is open.
struct Clerk {
    name: &'static str,
    noted: mpsc::Sender<Noted>,
    gate: watch::Receiver<bool>,
}

impl Worker for Clerk {
    type Event = Value;

    async fn handle(&mut self, _: &Cluster, event: &Value) -> Result<(), WorkerError> {
        let number = number_of(event).context("a number")?;
        self.noted.send((self.name, number)).await?;
        self.gate.wait_for(|open| *open).await?;
        Ok(())
    }
}

fn program(redis: &RedisServer) -> Result<Cluster> {
    let layer = RedisLayer {
        format: RedisFormat::Core(CoreFormat::default()),
        ..RedisLayer::new([redis.url()])?
    };
    Ok(Cluster::new(ClusterOptions {
        layer: Layer::Redis(layer),
        ..ClusterOptions::default()
    })?)
}

/// What the three have noted, one after the other.
struct Notes {
    rust: mpsc::Receiver<Noted>,
    options: PythonOptions,
    /// Starts when both programs have something to do.
    python: Option<PythonWorker>,
}

impl Notes {
    async fn next(&mut self) -> Result<Noted> {
        let python = async {
            match &mut self.python {
                Some(worker) => worker.next().await,
                None => pending().await,
            }
        };
        let next = async {
            tokio::select! {
                noted = self.rust.recv() => noted.context("the workers have ended"),
                noted = python => {
                    let (_, event) = noted?;
                    Ok(("python", number_of(&event).context("a number")?))
                }
            }
        };
        within(SOON, "a message for a worker", next).await?
    }
}

async fn gone(redis: &RedisServer) -> Result<()> {
    eventually(SOON, "an empty channel", async || {
        let here = waiting(redis, "asgishared")? + waiting(redis, "asgishared$inflight")?;
        Ok((here == 0).then_some(()))
    })
    .await
}

/// Both programs are held up with one message each: what comes then is Python's.
async fn each_has_its_share(python: &mut PythonLayer, notes: &mut Notes) -> Result<()> {
    for (numbers, takers) in [(0..2_u64, ["one", "two"]), (2..4, ["python", "python"])] {
        if notes.python.is_none() && takers.contains(&"python") {
            notes.python = Some(PythonWorker::start(&notes.options, &[CHANNEL])?);
        }
        let mut got = Vec::new();
        for number in numbers.clone() {
            let event = json!({"type": "job.note", "number": number});
            python.send(CHANNEL, &event).await?;
            got.push(notes.next().await?);
        }
        let heard: Vec<u64> = got.iter().map(|(_, number)| *number).collect();
        assert_eq!(heard, numbers.collect::<Vec<_>>());
        let mut who: Vec<_> = got.iter().map(|(who, _)| *who).collect();
        who.sort_unstable();
        assert_eq!(who, takers);
    }
    Ok(())
}

async fn everything_once(
    programs: &[Cluster; 2],
    python: &mut PythonLayer,
    notes: &mut Notes,
    redis: &RedisServer,
) -> Result<()> {
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            let event = json!({"type": "job.note"});
            let count = usize::try_from(ROUND)?;
            let burst = python.burst(PythonTarget::Channel(CHANNEL), &event, count);
            assert_eq!(burst.await?.sent, count);
        } else {
            for number in 0..ROUND {
                let event = json!({"type": "job.note", "number": number});
                let sender = programs.iter().cycle().nth(usize::try_from(number)?);
                sender.context("a program")?.send(CHANNEL, &event).await?;
            }
        }
        let mut numbers = Vec::new();
        for _ in 0..ROUND {
            numbers.push(notes.next().await?.1);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..ROUND).collect::<Vec<_>>());
        gone(redis).await?;
    }
    // What came twice would come before this.
    let last = json!({"type": "job.note", "number": ROUND});
    python.send(CHANNEL, &last).await?;
    assert_eq!(notes.next().await?.1, ROUND);
    Ok(())
}

#[tokio::test]
async fn two_programs_and_a_python_worker_share_a_channel_and_get_each_message_once() -> Result<()>
{
    let redis = RedisServer::start()?;
    let options = PythonOptions::core([redis.url()]);
    let mut python = PythonLayer::with(&options).await?;
    let programs = [program(&redis)?, program(&redis)?];
    let (tell, rust) = mpsc::channel(64);
    let (open, gate) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let mut running = Vec::new();
    for (name, cluster) in ["one", "two"].into_iter().zip(&programs) {
        let clerk = (tell.clone(), gate.clone());
        let workers = Workers::new(cluster.clone()).channel(CHANNEL, 1, move || Clerk {
            name,
            noted: clerk.0.clone(),
            gate: clerk.1.clone(),
        })?;
        let mut stopped = stopped.clone();
        running.push(workers.run(async move {
            let _ended = stopped.wait_for(|stop| *stop).await;
        }));
    }
    let mut notes = Notes {
        rust,
        options,
        python: None,
    };
    let sharing = async {
        each_has_its_share(&mut python, &mut notes).await?;
        open.send_replace(true);
        everything_once(&programs, &mut python, &mut notes, &redis).await
    };
    let all = async { futures_util::future::join_all(running).await };
    let ended = async {
        let outcome = sharing.await;
        stop.send_replace(true);
        outcome
    };
    let (_reports, outcome) = within(Duration::from_secs(60), "the sharing", async {
        tokio::join!(all, ended)
    })
    .await?;
    for cluster in &programs {
        cluster.close().await;
    }
    outcome
}
