//! Starts the threads' workers and the supervised actors of a node.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanfare_layer::SubscribeError;
use fanfare_protocol::NodeId;

use crate::bridge::Bridge;
use crate::node::{Node, Shared};
use crate::supervise::supervise;
use crate::worker::{Flusher, Registry, RunQueue, WorkerThread};

thread_local! {
    /// The workers of this thread, one per node: several nodes share a thread only in tests. Their
    /// tasks own them.
    static WORKERS: RefCell<Vec<(NodeId, Weak<WorkerThread>)>> = const { RefCell::new(Vec::new()) };
}

impl Node {
    /// This thread's worker. The first call on a thread, which must run an actix arbiter, starts
    /// the thread's registry, and the node's bridge unless another thread has it. A node has at
    /// most 64 workers at a time; one that is started beside 64 others admits nobody. A worker ends
    /// with its arbiter, or with the node.
    pub fn worker(&self) -> Rc<WorkerThread> {
        let found = WORKERS.with_borrow(|workers| {
            let own = workers.iter().find(|(node, _)| *node == self.id());
            own.and_then(|(_, worker)| running(worker))
        });
        found.unwrap_or_else(|| {
            let worker = WorkerThread::start(Arc::clone(self.shared()));
            WORKERS.with_borrow_mut(|workers| {
                workers.retain(|(_, worker)| running(worker).is_some());
                workers.push((self.id(), Rc::downgrade(&worker)));
            });
            if self.shared().options.subscribes {
                place_bridge(self.shared());
            }
            worker
        })
    }
}

/// The worker, unless its arbiter or its node has ended.
fn running(worker: &Weak<WorkerThread>) -> Option<Rc<WorkerThread>> {
    worker.upgrade().filter(|it| !it.inbox().is_closed())
}

/// Ends a worker when it is dropped: with the arbiter, which drops its tasks, or with the node.
struct Run(Rc<WorkerThread>);

impl Run {
    /// Resolves when the node is closed and has nobody on this thread.
    async fn until_over(self) {
        let node = self.0.node();
        loop {
            let emptied = node.emptied.notified();
            if self.0.is_over() && node.programs.load(Ordering::Acquire) == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl WorkerThread {
    /// Starts the thread's registry, its timer and its queues. Runs on an actix arbiter.
    pub(crate) fn start(node: Arc<Shared>) -> Rc<Self> {
        let worker = Rc::new(Self::new(node));
        worker.supervise_registry();
        actix_rt::spawn(Run(Rc::clone(&worker)).until_over());
        actix_rt::spawn(tick(Rc::clone(&worker)));
        actix_rt::spawn(Flusher::run(Rc::downgrade(&worker)));
        actix_rt::spawn(RunQueue::run(Rc::downgrade(&worker)));
        worker
    }

    fn supervise_registry(self: &Rc<Self>) {
        let build = Rc::clone(self);
        let _started = Rc::clone(self);
        let inbox = Arc::clone(self.inbox());
        supervise(
            "registry",
            self.node().metrics.restarts.registry.clone(),
            move |lifeline, failures| {
                if failures > 0 {
                    build.reconcile(failures > 1);
                }
                Registry::new(Rc::clone(&build), lifeline)
            },
            move |_address| {
                #[cfg(feature = "fault")]
                _started.registry.replace(Some(_address.recipient()));
            },
            move || inbox.is_closed(),
        );
    }
}

/// Held while a thread has the bridge; a thread that dies gives it to the next worker.
struct BridgeClaim(Arc<Shared>);

impl Drop for BridgeClaim {
    fn drop(&mut self) {
        self.0.bridge_claimed.store(false, Ordering::Release);
        self.0.directory.queues.bridge_freed.notify_one();
    }
}

/// Gives the bridge a thread: one of its own beside several workers, this one beside none.
fn place_bridge(shared: &Arc<Shared>) {
    if shared.bridge_is_apart()
        && let Err(SubscribeError(reason)) = stand_by(shared)
    {
        tracing::error!(reason, "a worker thread runs the bridge as well");
        supervise_bridge(shared);
    } else if !shared.bridge_is_apart() {
        supervise_bridge(shared);
    }
}

/// Starts the bridge on this thread, unless another has it.
pub(crate) fn supervise_bridge(shared: &Arc<Shared>) {
    if shared.bridge_claimed.swap(true, Ordering::AcqRel) {
        return;
    }
    let claim = BridgeClaim(Arc::clone(shared));
    let node = Arc::clone(shared);
    supervise(
        "bridge",
        shared.metrics.restarts.bridge.clone(),
        move |lifeline, _| Bridge::new(Arc::clone(&node), lifeline),
        move |_address| {
            let _held = &claim;
            #[cfg(feature = "fault")]
            claim.0.bridge.lock().replace(_address.recipient());
        },
        || false,
    );
}

/// Starts a thread that runs the bridge whenever no worker thread does, until the node is closed. A
/// program without sessions needs it, because it has no worker; a node with several workers needs
/// it, because application code may block any of them.
pub(crate) fn stand_by(shared: &Arc<Shared>) -> Result<(), SubscribeError> {
    let started = &shared.directory.queues.stand_by;
    if !shared.options.subscribes || started.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    let node = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("fanfare-bridge".into());
    let spawned = thread.spawn(move || match actix_rt::Runtime::new() {
        Ok(runtime) => runtime.block_on(have_bridge(&node)),
        Err(error) => tracing::error!(%error, "no runtime for the bridge: nothing is received"),
    });
    spawned.map(drop).map_err(|error| {
        started.store(false, Ordering::Release);
        SubscribeError(format!("no thread for the bridge: {error}"))
    })
}

/// Starts the bridge here whenever nobody has it, until the node is closed.
async fn have_bridge(node: &Arc<Shared>) {
    let queues = &node.directory.queues;
    let have_it = async {
        loop {
            supervise_bridge(node);
            queues.bridge_freed.notified().await;
        }
    };
    tokio::select! {
        () = queues.closing.notified() => {}
        () = have_it => {}
    }
}

async fn tick(worker: Rc<WorkerThread>) {
    let mut interval = tokio::time::interval(worker.wheel.borrow().tick_length());
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if worker.inbox().is_closed() {
            return;
        }
        worker.tick();
    }
}
