//! A node whose layer has never answered.

use std::sync::Arc;
use std::time::Duration;

use fanfare_layer::{ChannelLayer as _, State, Status, Subscription};
use fanfare_node::AdmitError;
use fanfare_rig::LayerDouble;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::client::{Rig, group, options};

#[actix::test]
async fn a_layer_that_has_never_answered_is_asked_for_no_group_and_for_all_once_it_does() {
    let mut options = options();
    options.subscribes = true;
    options.join_timeout = Duration::from_millis(20);
    let (answers, receiver) = watch::channel(Status::new(State::Connecting));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    let rig = Rig::over(options, |memory| {
        let layer = LayerDouble::new(memory).with_status(receiver);
        Arc::new(layer.on_subscribe(move |memory, wanted| {
            record.lock().extend(wanted.iter().cloned());
            memory.subscribe(wanted)
        }))
    });
    for name in ["a", "b", "c"] {
        assert_eq!(rig.open(&[name]).await.err(), Some(AdmitError::LayerDown));
    }
    assert_eq!(*asked.lock(), [], "groups that were only tried");
    assert_eq!(rig.node.groups(), []);

    answers.send_replace(Status::new(State::Up));
    let _open = rig.open(&["a"]).await.unwrap();
    let wanted = Subscription::Group(group("a"));
    assert!(asked.lock().contains(&wanted), "{:?}", asked.lock());
}
