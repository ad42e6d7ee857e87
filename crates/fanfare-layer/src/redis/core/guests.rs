//! Sessions of this node that others added to groups, under the sessions' own names.
//!
//! Where a node is a member of groups itself, a message that names single sessions comes from such
//! a membership. It does not say which group it is for. So the groups are searched for the
//! session's name: if the session has joined the group here too, the message comes to the node
//! anyway, and the name in the group is one too many; if the session has gone, so must its name.
//! Where every session is a member by itself, only the names of those that have gone are looked for.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_protocol::{ChannelName, GroupName, Target};
use futures_util::FutureExt as _;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep_until, timeout_at};

use super::Shared;
use super::search::{Found, note, search, take_out};
use super::unpack::{Listed, Source};
use crate::{Delivery, Presence, Sink};

/// Messages that one search is made for.
const BATCH: usize = 256;
/// The share of its time that a host spends on searches: one part in so many.
const SHARE: u32 = 10;
/// The longest pause between searches that this share makes.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a message waits for a new search, if there was one for its sessions before.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long after the end of a membership messages of it may still come.
const ECHO: Duration = Duration::from_secs(5);
/// How often sessions that others added are looked after.
const CHECK: Duration = Duration::from_secs(5);
/// Sessions that are remembered; with more, the memory starts anew.
const MOST_KNOWN: usize = 10_000;

/// The task that looks into messages for single sessions.
pub(super) struct Guests {
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    known: FxHashMap<ChannelName, Known>,
    /// Sessions of messages that were delivered already, which may have gone by now.
    named: FxHashSet<ChannelName>,
    /// When there may be another search.
    search_at: Instant,
}

/// What searches found about a session.
#[derive(Default)]
struct Known {
    /// Groups that it is in under its own name only.
    guest_in: Vec<Found>,
    /// Groups that it was in twice, and when that was seen last.
    twice_in: Vec<(GroupName, Instant)>,
}

impl Guests {
    pub(super) fn new(shared: Arc<Shared>, sink: Arc<dyn Sink>) -> Self {
        Self {
            shared,
            sink,
            known: FxHashMap::default(),
            named: FxHashSet::default(),
            search_at: Instant::now(),
        }
    }

    /// Works until the layer is gone.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Listed>) {
        let mut checks = interval(CHECK);
        let mut batch = Vec::new();
        loop {
            let count = tokio::select! {
                count = messages.recv_many(&mut batch, BATCH) => Some(count),
                _ = checks.tick() => None,
            };
            let work = async {
                match count {
                    Some(_) => self.take(mem::take(&mut batch)).await,
                    None => self.look_after().await,
                }
            };
            if count == Some(0) {
                return;
            }
            // A panic must not leave messages that nobody looks into.
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                tracing::error!("looking after sessions in other groups panicked, starting over");
                self.known.clear();
            }
        }
    }

    async fn take(&mut self, messages: Vec<Listed>) {
        let (delivered, others): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.delivered);
        if self.named.len() < MOST_KNOWN {
            let channels = delivered.into_iter().flat_map(|message| message.channels);
            self.named.extend(channels);
        }
        if others.is_empty() {
            return;
        }
        let fresh = self.search_for(&others).await;
        for message in others {
            self.deliver(message, fresh).await;
        }
    }

    /// Searches for the sessions of messages, as often as the hosts can well bear: with few groups
    /// that is for every batch, so that no message comes twice. Whether it did.
    async fn search_for(&mut self, messages: &[Listed]) -> bool {
        let channels = messages.iter().flat_map(|message| &message.channels);
        let channels: FxHashSet<_> = channels.cloned().collect();
        let all_known = channels.iter().all(|it| self.known.contains_key(it));
        let wait = self.search_at.saturating_duration_since(Instant::now());
        if all_known && wait > PATIENCE {
            return false;
        }
        if all_known {
            sleep_until(self.search_at.into()).await;
        }
        self.find_out(channels.into_iter().collect()).await;
        true
    }

    async fn deliver(&mut self, message: Listed, fresh: bool) {
        for channel in &message.channels {
            if self.is_one_too_many(channel, &message, fresh).await {
                continue;
            }
            let delivery = Delivery {
                target: Target::Channel(channel.clone()),
                envelope: message.envelope.clone(),
                arrived: message.arrived,
            };
            self.hand_over(delivery).await;
        }
    }

    async fn hand_over(&self, delivery: Delivery) {
        let mut source = Source::Ready(delivery);
        loop {
            self.shared.inbox.room(0).await;
            match self.shared.inbox.offer(source, Bytes::new()) {
                Ok(()) => return,
                Err((back, _)) => source = back,
            }
        }
    }

    /// Whether a message is of a group that brings it to the session anyway. One that may as well be
    /// of a group where the session is a guest, perhaps since the last search, is looked for among
    /// what comes to the node, from whichever host.
    async fn is_one_too_many(&self, channel: &ChannelName, message: &Listed, fresh: bool) -> bool {
        let Some(known) = self.known.get(channel) else {
            return false;
        };
        if known.twice_in.is_empty() {
            return false;
        }
        if fresh && known.guest_in.is_empty() {
            return true;
        }
        let groups: Vec<_> = known.twice_in.iter().map(|(group, _)| group).collect();
        let recent = &self.shared.recent;
        let same = recent.wait_for(&groups, channel, &message.envelope);
        let patience = message.arrived + PATIENCE;
        timeout_at(patience.into(), same).await.is_ok()
    }

    /// Searches the groups for sessions, and takes out the names that have no business there.
    async fn find_out(&mut self, channels: Vec<ChannelName>) {
        if self.known.len() + channels.len() > MOST_KNOWN {
            self.known.clear();
        }
        let start = Instant::now();
        let found = search(&self.shared, &channels).await;
        let pause = (start.elapsed() * SHARE).min(LONGEST_PAUSE);
        self.search_at = Instant::now() + pause;
        for channel in channels {
            let known = self.known.entry(channel).or_default();
            known.guest_in.clear();
            known.twice_in.retain(|(_, seen)| seen.elapsed() < ECHO);
        }
        self.sort_out(found).await;
    }

    /// Looks after guests, who may have gone or joined by themselves, and after those who may have
    /// left their names behind.
    async fn look_after(&mut self) {
        let known = self.known.values_mut();
        let guests: Vec<_> = known.flat_map(|it| it.guest_in.drain(..)).collect();
        self.sort_out(guests).await;
        self.known.retain(|_, known| {
            known.twice_in.retain(|(_, seen)| seen.elapsed() < ECHO);
            !known.guest_in.is_empty() || !known.twice_in.is_empty()
        });
        let named: Vec<_> = self.named.drain().collect();
        let pairs = named.iter().cloned();
        let pairs = pairs.map(|it| (GroupName::everyone(), it)).collect();
        let presence = self.sink.presence(pairs).await;
        let gone = named.into_iter().zip(presence);
        let gone: Vec<_> = gone
            .filter(|(_, presence)| *presence == Presence::Gone)
            .map(|(channel, _)| channel)
            .collect();
        if !gone.is_empty() {
            let found = search(&self.shared, &gone).await;
            take_out(&self.shared, &found).await;
        }
    }

    /// Notes where sessions are guests, and takes out all other names.
    async fn sort_out(&mut self, found: Vec<Found>) {
        if found.is_empty() {
            return;
        }
        let pair = |one: &Found| (one.group.clone(), one.channel.clone());
        let presence = self.sink.presence(found.iter().map(pair).collect()).await;
        let (mut guests, mut others) = (Vec::new(), Vec::new());
        let seen = Instant::now();
        for (one, presence) in found.into_iter().zip(presence) {
            let known = self.known.entry(one.channel.clone()).or_default();
            match presence {
                Presence::Guest => {
                    known.guest_in.push(one.clone());
                    guests.push(one);
                    continue;
                }
                Presence::Member => known.note_twice(one.group.clone(), seen),
                Presence::Gone => {}
            }
            others.push(one);
        }
        // They leave with this node, should it die.
        note(&self.shared, &guests).await;
        take_out(&self.shared, &others).await;
    }
}

impl Known {
    fn note_twice(&mut self, group: GroupName, now: Instant) {
        self.twice_in.retain(|(known, _)| *known != group);
        self.twice_in.push((group, now));
    }
}
