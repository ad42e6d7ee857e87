//! Requests of this node that wait for answers.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_protocol::{NameMap, NameSet, NodeId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::control::{ControlError, ControlReplies, ControlTarget};

/// Requests that may wait at once.
const MAX_PENDING: usize = 256;

/// Requests of this node that wait for answers, by their ids.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    requests: Mutex<NameMap<i64, Pending>>,
}

#[derive(Debug)]
struct Pending {
    to: ControlTarget,
    /// The host that the request went over.
    host: Option<usize>,
    silent: NameSet<NodeId>,
    answers: NameMap<NodeId, Bytes>,
    /// Why there will be no more answers.
    failure: Option<String>,
    /// Dropped when there is nothing to wait for.
    waiting: Option<oneshot::Sender<()>>,
}

/// One request; forgotten when this is dropped.
pub(super) struct Request {
    requests: Arc<PendingRequests>,
    pub(super) id: i64,
    done: oneshot::Receiver<()>,
}

impl PendingRequests {
    /// Begins a request that these nodes are expected to answer.
    pub(super) fn begin(
        self: &Arc<Self>,
        id: i64,
        to: ControlTarget,
        expected: NameSet<NodeId>,
    ) -> Result<Request, ControlError> {
        let mut requests = self.requests.lock();
        if requests.len() >= MAX_PENDING || requests.contains_key(&id) {
            return Err(ControlError::Busy);
        }
        let (waiting, done) = oneshot::channel();
        let pending = Pending {
            to,
            host: None,
            silent: expected,
            answers: NameMap::default(),
            failure: None,
            waiting: Some(waiting),
        };
        requests.insert(id, pending);
        Ok(Request {
            requests: self.clone(),
            id,
            done,
        })
    }

    /// A node answered. An answer that nobody waits for any more has no effect.
    pub(super) fn answered(&self, id: i64, from: NodeId, body: Bytes) {
        let mut requests = self.requests.lock();
        let Some(pending) = requests.get_mut(&id) else {
            return;
        };
        if matches!(pending.to, ControlTarget::Node(node) if node != from) {
            return;
        }
        pending.answers.entry(from).or_insert(body);
        pending.silent.remove(&from);
        pending.settle();
    }

    /// A node has left: it will not answer.
    pub(super) fn left(&self, node: NodeId) {
        for pending in self.requests.lock().values_mut() {
            if pending.silent.remove(&node) {
                pending.settle();
            }
        }
    }

    /// A host is lost, and with it the answers that would have come over it.
    pub(super) fn lost(&self, host: usize, reason: &str) {
        for pending in self.requests.lock().values_mut() {
            if pending.host == Some(host) {
                pending.failure = Some(reason.to_owned());
                pending.waiting = None;
            }
        }
    }
}

impl Pending {
    fn settle(&mut self) {
        if self.silent.is_empty() {
            self.waiting = None;
        }
    }
}

impl Request {
    /// It goes over this host now.
    pub(super) fn goes_over(&self, host: usize) {
        if let Some(pending) = self.requests.requests.lock().get_mut(&self.id) {
            pending.host = Some(host);
            pending.settle();
        }
    }

    /// Waits until all nodes have answered or the host is lost.
    pub(super) async fn done(&mut self) {
        // The sender says nothing: it is dropped.
        let _ = (&mut self.done).await;
    }

    /// Ends the request.
    pub(super) fn finish(self) -> Result<ControlReplies, ControlError> {
        let pending = self.requests.requests.lock().remove(&self.id);
        let Some(pending) = pending else {
            return Ok(ControlReplies::default());
        };
        if let Some(reason) = pending.failure {
            return Err(ControlError::Down(reason));
        }
        Ok(ControlReplies {
            answers: pending.answers.into_iter().collect(),
            missing: pending.silent.into_iter().collect(),
        })
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.requests.requests.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeId {
        NodeId::random().unwrap()
    }

    #[test]
    fn requests_are_bounded_and_make_room_when_they_end() {
        let pending = Arc::new(PendingRequests::default());
        let begin = |id| pending.begin(id, ControlTarget::All, NameSet::default());
        let held: Vec<_> = (0..256).map(|id| begin(id).unwrap()).collect();
        assert_eq!(begin(256).err(), Some(ControlError::Busy));
        drop(held);
        assert!(begin(256).is_ok());
    }

    #[test]
    fn only_the_node_that_was_asked_answers() {
        let pending = Arc::new(PendingRequests::default());
        let (asked, other) = (node(), node());
        let request = pending.begin(1, ControlTarget::Node(asked), [asked].into_iter().collect());
        let request = request.unwrap();
        pending.answered(1, other, Bytes::from_static(b"wrong"));
        pending.answered(2, asked, Bytes::from_static(b"another request"));
        assert_eq!(request.finish().unwrap(), ControlReplies::none_of(asked));
    }

    #[test]
    fn a_lost_host_fails_the_requests_that_went_over_it() {
        let pending = Arc::new(PendingRequests::default());
        let begin = |id, host| {
            let request = pending.begin(id, ControlTarget::All, [node()].into_iter().collect());
            let request = request.unwrap();
            request.goes_over(host);
            request
        };
        let (first, second) = (begin(1, 0), begin(2, 1));
        pending.lost(0, "gone");
        assert_eq!(first.finish(), Err(ControlError::Down("gone".into())));
        assert_eq!(second.finish().unwrap().missing.len(), 1);
    }
}
