//! How targets are spelled on Redis.

use fanfare_protocol::{GroupName, NameError, Naming, NodeId, Target};

use crate::Subscription;
use crate::redis::control::channel::node_channel;

/// The Redis channels of one node and one prefix.
#[derive(Debug)]
pub(super) struct Keys {
    naming: Naming,
    group_prefix: String,
    /// What this node listens to with PSUBSCRIBE on every host: the channels of its sessions.
    pub(super) pattern: String,
    /// This node's own channel, which carries its probes and its control messages.
    pub(super) node: String,
    /// Orders to close the sessions of a group: what only nodes understand must not reach members
    /// in Python.
    pub(super) closes: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, node: NodeId) -> Self {
        let naming = Naming::pubsub(prefix);
        let pattern = format!("{}*", escaped(&naming.node_prefix(node)));
        Self {
            naming,
            group_prefix: format!("{prefix}__group__"),
            pattern,
            node: node_channel(prefix, node),
            closes: format!("fanfare:{prefix}:closes"),
        }
    }

    /// The Redis channel of a group.
    pub(super) fn group(&self, group: &GroupName) -> String {
        format!("{}{group}", self.group_prefix)
    }

    /// The Redis channel of a target; a channel name already is one.
    pub(super) fn channel(&self, target: &Target) -> String {
        match target {
            Target::Group(group) => self.group(group),
            Target::Channel(channel) => channel.as_str().to_owned(),
        }
    }

    /// The Redis channel of a subscription. Here a member's group is subscribed for all members.
    pub(super) fn subscribed(&self, subscription: &Subscription) -> String {
        match subscription {
            Subscription::Group(group) => self.group(group),
            Subscription::SessionInGroup(member) => self.group(&member.0),
            Subscription::Channel(channel) => channel.as_str().to_owned(),
        }
    }

    /// Whom a message on a Redis channel is for.
    pub(super) fn target(&self, channel: &str) -> Result<Target, NameError> {
        match channel.strip_prefix(&self.group_prefix) {
            Some(group) => GroupName::parse(group).map(Target::Group),
            None => self.naming.channel(channel).map(Target::Channel),
        }
    }
}

/// A pattern of Redis that matches just this text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "0123456789abcdef0123456789abcdef";

    fn keys(prefix: &str) -> Keys {
        Keys::new(prefix, NodeId::parse(NODE).unwrap())
    }

    #[test]
    fn names_are_spelled_as_channels_redis_spells_them() {
        let keys = keys("asgi");
        let group = GroupName::parse("notifications").unwrap();
        assert_eq!(keys.group(&group), "asgi__group__notifications");
        assert_eq!(keys.pattern, format!("asgispecific.{NODE}!*"));
        assert_eq!(keys.node, format!("fanfare:asgi:node:{NODE}"));
    }

    #[test]
    fn a_target_survives_its_spelling() {
        let keys = keys("my.app-1");
        let channel = format!("my.app-1specific.{NODE}!0000000100000001");
        for target in [
            Target::Group(GroupName::parse("a.b-c_d").unwrap()),
            Target::Group(GroupName::parse("ann@café:42 ").unwrap()),
            Target::Channel(Naming::pubsub("my.app-1").channel(&channel).unwrap()),
        ] {
            assert_eq!(keys.target(&keys.channel(&target)), Ok(target));
        }
    }

    #[test]
    fn glob_characters_of_the_prefix_match_only_themselves() {
        assert_eq!(
            keys("a*[b]?\\").pattern,
            format!("a\\*\\[b\\]\\?\\\\specific.{NODE}!*")
        );
    }

    #[test]
    fn an_illegal_group_from_the_wire_is_no_target() {
        assert!(keys("asgi").target("asgi__group__not\nlegal").is_err());
        assert!(keys("asgi").target("fanfare:asgi:node:x").is_err());
    }
}
