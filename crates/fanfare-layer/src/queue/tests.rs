use fanfare_protocol::{Event, Naming};

use super::*;

const CAPACITY: usize = 3;
const EXPIRY: Duration = Duration::from_secs(3);
const UNREAD: usize = 5;

fn queue() -> ChannelQueue {
    let options = QueueOptions {
        capacity: CAPACITY,
        expiry: EXPIRY,
        unread: UNREAD,
    };
    let expired = IntCounter::new("expired", "for the test").unwrap();
    ChannelQueue::new(options, expired)
}

fn channel(name: &str) -> ChannelName {
    Naming::plain("asgi").channel(name).unwrap()
}

fn put(queue: &ChannelQueue, name: &str, age: Duration) -> Result<(), ChannelFull> {
    let arrived = Instant::now().checked_sub(age).unwrap();
    let envelope = Arc::new(Envelope::new(Event::new("test")));
    queue.put(&channel(name), envelope, arrived)
}

fn names(queue: &ChannelQueue) -> (usize, usize) {
    let lines = queue.shared.lines.lock();
    (lines.by_name.len(), lines.unread)
}

#[test]
fn names_that_nobody_reads_are_bounded_and_go_with_their_messages() {
    let queue = queue();
    for number in 0..UNREAD {
        put(&queue, &format!("old{number}"), EXPIRY).unwrap();
    }
    assert_eq!(names(&queue), (UNREAD, UNREAD));
    for number in 0..UNREAD {
        put(&queue, &format!("new{number}"), Duration::ZERO).unwrap();
    }
    assert_eq!(names(&queue), (UNREAD, UNREAD), "the old ones were swept");
    assert_eq!(queue.shared.expired.get(), UNREAD as u64);
    let refused = put(&queue, "another", Duration::ZERO).unwrap_err();
    assert_eq!(refused.channel, channel("another"));
    assert_eq!(names(&queue), (UNREAD, UNREAD));
    put(&queue, "new0", Duration::ZERO).expect("a known name has room still");
}

#[test]
fn names_that_nobody_reads_are_looked_through_once_per_expiry() {
    let queue = queue();
    put(&queue, "old", EXPIRY).unwrap();
    queue.shared.lines.lock().sweep_at = Instant::now();
    put(&queue, "new", Duration::ZERO).unwrap();
    assert_eq!(names(&queue), (1, 1));
}

#[test]
fn expired_messages_make_room_for_new_ones() {
    let queue = queue();
    for _ in 0..CAPACITY {
        put(&queue, "jobs", EXPIRY).unwrap();
    }
    put(&queue, "jobs", Duration::ZERO).unwrap();
    assert_eq!(queue.shared.expired.get(), CAPACITY as u64);
}
