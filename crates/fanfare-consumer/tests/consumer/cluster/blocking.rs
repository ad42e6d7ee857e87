//! The cluster on threads that block.

use actix_web::web;
use fanfare_consumer::{Cluster, ClusterOptions, SendError, blocking};
use fanfare_node::Limits;
use fanfare_protocol::GroupName;

use super::rig::{Listener, Visitor, flash};

#[actix_web::test]
async fn a_plain_thread_publishes_and_looks_at_members() {
    let cluster = Cluster::memory().unwrap();
    let mut listener = Listener::in_group(&cluster, "room").await;
    let channel = listener.member.channel();
    let twin = cluster.blocking();
    let thread = std::thread::spawn(move || {
        twin.group_send("room", &flash("room"))?;
        twin.send(channel.as_str(), &flash("channel"))?;
        twin.broadcast(&flash("everyone"))?;
        twin.group_send_except("room", &flash("nobody"), &[channel])?;
        let local = twin.cluster().local();
        assert_eq!((local.count("room"), local.sessions()), (Ok(1), 0));
        twin.local_members("room")
    });
    for text in ["room", "channel", "everyone"] {
        assert_eq!(listener.text().await, text);
    }
    // Not before now: joining blocks the thread whose members are asked for.
    let members = web::block(move || thread.join()).await.unwrap().unwrap();
    assert_eq!(members.unwrap(), [listener.member.channel()]);
    assert!(listener.has_nothing());
}

#[actix_web::test]
async fn a_plain_thread_waits_for_room_and_loses_nothing() {
    let options = ClusterOptions::default();
    let options = ClusterOptions {
        limits: Limits {
            inbox_frames: 2,
            ..options.limits.clone()
        },
        ..options
    };
    let cluster = Cluster::new(options).unwrap();
    let room = [GroupName::parse("room").unwrap()];
    let mut visitor = Visitor::open(&cluster, &room).await;
    let twin = cluster.blocking();
    let thread = std::thread::spawn(move || {
        (0..50).try_for_each(|number| twin.group_send("room", &flash(&number.to_string())))
    });
    for number in 0..50 {
        let event = serde_json::to_string(&flash(&number.to_string())).unwrap();
        assert_eq!(visitor.text().await, event);
    }
    thread.join().unwrap().unwrap();
}

#[actix_web::test]
async fn async_code_is_told_not_to_block_and_a_blocking_thread_of_it_may() {
    let cluster = Cluster::memory().unwrap();
    let mut listener = Listener::in_group(&cluster, "room").await;
    let twin = cluster.blocking();
    let refused = twin.group_send("room", &flash("never")).unwrap_err();
    assert_eq!(refused, SendError::Async);
    assert!(refused.to_string().contains("web::block"), "{refused}");
    assert_eq!(twin.local_members("room"), Err(SendError::Async));
    let sent = web::block(move || twin.group_send("room", &flash("fine")));
    sent.await.unwrap().unwrap();
    assert_eq!(listener.text().await, "fine");
}

#[test]
fn a_program_without_a_runtime_makes_a_cluster_of_its_own() {
    let cluster = blocking::Cluster::new(ClusterOptions::default()).unwrap();
    cluster.clone().broadcast(&flash("to nobody")).unwrap();
    assert_eq!(cluster.local_members("room").unwrap(), []);
    let handle = cluster.cluster().clone();
    drop(cluster);
    let closed = handle.blocking().broadcast(&flash("too late")).unwrap_err();
    assert!(closed.to_string().contains("closed"), "{closed}");
}
