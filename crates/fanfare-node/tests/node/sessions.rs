use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use fanfare_layer::Publish;
use fanfare_node::AdmitError;
use fanfare_protocol::{ChannelName, GroupName, Target};

use super::client::{Frame, PATIENCE, Rig, envelope, group, options};

#[actix::test]
async fn a_message_reaches_every_member_of_its_group_and_nobody_else() {
    let rig = Rig::new(options());
    let mut one = rig.open(&["a"]).await.unwrap();
    let mut two = rig.open(&["a", "b"]).await.unwrap();
    let mut other = rig.open(&["b"]).await.unwrap();
    one.text("hello").await;
    one.expect_text("hello").await;
    two.expect_text("hello").await;
    rig.publish(Target::Group(group("b")), "only b").await;
    other.expect_text("only b").await;
    two.expect_text("only b").await;
}

#[actix::test]
async fn everyone_and_one_channel_are_reached() {
    let rig = Rig::new(options());
    let mut one = rig.open(&[]).await.unwrap();
    let mut two = rig.open(&[]).await.unwrap();
    rig.publish(Target::Group(GroupName::everyone()), "all")
        .await;
    let channel = rig.node.naming().channel(&two.channel).unwrap();
    rig.publish(Target::Channel(channel), "two").await;
    one.expect_text("all").await;
    two.expect_text("all").await;
    two.expect_text("two").await;
}

#[actix::test]
async fn a_session_that_leaves_is_in_no_group_and_its_channel_is_dead() {
    let rig = Rig::new(options());
    let mut one = rig.open(&["a"]).await.unwrap();
    let channel = rig.node.naming().channel(&one.channel).unwrap();
    one.send(8, &1000u16.to_be_bytes()).await;
    assert_eq!(one.frame().await, Frame::Close(1000));
    assert_eq!(one.frame().await, Frame::End);
    drop(one);
    rig.until("fanfare_sessions_closed_total", "client", 1.0)
        .await;
    assert_eq!(rig.node.groups(), []);
    assert_eq!(rig.node.sessions(), 0);
    let mut next = rig.open(&["a"]).await.unwrap();
    rig.publish(Target::Channel(channel), "for the dead").await;
    rig.until("fanfare_events_dropped_total", "no_session", 1.0)
        .await;
    rig.publish(Target::Group(group("a")), "for the living")
        .await;
    next.expect_text("for the living").await;
}

#[actix::test]
async fn a_ping_is_answered_and_a_broken_frame_ends_the_session_with_its_code() {
    let rig = Rig::new(options());
    let mut client = rig.open(&["a"]).await.unwrap();
    client.send(9, b"are you there").await;
    assert_eq!(client.frame().await, Frame::Pong(b"are you there".to_vec()));
    client.send(3, b"").await;
    assert_eq!(client.frame().await, Frame::Close(1002));
    assert_eq!(client.frame().await, Frame::End);
    let mut client = rig.open(&["a"]).await.unwrap();
    client.send(1, b"\xff").await;
    assert_eq!(client.frame().await, Frame::Close(1007));
}

#[actix::test]
async fn a_silent_client_is_pinged_and_given_up() {
    let mut options = options();
    options.ping.interval = Duration::from_millis(30);
    options.ping.timeout = Duration::from_millis(40);
    let rig = Rig::new(options);
    let mut client = rig.open(&["a"]).await.unwrap();
    assert_eq!(client.frame().await, Frame::Ping);
    client.send(10, b"").await;
    assert_eq!(client.frame().await, Frame::Ping);
    assert_eq!(client.frame().await, Frame::End);
    rig.until("fanfare_sessions_closed_total", "ping_timeout", 1.0)
        .await;
}

#[actix::test]
async fn a_full_node_refuses_and_a_draining_one_too() {
    let mut options = options();
    options.limits.sessions = 1;
    let rig = Rig::new(options);
    let first = rig.open(&["a"]).await.unwrap();
    let refused = rig.open(&["a"]).await.err();
    assert_eq!(refused, Some(AdmitError::NodeFull { limit: 1 }));
    let groups: Vec<String> = (0..11).map(|number| format!("g{number}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let refused = rig.open(&groups).await.err();
    assert_eq!(
        refused,
        Some(AdmitError::TooManyGroups {
            asked: 11,
            limit: 10
        })
    );
    rig.node.refuse_sessions();
    drop(first);
    assert_eq!(rig.open(&["a"]).await.err(), Some(AdmitError::Draining));
}

#[test]
fn a_worker_beyond_the_last_admits_nobody_and_harms_nobody() {
    let (rig, everybody) = (&Rig::new(options()), &Barrier::new(66));
    let admitted: Vec<_> = std::thread::scope(|threads| {
        let open = || async {
            let opened = rig.open(&["a"]).await;
            // None ends before all have started: it would give its place to another.
            everybody.wait();
            opened.err()
        };
        let workers = (0..66).map(|_| threads.spawn(move || actix::System::new().block_on(open())));
        let workers: Vec<_> = workers.collect();
        workers.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let admitted_to = |outcome| admitted.iter().filter(|it| **it == outcome).count();
    assert_eq!(admitted_to(None), 64);
    assert_eq!(admitted_to(Some(AdmitError::TooManyWorkers)), 2);
    assert_eq!(rig.node.sessions(), 0);
    assert!(on_a_thread(async || rig.open(&["a"]).await.is_ok()));
}

/// Runs on a thread of its own, which is a worker thread of the node when it opens a session.
fn on_a_thread<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| {
        let thread = threads.spawn(|| actix::System::new().block_on(work()));
        thread.join().unwrap()
    })
}

/// Opens a session on a thread that ends, and answers its name.
fn of_a_thread_that_has_ended(rig: &Rig) -> ChannelName {
    let name = on_a_thread(async || rig.open(&["a"]).await.unwrap().channel.clone());
    rig.node.naming().channel(&name).unwrap()
}

#[test]
fn seventy_threads_in_a_row_are_admitted_and_no_old_name_reaches_anybody() {
    let rig = &Rig::new(options());
    let old: BTreeSet<_> = (0..70).map(|_| of_a_thread_that_has_ended(rig)).collect();
    assert_eq!(old.len(), 70);
    assert_eq!(rig.node.sessions(), 0);
    assert_eq!(rig.node.groups(), []);
    on_a_thread(async || {
        let mut client = rig.open(&["a"]).await.unwrap();
        for name in &old {
            rig.publish(Target::Channel(name.clone()), "for the dead")
                .await;
        }
        rig.publish(Target::Group(group("a")), "for the living")
            .await;
        client.expect_text("for the living").await;
    });
    assert_eq!(
        rig.count("fanfare_events_dropped_total", "no_session"),
        70.0
    );
}

#[actix::test]
async fn nobody_waits_for_a_worker_thread_that_has_ended() {
    let rig = Rig::new(options());
    let mut client = rig.open(&["a"]).await.unwrap();
    let gone = of_a_thread_that_has_ended(&rig);
    let count = 3 * options().limits.inbox_frames;
    for _ in 0..count {
        let target = Target::Channel(gone.clone());
        let published = rig.node.publish(target, envelope("for the dead"));
        assert!(matches!(published, Publish::Done(Ok(()))));
    }
    let dropped = rig.count("fanfare_events_dropped_total", "no_session");
    assert_eq!(dropped, count as f64);
    rig.publish(Target::Group(group("a")), "for the living")
        .await;
    client.expect_text("for the living").await;
}

#[actix::test]
async fn a_closed_node_leaves_a_thread_with_its_last_session() {
    let rig = Rig::new(options());
    let mut client = rig.open(&["a"]).await.unwrap();
    let worker = Rc::downgrade(&rig.node.worker());
    rig.node.close().await;
    client.send(9, b"are you there").await;
    assert_eq!(client.frame().await, Frame::Pong(b"are you there".to_vec()));
    assert!(worker.strong_count() > 0);
    drop(client);
    let gone = async {
        while worker.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
}

#[actix::test]
async fn a_drain_closes_everybody_with_1001_within_the_window() {
    let rig = Rig::new(options());
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(rig.open(&["a"]).await.unwrap());
    }
    rig.node.refuse_sessions();
    let closing = rig.node.close_sessions(Duration::from_millis(200));
    let reading = async {
        for client in &mut clients {
            assert_eq!(client.frame().await, Frame::Close(1001));
            client.send(8, &1001u16.to_be_bytes()).await;
            assert_eq!(client.frame().await, Frame::End);
        }
    };
    let (left, ()) = tokio::join!(closing, reading);
    assert_eq!(left, 0);
    assert_eq!(rig.count("fanfare_sessions_closed_total", "drain"), 50.0);
}

#[actix::test]
async fn a_client_that_does_not_read_is_closed_by_its_outbox_and_others_are_not() {
    let rig = Rig::new(options());
    let slow = rig.open(&["a"]).await.unwrap();
    let mut quick = rig.open(&["a"]).await.unwrap();
    let text = "x".repeat(4000);
    for number in 0.. {
        rig.publish(Target::Group(group("a")), &text).await;
        quick.expect_text(&text).await;
        if rig.count("fanfare_slow_sessions_closed_total", "") > 0.0 {
            break;
        }
        assert!(number < 2000, "8 MB fit nowhere");
    }
    rig.until("fanfare_sessions_closed_total", "slow", 1.0)
        .await;
    assert_eq!(rig.node.sessions(), 1);
    drop(slow);
    rig.publish(Target::Group(group("a")), "still here").await;
    quick.expect_text("still here").await;
}

#[actix::test]
async fn publishers_wait_for_a_full_inbox_and_nothing_is_lost_or_reordered() {
    let rig = Rig::new(options());
    let mut client = rig.open(&["a"]).await.unwrap();
    // Many times the inbox of 64, in one burst, from a socket: the session has to wait.
    let mut other = rig.open(&["a"]).await.unwrap();
    let sending = async {
        for number in 0..1000 {
            other.text(&number.to_string()).await;
        }
    };
    let receiving = async {
        for number in 0..1000 {
            client.expect_text(&number.to_string()).await;
        }
    };
    tokio::join!(sending, receiving);
}

#[actix::test]
async fn a_lone_session_does_not_wait_for_the_window_of_a_drain() {
    let rig = Rig::new(options());
    let mut lone = rig.open(&["a"]).await.unwrap();
    let draining = rig.node.close_sessions(Duration::from_secs(3600));
    tokio::select! {
        frame = lone.frame() => assert_eq!(frame, super::client::Frame::Close(1001)),
        remaining = draining => panic!("drained before the client knew: {remaining}"),
    }
}
