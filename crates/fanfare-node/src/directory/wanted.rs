//! Where the subscription of each group stands, and which have to change: a state machine without a
//! layer and without threads of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use fanfare_protocol::GroupName;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::options::MembershipMode;

/// Where the subscription of a group stands.
#[derive(Default)]
pub(crate) enum Subscription {
    /// The layer has not been asked.
    #[default]
    None,
    /// Wanted, not acknowledged. In a box, as [`Self::Leaving`]: a node may have many groups.
    Pending(Box<Asked>),
    /// Acknowledged.
    Active,
    /// The layer has been asked to take it back; whoever joins meanwhile waits here.
    Leaving(Box<Asked>),
}

/// A change of a subscription that is under way.
#[derive(Default)]
pub(crate) struct Asked {
    /// The number of the last request to subscribe; zero when the layer has not been asked since.
    pub(super) number: u32,
    pub(super) waiting: Vec<oneshot::Sender<()>>,
}

/// The layer is to subscribe a group. A later request for the same group replaces this one, whose
/// answer then counts no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) group: GroupName,
    pub(super) number: u32,
}

/// Groups whose subscription has to change; the bridge reads it. Lives outside the bridge.
pub(crate) struct Changes {
    wanted: Mutex<VecDeque<GroupName>>,
    emptied: Mutex<VecDeque<(Instant, GroupName)>>,
    bridge: AtomicWaker,
    requests: AtomicU32,
    linger: Duration,
    pub(crate) members: MembershipMode,
}

impl Changes {
    pub(crate) fn new(linger: Duration, members: MembershipMode) -> Self {
        Self {
            wanted: Mutex::default(),
            emptied: Mutex::default(),
            bridge: AtomicWaker::new(),
            requests: AtomicU32::new(0),
            linger,
            members,
        }
    }

    /// Somebody has joined; called under the lock of the group's stripe.
    pub(crate) fn wanted(
        &self,
        group: &GroupName,
        subscription: &mut Subscription,
    ) -> Option<oneshot::Receiver<()>> {
        let (done, wait) = oneshot::channel();
        match subscription {
            Subscription::Active => return None,
            Subscription::Pending(asked) | Subscription::Leaving(asked) => {
                let waiting = &mut asked.waiting;
                // A layer that is away for long must not gather everybody who gave up.
                if waiting.len() == waiting.capacity() {
                    waiting.retain(|done| !done.is_closed());
                }
                waiting.push(done);
            }
            Subscription::None => {
                *subscription = Subscription::Pending(Box::new(Asked {
                    number: 0,
                    waiting: vec![done],
                }));
                self.want(group);
            }
        }
        Some(wait)
    }

    /// The last member has left.
    pub(crate) fn emptied(&self, group: &GroupName) {
        self.emptied
            .lock()
            .push_back((Instant::now() + self.linger, group.clone()));
    }

    /// Up to `most` groups that are wanted; `bridge` is woken when there are more.
    pub(super) fn take_wanted(&self, most: usize, bridge: &Waker) -> Vec<GroupName> {
        self.bridge.register(bridge);
        let mut wanted = self.wanted.lock();
        let count = wanted.len().min(most);
        let taken = wanted.drain(..count).collect();
        if !wanted.is_empty() {
            self.bridge.wake();
        }
        taken
    }

    /// A number for a request; never zero.
    pub(super) fn number(&self) -> u32 {
        self.requests.fetch_add(1, Ordering::Relaxed) % u32::MAX + 1
    }

    pub(super) fn want(&self, group: &GroupName) {
        self.wanted.lock().push_back(group.clone());
        self.bridge.wake();
    }

    /// Drops what is wanted; the caller asks for all of it again.
    pub(super) fn forget_wanted(&self) {
        self.wanted.lock().clear();
    }

    pub(super) fn want_all(&self, groups: Vec<GroupName>) {
        self.wanted.lock().extend(groups);
        self.bridge.wake();
    }

    pub(super) fn take_emptied(&self, now: Instant) -> Vec<GroupName> {
        let mut emptied = self.emptied.lock();
        let count = emptied.iter().take_while(|(due, _)| *due <= now).count();
        emptied.drain(..count).map(|(_, group)| group).collect()
    }
}
