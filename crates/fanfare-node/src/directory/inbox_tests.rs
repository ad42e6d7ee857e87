use fanfare_protocol::{Envelope, Event, Target};

use super::*;

const BOUNDS: InboxBounds = InboxBounds {
    frames: 4096,
    bytes: 1 << 20,
    handoff_frames: 8192,
    handoff_bytes: 2 << 20,
};

fn delivery(text: &str) -> (Delivery, usize) {
    let event = Event::new("t").with("message", text);
    let bytes = event.memory_bytes();
    let delivery = Delivery {
        target: Target::Group(GroupName::everyone()),
        envelope: Arc::new(Envelope::new(event)),
        arrived: Instant::now(),
    };
    (delivery, bytes)
}

#[test]
fn large_events_fill_an_inbox_by_their_bytes() {
    let inbox = Inbox::new(BOUNDS, &MemoryBudget::unlimited());
    let large = "x".repeat(300_000);
    let mut pushed = 0;
    while inbox.has_room() {
        let (delivery, bytes) = delivery(&large);
        inbox.push(delivery, bytes).unwrap();
        pushed += 1;
    }
    assert_eq!(
        pushed, 4,
        "1 MiB holds three of them, and the fourth passes the bound"
    );
    while inbox.pop().is_some() {}
    assert!(inbox.has_room());
}

#[test]
fn what_comes_from_other_nodes_is_refused_beyond_the_wider_bounds_and_only_then() {
    let inbox = Inbox::new(BOUNDS, &MemoryBudget::unlimited());
    let large = "x".repeat(300_000);
    let mut taken = 0;
    loop {
        let (delivery, bytes) = delivery(&large);
        if let Err(why) = inbox.hand_off(delivery, bytes) {
            assert_eq!(why, Unqueued::Full);
            break;
        }
        taken += 1;
    }
    assert_eq!(taken, 6, "2 MiB hold six");
    assert!(
        !inbox.has_room(),
        "publishers of this node wait behind them"
    );
    assert!(inbox.pop().is_some());
    let (delivery, bytes) = delivery(&large);
    assert_eq!(
        inbox.hand_off(delivery, bytes),
        Ok(()),
        "there is room again"
    );
}

#[test]
fn one_event_larger_than_the_bound_finds_room_alone() {
    let inbox = Inbox::new(BOUNDS, &MemoryBudget::unlimited());
    let (delivery, bytes) = delivery(&"x".repeat(3 << 20));
    assert!(inbox.has_room() && inbox.hand_off(delivery, bytes).is_ok());
    assert!(inbox.pop().is_some());
}

#[test]
fn the_oldest_delivery_is_as_old_as_its_arrival() {
    let inbox = Inbox::new(BOUNDS, &MemoryBudget::unlimited());
    let now = Instant::now();
    assert_eq!(inbox.oldest(now), Duration::ZERO);
    for _ in 0..2 {
        let (delivery, bytes) = delivery("x");
        inbox.push(delivery, bytes).unwrap();
    }
    let first = inbox.queue.lock().deliveries[0].0.arrived;
    assert_eq!(
        inbox.oldest(first + Duration::from_secs(3)),
        Duration::from_secs(3)
    );
}

#[test]
fn a_worker_that_has_ended_keeps_nobody_waiting_for_its_answer() {
    let inbox = Inbox::new(BOUNDS, &MemoryBudget::unlimited());
    let ask = || {
        let (answer, answered) = oneshot::channel();
        let group = GroupName::everyone();
        inbox.ask(Question::Channels { group, answer });
        answered
    };
    let before = ask();
    inbox.close();
    for mut asked in [before, ask()] {
        assert_eq!(asked.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
    inbox.open();
    assert_eq!(ask().try_recv(), Err(oneshot::error::TryRecvError::Empty));
    assert_eq!(inbox.questions().len(), 1);
}

#[test]
fn a_worker_that_has_ended_takes_nothing_and_keeps_no_publisher_waiting() {
    let inbox = Arc::new(Inbox::new(BOUNDS, &MemoryBudget::unlimited()));
    let large = "x".repeat(300_000);
    while inbox.has_room() {
        let (delivery, bytes) = delivery(&large);
        inbox.push(delivery, bytes).unwrap();
    }
    let mut room = inbox.room();
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(room.as_mut().poll(&mut context).is_pending());
    assert_eq!(inbox.close(), 4);
    assert!(room.as_mut().poll(&mut context).is_ready());
    assert!(inbox.has_room() && inbox.pop().is_none());
    for give in [Inbox::push, Inbox::hand_off] {
        let (delivery, bytes) = delivery("x");
        assert_eq!(give(&inbox, delivery, bytes), Err(Unqueued::Ended));
    }
    inbox.open();
    let (delivery, bytes) = delivery("x");
    assert_eq!(inbox.push(delivery, bytes), Ok(()));
    assert!(inbox.pop().is_some());
}
