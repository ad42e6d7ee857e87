//! A node whose layer is told of every member, and notes what it is told.

use std::sync::Arc;

use fanfare_layer::{
    ChannelLayer, ControlChannel, Delivery, MemoryLayer, Publish, Status, SubscribeError,
    Subscription,
};
use fanfare_node::{Arrived, Enrolled, MembershipMode, NodeOptions};
use fanfare_protocol::{ChannelName, Envelope, GroupName, Target};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
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

/// A layer that notes what it is told, and answers as the test wants.
struct Notebook {
    memory: MemoryLayer,
    told: Arc<Mutex<Vec<Told>>>,
    answer: watch::Receiver<Answer>,
}

impl ChannelLayer for Notebook {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        self.memory.publish(target, envelope)
    }

    fn subscribe(
        &self,
        wanted: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let of_member = |one: &Subscription| matches!(one, Subscription::SessionInGroup(_));
        let answered = wanted.iter().any(of_member);
        self.told
            .lock()
            .extend(wanted.into_iter().map(Told::Wanted));
        let mut answer = self.answer.clone();
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

    fn unsubscribe(
        &self,
        left: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        self.told
            .lock()
            .extend(left.into_iter().map(Told::TakenBack));
        async { Ok(()) }.boxed()
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        self.memory.stream()
    }

    fn status(&self) -> watch::Receiver<Status> {
        self.memory.status()
    }

    fn control(&self) -> Arc<dyn ControlChannel> {
        self.memory.control()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.memory.close()
    }
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
            Arc::new(Notebook {
                memory,
                told: notes,
                answer,
            })
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
