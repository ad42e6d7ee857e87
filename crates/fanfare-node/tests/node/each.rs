//! A node whose layer is told of every member, and notes what it is told.

use std::sync::Arc;

use fanfare_layer::{SubscribeError, Subscription};
use fanfare_node::{Arrived, Enrolled, MembershipMode, NodeOptions};
use fanfare_protocol::{ChannelName, GroupName};
use fanfare_rig::{LayerDouble, Subscribed};
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::client::{Client, PATIENCE, Rig, group, options};
use super::members::listener;

/// What a node has told its layer, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Wanted(Subscription),
    TakenBack(Subscription),
}

/// How the layer answers what is wanted for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    Later,
}

/// Notes what is wanted, and answers as the test wants.
fn note(
    told: &Mutex<Vec<Told>>,
    mut answer: watch::Receiver<Answer>,
    wanted: Vec<Subscription>,
) -> Subscribed {
    let of_member = |one: &Subscription| matches!(one, Subscription::SessionInGroup(_));
    let answered = wanted.iter().any(of_member);
    told.lock().extend(wanted.into_iter().map(Told::Wanted));
    async move {
        if !answered {
            return Ok(());
        }
        match *answer.wait_for(|now| *now != Answer::Later).await.unwrap() {
            Answer::No => Err(SubscribeError("the test wants it so".into())),
            _ => Ok(()),
        }
    }
    .boxed()
}

/// A node whose layer is told of every member.
pub(crate) struct Each {
    pub(crate) rig: Rig,
    pub(crate) told: Arc<Mutex<Vec<Told>>>,
    pub(crate) answer: watch::Sender<Answer>,
}

impl Each {
    pub(crate) fn new() -> Self {
        Self::with(options())
    }

    pub(crate) fn with(options: NodeOptions) -> Self {
        let options = NodeOptions {
            subscribes: true,
            members: MembershipMode::PerSession,
            ..options
        };
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let (sender, answer) = watch::channel(Answer::Yes);
        let notes = Arc::clone(&told);
        let rig = Rig::over(options, |memory| {
            let left = Arc::clone(&notes);
            let layer = LayerDouble::new(memory)
                .on_subscribe(move |_, wanted| note(&notes, answer.clone(), wanted))
                .on_unsubscribe(move |_, taken_back| {
                    left.lock()
                        .extend(taken_back.into_iter().map(Told::TakenBack));
                    async { Ok(()) }.boxed()
                });
            Arc::new(layer)
        });
        let answer = sender;
        Self { rig, told, answer }
    }

    /// What the layer was told of single members, or of anything but everyone's group.
    pub(crate) fn told(&self) -> Vec<Told> {
        let everyone = Told::Wanted(Subscription::Group(GroupName::everyone()));
        let mut told = self.told.lock().clone();
        told.retain(|one| *one != everyone);
        told
    }

    pub(crate) fn enrol(&self) -> (Enrolled, mpsc::Receiver<Arrived>) {
        let (address, arrived) = listener();
        let worker = self.rig.node.worker();
        (
            Enrolled::new(&worker, address.recipient()).unwrap(),
            arrived,
        )
    }

    pub(crate) fn channel(&self, client: &Client) -> ChannelName {
        self.rig.node.naming().channel(&client.channel).unwrap()
    }

    /// Every session has gone, and the layer was told so of each membership once.
    pub(crate) async fn expect_all_left(&self, memberships: &[(&str, &ChannelName)]) {
        let gone = async {
            while self.rig.node.sessions() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
        let mut left: Vec<_> = self.told();
        left.retain(|told| matches!(told, Told::TakenBack(_)));
        assert_eq!(left.len(), memberships.len(), "{left:?}");
        for (name, channel) in memberships {
            assert!(left.contains(&left_by(name, channel)), "{left:?}");
        }
    }
}

fn own(name: &str, channel: &ChannelName) -> Subscription {
    Subscription::session_in_group(group(name), channel.clone())
}

pub(crate) fn joined_by(name: &str, channel: &ChannelName) -> Told {
    Told::Wanted(own(name, channel))
}

pub(crate) fn left_by(name: &str, channel: &ChannelName) -> Told {
    Told::TakenBack(own(name, channel))
}
