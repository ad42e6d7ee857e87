//! The plain connections of a server. There are at most so many of them that sessions and health
//! checks always find descriptors.
//!
//! A client that opens one more takes the place of the one that has made no progress for the longest
//! time: it is idle, sends its request slowly, or does not read the response. A connection whose
//! request is in work keeps its place.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metrics::ConnectionMetrics;
use crate::pipeline::Pipeline;

thread_local! {
    /// Those of this thread, for each server: its listeners share them.
    static HERE: RefCell<Vec<Weak<Connections>>> = const { RefCell::new(Vec::new()) };
}

/// What the threads of a server share.
pub(crate) struct Crowd {
    /// The most plain connections; 0 is no limit.
    limit: usize,
    open: AtomicUsize,
    metrics: Option<ConnectionMetrics>,
}

/// The connections of a thread that are neither sessions nor handshakes.
pub(crate) struct Connections {
    crowd: Arc<Crowd>,
    open: RefCell<Vec<Rc<Pipeline>>>,
}

/// The place of a connection, given back when this is dropped.
pub(crate) struct Place {
    connections: Rc<Connections>,
    pipeline: Rc<Pipeline>,
}

impl Crowd {
    pub(crate) fn new(limit: usize, metrics: Option<ConnectionMetrics>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            open: AtomicUsize::new(0),
            metrics,
        })
    }

    fn is_full(&self) -> bool {
        self.limit > 0 && self.open.load(Ordering::Relaxed) >= self.limit
    }

    fn count(&self, what: impl FnOnce(&ConnectionMetrics)) {
        if let Some(metrics) = &self.metrics {
            what(metrics);
        }
    }
}

impl Connections {
    /// Those of this thread.
    pub(crate) fn here(crowd: &Arc<Crowd>) -> Rc<Self> {
        HERE.with_borrow_mut(|all| {
            all.retain(|it| it.strong_count() > 0);
            let mut alive = all.iter().filter_map(Weak::upgrade);
            let own = alive.find(|it| Arc::ptr_eq(&it.crowd, crowd));
            own.unwrap_or_else(|| {
                let new = Rc::new(Self {
                    crowd: Arc::clone(crowd),
                    open: RefCell::default(),
                });
                all.push(Rc::downgrade(&new));
                new
            })
        })
    }

    /// A place for a new connection; none while every place of this thread is in work.
    pub(crate) fn admit(self: &Rc<Self>, pipeline: Rc<Pipeline>) -> Option<Place> {
        if self.crowd.is_full() && !self.cut_one() {
            self.crowd.count(|metrics| metrics.refused.inc());
            return None;
        }
        self.crowd.open.fetch_add(1, Ordering::Relaxed);
        self.crowd.count(|metrics| metrics.open.inc());
        self.open.borrow_mut().push(Rc::clone(&pipeline));
        Some(Place {
            connections: Rc::clone(self),
            pipeline,
        })
    }

    /// Ends the connection that has made no progress for the longest time; false if none may be.
    fn cut_one(&self) -> bool {
        let open = self.open.borrow();
        let idle = open.iter().filter(|it| !it.is_in_work());
        let Some(oldest) = idle.min_by_key(|it| it.used()).map(Rc::clone) else {
            return false;
        };
        drop(open);
        oldest.cut();
        self.leave(&oldest);
        self.crowd.count(|metrics| metrics.crowded.inc());
        true
    }

    /// One that was cut has left already.
    fn leave(&self, pipeline: &Rc<Pipeline>) {
        let mut open = self.open.borrow_mut();
        if let Some(index) = open.iter().position(|it| Rc::ptr_eq(it, pipeline)) {
            open.swap_remove(index);
            self.crowd.open.fetch_sub(1, Ordering::Relaxed);
            self.crowd.count(|metrics| metrics.open.dec());
        }
    }
}

impl Place {
    /// The client has not read for too long.
    pub(crate) fn count_unread(&self) {
        let crowd = &self.connections.crowd;
        crowd.count(|metrics| metrics.unread.inc());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.leave(&self.pipeline);
    }
}
