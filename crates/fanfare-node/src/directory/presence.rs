//! How sessions of this node stand to groups, asked of the workers that own them.

use fanfare_layer::Presence;
use fanfare_protocol::{ChannelName, GroupName};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::inbox::Question;
use super::{ChannelOwner, Directory};

pub(crate) type Pair = (GroupName, ChannelName);

/// What one worker is asked: its pairs, and where their answers belong.
#[derive(Default)]
struct Asked {
    pairs: Vec<Pair>,
    places: Vec<usize>,
}

impl Directory {
    /// One question for each worker that is concerned, put at the call. A worker that has gone
    /// took its sessions with it.
    pub(crate) fn ask_presence(&self, pairs: Vec<Pair>) -> BoxFuture<'static, Vec<Presence>> {
        let mut presence = vec![Presence::Gone; pairs.len()];
        let mut by_worker: FxHashMap<u8, Asked> = FxHashMap::default();
        for ((place, pair), answer) in pairs.into_iter().enumerate().zip(&mut presence) {
            match self.place(&pair.1) {
                ChannelOwner::Worker(worker) => {
                    let asked = by_worker.entry(worker).or_default();
                    asked.pairs.push(pair);
                    asked.places.push(place);
                }
                // No session, and it takes what is sent to it all the same.
                ChannelOwner::Queue if self.queues.queue.is_received(&pair.1) => {
                    *answer = Presence::Guest
                }
                ChannelOwner::Queue | ChannelOwner::Nowhere => {}
            }
        }
        let waiting: Vec<_> = by_worker
            .into_iter()
            .filter_map(|(worker, Asked { pairs, places })| {
                let (answer, answered) = oneshot::channel();
                let inbox = self.inbox(u32::from(worker))?;
                inbox.ask(Question::Standing { pairs, answer });
                Some((places, answered))
            })
            .collect();
        async move {
            for (places, answered) in waiting {
                let answers = answered.await.unwrap_or_default();
                for (place, answer) in places.into_iter().zip(answers) {
                    if let Some(entry) = presence.get_mut(place) {
                        *entry = answer;
                    }
                }
            }
            presence
        }
        .boxed()
    }
}
