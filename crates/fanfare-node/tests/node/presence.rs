//! What a layer is told of the sessions that it knows by name.

use std::sync::mpsc;
use std::time::Duration;

use fanfare_layer::Presence;
use fanfare_protocol::{ChannelName, GroupName, NodeId, SessionId};

use super::client::{PATIENCE, Rig, group, options};

fn channel(rig: &Rig, name: &str) -> ChannelName {
    rig.node.naming().channel(name).unwrap()
}

async fn presence(rig: &Rig, pairs: Vec<(GroupName, ChannelName)>) -> Vec<Presence> {
    let asked = rig.sink.presence(pairs);
    tokio::time::timeout(PATIENCE, asked)
        .await
        .expect("no answer")
}

#[actix::test]
async fn every_pair_is_answered_in_its_place() {
    let rig = Rig::new(options());
    let one = rig.open(&["a"]).await.unwrap();
    let two = rig.open(&["a", "b"]).await.unwrap();
    let ended = rig.open(&["a"]).await.unwrap().channel;
    rig.until("fanfare_sessions_closed_total", "", 1.0).await;
    let (id, naming) = (rig.node.id(), rig.node.naming());
    let (_, used) = naming.locate(&ended).unwrap();
    let later = SessionId {
        generation: used.generation + 1,
        ..used
    };
    let nowhere = SessionId { worker: 63, ..used };
    let local = rig.node.new_channel();
    let other = rig.node.new_channel();
    let _receiver = rig.node.receive(&local).await.unwrap();
    let expected = [
        ("a", channel(&rig, &one.channel), Presence::Member),
        ("b", channel(&rig, &one.channel), Presence::Guest),
        ("a", channel(&rig, &ended), Presence::Gone),
        ("b", channel(&rig, &two.channel), Presence::Member),
        ("none", channel(&rig, &two.channel), Presence::Guest),
        ("fanfare.all", channel(&rig, &two.channel), Presence::Member),
        ("a", naming.session(id, later), Presence::Gone),
        ("a", naming.session(id, nowhere), Presence::Gone),
        (
            "a",
            naming.session(NodeId::random().unwrap(), used),
            Presence::Gone,
        ),
        ("a", channel(&rig, "thumbnails"), Presence::Gone),
        ("a", other, Presence::Gone),
        ("a", local, Presence::Guest),
        ("a", channel(&rig, &one.channel), Presence::Member),
    ];
    let pairs = expected
        .iter()
        .map(|(name, channel, _)| (group(name), channel.clone()));
    let answers = presence(&rig, pairs.collect()).await;
    let wanted: Vec<_> = expected.iter().map(|(_, _, presence)| *presence).collect();
    assert_eq!(answers, wanted);
    assert_eq!(presence(&rig, Vec::new()).await, []);
}

#[actix::test]
async fn workers_are_asked_from_any_thread_and_one_that_has_ended_keeps_nobody_waiting() {
    let rig = Rig::new(options());
    let here = rig.open(&["a"]).await.unwrap();
    let pair = |name: &str| (group("a"), channel(&rig, name));
    let asked = std::thread::scope(|threads| {
        let (name, named) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let (over, is_over) = mpsc::channel();
        let (leave, left) = mpsc::channel::<()>();
        let rig = &rig;
        threads.spawn(move || {
            actix::System::new().block_on(async move {
                let client = rig.open(&["a"]).await.unwrap();
                name.send(client.channel.clone()).unwrap();
                ended.await.unwrap();
            });
            // Its actors have ended; the thread has not.
            over.send(()).unwrap();
            left.recv_timeout(PATIENCE).unwrap();
        });
        let there = named.recv_timeout(PATIENCE).unwrap();
        let both = || vec![pair(&there), pair(&here.channel), pair(&there)];
        // The worker of this thread cannot answer before the thread is free.
        let asked = rig.sink.presence(both());
        let only_there = rig.sink.presence(vec![pair(&there)]);
        assert_eq!(block_on(only_there), [Presence::Member]);
        end.send(()).unwrap();
        is_over.recv_timeout(PATIENCE).unwrap();
        let after = rig.sink.presence(vec![pair(&there)]);
        assert_eq!(block_on(after), [Presence::Gone]);
        leave.send(()).unwrap();
        asked
    });
    let answers = tokio::time::timeout(PATIENCE, asked).await;
    assert_eq!(answers.expect("no answer"), [Presence::Member; 3]);
}

/// On a thread of its own, which has no worker.
fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|threads| {
        let thread = threads.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let limit = Duration::from_secs(5);
            runtime.block_on(async { tokio::time::timeout(limit, future).await })
        });
        thread.join().unwrap().expect("no answer")
    })
}
