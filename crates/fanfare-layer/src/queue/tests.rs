use fanfare_protocol::{Event, Naming, Target};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;

use super::*;
use crate::PublishError;
use crate::{ControlChannel, LeaseStore};
use crate::{Delivery, Publish, State, Status, Subscription};

const CAPACITY: usize = 3;
const EXPIRY: Duration = Duration::from_secs(3);
const UNREAD: usize = 5;

fn queue() -> ChannelQueue {
    let options = QueueOptions {
        capacity: CAPACITY,
        expiry: EXPIRY,
        unread: UNREAD,
    };
    ChannelQueue::new(options, lost(), MemoryBudget::unlimited())
}

fn lost() -> LostMessages {
    let counter = |name: &str| IntCounter::new(name, "for the test").unwrap();
    LostMessages {
        expired: counter("expired"),
        no_memory: counter("no_memory"),
    }
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
    assert_eq!(queue.shared.lost.expired.get(), UNREAD as u64);
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
    assert_eq!(queue.shared.lost.expired.get(), CAPACITY as u64);
}

/// A layer that notes the pulls, and brings a message at once where the test wants it.
#[derive(Default)]
struct Pulled {
    names: Mutex<Vec<ChannelName>>,
    brings: Mutex<Option<ChannelQueue>>,
}

impl Pulled {
    fn count(&self) -> usize {
        self.names.lock().len()
    }
}

impl ChannelLayer for Pulled {
    fn publish(&self, _: Target, _: Arc<Envelope>) -> Publish {
        Publish::Done(Err(PublishError::Closed))
    }

    fn subscribe(&self, _: Vec<Subscription>) -> BoxFuture<'static, Result<(), SubscribeError>> {
        future::ready(Ok(())).boxed()
    }

    fn unsubscribe(&self, _: Vec<Subscription>) -> BoxFuture<'static, Result<(), SubscribeError>> {
        future::ready(Ok(())).boxed()
    }

    fn pull(&self, channel: &ChannelName) {
        self.names.lock().push(channel.clone());
        if let Some(queue) = &*self.brings.lock() {
            put(queue, channel.as_str(), Duration::ZERO).unwrap();
        }
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        stream::pending().boxed()
    }

    fn status(&self) -> watch::Receiver<Status> {
        watch::channel(Status::new(State::Up)).1
    }

    fn control(&self) -> Arc<dyn ControlChannel> {
        unreachable!("queues send no commands")
    }

    fn leases(&self) -> Arc<dyn LeaseStore> {
        unreachable!("queues hold no leases")
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        future::ready(()).boxed()
    }
}

/// A queue, its layer, and receivers of `jobs`.
fn received<const RECEIVERS: usize>() -> (ChannelQueue, Arc<Pulled>, [Receiver; RECEIVERS]) {
    let (queue, layer) = (queue(), Arc::new(Pulled::default()));
    let receivers = std::array::from_fn(|_| receive(&queue, &layer, channel("jobs")));
    (queue, layer, receivers)
}

fn receive(queue: &ChannelQueue, layer: &Arc<Pulled>, channel: ChannelName) -> Receiver {
    let layer = Arc::clone(layer) as Arc<dyn ChannelLayer>;
    let receiver = queue.receive(channel, layer).now_or_never();
    receiver.unwrap().unwrap()
}

fn bring(queue: &ChannelQueue) {
    put(queue, "jobs", Duration::ZERO).unwrap();
}

/// Looks for a message and stops waiting.
fn glance(receiver: &mut Receiver) -> bool {
    receiver.next().now_or_never().is_some()
}

#[test]
fn every_receiver_that_waits_pulls_one_message() {
    let (queue, layer, [mut one, mut two]) = received();
    bring(&queue);
    assert!(glance(&mut one));
    assert_eq!(layer.count(), 0, "nobody had to wait");
    {
        let (mut first, mut second) = (Box::pin(one.next()), Box::pin(two.next()));
        for _ in 0..3 {
            assert!((&mut first).now_or_never().is_none());
            assert!((&mut second).now_or_never().is_none());
        }
        assert_eq!(*layer.names.lock(), [channel("jobs"), channel("jobs")]);
        bring(&queue);
        assert!((&mut first).now_or_never().is_some());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(layer.count(), 2);
    }
    // The second has stopped waiting; what it has pulled is on its way to whoever is next.
    assert!(!glance(&mut one));
    assert_eq!(layer.count(), 2);
    let (mut first, mut second) = (Box::pin(one.next()), Box::pin(two.next()));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(layer.count(), 3);
}

#[test]
fn a_receiver_that_stops_waiting_and_waits_again_does_not_pull_again() {
    let (queue, layer, [mut one]) = received();
    for _ in 0..5 {
        assert!(!glance(&mut one));
    }
    assert_eq!(layer.count(), 1);
    bring(&queue);
    assert!(glance(&mut one));
    assert!(!glance(&mut one));
    assert_eq!(layer.count(), 2);
}

#[test]
fn a_receiver_whose_message_was_taken_by_another_or_expired_pulls_again() {
    let (queue, layer, [mut one, mut two]) = received();
    let mut waiting = Box::pin(one.next());
    assert!((&mut waiting).now_or_never().is_none());
    bring(&queue);
    assert!(glance(&mut two), "it was faster");
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(layer.count(), 2);
    put(&queue, "jobs", EXPIRY).unwrap();
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(layer.count(), 3);
    bring(&queue);
    assert!(waiting.now_or_never().is_some());
}

#[test]
fn a_message_that_there_is_no_room_for_has_been_brought_all_the_same() {
    let (queue, layer, [mut one]) = received();
    assert!(!glance(&mut one));
    for _ in 0..CAPACITY {
        bring(&queue);
    }
    put(&queue, "jobs", Duration::ZERO).unwrap_err();
    for _ in 0..CAPACITY {
        assert!(glance(&mut one));
    }
    assert_eq!(layer.count(), 1);
    assert!(!glance(&mut one));
    assert_eq!(layer.count(), 2);
}

#[test]
fn the_first_receiver_after_the_last_pulls_anew() {
    let (queue, layer, [mut one, mut two]) = received();
    {
        let (mut first, mut second) = (Box::pin(one.next()), Box::pin(two.next()));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
    }
    bring(&queue);
    drop((one, two));
    let mut one = receive(&queue, &layer, channel("jobs"));
    assert!(glance(&mut one), "it was brought for whoever comes");
    assert_eq!(layer.count(), 2);
    // The other was forgotten with the subscription.
    assert!(!glance(&mut one));
    assert_eq!(layer.count(), 3);
    drop(one);
    let mut one = receive(&queue, &layer, channel("jobs"));
    assert!(!glance(&mut one));
    assert_eq!(layer.count(), 4);
}

#[test]
fn a_layer_may_bring_a_message_while_it_is_asked_for_it() {
    let (queue, layer, [mut one]) = received();
    *layer.brings.lock() = Some(queue);
    for taken in 1..=3 {
        assert!(glance(&mut one));
        assert_eq!(layer.count(), taken);
    }
}

#[test]
fn a_channel_of_this_process_s_own_is_not_pulled_from() {
    let (queue, layer) = (queue(), Arc::new(Pulled::default()));
    let name = channel("specific.answers!1");
    assert!(!queue.is_received(&name));
    let mut own = receive(&queue, &layer, name.clone());
    assert!(queue.is_received(&name));
    assert!(!glance(&mut own));
    assert_eq!(layer.count(), 0);
    drop(own);
    assert!(!queue.is_received(&name));
}

#[test]
fn when_memory_is_short_the_channel_with_most_unread_bytes_loses_its_oldest_messages() {
    let budget = MemoryBudget::new(1 << 20);
    let options = QueueOptions::default();
    let queue = ChannelQueue::new(options, lost(), budget.clone());
    let put = |name: &str, number: u64, bytes: usize| {
        let event = Event::new("test").with("number", number);
        let event = event.with("text", "x".repeat(bytes));
        let envelope = Arc::new(Envelope::new(event));
        queue.put(&channel(name), envelope, Instant::now()).unwrap();
    };
    put("small", 0, 1000);
    for number in 0..100 {
        put("large", number, 100_000);
        assert!(budget.used() <= budget.limit(), "{}", budget.used());
    }
    let lines = queue.shared.lines.lock();
    let numbers = |name: &str| {
        let line = &lines.by_name[&channel(name)];
        let events = line.waiting.iter().map(|it| &it.envelope.event);
        let numbers = events.map(|event| event.get("number").cloned());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(numbers("small").len(), 1, "it holds the least");
    let kept = numbers("large");
    assert!((4..10).contains(&kept.len()), "{kept:?}");
    assert_eq!(kept.last(), Some(&Some(99_u64.into())), "the newest stay");
    let dropped = queue.shared.lost.no_memory.get();
    assert_eq!(dropped, 100 - kept.len() as u64);
}
