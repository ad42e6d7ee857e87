//! MembershipMode that a layer is told of one by one.

use std::sync::Arc;
use std::time::Duration;

use fanfare_layer::Subscription;
use fanfare_node::{AdmitError, JoinError};
use fanfare_protocol::{CloseCode, Envelope, Event, GroupName, Target};
use futures_util::FutureExt as _;
use tokio::net::UnixStream;

use super::client::{Frame, PATIENCE, group, options};
use super::each::{Answer, Each, Told, joined_by, left_by};

#[actix::test]
async fn a_session_is_admitted_once_its_own_memberships_are_acknowledged() {
    let each = Each::new();
    // Everyone's group is acknowledged then.
    let _before = each.rig.open(&[]).await.unwrap();
    each.answer.send_replace(Answer::Later);
    let (socket, _peer) = UnixStream::pair().unwrap();
    let mut admitted = Box::pin(each.rig.admit(&socket, &["a", "b", "a"]));
    assert!(admitted.as_mut().now_or_never().is_none(), "too early");
    let told = each.told();
    each.answer.send_replace(Answer::Yes);
    let ticket = admitted.await.unwrap();
    let channel = ticket.channel();
    assert_eq!(told, [joined_by("a", channel), joined_by("b", channel)]);
    assert_eq!(each.told(), told);
    assert_eq!(each.rig.node.members(&group("a")), 1);
}

#[actix::test]
async fn joins_and_leaves_reach_the_layer_in_their_order() {
    let each = Each::new();
    let (member, _arrived) = each.enrol();
    let (channel, a) = (member.channel(), group("a"));
    each.answer.send_replace(Answer::Later);
    let mut joining = Box::pin(member.join(&a));
    assert!(joining.as_mut().now_or_never().is_none(), "too early");
    drop(joining);
    assert_eq!(each.rig.node.members(&a), 0);
    each.answer.send_replace(Answer::Yes);
    member.join(&a).await.unwrap();
    assert!(member.leave(&a));
    member.join(&a).await.unwrap();
    let (joined, left) = (joined_by("a", &channel), left_by("a", &channel));
    let once = [joined.clone(), left, joined];
    assert_eq!(each.told(), [&once[..], &once[1..]].concat());
    assert_eq!(each.rig.node.members(&a), 1);
}

#[actix::test]
async fn groups_of_fanfare_s_own_are_subscribed_as_groups() {
    let each = Each::new();
    let client = each.rig.open(&["fanfare.user.x", "a"]).await.unwrap();
    let channel = each.channel(&client);
    let user = Subscription::Group(group("fanfare.user.x"));
    let told = each.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&Told::Wanted(user.clone())), "{told:?}");
    assert!(told.contains(&joined_by("a", &channel)), "{told:?}");
    let everyone = Told::Wanted(Subscription::Group(GroupName::everyone()));
    assert!(each.told.lock().contains(&everyone));
    drop(client);
    // It lingers before that.
    let taken_back = Told::TakenBack(user);
    let seen = async {
        while !each.told().contains(&taken_back) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    let a = |told: &Told| {
        *told == Told::Wanted(Subscription::Group(group("a")))
            || *told == Told::TakenBack(Subscription::Group(group("a")))
    };
    assert!(!each.told().iter().any(a), "{:?}", each.told());
}

#[actix::test]
async fn however_a_session_ends_the_layer_is_told_that_it_has_left() {
    for ending in ["client", "panic", "kick", "lost"] {
        let each = Each::new();
        let mut client = each.rig.open(&["a", "b"]).await.unwrap();
        let channel = each.channel(&client);
        match ending {
            "client" => client.send(8, &1000u16.to_be_bytes()).await,
            "panic" => client.text("panic").await,
            "kick" => {
                let close = Envelope::closing(CloseCode(4000), "go").unwrap();
                let publish = each
                    .rig
                    .node
                    .publish(Target::Channel(channel.clone()), Arc::new(close));
                publish.confirmed().await.unwrap();
            }
            _ => drop(client),
        }
        each.expect_all_left(&[("a", &channel), ("b", &channel)])
            .await;
        assert_eq!(each.rig.node.groups(), []);
    }
}

#[actix::test]
async fn a_ticket_that_is_never_opened_and_an_actor_that_goes_have_left_too() {
    let each = Each::new();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let ticket = each.rig.admit(&socket, &["a"]).await.unwrap();
    let of_ticket = ticket.channel().clone();
    let (member, _arrived) = each.enrol();
    let of_actor = member.channel();
    member.join(&group("b")).await.unwrap();
    drop((ticket, member));
    each.expect_all_left(&[("a", &of_ticket), ("b", &of_actor)])
        .await;
}

#[actix::test]
async fn a_drain_tells_the_layer_of_every_session_that_goes() {
    let each = Each::new();
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(each.rig.open(&["a"]).await.unwrap());
    }
    let channels: Vec<_> = clients.iter().map(|client| each.channel(client)).collect();
    let readers = clients.into_iter().map(|mut client| async move {
        while !matches!(client.frame().await, Frame::Close(_)) {}
        client.send(8, &1001u16.to_be_bytes()).await;
    });
    let drained = each.rig.node.close_sessions(Duration::ZERO);
    let (_, remaining) = tokio::join!(futures_util::future::join_all(readers), drained);
    assert_eq!(remaining, 0);
    let memberships: Vec<_> = channels.iter().map(|channel| ("a", channel)).collect();
    each.expect_all_left(&memberships).await;
}

#[actix::test]
async fn a_worker_thread_that_ends_takes_its_memberships_back() {
    let each = Each::new();
    let channel = std::thread::scope(|threads| {
        let thread = threads.spawn(|| {
            actix::System::new().block_on(async {
                let client = each.rig.open(&["a"]).await.unwrap();
                each.channel(&client)
            })
        });
        thread.join().unwrap()
    });
    each.expect_all_left(&[("a", &channel)]).await;
}

#[actix::test]
async fn a_session_whose_membership_is_not_acknowledged_in_time_is_refused() {
    for answer in [Answer::Later, Answer::No] {
        let mut options = options();
        options.join_timeout = Duration::from_millis(100);
        let each = Each::with(options);
        each.answer.send_replace(answer);
        let refused = each.rig.open(&["a"]).await.err();
        assert_eq!(refused, Some(AdmitError::LayerTimeout));
        let Some(Told::Wanted(Subscription::SessionInGroup(member))) = each.told().first().cloned()
        else {
            panic!("{:?}", each.told());
        };
        each.expect_all_left(&[("a", &member.1)]).await;
        let (member, _arrived) = each.enrol();
        assert_eq!(member.join(&group("a")).await, Err(JoinError::Layer));
        assert_eq!(each.rig.node.members(&group("a")), 0);
        let left = left_by("a", &member.channel());
        assert_eq!(each.told().last(), Some(&left));
    }
}

#[actix::test]
async fn a_layer_that_refuses_is_asked_again_in_time() {
    let each = Each::new();
    each.answer.send_replace(Answer::No);
    let (member, _arrived) = each.enrol();
    let a = group("a");
    let mut joining = Box::pin(member.join(&a));
    assert!(joining.as_mut().now_or_never().is_none(), "refused at once");
    each.answer.send_replace(Answer::Yes);
    joining.await.unwrap();
    let joined = joined_by("a", &member.channel());
    assert_eq!(each.told(), [joined.clone(), joined]);
}

#[actix::test]
async fn who_joins_again_is_told_again_and_stays_whatever_the_answer() {
    let mut options = options();
    options.join_timeout = Duration::from_millis(100);
    let each = Each::with(options);
    let (member, _arrived) = each.enrol();
    let a = group("a");
    member.join(&a).await.unwrap();
    // Others may have taken it out of the group meanwhile.
    member.join(&a).await.unwrap();
    each.answer.send_replace(Answer::Later);
    assert_eq!(member.join(&a).await, Err(JoinError::Layer));
    assert_eq!(each.rig.node.members(&a), 1);
    let joined = joined_by("a", &member.channel());
    assert_eq!(each.told(), [joined.clone(), joined.clone(), joined]);
}

#[actix::test]
async fn a_group_that_others_put_a_session_into_can_be_left() {
    let each = Each::new();
    let (member, _arrived) = each.enrol();
    assert!(!member.leave(&group("a")));
    assert_eq!(each.told(), [left_by("a", &member.channel())]);
}

#[actix::test]
async fn a_copy_for_a_channel_that_is_excluded_is_not_delivered() {
    let each = Each::new();
    let mut client = each.rig.open(&["a"]).await.unwrap();
    let (member, mut arrived) = each.enrol();
    let (session, actor) = (each.channel(&client), member.channel());
    for channel in [&session, &actor] {
        let excluded = vec![each.rig.node.new_channel(), channel.clone()];
        let event = Event::new("chat.message").with("message", "not for you");
        let mut close = Envelope::closing(CloseCode(4000), "not you").unwrap();
        close.exclude.clone_from(&excluded);
        for envelope in [Envelope::excluding(event, excluded), close] {
            let target = Target::Channel(channel.clone());
            let publish = each.rig.node.publish(target, Arc::new(envelope));
            publish.confirmed().await.unwrap();
        }
        let event = Event::new("chat.message").with("message", "for you");
        let excluded = vec![each.rig.node.new_channel()];
        let envelope = Arc::new(Envelope::excluding(event, excluded));
        let publish = each
            .rig
            .node
            .publish(Target::Channel(channel.clone()), envelope);
        publish.confirmed().await.unwrap();
    }
    client.expect_text("for you").await;
    let first = tokio::time::timeout(PATIENCE, arrived.recv()).await;
    let first = first.expect("nothing arrived").unwrap();
    assert!(first.close().is_none());
    assert_eq!(first.event().get("message"), Some(&"for you".into()));
    assert_eq!(each.rig.count("fanfare_events_dropped_total", ""), 0.0);
}
