//! The sessions and groups of this node.

use fanfare_node::Node;
use fanfare_protocol::{ChannelName, GroupName, NameError};

/// This node's part of the cluster, by [`Cluster::local`](crate::Cluster::local). It answers from
/// memory, and knows nothing of other nodes.
///
/// ```
/// use fanfare_consumer::Cluster;
///
/// let cluster = Cluster::memory()?;
/// assert_eq!(cluster.local().sessions(), 0);
/// assert!(cluster.local().groups().is_empty());
/// # Ok::<(), fanfare_consumer::ClusterError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Local<'a> {
    node: &'a Node,
}

impl<'a> Local<'a> {
    pub(super) fn new(node: &'a Node) -> Self {
        Self { node }
    }

    /// How many sessions there are, those with an unanswered handshake included.
    pub fn sessions(self) -> usize {
        self.node.sessions()
    }

    /// The groups with members here, and how many each has, in the order of their names.
    pub fn groups(self) -> Vec<(GroupName, usize)> {
        self.node.groups()
    }

    /// How many members a group has.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn count(self, group: &str) -> Result<usize, NameError> {
        Ok(self.node.members(&GroupName::parse(group)?))
    }

    /// The channels of a group's members, in no order.
    ///
    /// # Errors
    /// [`NameError`].
    pub async fn members(self, group: &str) -> Result<Vec<ChannelName>, NameError> {
        let group = GroupName::parse(group)?;
        Ok(self.node.channels(&group).await)
    }
}
