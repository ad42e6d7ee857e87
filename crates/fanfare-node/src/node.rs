//! The node: what all its worker threads share, behind one cheap handle.

mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fanfare_layer::{
    ChannelLayer, ControlError, ControlTarget, MemoryBudget, Publish, PublishError, Sink, State,
    Status,
};
use fanfare_protocol::{
    ChannelName, Encoder, Envelope, GroupName, Naming, NodeId, RouteEncoder, Target,
};
use prometheus::Registry;
use tokio::sync::{Notify, oneshot, watch};

use crate::addresses::Addresses;
use crate::closing::{Closing, LayerGuard};
use crate::control::{ClusterCount, ClusterSession, Command, Commands, FindError};
use crate::directory::{Changes, Directory, Question, Watchdog};
use crate::metrics::{MemoryGauges, NodeMetrics};
use crate::options::NodeOptions;

/// A cheap handle on a node, usable from any thread.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) options: NodeOptions,
    pub(crate) directory: Arc<Directory>,
    pub(crate) layer: Arc<dyn ChannelLayer>,
    status: watch::Receiver<Status>,
    pub(crate) metrics: NodeMetrics,
    pub(crate) everyone: GroupName,
    /// How events would become frames for actors, which take none.
    pub(crate) actors_encoder: Arc<dyn Encoder>,
    sessions: AtomicUsize,
    addresses: Addresses,
    /// Programs that run after their session's end.
    pub(crate) programs: AtomicUsize,
    /// Signalled whenever the number of sessions or of programs falls, to zero at the latest.
    pub(crate) emptied: Notify,
    /// One question to the workers at a time.
    asking: tokio::sync::Mutex<()>,
    /// Worker threads that are going to serve; set before the first starts.
    planned_workers: AtomicUsize,
    pub(crate) bridge_claimed: AtomicBool,
    refusing: AtomicBool,
    /// Worker threads end when they have no sessions any more.
    closed: AtomicBool,
    closing: Closing,
    /// The drain's window in milliseconds plus one; 0 while there is no drain.
    pub(crate) drain: AtomicU64,
    #[cfg(feature = "fault")]
    pub(crate) bridge: parking_lot::Mutex<Option<actix::Recipient<crate::supervise::Crash>>>,
}

impl Node {
    /// A node; `layer` gets the node's sink, for layers that deliver at publish, and makes the
    /// layer. Call [`Node::worker`] on the threads that are to have sessions.
    ///
    /// # Errors
    /// When a metric's name is taken in `registry`.
    pub fn new(
        options: NodeOptions,
        registry: &Registry,
        layer: impl FnOnce(Arc<dyn Sink>) -> Arc<dyn ChannelLayer>,
    ) -> prometheus::Result<Self> {
        let metrics = NodeMetrics::new(registry)?;
        let changes = options
            .subscribes
            .then(|| Changes::new(options.linger, options.members));
        let (id, naming) = (options.id, options.naming.clone());
        let directory = Arc::new(Directory::new(
            id,
            naming,
            changes,
            (options.queue.clone(), options.memory.clone()),
            metrics.clone(),
        ));
        registry.register(Box::new(Watchdog::new(Arc::downgrade(&directory))?))?;
        registry.register(Box::new(MemoryGauges::new(options.memory.clone())?))?;
        let layer = layer(Arc::clone(&directory) as Arc<dyn Sink>);
        layer
            .control()
            .serve(Arc::new(Commands(Arc::clone(&directory))));
        let shared = Shared {
            addresses: Addresses::new(&options.limits.rate),
            options,
            directory,
            status: layer.status(),
            layer,
            metrics,
            everyone: GroupName::everyone(),
            actors_encoder: Arc::new(RouteEncoder::default()),
            sessions: AtomicUsize::new(0),
            programs: AtomicUsize::new(0),
            emptied: Notify::new(),
            asking: tokio::sync::Mutex::default(),
            planned_workers: AtomicUsize::new(1),
            bridge_claimed: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            closing: Closing::new(),
            drain: AtomicU64::new(0),
            #[cfg(feature = "fault")]
            bridge: parking_lot::Mutex::new(None),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.shared.options.id
    }

    /// How the layer spells channels.
    pub fn naming(&self) -> &Naming {
        &self.shared.options.naming
    }

    /// The layer's state.
    pub fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    /// The node's layer.
    pub fn layer(&self) -> &Arc<dyn ChannelLayer> {
        &self.shared.layer
    }

    /// Publishes to a target, in the order of calls, never blocking.
    pub fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        self.shared.publish(target, envelope)
    }

    /// When a publish from outside of a session that begins now has to be over.
    pub fn publish_deadline(&self) -> Instant {
        Instant::now() + self.shared.options.publish_timeout
    }

    /// Says how many worker threads are going to serve, before the first calls [`Node::worker`].
    /// With more than one the bridge gets a thread of its own, so that application code that blocks
    /// a worker thread holds up that thread alone.
    pub fn plan_workers(&self, count: usize) {
        self.shared.planned_workers.store(count, Ordering::Release);
    }

    /// What everything that waits on this node draws from.
    pub fn memory(&self) -> &MemoryBudget {
        &self.shared.options.memory
    }

    /// Sessions on this node, those with an unanswered handshake included.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.load(Ordering::Acquire)
    }

    /// How many groups of the application have members on this node. Costs the same whatever their
    /// number. The group of everyone and those of users are not counted.
    pub fn group_count(&self) -> usize {
        self.shared.directory.count()
    }

    /// Groups with members on this node and how many, sorted by name.
    pub fn groups(&self) -> Vec<(GroupName, usize)> {
        self.shared.directory.groups()
    }

    /// Members of a group on this node.
    pub fn members(&self, group: &GroupName) -> usize {
        self.shared.directory.members(group)
    }

    /// Members of a group on all nodes. Nodes that are alive and do not answer before `deadline` are
    /// named.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn count_everywhere(
        &self,
        group: &GroupName,
        deadline: Duration,
    ) -> Result<ClusterCount, ControlError> {
        let group = group.as_str().to_owned();
        let command = Command::Count { group }.encode();
        let control = self.shared.layer.control();
        let replies = control.ask(ControlTarget::All, command, deadline).await?;
        Ok(ClusterCount::of(replies))
    }

    /// The session with this channel, on whichever node it is. `None` if there is none, also if the
    /// channel is not one of a session.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn find_session(
        &self,
        channel: &ChannelName,
        deadline: Duration,
    ) -> Result<Option<ClusterSession>, FindError> {
        let Some((node, _)) = self.naming().locate(channel.as_str()) else {
            return Ok(None);
        };
        let control = self.shared.layer.control();
        // A node that is gone is not waited for.
        if !control.nodes().contains(&node) {
            return Ok(None);
        }
        let text = channel.as_str().to_owned();
        let command = Command::User { channel: text }.encode();
        let target = ControlTarget::Node(node);
        let replies = control.ask(target, command, deadline).await?;
        ClusterSession::of(channel, node, replies)
    }

    /// The channels of a group's members on this node, in no order.
    pub async fn channels(&self, group: &GroupName) -> Vec<ChannelName> {
        let _one_at_a_time = self.shared.asking.lock().await;
        let answers = self.shared.directory.inboxes_of(group).map(|inbox| {
            let (answer, channels) = oneshot::channel();
            let group = group.clone();
            inbox.ask(Question::Channels { group, answer });
            channels
        });
        let answers = futures_util::future::join_all(answers).await;
        answers.into_iter().flatten().flatten().collect()
    }

    /// Limits, and what else it was made with.
    pub fn options(&self) -> &NodeOptions {
        &self.shared.options
    }

    /// From now on no session is admitted.
    pub fn refuse_sessions(&self) {
        self.shared.refusing.store(true, Ordering::Release);
    }

    /// Closes every session with 1001, spread over `window`. Resolves when all are gone and their
    /// programs have ended, at the latest after the window, three times the time a close may take
    /// (for what a program has still to take, for the peer's goodbye, and for the program's end)
    /// and a second; answers how many sessions remain.
    pub async fn close_sessions(&self, window: Duration) -> usize {
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX - 1);
        self.shared
            .drain
            .store(millis.saturating_add(1), Ordering::Release);
        let patience = window + self.shared.options.close_timeout * 3 + Duration::from_secs(1);
        let deadline = Instant::now() + patience;
        loop {
            let emptied = self.shared.emptied.notified();
            if self.sessions() == 0 && self.shared.programs.load(Ordering::Acquire) == 0 {
                return 0;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, emptied).await.is_err() {
                return self.sessions();
            }
        }
    }

    /// Is ready when the node begins to [close](Self::close).
    pub fn closing(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.closing.begins()
    }

    /// Keeps the layer open while the node closes, until the guard is dropped. Who holds one drops it
    /// soon after [`closing`](Self::closing).
    pub fn hold_layer(&self) -> LayerGuard {
        self.shared.closing.guard()
    }

    /// Waits for those who [hold the layer](Self::hold_layer), takes the subscriptions back and ends
    /// the layer's connections, and then the receivers of channels.
    /// The part of a thread ends when its last session has gone.
    pub async fn close(&self) {
        self.shared.closing.begin().await;
        self.shared.layer.close().await;
        self.shared.directory.queues.close();
        self.shared.closed.store(true, Ordering::Release);
        self.shared.emptied.notify_waiters();
    }
}

impl Shared {
    /// Whether the layer is closed for good.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether the bridge is to have a thread of its own.
    pub(crate) fn bridge_is_apart(&self) -> bool {
        self.planned_workers.load(Ordering::Acquire) > 1
    }

    pub(crate) fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        // An order to close takes no memory, and gives some back.
        if self.options.memory.is_short() && envelope.close.is_none() {
            self.metrics.dropped.no_memory.inc();
            self.options.memory.relieve();
            return Publish::Done(Err(PublishError::NoMemory));
        }
        self.metrics.published.inc();
        self.layer.publish(target, envelope)
    }

    /// Waits for a layer that is lost or was never there: what it had acknowledged before holds
    /// again only once it is back, also for groups that have members here already. Nothing is asked
    /// of it before, so a node that starts without its layer keeps no group that was ever tried.
    pub(crate) async fn layer_is_there(&self, deadline: tokio::time::Instant) -> bool {
        if self.status.borrow().state == State::Up {
            return true;
        }
        let mut status = self.status.clone();
        let there = status.wait_for(|status| status.state == State::Up);
        // A layer that has gone for good is not there either.
        matches!(tokio::time::timeout_at(deadline, there).await, Ok(Ok(_)))
    }
}
