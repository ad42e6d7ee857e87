//! Actors that are members without being sessions, and what a node knows of its members.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, Addr, AsyncContext as _, Context, Handler};
use fanfare_node::{Arrived, Enrolled};
use fanfare_protocol::{CloseCode, Envelope, GroupName, Target};
use fanfare_rig::LayerDouble;
use futures_util::FutureExt as _;
use futures_util::future::pending;
use tokio::sync::mpsc;

use super::client::{PATIENCE, Rig, group, options};

/// Passes on what arrives.
pub(crate) struct Listener(mpsc::Sender<Arrived>);

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(4);
    }
}

impl Handler<Arrived> for Listener {
    type Result = ();

    fn handle(&mut self, arrived: Arrived, _: &mut Self::Context) {
        self.0.try_send(arrived).unwrap();
    }
}

pub(crate) fn listener() -> (Addr<Listener>, mpsc::Receiver<Arrived>) {
    let (out, arrived) = mpsc::channel(100);
    (Listener(out).start(), arrived)
}

async fn next(arrived: &mut mpsc::Receiver<Arrived>) -> Arrived {
    let next = tokio::time::timeout(PATIENCE, arrived.recv()).await;
    next.expect("nothing arrived").unwrap()
}

#[actix::test]
async fn an_actor_gets_the_events_of_its_groups_of_everyone_and_of_its_channel() {
    let rig = Rig::new(options());
    let (address, mut arrived) = listener();
    let member = Enrolled::new(&rig.node.worker(), address.recipient()).unwrap();
    member.join(&group("a")).await.unwrap();
    assert_eq!(rig.node.sessions(), 0, "an actor is no session");
    rig.publish(Target::Group(group("b")), "not here").await;
    for target in [
        Target::Group(group("a")),
        Target::Group(GroupName::everyone()),
        Target::Channel(member.channel()),
    ] {
        rig.publish(target, "hello").await;
        let event = next(&mut arrived).await;
        assert_eq!(event.envelope.event.event_type(), "chat.message");
    }
    let closing = Envelope::closing(CloseCode(4000), "go").unwrap();
    let publish = rig
        .node
        .publish(Target::Group(group("a")), Arc::new(closing));
    publish.confirmed().await.unwrap();
    let asked = next(&mut arrived).await;
    assert_eq!(asked.envelope.close.as_ref().unwrap().code, CloseCode(4000));
    assert!(member.leave(&group("a")));
    drop(member);
    assert_eq!(rig.node.groups(), []);
}

/// Is busy for ever.
struct Occupied;

impl Actor for Occupied {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(4);
        context.wait(wrap_future(pending::<()>()));
    }
}

impl Handler<Arrived> for Occupied {
    type Result = ();

    fn handle(&mut self, _: Arrived, _: &mut Self::Context) {}
}

#[actix::test]
async fn what_an_actor_has_no_room_for_is_dropped_and_counted() {
    let rig = Rig::new(options());
    let address = Occupied.start();
    let member = Enrolled::new(&rig.node.worker(), address.recipient()).unwrap();
    for _ in 0..50 {
        rig.publish(Target::Channel(member.channel()), "much").await;
    }
    rig.until("fanfare_events_dropped_total", "mailbox_full", 40.0)
        .await;
    let all = async {
        let posted = || rig.count("fanfare_events_posted_total", "");
        let dropped = || rig.count("fanfare_events_dropped_total", "mailbox_full");
        while posted() + dropped() < 50.0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(posted() + dropped(), 50.0);
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
}

#[actix::test]
async fn a_node_names_the_members_of_a_group() {
    let rig = Rig::new(options());
    assert_eq!(rig.node.channels(&group("a")).await, []);
    let one = rig.open(&["a"]).await.unwrap();
    let two = rig.open(&["a", "b"]).await.unwrap();
    let mut names: Vec<_> = rig.node.channels(&group("a")).await;
    names.sort();
    let mut expected = vec![one.channel.clone(), two.channel.clone()];
    expected.sort();
    assert_eq!(
        names.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(rig.node.channels(&group("b")).await.len(), 1);
}

#[actix::test]
async fn who_stops_waiting_for_a_group_is_not_in_it() {
    let mut options = options();
    options.subscribes = true;
    let rig = Rig::over(options, |memory| {
        // It never acknowledges a subscription.
        Arc::new(LayerDouble::new(memory).on_subscribe(|_, _| pending().boxed()))
    });
    let (address, _arrived) = listener();
    let member = Enrolled::new(&rig.node.worker(), address.recipient()).unwrap();
    let group = group("a");
    let mut joining = Box::pin(member.join(&group));
    assert!(joining.as_mut().now_or_never().is_none());
    assert_eq!(rig.node.members(&group), 1);
    drop(joining);
    assert_eq!(rig.node.members(&group), 0);
}
