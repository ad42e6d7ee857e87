//! Actix actors as members.

use actix::{Actor, Context, Handler};
use fanfare_consumer::{Cluster, GroupError, MemberError};
use fanfare_node::Arrived;
use fanfare_protocol::CloseCode;

use super::rig::{Listener, flash};

struct Idle;

impl Actor for Idle {
    type Context = Context<Self>;
}

impl Handler<Arrived> for Idle {
    type Result = ();

    fn handle(&mut self, _: Arrived, _: &mut Self::Context) {}
}

#[actix_web::test]
async fn an_actor_joins_and_leaves_groups_and_its_drop_leaves_the_rest() {
    let cluster = Cluster::memory().unwrap();
    let mut listener = Listener::in_group(&cluster, "room").await;
    cluster.group_send("room", &flash("one")).await.unwrap();
    assert_eq!(listener.text().await, "one");
    assert_eq!(listener.member.group_discard("room"), Ok(true));
    assert_eq!(listener.member.group_discard("room"), Ok(false));
    cluster
        .group_send("room", &flash("nobody's"))
        .await
        .unwrap();
    listener.member.group_add("hall").await.unwrap();
    cluster.group_send("hall", &flash("two")).await.unwrap();
    assert_eq!(listener.text().await, "two");
    assert_eq!(cluster.local().count("hall"), Ok(1));
    drop(listener);
    assert_eq!(cluster.local().count("hall"), Ok(0));
    assert_eq!(cluster.local().count("fanfare.all"), Ok(0));
}

#[actix_web::test]
async fn a_wrong_group_name_is_named_to_an_actor() {
    let cluster = Cluster::memory().unwrap();
    let listener = Listener::of(&cluster);
    let error = listener.member.group_add("two\nlines").await.unwrap_err();
    assert!(matches!(error, GroupError::Name(_)));
    assert!(error.to_string().contains("\"two\\nlines\""), "{error}");
    assert!(listener.member.group_discard("two\nlines").is_err());
    let error = listener
        .member
        .group_add("fanfare.user.ann")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is reserved"), "{error}");
}

#[actix_web::test]
async fn a_full_mailbox_loses_events_and_keeps_the_actor() {
    let cluster = Cluster::memory().unwrap();
    let mut listener = Listener::in_group(&cluster, "room").await;
    let dropped = || {
        let families = cluster.registry().gather();
        let dropped = families
            .iter()
            .find(|it| it.name() == "fanfare_events_dropped_total");
        let lines = dropped.unwrap().get_metric().iter();
        let full = lines.filter(|line| line.get_label()[0].value() == "mailbox_full");
        full.map(|line| line.get_counter().get_value()).sum::<f64>()
    };
    // They wait in the worker's inbox until this test lets go of the thread.
    for _ in 0..50 {
        cluster.group_send("room", &flash("much")).await.unwrap();
    }
    let mut arrived = 0.0;
    while arrived + dropped() < 50.0 {
        assert_eq!(listener.text().await, "much");
        arrived += 1.0;
    }
    assert!(dropped() > 0.0);
    cluster.group_send("room", &flash("last")).await.unwrap();
    assert_eq!(listener.text().await, "last");
}

#[actix_web::test]
async fn a_disconnect_asks_an_actor_to_end() {
    let cluster = Cluster::memory().unwrap();
    let mut listener = Listener::of(&cluster);
    listener.member.user_add("ann").await.unwrap();
    let disconnect = cluster.disconnect_user("ann", CloseCode(4001), "bye");
    disconnect.await.unwrap();
    let asked = listener.next().await;
    let close = asked.close().unwrap();
    assert_eq!((close.code, &*close.reason), (CloseCode(4001), "bye"));
}

#[actix_web::test]
async fn a_thread_without_actors_is_told_so() {
    let cluster = Cluster::memory().unwrap();
    let recipient = Idle.start().recipient();
    let elsewhere = std::thread::spawn(move || cluster.member(recipient).err());
    assert_eq!(elsewhere.join().unwrap(), Some(MemberError::NoArbiter));
}

#[test]
fn an_actor_is_a_member_under_a_plain_tokio_runtime_too() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let cluster = Cluster::memory().unwrap();
        let mut listener = Listener::in_group(&cluster, "room").await;
        cluster.group_send("room", &flash("hello")).await.unwrap();
        assert_eq!(listener.text().await, "hello");
        assert!(listener.has_nothing());
    });
}
