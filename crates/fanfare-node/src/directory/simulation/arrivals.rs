//! The model of deliveries: what each worker must find in its inbox, and what must be counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use fanfare_layer::{Delivery, Sink as _, Undelivered};
use fanfare_protocol::{Envelope, Event, Target, Value};
use futures_util::future::BoxFuture;

use super::sessions::Sessions;
use super::{Flag, WORKERS, group};
use crate::directory::{Batch, Directory, Inbox, InboxBounds};

const BOUNDS: InboxBounds = InboxBounds {
    frames: 3,
    bytes: 1 << 20,
    handoff_frames: 5,
    handoff_bytes: 1 << 20,
};

/// A publisher that waits for room.
struct Publisher {
    group: usize,
    number: u64,
    delivery: Delivery,
    room: BoxFuture<'static, ()>,
    woken: Arc<Flag>,
}

struct Worker {
    inbox: Arc<Inbox>,
    /// The number of each delivery, in the order of their arrival.
    expected: VecDeque<u64>,
}

pub(super) struct Arrivals {
    workers: Vec<Worker>,
    publishers: Vec<Publisher>,
    numbers: u64,
    inbox_full: u64,
    no_members: u64,
    bridge_panic: u64,
}

fn number(delivery: &Delivery) -> u64 {
    match delivery.envelope.event.get("number") {
        Some(Value::Str(text)) => text.parse().unwrap(),
        other => panic!("no number: {other:?}"),
    }
}

impl Arrivals {
    pub(super) fn new(directory: &Directory) -> Self {
        let worker = |number| {
            let place = directory.add_worker(BOUNDS);
            assert_eq!(place.number, number);
            Worker {
                inbox: place.inbox,
                expected: VecDeque::new(),
            }
        };
        Self {
            workers: (0..WORKERS).map(worker).collect(),
            publishers: Vec::new(),
            numbers: 0,
            inbox_full: 0,
            no_members: 0,
            bridge_panic: 0,
        }
    }

    fn delivery(&mut self, index: usize) -> Delivery {
        self.numbers += 1;
        let number = self.numbers.to_string();
        Delivery {
            target: Target::Group(group(index)),
            envelope: Arc::new(Envelope::new(
                Event::new("t").with("number", number.as_str()),
            )),
            arrived: Instant::now(),
        }
    }

    /// Expects a delivery at the workers, each of which may have room or not.
    fn expect(&mut self, workers: u64, number: u64, most: usize) {
        if workers == 0 {
            self.no_members += 1;
        }
        for (index, worker) in self.workers.iter_mut().enumerate() {
            if workers & (1 << index) == 0 {
                continue;
            }
            if worker.expected.len() < most {
                worker.expected.push_back(number);
            } else {
                self.inbox_full += 1;
            }
        }
    }

    pub(super) fn hand_off(&mut self, directory: &Directory, of: usize, to: u64, count: usize) {
        let deliveries: Vec<_> = (0..count).map(|_| self.delivery(of)).collect();
        for delivery in &deliveries {
            self.expect(to, number(delivery), BOUNDS.handoff_frames);
        }
        Batch::new(directory, deliveries).hand_off();
    }

    /// Of `count` events only some are handed off before the bridge dies.
    pub(super) fn hand_off_some(
        &mut self,
        directory: &Directory,
        of: usize,
        to: u64,
        (count, handed): (usize, usize),
    ) {
        let deliveries: Vec<_> = (0..count).map(|_| self.delivery(of)).collect();
        for delivery in &deliveries[..handed] {
            self.expect(to, number(delivery), BOUNDS.handoff_frames);
        }
        self.bridge_panic += (count - handed) as u64;
        let mut batch = Batch::new(directory, deliveries);
        for _ in 0..handed {
            assert!(batch.hand_off_next());
        }
    }

    pub(super) fn publish(&mut self, directory: &Directory, of: usize, to: u64) {
        let delivery = self.delivery(of);
        self.deliver(directory, of, to, delivery);
    }

    fn deliver(&mut self, directory: &Directory, of: usize, to: u64, delivery: Delivery) {
        let number = number(&delivery);
        let is_full = |(index, worker): (usize, &Worker)| {
            to & (1 << index) != 0 && worker.expected.len() >= BOUNDS.frames
        };
        let full = self.workers.iter().enumerate().any(is_full);
        match directory.deliver(delivery) {
            Ok(()) => {
                assert!(!full, "an inbox was full");
                self.expect(to, number, BOUNDS.frames);
            }
            Err(Undelivered::Full(waits)) => {
                assert!(full, "no inbox was full");
                self.publishers.push(Publisher {
                    group: of,
                    number,
                    delivery: waits.delivery,
                    room: waits.room,
                    woken: Flag::raised(),
                });
            }
            Err(Undelivered::ChannelFull(_)) => panic!("a group has no queue"),
        }
    }

    /// The publishers that have been woken look for room; those that find it deliver.
    fn retry(&mut self, directory: &Directory, sessions: &Sessions) {
        for mut publisher in std::mem::take(&mut self.publishers) {
            let waker = Waker::from(Arc::clone(&publisher.woken));
            let mut context = Context::from_waker(&waker);
            if publisher.woken.take() && publisher.room.as_mut().poll(&mut context).is_ready() {
                assert_eq!(number(&publisher.delivery), publisher.number);
                let workers = sessions.workers(publisher.group);
                self.deliver(directory, publisher.group, workers, publisher.delivery);
            } else {
                self.publishers.push(publisher);
            }
        }
    }

    pub(super) fn take(&mut self, worker: usize) {
        let worker = &mut self.workers[worker];
        let taken = worker.inbox.pop().map(|delivery| number(&delivery));
        assert_eq!(taken, worker.expected.pop_front());
    }

    /// Empties the inboxes until no publisher waits.
    pub(super) fn settle(&mut self, directory: &Directory, sessions: &Sessions) {
        let most = self.publishers.len() + 1;
        for _ in 0..most {
            self.retry(directory, sessions);
            for worker in 0..self.workers.len() {
                while !self.workers[worker].expected.is_empty() {
                    self.take(worker);
                }
                self.take(worker);
            }
            self.retry(directory, sessions);
        }
        for worker in 0..self.workers.len() {
            while !self.workers[worker].expected.is_empty() {
                self.take(worker);
            }
        }
        assert_eq!(self.publishers.len(), 0, "publishers that wait for ever");
    }

    pub(super) fn check(&self, directory: &Directory) {
        let dropped = &directory.metrics.dropped;
        assert_eq!(dropped.inbox_full.get(), self.inbox_full);
        assert_eq!(dropped.no_members.get(), self.no_members);
        assert_eq!(dropped.bridge_panic.get(), self.bridge_panic);
    }
}
