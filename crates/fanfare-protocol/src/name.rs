//! Names: of groups, channels, nodes and sessions; checked once at the edge.

use std::fmt;
use std::sync::Arc;

use crate::session_id::SessionId;

/// The longest name that Channels takes, in characters (its `MAX_NAME_LENGTH` is exclusive).
const MAX_CHANNELS_NAME: usize = 99;

/// The longest name of a group, in bytes.
const MAX_GROUP_NAME: usize = 255;

/// The longest name taken from the wire, in bytes: a layer prefix may stand in front.
const MAX_WIRE_NAME: usize = 512;

/// What the groups of users start with.
const USER: &str = "fanfare.user.";

/// Why a name is refused; the text names the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A group's name that is empty or over 255 bytes, or that has a control character.
    #[error(
        "group name {name:?} must be 1 to 255 bytes of UTF-8 text without control characters: {}",
        group_fault(name)
    )]
    Group {
        /// As it was given.
        name: String,
    },
    /// A channel's name that is empty, too long, or has characters that Channels does not take.
    #[error(
        "channel name {name:?} must be 1 to 99 ASCII letters, digits, hyphens, underscores or \
         periods, with at most one \"!\" behind the first of them"
    )]
    Channel {
        /// As it was given.
        name: String,
    },
    /// A user id that is empty, or whose group name is over 99 characters.
    #[error("user id {id:?} is empty or too long: fanfare.user.<id> must fit 99 characters")]
    User {
        /// As it was given.
        id: String,
    },
    /// A name that belongs to the layer or to Fanfare itself.
    #[error("{kind} name {name:?} is reserved")]
    Reserved {
        /// `group` or `channel`.
        kind: &'static str,
        /// As it was given.
        name: String,
    },
}

/// The name of a group: 1 to 255 bytes of UTF-8 text without control characters (Unicode's category
/// Cc: U+0000 to U+001F and U+007F to U+009F). Every other character counts, also a space, and
/// names are compared byte by byte. Clones share the text.
///
/// Python's Channels takes fewer names; see [`is_portable`](Self::is_portable).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Arc<str>);

/// A legal channel name; clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// A node: 128 random bits, fresh at every start, 32 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId([u8; 16]);

/// Whom an event is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The members of a group; users and everyone are groups too.
    Group(GroupName),
    /// One session, or the workers that receive from this channel.
    Channel(ChannelName),
}

/// How channels are spelled on a layer: in the pub/sub format the layer's prefix stands in front
/// of a session's name, because there the name is the Redis channel.
#[derive(Debug, Clone)]
pub struct Naming {
    layer_prefix: Arc<str>,
    session_prefix: Arc<str>,
}

impl GroupName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError::Group`].
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let fits = (1..=MAX_GROUP_NAME).contains(&name.len());
        if fits && !name.contains(char::is_control) {
            Ok(Self(name.into()))
        } else {
            Err(NameError::Group { name: name.into() })
        }
    }

    /// Whether Python's Channels takes this name on every layer: 1 to 99 ASCII letters, digits,
    /// hyphens, underscores and periods. On Redis pub/sub Python takes any name.
    pub fn is_portable(&self) -> bool {
        is_channels_name(&self.0)
    }

    /// The group that every session is in: `fanfare.all`.
    pub fn everyone() -> Self {
        Self("fanfare.all".into())
    }

    /// The group of a user's sessions: `fanfare.user.<id>`, bytes of the id outside
    /// `[A-Za-z0-9_-]` written `.xx`.
    ///
    /// # Errors
    /// [`NameError::User`] when the id is empty or the name passes 99 characters.
    pub fn user(id: &str) -> Result<Self, NameError> {
        use std::fmt::Write as _;
        let mut name = String::from(USER);
        for byte in id.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                name.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(name, ".{byte:02x}");
            }
        }
        if id.is_empty() || name.len() > MAX_CHANNELS_NAME {
            return Err(NameError::User { id: id.into() });
        }
        Ok(Self(name.into()))
    }

    /// The id of the user whose group this is; the reverse of [`Self::user`]. `None` for a group that
    /// is no user's.
    pub fn user_id(&self) -> Option<String> {
        let mut rest = self.0.strip_prefix(USER)?.as_bytes();
        let mut id = Vec::with_capacity(rest.len());
        while let [byte, after @ ..] = rest {
            rest = after;
            if *byte != b'.' {
                id.push(*byte);
                continue;
            }
            let (digits, after) = rest.split_at_checked(2)?;
            rest = after;
            id.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        }
        // A name that is written otherwise is no user's, also if it means the same.
        let id = String::from_utf8(id).ok()?;
        (Self::user(&id).as_ref() == Ok(self)).then_some(id)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ChannelName {
    /// A name that another node or application put on the wire; its own layer checked it, so only
    /// its size is bounded here.
    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        (1..=MAX_WIRE_NAME)
            .contains(&name.len())
            .then(|| Self(name.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NodeId {
    /// A fresh id from the system's random source.
    ///
    /// # Errors
    /// When the system has no random source.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The id of 32 lowercase hex digits.
    pub fn parse(hex: &str) -> Option<Self> {
        let plain = hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != 32 || !plain {
            return None;
        }
        u128::from_str_radix(hex, 16)
            .ok()
            .map(|bits| Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Naming {
    /// The memory layer and the core format: `specific.<node>!<id>`.
    pub fn plain(layer_prefix: &str) -> Self {
        Self {
            layer_prefix: layer_prefix.into(),
            session_prefix: "".into(),
        }
    }

    /// The pub/sub format: `{prefix}specific.<node>!<id>`.
    pub fn pubsub(layer_prefix: &str) -> Self {
        Self {
            layer_prefix: layer_prefix.into(),
            session_prefix: layer_prefix.into(),
        }
    }

    /// Checks a layer's prefix. On pub/sub it is a part of channel names, which stand in a header of
    /// every handshake.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn check_prefix(layer_prefix: &str) -> Result<(), &'static str> {
        if !layer_prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err("may only have visible ASCII characters without spaces")
        } else if layer_prefix.starts_with("fanfare:") {
            Err("must not start with \"fanfare:\", which is reserved for the server")
        } else {
            Ok(())
        }
    }

    /// The channel name of a session.
    pub fn session(&self, node: NodeId, session: SessionId) -> ChannelName {
        let session = session.hidden(&node.0);
        ChannelName(format!("{}specific.{node}!{session}", self.session_prefix).into())
    }

    /// Everything that the sessions of a node have in front of their ids.
    pub fn node_prefix(&self, node: NodeId) -> String {
        format!("{}specific.{node}!", self.session_prefix)
    }

    /// The node and session behind a channel name, when it is one of a Fanfare session. The session
    /// means something only for a node of this process: others hide theirs with another key.
    pub fn locate(&self, channel: &str) -> Option<(NodeId, SessionId)> {
        let rest = channel
            .strip_prefix(&*self.session_prefix)?
            .strip_prefix("specific.")?;
        let (node, session) = rest.split_once('!')?;
        let node = NodeId::parse(node)?;
        Some((node, SessionId::revealed(session, &node.0)?))
    }

    /// Checks a channel name that an application gave: a session's, a process-local or a normal
    /// one, never one of the layer's own.
    ///
    /// # Errors
    /// [`NameError`], with the name.
    pub fn channel(&self, name: &str) -> Result<ChannelName, NameError> {
        if name.starts_with(&format!("{}__group__", self.layer_prefix))
            || name.starts_with("fanfare:")
        {
            return Err(NameError::Reserved {
                kind: "channel",
                name: name.into(),
            });
        }
        let bare = match name.strip_prefix(&*self.session_prefix) {
            Some(rest) if rest.starts_with("specific.") => rest,
            _ => name,
        };
        let (process, local) = bare.split_once('!').unwrap_or((bare, ""));
        let legal = is_channels_name(process) && (local.is_empty() || is_channels_name(local));
        if legal && bare.len() <= MAX_CHANNELS_NAME {
            Ok(ChannelName(name.into()))
        } else {
            Err(NameError::Channel { name: name.into() })
        }
    }
}

/// What is wrong with the name of a group.
fn group_fault(name: &str) -> String {
    match name.chars().find(|letter| letter.is_control()) {
        Some(letter) => format!("it has the control character U+{:04X}", u32::from(letter)),
        None => format!("it has {} bytes", name.len()),
    }
}

fn is_channels_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_CHANNELS_NAME).contains(&name.len()) && name.bytes().all(legal)
}
