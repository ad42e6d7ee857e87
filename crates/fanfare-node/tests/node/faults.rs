use std::time::{Duration, Instant};

use fanfare_node::fault;
use fanfare_protocol::Target;

use super::client::{Frame, Rig, group, options};

#[actix::test]
async fn a_registry_that_panics_loses_no_session_no_membership_and_no_event() {
    let rig = Rig::new(options());
    let mut clients = Vec::new();
    for number in 0..600 {
        let own = format!("own_{number}");
        clients.push(rig.open(&["a", &own]).await.unwrap());
    }
    let worker = rig.node.worker();
    let started = Instant::now();
    for round in 0..3 {
        rig.publish(Target::Group(group("a")), &format!("before {round}"))
            .await;
        assert!(fault::crash_registry(&worker), "no registry to crash");
        rig.publish(Target::Group(group("a")), &format!("meanwhile {round}"))
            .await;
        rig.until("fanfare_restarts_total", "registry", f64::from(round + 1))
            .await;
        rig.publish(Target::Group(group("a")), &format!("after {round}"))
            .await;
        for client in &mut clients {
            client.expect_text(&format!("before {round}")).await;
            client.expect_text(&format!("meanwhile {round}")).await;
            client.expect_text(&format!("after {round}")).await;
        }
    }
    assert!(
        started.elapsed() < Duration::from_secs(9),
        "three panics took too long"
    );
    assert_eq!(rig.node.sessions(), 600);
    assert_eq!(rig.node.members(&group("own_599")), 1);
    assert_eq!(rig.count("fanfare_sessions_closed_total", ""), 0.0);
    assert_eq!(rig.count("fanfare_events_dropped_total", ""), 0.0);
}

#[actix::test]
async fn a_bridge_that_panics_is_rebuilt_and_subscribes_what_was_asked_meanwhile() {
    let mut options = options();
    options.subscribes = true;
    let rig = Rig::new(options);
    let mut before = rig.open(&["a"]).await.unwrap();
    assert!(fault::crash_bridge(&rig.node), "no bridge to crash");
    let mut after = rig.open(&["b"]).await.unwrap();
    rig.until("fanfare_restarts_total", "bridge", 1.0).await;
    let mut again = rig.open(&["a", "c"]).await.unwrap();
    rig.publish(Target::Group(group("a")), "a").await;
    rig.publish(Target::Group(group("b")), "b").await;
    rig.publish(Target::Group(group("c")), "c").await;
    before.expect_text("a").await;
    after.expect_text("b").await;
    again.expect_text("a").await;
    again.expect_text("c").await;
    assert_eq!(rig.count("fanfare_sessions_closed_total", ""), 0.0);
}

#[test]
fn a_worker_thread_that_dies_gives_the_bridge_to_the_next() {
    let mut options = options();
    options.subscribes = true;
    let rig = Rig::new(options);
    for number in 0..3 {
        let rig = &rig;
        std::thread::scope(|threads| {
            threads.spawn(move || {
                actix::System::new().block_on(async move {
                    let own = format!("g{number}");
                    let mut client = rig.open(&[&own]).await.unwrap();
                    rig.publish(Target::Group(group(&own)), "here").await;
                    client.expect_text("here").await;
                });
            });
        });
    }
    assert_eq!(rig.node.sessions(), 0);
}

#[actix::test]
async fn a_session_that_panics_is_closed_with_1011_and_no_other_is() {
    let rig = Rig::new(options());
    let mut clumsy = rig.open(&["a"]).await.unwrap();
    let mut other = rig.open(&["a"]).await.unwrap();
    clumsy.text("panic").await;
    assert_eq!(clumsy.frame().await, Frame::Close(1011));
    assert_eq!(clumsy.frame().await, Frame::End);
    rig.until("fanfare_sessions_closed_total", "panic", 1.0)
        .await;
    assert_eq!(rig.node.members(&group("a")), 1);
    other.text("fine").await;
    other.expect_text("fine").await;
}
