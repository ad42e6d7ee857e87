//! Which nodes are alive, by their signs of life.

use std::time::{Duration, Instant};

use fanfare_protocol::{NameMap, NodeId};

/// A node that gave no sign of life for this long is not alive.
pub(super) const SILENCE: Duration = Duration::from_secs(15);
/// Nodes beyond this number are not remembered.
const MAX_NODES: usize = 4096;

/// The other nodes.
#[derive(Debug, Default)]
pub(super) struct LiveNodes {
    nodes: NameMap<NodeId, Sign>,
}

/// The last sign of a node.
#[derive(Debug)]
struct Sign {
    at: Instant,
    /// Signs of life that another host brings after the goodbye do not count. Ids are never used
    /// again.
    left: bool,
}

impl LiveNodes {
    pub(super) fn alive(&mut self, node: NodeId, at: Instant) {
        self.note(node, at, false);
    }

    pub(super) fn left(&mut self, node: NodeId, at: Instant) {
        self.note(node, at, true);
    }

    /// The nodes that are alive.
    pub(super) fn all(&mut self, now: Instant) -> impl Iterator<Item = NodeId> {
        self.forget(now);
        let nodes = self.nodes.iter();
        nodes.filter(|(_, sign)| !sign.left).map(|(node, _)| *node)
    }

    fn note(&mut self, node: NodeId, at: Instant, left: bool) {
        if let Some(sign) = self.nodes.get_mut(&node) {
            sign.at = at;
            sign.left |= left;
            return;
        }
        if self.nodes.len() >= MAX_NODES {
            self.forget(at);
        }
        if self.nodes.len() < MAX_NODES {
            self.nodes.insert(node, Sign { at, left });
        }
    }

    fn forget(&mut self, now: Instant) {
        self.nodes
            .retain(|_, sign| now.saturating_duration_since(sign.at) < SILENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(live: &mut LiveNodes, now: Instant) -> Vec<NodeId> {
        live.all(now).collect()
    }

    #[test]
    fn a_node_is_alive_until_it_is_silent_for_too_long() {
        let (mut live, node, start) = (
            LiveNodes::default(),
            NodeId::random().unwrap(),
            Instant::now(),
        );
        live.alive(node, start);
        let just_before = SILENCE - Duration::from_millis(1);
        assert_eq!(all(&mut live, start + just_before), [node]);
        live.alive(node, start + just_before);
        assert_eq!(all(&mut live, start + SILENCE), [node]);
        assert_eq!(all(&mut live, start + just_before + SILENCE), []);
    }

    #[test]
    fn a_sign_of_life_behind_the_goodbye_does_not_count() {
        let (mut live, node, start) = (
            LiveNodes::default(),
            NodeId::random().unwrap(),
            Instant::now(),
        );
        live.alive(node, start);
        live.left(node, start);
        assert_eq!(all(&mut live, start), []);
        live.alive(node, start);
        assert_eq!(all(&mut live, start), []);
    }

    #[test]
    fn no_more_nodes_are_remembered_than_there_is_room_for() {
        let (mut live, start) = (LiveNodes::default(), Instant::now());
        for _ in 0..MAX_NODES + 10 {
            live.alive(NodeId::random().unwrap(), start);
        }
        assert_eq!(all(&mut live, start).len(), MAX_NODES);
        live.alive(NodeId::random().unwrap(), start + SILENCE);
        assert_eq!(all(&mut live, start + SILENCE).len(), 1);
    }
}
