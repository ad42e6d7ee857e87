//! What a node is made with: its bounds, its times, and what it tells a layer.

use std::time::Duration;

use fanfare_layer::{GroupRules, MemoryBudget, QueueOptions};
use fanfare_protocol::frame::FrameLimits;
use fanfare_protocol::{GroupName, Naming, NodeId};

use crate::machine::machine_memory;

/// The most worker threads of a node: they fit one word of bits.
pub(crate) const MAX_WORKERS: usize = 64;

/// Bounds of a node, as in the configuration's `limits`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sessions at one time.
    pub sessions: usize,
    /// Bytes of an assembled message.
    pub message_bytes: usize,
    /// Bytes of one frame's payload.
    pub frame_bytes: usize,
    /// Bytes that may wait for one session.
    pub outbox_bytes: usize,
    /// Frames that may wait for one session.
    pub outbox_frames: usize,
    /// Deliveries that may wait for one worker, and events that its fan-out may have under way:
    /// publishers of this node wait beyond it.
    pub inbox_frames: usize,
    /// Bytes of events that may wait for one worker: publishers of this node wait beyond it.
    pub inbox_bytes: usize,
    /// Deliveries from other nodes that may wait for one worker: what comes beyond it is dropped
    /// for that worker, and counted.
    pub handoff_frames: usize,
    /// Bytes of events from other nodes that may wait for one worker.
    pub handoff_bytes: usize,
    /// Bytes that the fan-out of one worker may have under way: its inbox is not read beyond it.
    pub fan_out_bytes: usize,
    /// Groups of one session, besides everyone's.
    pub groups_per_session: usize,
    /// How fast a client may go.
    pub rate: RateLimits,
}

/// How much a session may send, and what an address may have, as in the configuration's
/// `limits.rate`. In every field 0 is no limit, but for `burst`, where it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Messages and pings of one session in a second. A session that sends more is not read until
    /// it may send the next.
    pub messages_per_second: u32,
    /// Bytes of one session in a second, those of the frames' headers included. A second's bytes may
    /// come at once, and a message is read to its end.
    pub bytes_per_second: u32,
    /// Messages of one session, and handshakes of one address, that may come at once.
    pub burst: u32,
    /// Handshakes of one address in a second; more are refused. For IPv6 an address is a network of
    /// 64 bits.
    pub handshakes_per_second_per_address: u32,
    /// Sessions of one address at one time, on this node.
    pub sessions_per_address: usize,
}

impl RateLimits {
    /// No limits.
    pub const OFF: Self = Self {
        messages_per_second: 0,
        bytes_per_second: 0,
        burst: 1,
        handshakes_per_second_per_address: 0,
        sessions_per_address: 0,
    };
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            messages_per_second: 5000,
            bytes_per_second: 256 * 1024,
            burst: 1000,
            handshakes_per_second_per_address: 2000,
            sessions_per_address: 10_000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 100_000,
            message_bytes: 1 << 20,
            frame_bytes: 1 << 20,
            outbox_bytes: 1 << 20,
            outbox_frames: 1024,
            inbox_frames: 4096,
            inbox_bytes: 32 << 20,
            handoff_frames: 65_536,
            handoff_bytes: 64 << 20,
            fan_out_bytes: 32 << 20,
            groups_per_session: 100,
            rate: RateLimits::default(),
        }
    }
}

/// The bound of a [`MemoryBudget`], in bytes. Of 0 it is three quarters of what the machine has, or
/// the control group of this process.
pub fn memory_limit(bytes: usize) -> usize {
    match bytes {
        0 => machine_memory() / 4 * 3,
        bytes => bytes,
    }
}

/// When silent clients are pinged and given up.
#[derive(Debug, Clone)]
pub struct PingOptions {
    /// Silence after which a ping goes out; zero turns pings off.
    pub interval: Duration,
    /// How long its pong may take.
    pub timeout: Duration,
}

impl Default for PingOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(20),
            timeout: Duration::from_secs(30),
        }
    }
}

impl PingOptions {
    /// No pings: a silent client is never given up.
    pub const OFF: Self = Self {
        interval: Duration::ZERO,
        timeout: Duration::ZERO,
    };
}

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Fresh at every start.
    pub id: NodeId,
    /// How the layer spells channels.
    pub naming: Naming,
    /// Bounds.
    pub limits: Limits,
    /// The bound over everything that waits on the node. A layer over Redis is to draw from the same.
    pub memory: MemoryBudget,
    /// Pings.
    pub ping: PingOptions,
    /// How long a join waits for the layer's acknowledgement.
    pub join_timeout: Duration,
    /// How long a publish from outside of a session waits for room.
    pub publish_timeout: Duration,
    /// How long a closing session waits for its peer's close frame.
    pub close_timeout: Duration,
    /// How long an emptied group keeps its subscription.
    pub linger: Duration,
    /// What may wait for those who receive from channels.
    pub queue: QueueOptions,
    /// Rules of groups by patterns of their names; the first that matches counts.
    pub groups: GroupRules,
    /// Whether the layer must be told which groups have members: false for the memory layer.
    pub subscribes: bool,
    /// What the layer is told of a group's members, if it is told at all.
    pub members: MembershipMode,
}

/// What a layer that subscribes is told of a group's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MembershipMode {
    /// That there are some: the node subscribes the group while it has members, and
    /// [`NodeOptions::linger`](crate::NodeOptions::linger) longer. One subscription, however many
    /// members; what the layer brings for the group reaches all of them.
    #[default]
    PerNode,
    /// Every one of them, under its own channel name, so that others can take a single session out
    /// of a group. A join is acknowledged by the answer to the member's own subscription, which
    /// every join asks for, also one of a member that is in the group already; each leave, also by
    /// the session's end, takes it back at once. The layer brings what is for the group to the
    /// members' channels.
    ///
    /// Groups whose name starts with `fanfare.`, such as everyone's, are as in [`MembershipMode::PerNode`].
    PerSession,
}

impl MembershipMode {
    /// Whether the members of this group are told one by one.
    pub(crate) fn each_in(self, group: &GroupName) -> bool {
        self == Self::PerSession && !group.as_str().starts_with("fanfare.")
    }
}

impl Limits {
    pub(crate) fn frames(&self) -> FrameLimits {
        FrameLimits {
            message_bytes: self.message_bytes,
            frame_bytes: self.frame_bytes,
        }
    }
}

impl NodeOptions {
    /// The defaults of the configuration, for a node with a memory layer. The id must be fresh.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            naming: Naming::plain("asgi"),
            limits: Limits::default(),
            memory: MemoryBudget::new(memory_limit(0)),
            ping: PingOptions::default(),
            join_timeout: Duration::from_secs(2),
            publish_timeout: Duration::from_secs(4),
            close_timeout: Duration::from_secs(2),
            linger: Duration::from_secs(3),
            queue: QueueOptions::default(),
            groups: GroupRules::default(),
            subscribes: false,
            members: MembershipMode::default(),
        }
    }

    /// A tick of the timer wheels: a tenth of the shortest time they measure, from 5 to 250 ms.
    pub(crate) fn tick(&self) -> Duration {
        let times = [self.ping.interval, self.ping.timeout, self.close_timeout];
        let shortest = times.into_iter().filter(|time| !time.is_zero()).min();
        let tenth = shortest.unwrap_or(Duration::from_secs(1)) / 10;
        tenth.clamp(Duration::from_millis(5), Duration::from_millis(250))
    }
}
