//! How names are spelled in Redis, in the core format.

use std::borrow::Cow;

use fanfare_protocol::{GroupName, NodeId, SessionId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Group lanes of a node. A group has one of them, so its order is kept; more of them leave more
/// room for bursts, because capacity counts for each.
pub(super) const GROUP_LANES: usize = 8;
/// A group that every node is a member of, on every host: where the node is missing from it, the
/// host has lost its data.
const NODES: &str = "fanfare.nodes";
/// Stands in front of an escaped group name. No name of Channels has this character, so an escaped
/// name never is the name of another group.
const ESCAPED: char = '%';
/// The bytes that are written `%XX` in an escaped name: those that no name of Channels has.
const FOREIGN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The names of one node and one prefix.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
    node: NodeId,
    /// `specific.<node>!`, the start of this node's session channels.
    own: String,
    lanes: Vec<String>,
}

/// What a member of a group that leads to this node stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Addressee<'a> {
    /// This node's members of a group, in the spelling of [`group_named`].
    Group(&'a str),
    /// One session, or a channel of this node's own.
    Channel(&'a str),
}

impl Keys {
    pub(super) fn new(prefix: &str, node: NodeId) -> Self {
        let id = node.to_string();
        Self {
            prefix: prefix.to_owned(),
            node,
            own: lane(&id, None),
            lanes: lanes(prefix, &id).collect(),
        }
    }

    /// The zsets that this node reads on every host; the first is for single channels.
    pub(super) fn lanes(&self) -> &[String] {
        &self.lanes
    }

    /// The lanes of another node.
    pub(super) fn lanes_of(&self, node: &str) -> Vec<String> {
        lanes(&self.prefix, node).collect()
    }

    /// The zset of a group's members.
    pub(super) fn group(&self, group: &GroupName) -> String {
        self.spelled_group(&spelled(group))
    }

    /// The zset of a group whose name is [`spelled`] already.
    pub(super) fn spelled_group(&self, group: &str) -> String {
        format!("{}:group:{group}", self.prefix)
    }

    /// The member that stands in a group for all of this node's members.
    pub(super) fn member(&self, group: &GroupName) -> String {
        member(&self.node.to_string(), &spelled(group))
    }

    /// The zset where the messages of a channel wait.
    pub(super) fn channel(&self, name: &str) -> String {
        format!("{}{}", self.prefix, non_local(name))
    }

    /// Whom a full name in a message to this node means; `None` if it is not of this node.
    pub(super) fn read<'a>(&self, name: &'a str) -> Option<Addressee<'a>> {
        let node = self.own.strip_suffix('!').unwrap_or(&self.own);
        let rest = name.strip_prefix(node)?;
        if rest.starts_with('!') {
            return Some(Addressee::Channel(name));
        }
        let (lane, group) = rest.strip_prefix(".g")?.split_once('!')?;
        let known = lane.parse::<usize>().is_ok_and(|at| at < GROUP_LANES);
        known.then_some(Addressee::Group(group))
    }

    /// When each node was last heard of; one for each host.
    pub(super) fn nodes(&self) -> String {
        format!("fanfare:{}:nodes", self.prefix)
    }

    /// What to take out of a host when a node has died.
    pub(super) fn members(&self, node: &str) -> String {
        format!("fanfare:{}:node:{node}:members", self.prefix)
    }

    /// Held by the node that cleans up after another.
    pub(super) fn cleaning(&self, node: &str) -> String {
        format!("fanfare:{}:node:{node}:cleaning", self.prefix)
    }

    /// The nodes that are gone, by when that was.
    pub(super) fn departed(&self) -> String {
        format!("fanfare:{}:departed", self.prefix)
    }

    /// Held by the node that empties the lanes of those.
    pub(super) fn emptying(&self) -> String {
        format!("fanfare:{}:emptying", self.prefix)
    }

    /// Wakes this node from waiting for the messages of normal channels.
    pub(super) fn wakeup(&self) -> String {
        format!("fanfare:{}:node:{}:bell", self.prefix, self.node)
    }

    /// The zset of all nodes, and this node in it.
    pub(super) fn canary(&self) -> (String, String) {
        let member = member(&self.node.to_string(), NODES);
        (self.spelled_group(NODES), member)
    }

    /// Another node among all nodes.
    pub(super) fn canary_of(&self, node: &str) -> String {
        member(node, NODES)
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }
}

/// How a group's name is spelled: as it is where Channels takes it, otherwise `%` and the name with
/// its foreign bytes percent-encoded. The `%` in front also marks a name that is only too long.
/// Python's layer refuses every name with a `%`, so such a group is Fanfare's alone.
pub(super) fn spelled(group: &GroupName) -> Cow<'_, str> {
    if group.is_portable() {
        return Cow::Borrowed(group.as_str());
    }
    let escaped = utf8_percent_encode(group.as_str(), FOREIGN);
    Cow::Owned(format!("{ESCAPED}{escaped}"))
}

/// The group behind a spelling; `None` if [`spelled`] never writes it.
pub(super) fn group_named(spelling: &str) -> Option<GroupName> {
    let name = match spelling.strip_prefix(ESCAPED) {
        Some(escaped) => percent_decode_str(escaped).decode_utf8().ok()?,
        None => spelling.into(),
    };
    let group = GroupName::parse(&name).ok()?;
    (spelled(&group) == spelling).then_some(group)
}

/// A channel's name up to and with the `!`: the part that one process reads; a normal channel's
/// name whole.
pub(super) fn non_local(name: &str) -> &str {
    match name.find('!') {
        Some(at) => name.get(..=at).unwrap_or(name),
        None => name,
    }
}

/// Whether a full name leads to a node of Fanfare: to a group's members there, or to a session,
/// whose id has 16 hex digits where that of channels_redis has 32.
pub(super) fn is_fanfare(name: &str) -> bool {
    let Some((process, local)) = name.split_once('!') else {
        return false;
    };
    let Some(process) = process.strip_prefix("specific.") else {
        return false;
    };
    match process.split_once(".g") {
        Some((node, _)) => NodeId::parse(node).is_some(),
        None => NodeId::parse(process).is_some() && SessionId::has_form(local),
    }
}

fn lane(node: &str, group: Option<usize>) -> String {
    match group {
        Some(at) => format!("specific.{node}.g{at}!"),
        None => format!("specific.{node}!"),
    }
}

fn member(node: &str, group: &str) -> String {
    let at = crc32fast::hash(group.as_bytes()) as usize % GROUP_LANES;
    format!("{}{group}", lane(node, Some(at)))
}

fn lanes(prefix: &str, node: &str) -> impl Iterator<Item = String> {
    let groups = (0..GROUP_LANES).map(Some);
    std::iter::once(None)
        .chain(groups)
        .map(move |at| format!("{prefix}{}", lane(node, at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "0123456789abcdef0123456789abcdef";

    fn keys() -> Keys {
        Keys::new("asgi", NodeId::parse(NODE).unwrap())
    }

    fn group(name: &str) -> GroupName {
        GroupName::parse(name).unwrap()
    }

    #[test]
    fn keys_are_spelled_as_channels_redis_spells_them() {
        let keys = keys();
        assert_eq!(keys.group(&group("room")), "asgi:group:room");
        assert_eq!(keys.lanes()[0], format!("asgispecific.{NODE}!"));
        assert_eq!(keys.lanes()[8], format!("asgispecific.{NODE}.g7!"));
        assert_eq!(keys.channel("thumbnails"), "asgithumbnails");
        assert_eq!(keys.channel("specific.ab!cd"), "asgispecific.ab!");
    }

    #[test]
    fn a_name_that_channels_does_not_take_is_escaped() {
        let long = "g".repeat(100);
        for (name, spelling) in [
            ("user:42", "%user%3A42"),
            ("café", "%caf%C3%A9"),
            ("ann@example.com", "%ann%40example.com"),
            ("%41", "%%2541"),
            ("a b!c", "%a%20b%21c"),
            (long.as_str(), &format!("%{long}")),
        ] {
            assert_eq!(spelled(&group(name)), spelling);
            assert_eq!(group_named(spelling), Some(group(name)));
        }
        for foreign in [
            "",
            "%",
            "%room",
            "user:42",
            "%user%3a42",
            "%%41",
            "%%FF",
            "%%0A",
            &long,
        ] {
            assert_eq!(group_named(foreign), None, "{foreign:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_group_survives_its_spelling_and_shares_it_with_no_other(
            one in "[^\\p{Cc}]{1,63}",
            other in "[ -~é]{1,4}",
        ) {
            let (one, other) = (group(&one), group(&other));
            for group in [&one, &other] {
                let spelling = spelled(group);
                proptest::prop_assert!(!spelling.contains(['!', ' ', ':']), "{}", spelling);
                proptest::prop_assert_eq!(group_named(&spelling), Some(group.clone()));
            }
            proptest::prop_assert_eq!(spelled(&one) == spelled(&other), one == other);
        }
    }

    #[test]
    fn a_member_leads_to_a_lane_that_is_read_and_back_to_its_group() {
        let keys = keys();
        let long = "é".repeat(127);
        for name in ["room", "fanfare.all", "a.b-c_d", "user:42", "a!b", &long] {
            let member = keys.member(&group(name));
            assert!(
                keys.lanes()[1..].contains(&keys.channel(&member)),
                "{member}"
            );
            let Some(Addressee::Group(spelling)) = keys.read(&member) else {
                panic!("{member} leads to no group");
            };
            assert_eq!(group_named(spelling), Some(group(name)));
            assert!(is_fanfare(&member));
        }
        let session = format!("specific.{NODE}!0000000100000001");
        assert_eq!(keys.read(&session), Some(Addressee::Channel(&session)));
        assert!(is_fanfare(&session));
    }

    #[test]
    fn names_of_others_are_not_ours() {
        let keys = keys();
        for name in [
            "thumbnails",
            "specific.ffffffffffffffffffffffffffffffff!0000000100000001",
            &format!("specific.{NODE}.g8!room"),
            &format!("specific.{NODE}x!room"),
        ] {
            assert_eq!(keys.read(name), None, "{name}");
        }
        let python = format!("specific.{NODE}!{NODE}");
        assert!(!is_fanfare(&python) && !is_fanfare("thumbnails"));
    }
}
