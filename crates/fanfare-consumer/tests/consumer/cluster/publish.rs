//! Publishing in one process.

use fanfare_consumer::{Cluster, SendError};
use fanfare_protocol::{CloseCode, GroupName};
use serde_json::json;

use super::rig::{Listener, Visitor, flash};

fn is_handle<T: Clone + Send + Sync + 'static>(_: &T) {}

#[actix_web::test]
async fn an_event_reaches_a_group_a_channel_a_user_and_everyone() {
    let cluster = Cluster::memory().unwrap();
    is_handle(&cluster);
    let mut ann = Listener::of(&cluster);
    ann.member.user_add("ann").await.unwrap();
    let mut bob = Listener::in_group(&cluster, "room").await;
    cluster
        .group_send("room", &flash("to the room"))
        .await
        .unwrap();
    cluster.send_to_user("ann", &flash("to ann")).await.unwrap();
    let channel = bob.member.channel();
    cluster
        .send(channel.as_str(), &flash("to bob"))
        .await
        .unwrap();
    cluster.broadcast(&flash("to all")).await.unwrap();
    assert_eq!(ann.text().await, "to ann");
    assert_eq!(ann.text().await, "to all");
    assert_eq!(bob.text().await, "to the room");
    assert_eq!(bob.text().await, "to bob");
    assert_eq!(bob.text().await, "to all");
}

#[actix_web::test]
async fn excluded_channels_get_nothing_of_what_their_group_gets() {
    let cluster = Cluster::memory().unwrap();
    let mut in_it = Listener::in_group(&cluster, "room").await;
    let mut sender = Listener::in_group(&cluster, "room").await;
    let except = [sender.member.channel()];
    cluster
        .group_send_except("room", &flash("not to me"), &except)
        .await
        .unwrap();
    cluster.broadcast(&flash("end")).await.unwrap();
    assert_eq!(in_it.text().await, "not to me");
    assert_eq!(sender.text().await, "end");
}

#[actix_web::test]
async fn an_event_may_be_published_from_a_task_and_from_another_runtime() {
    let cluster = Cluster::memory().unwrap();
    let mut listener = Listener::in_group(&cluster, "room").await;
    let handle = cluster.clone();
    let task = tokio::spawn(async move { handle.group_send("room", &flash("task")).await });
    assert_eq!(listener.text().await, "task");
    task.await.unwrap().unwrap();
    let handle = cluster.clone();
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(handle.group_send("room", &flash("elsewhere")))
    });
    assert_eq!(listener.text().await, "elsewhere");
    elsewhere.join().unwrap().unwrap();
}

#[actix_web::test]
async fn a_wrong_name_is_named_and_nothing_is_sent() {
    let cluster = Cluster::memory().unwrap();
    let event = flash("lost");
    let room = cluster.group_send("two\nlines", &event).await.unwrap_err();
    assert!(room.to_string().contains("\"two\\nlines\""), "{room}");
    let channel = cluster.send("a!b!c", &event).await.unwrap_err();
    assert!(
        channel.to_string().contains("channel name \"a!b!c\""),
        "{channel}"
    );
    let user = cluster.send_to_user("", &event).await.unwrap_err();
    assert!(user.to_string().contains("user id \"\""), "{user}");
    assert!(cluster.local().members("").await.is_err());
    assert!(cluster.local().count("\u{7f}").is_err());
    for error in [room, channel, user] {
        assert!(matches!(error, SendError::Name(_)));
    }
}

#[actix_web::test]
async fn what_would_end_a_consumer_elsewhere_is_not_published() {
    let cluster = Cluster::memory().unwrap();
    for (bad, why) in [
        (json!(["news.flash"]), "a list"),
        (json!({"text": "x"}), "no key \"type\""),
        (json!({"type": 1}), "is no string"),
        (json!({"type": ""}), "is empty"),
        (json!({"type": "_private"}), "must not start with"),
        (json!({"type": ".x"}), "must not start with"),
        (json!({"type": "websocket.receive"}), "\"websocket.\""),
        (
            json!({"type": "a", "__fanfare__": {}}),
            "\"__fanfare__\" is reserved",
        ),
    ] {
        let error = cluster.broadcast(&bad).await.unwrap_err();
        assert!(error.to_string().contains(why), "{bad}: {error}");
        let twin = cluster.clone();
        let value = bad.clone();
        let blocked = std::thread::spawn(move || twin.blocking().broadcast(&value));
        assert_eq!(blocked.join().unwrap(), Err(error), "{bad}");
    }
}

#[actix_web::test]
async fn a_code_that_cannot_be_sent_is_named_and_a_long_reason_is_cut() {
    let cluster = Cluster::memory().unwrap();
    let code = cluster.disconnect_user("ann", CloseCode(1006), "gone");
    let code = code.await.unwrap_err();
    assert!(code.to_string().contains("1006"), "{code}");
    let room = GroupName::parse("room").unwrap();
    let visitor = Visitor::open(&cluster, &[room]).await;
    let long = "x".repeat(124);
    let closing = cluster.disconnect_group("room", CloseCode(4000), &long);
    closing.await.unwrap();
    assert_eq!(visitor.closed().await, (4000, "x".repeat(123)));
}

#[actix_web::test]
async fn a_disconnect_closes_those_it_names_with_its_code_and_reason() {
    let cluster = Cluster::memory().unwrap();
    let ann = GroupName::user("ann").unwrap();
    let named = Visitor::open(&cluster, &[ann]).await;
    let other = Visitor::open(&cluster, &[]).await;
    let disconnect = cluster.disconnect_user("ann", CloseCode(4001), "signed out");
    disconnect.await.unwrap();
    assert_eq!(named.closed().await, (4001, "signed out".to_owned()));
    assert!(other.has_nothing());
}

#[actix_web::test]
async fn members_and_sessions_of_this_node_are_known() {
    let cluster = Cluster::memory().unwrap();
    let room = GroupName::parse("room").unwrap();
    let one = Visitor::open(&cluster, std::slice::from_ref(&room)).await;
    let two = Listener::in_group(&cluster, "room").await;
    let mut channels = cluster.local().members("room").await.unwrap();
    channels.sort();
    let mut expected = [one.channel.clone(), two.member.channel().to_string()];
    expected.sort();
    assert_eq!(
        channels.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(cluster.local().count("room"), Ok(2));
    assert_eq!(cluster.local().count("empty"), Ok(0));
    assert_eq!(cluster.local().sessions(), 1, "an actor is no session");
}
