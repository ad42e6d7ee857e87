//! Background workers on the memory layer: sharing, bounds, failures, the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fanfare_consumer::{
    Cluster, ConsumerMetrics, SendError, Worker, WorkerError, Workers, WorkersError, WorkersReport,
};
use fanfare_layer::PublishError;
use fanfare_protocol::Value;
use fanfare_rig::{project_root, within};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Notify, Semaphore, oneshot};

pub(crate) const SOON: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Job {
    #[serde(rename = "job.note")]
    Note { number: u64 },
    /// Takes until the gate is open.
    #[serde(rename = "job.wait")]
    Wait { number: u64 },
    #[serde(rename = "job.fail")]
    Fail,
    #[serde(rename = "job.panic")]
    Panic,
    #[serde(rename = "job.answer")]
    Answer { to: String },
}

/// What the instances of a test share.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) noted: RefCell<Vec<u64>>,
    built: Cell<usize>,
    in_work: Cell<usize>,
    most_in_work: Cell<usize>,
    changed: Notify,
}

pub(crate) struct Clerk {
    desk: Rc<Desk>,
    gate: Rc<Semaphore>,
}

/// Counts an event in work; one that is dropped in the middle is not in work any more.
struct InWork(Rc<Desk>);

impl Desk {
    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        within(SOON, what, async {
            while !is_so(self) {
                self.changed.notified().await;
            }
        })
        .await
    }

    fn note(&self, number: u64) {
        self.noted.borrow_mut().push(number);
        self.changed.notify_one();
    }

    pub(crate) async fn has_noted(&self, count: usize) -> Result<()> {
        self.until("notes", |desk| desk.noted.borrow().len() == count)
            .await
    }

    fn sorted(&self) -> Vec<u64> {
        let mut noted = self.noted.borrow().clone();
        noted.sort_unstable();
        noted
    }
}

impl InWork {
    fn begin(desk: &Rc<Desk>) -> Self {
        let now = desk.in_work.get() + 1;
        desk.in_work.set(now);
        desk.most_in_work.set(desk.most_in_work.get().max(now));
        desk.changed.notify_one();
        Self(Rc::clone(desk))
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.in_work.set(self.0.in_work.get() - 1);
        self.0.changed.notify_one();
    }
}

impl Worker for Clerk {
    type Event = Job;

    async fn handle(&mut self, cluster: &Cluster, job: &Job) -> Result<(), WorkerError> {
        match job {
            Job::Note { number } => self.desk.note(*number),
            Job::Wait { number } => {
                let _in_work = InWork::begin(&self.desk);
                self.gate.acquire().await?.forget();
                self.desk.note(*number);
            }
            Job::Fail => return Err("no".into()),
            Job::Panic => panic!("injected"),
            Job::Answer { to } => cluster.send(to, &Job::Note { number: 42 }).await?,
        }
        Ok(())
    }
}

/// Workers of the channel `jobs`, and what they share.
pub(crate) fn clerks(
    cluster: &Cluster,
    concurrency: usize,
) -> Result<(Workers, Rc<Desk>, Rc<Semaphore>)> {
    let desk = Rc::new(Desk::default());
    let gate = Rc::new(Semaphore::new(0));
    let (shared, shut) = (Rc::clone(&desk), Rc::clone(&gate));
    let build = move || {
        shared.built.set(shared.built.get() + 1);
        Clerk {
            desk: Rc::clone(&shared),
            gate: Rc::clone(&shut),
        }
    };
    let workers = Workers::new(cluster.clone()).channel("jobs", concurrency, build)?;
    Ok((workers, desk, gate))
}

/// Runs workers until `meanwhile` is over.
pub(crate) async fn run(
    workers: Workers,
    meanwhile: impl Future<Output = Result<()>>,
) -> Result<WorkersReport> {
    let (stop, stopped) = oneshot::channel::<()>();
    let meanwhile = async {
        let outcome = meanwhile.await;
        drop(stop);
        outcome
    };
    let running = workers.run(async {
        let _dropped = stopped.await;
    });
    let both = async { tokio::join!(running, meanwhile) };
    let (report, outcome) = within(SOON * 2, "the workers' end", both).await?;
    outcome.map(|()| report)
}

fn counted(cluster: &Cluster, name: &str, label: &str) -> f64 {
    let families = cluster.registry().gather();
    let family = families.iter().find(|family| family.name() == name);
    let metrics = family.map_or(&[][..], |family| family.get_metric());
    let labelled = metrics
        .iter()
        .find(|metric| metric.get_label()[0].value() == label);
    labelled.map_or(0.0, |metric| metric.get_counter().get_value())
}

#[tokio::test]
async fn each_event_of_a_channel_is_worked_on_once() -> Result<()> {
    let cluster = Cluster::memory()?;
    let (workers, desk, _gate) = clerks(&cluster, 4)?;
    let report = run(workers, async {
        for number in 0..50 {
            cluster.send("jobs", &Job::Note { number }).await?;
        }
        desk.has_noted(50).await
    })
    .await?;
    assert_eq!(desk.sorted(), (0..50).collect::<Vec<_>>());
    assert_eq!((report.done, report.abandoned), (50, 0));
    let done = counted(&cluster, "fanfare_worker_events_total", "done");
    assert_eq!(done, 50.0);
    Ok(())
}

#[tokio::test]
async fn events_that_never_run_out_keep_no_worker_from_its_end() -> Result<()> {
    /// Has always one more event to work on.
    struct Again;

    impl Worker for Again {
        type Event = Job;

        async fn handle(&mut self, cluster: &Cluster, job: &Job) -> Result<(), WorkerError> {
            Ok(cluster.send("again", job).await?)
        }
    }

    let cluster = Cluster::memory()?;
    cluster.send("again", &Job::Note { number: 1 }).await?;
    let workers = Workers::new(cluster.clone()).channel("again", 1, || Again)?;
    let report = run(workers, async {
        tokio::task::yield_now().await;
        Ok(())
    });
    assert!(report.await?.done > 0);
    Ok(())
}

#[tokio::test]
async fn as_many_events_are_in_work_as_there_are_instances() -> Result<()> {
    let cluster = Cluster::memory()?;
    let (workers, desk, gate) = clerks(&cluster, 3)?;
    run(workers, async {
        for number in 0..10 {
            cluster.send("jobs", &Job::Wait { number }).await?;
        }
        desk.until("three at work", |desk| desk.in_work.get() == 3)
            .await?;
        gate.add_permits(10);
        desk.has_noted(10).await
    })
    .await?;
    assert_eq!((desk.most_in_work.get(), desk.built.get()), (3, 3));
    Ok(())
}

#[tokio::test]
async fn errors_panics_and_unknown_events_are_counted_and_survived() -> Result<()> {
    let cluster = Cluster::memory()?;
    let (workers, desk, _gate) = clerks(&cluster, 1)?;
    let report = run(workers, async {
        for job in [Job::Note { number: 1 }, Job::Fail, Job::Panic] {
            cluster.send("jobs", &job).await?;
        }
        for event in [
            json!({ "type": "job.strange" }),
            json!({ "type": "job.note", "number": "no number" }),
            json!({ "type": "job.note", "number": 2 }),
        ] {
            cluster.send("jobs", &event).await?;
        }
        desk.has_noted(2).await
    })
    .await?;
    let counts = (report.done, report.failed, report.panicked, report.unknown);
    assert_eq!(counts, (2, 2, 1, 1));
    assert_eq!(desk.built.get(), 2, "built anew after the panic only");
    for (outcome, count) in [("done", 2.0), ("failed", 2.0), ("panicked", 1.0)] {
        let total = counted(&cluster, "fanfare_worker_events_total", outcome);
        assert_eq!(total, count, "{outcome}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_is_in_work_and_leaves_the_rest() -> Result<()> {
    let cluster = Cluster::memory()?;
    let (workers, desk, gate) = clerks(&cluster, 1)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = workers.run(async {
        let _dropped = stopped.await;
    });
    let meanwhile = async {
        for number in 0..2 {
            cluster.send("jobs", &Job::Wait { number }).await?;
        }
        desk.until("one at work", |desk| desk.in_work.get() == 1)
            .await?;
        drop(stop);
        tokio::time::sleep(Duration::from_secs(9)).await;
        gate.add_permits(1);
        anyhow::Ok(())
    };
    let (report, outcome) = tokio::join!(running, meanwhile);
    outcome?;
    assert_eq!((report.done, report.abandoned), (1, 0));
    assert_eq!(*desk.noted.borrow(), [0]);

    let (workers, desk, gate) = clerks(&cluster, 1)?;
    gate.add_permits(1);
    run(workers, desk.has_noted(1)).await?;
    assert_eq!(*desk.noted.borrow(), [1], "the rest was still there");
    Ok(())
}

#[tokio::test]
async fn what_is_in_work_for_too_long_is_abandoned_and_told() -> Result<()> {
    let cluster = Cluster::memory()?;
    let (workers, desk, _gate) = clerks(&cluster, 2)?;
    let report = run(workers.grace(Duration::from_millis(1)), async {
        for job in [Job::Wait { number: 1 }, Job::Note { number: 2 }] {
            cluster.send("jobs", &job).await?;
        }
        desk.until("one at work", |desk| desk.in_work.get() == 1)
            .await?;
        desk.has_noted(1).await
    })
    .await?;
    assert_eq!((report.done, report.abandoned), (1, 1));
    assert_eq!(desk.in_work.get(), 0, "it was dropped");
    Ok(())
}

#[tokio::test]
async fn workers_end_when_their_cluster_is_closed() -> Result<()> {
    let cluster = Cluster::memory()?;
    let (workers, desk, _gate) = clerks(&cluster, 2)?;
    let workers = workers.grace(Duration::from_millis(1));
    let meanwhile = async {
        for job in [Job::Note { number: 1 }, Job::Wait { number: 2 }] {
            cluster.send("jobs", &job).await?;
        }
        desk.has_noted(1).await?;
        desk.until("one at work", |desk| desk.in_work.get() == 1)
            .await?;
        cluster.close().await;
        anyhow::Ok(())
    };
    let running = async { tokio::join!(workers.run(std::future::pending()), meanwhile) };
    let (report, outcome) = within(SOON, "the workers' end", running).await?;
    outcome?;
    assert_eq!((report.done, report.abandoned), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_sender_is_told_when_workers_do_not_keep_up() -> Result<()> {
    let cluster = Cluster::memory()?;
    for number in 0..100 {
        cluster.send("jobs", &Job::Note { number }).await?;
    }
    let refused = cluster.send("jobs", &Job::Fail).await;
    let Err(SendError::Layer(PublishError::ChannelFull { channel })) = refused else {
        bail!("{refused:?}");
    };
    assert_eq!(channel.as_str(), "jobs");
    let (workers, desk, _gate) = clerks(&cluster, 1)?;
    run(workers, desk.has_noted(100)).await?;
    cluster.send("jobs", &Job::Fail).await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_answers_to_a_channel_of_the_asking_program() -> Result<()> {
    let cluster = Cluster::memory()?;
    let (workers, _desk, _gate) = clerks(&cluster, 1)?;
    run(workers, async {
        let node = cluster.node();
        let address = node.new_channel();
        assert_ne!(address, node.new_channel());
        let mut answers = node.receive(&address).await?;
        let to = address.to_string();
        cluster.send("jobs", &Job::Answer { to }).await?;
        let answer = within(SOON, "the answer", answers.next()).await?;
        let answer = answer.context("the queues are closed")?;
        assert_eq!(answer.event.get("number"), Some(&Value::Int(42)));
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn only_normal_channels_have_workers() -> Result<()> {
    let cluster = Cluster::memory()?;
    let with = |name: &str| {
        let (_, desk, gate) = clerks(&cluster, 1)?;
        let build = move || Clerk {
            desk: Rc::clone(&desk),
            gate: Rc::clone(&gate),
        };
        anyhow::Ok(Workers::new(cluster.clone()).channel(name, 1, build).err())
    };
    assert!(matches!(with("=+135!")?, Some(WorkersError::Name(_))));
    let session = format!("specific.{}!0000000000000001", cluster.node().id());
    assert!(matches!(
        with(&session)?,
        Some(WorkersError::NotNormal { .. })
    ));
    let session = cluster.node().naming().channel(&session)?;
    assert!(cluster.node().receive(&session).await.is_err());
    assert!(with("thumbnails-generate")?.is_none());
    Ok(())
}

#[tokio::test]
async fn what_consumers_and_workers_count_is_documented() -> Result<()> {
    let registry = prometheus::Registry::new();
    let _metrics = ConsumerMetrics::new(&registry)?;
    let page = std::fs::read_to_string(project_root().join("docs/METRICS.md"))?;
    for family in registry.gather() {
        let name = format!("| `{}` |", family.name());
        assert!(page.contains(&name), "{name} is missing");
    }
    Ok(())
}
