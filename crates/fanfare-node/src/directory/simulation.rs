//! A simulation of the directory, its subscriptions and the bridge's part of them, under random
//! schedules: sessions come and go, the layer answers late, in any order, refuses or loses its
//! answer, the bridge dies, and inboxes fill. A model says what must hold after every step.

mod arrivals;
mod layer;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use fanfare_layer::QueueOptions;
use fanfare_protocol::{GroupName, Naming, NodeId};
use prometheus::Registry;
use proptest::prelude::*;

use super::{Changes, Directory, Requests, Subscription};
use crate::metrics::NodeMetrics;
use crate::options::MembershipMode;
use arrivals::Arrivals;
use layer::{Answer, Layer};
use sessions::Sessions;

const WORKERS: u8 = 2;
/// Session n is on worker n modulo the number of workers.
const SESSIONS: usize = 4;
const GROUPS: [&str; 3] = ["a", "b", "fanfare.user.ann"];
const LINGER: Duration = Duration::from_secs(3600);
/// Requests of one turn: fewer than there may be, so that some are left for the next turn.
const MOST: usize = 1;
/// Turns after which everything must have settled.
const ROUNDS: usize = 8;

/// Numbers choose among what there is at the time, whatever their size.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A session joins a group, or asks for the acknowledgement of one that it is in.
    Join(usize, usize),
    Leave(usize, usize),
    /// A session has waited too long: it waits no more, and leaves.
    GiveUp(usize, usize),
    End(usize),
    /// The bridge's task runs, if somebody has woken it.
    Ask,
    /// The layer carries out a request, or refuses it.
    CarryOut(usize, bool),
    /// As before, but the answer gets lost.
    Lose(usize, bool),
    /// The bridge hears of an answer.
    Answer(usize),
    /// Before the emptied groups are due, or after.
    Sweep(bool),
    Restart,
    /// So many events of a group come from another node; the bridge dies behind some of them.
    HandOff(usize, usize, Option<usize>),
    /// An event of a group is published on this node.
    Publish(usize),
    /// A worker takes a delivery from its inbox.
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (session, group, one) = (|| 0..SESSIONS, || 0..GROUPS.len(), || 0..8usize);
    prop_oneof![
        5 => (session(), group()).prop_map(|(session, group)| Step::Join(session, group)),
        4 => (session(), group()).prop_map(|(session, group)| Step::Leave(session, group)),
        1 => (session(), group()).prop_map(|(session, group)| Step::GiveUp(session, group)),
        1 => session().prop_map(Step::End),
        5 => Just(Step::Ask),
        6 => (one(), prop::bool::weighted(0.8)).prop_map(|(call, ok)| Step::CarryOut(call, ok)),
        1 => (one(), any::<bool>()).prop_map(|(call, ok)| Step::Lose(call, ok)),
        5 => one().prop_map(Step::Answer),
        4 => prop::bool::weighted(0.8).prop_map(Step::Sweep),
        1 => Just(Step::Restart),
        2 => (group(), 0..4usize, prop::option::weighted(0.2, 0..4usize))
            .prop_map(|(group, count, dies)| Step::HandOff(group, count, dies)),
        2 => group().prop_map(Step::Publish),
        3 => (0..usize::from(WORKERS)).prop_map(Step::Take),
    ]
}

/// Whether a task has been woken.
struct Flag(AtomicBool);

impl Flag {
    fn raised() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn group(index: usize) -> GroupName {
    GroupName::parse(GROUPS[index]).unwrap()
}

struct World {
    directory: Arc<Directory>,
    bridge: Requests,
    /// Of the bridge's task.
    woken: Arc<Flag>,
    layer: Layer,
    sessions: Sessions,
    arrivals: Arrivals,
}

impl World {
    fn new() -> Self {
        let metrics = NodeMetrics::new(&Registry::new()).unwrap();
        let directory = Arc::new(Directory::new(
            NodeId::random().unwrap(),
            Naming::plain("asgi"),
            Some(Changes::new(LINGER, MembershipMode::PerNode)),
            (
                QueueOptions::default(),
                fanfare_layer::MemoryBudget::unlimited(),
            ),
            metrics,
        ));
        Self {
            bridge: Requests::new(Arc::clone(&directory)),
            woken: Flag::raised(),
            layer: Layer::default(),
            sessions: Sessions::default(),
            arrivals: Arrivals::new(&directory),
            directory,
        }
    }

    fn run(&mut self, step: Step) {
        let directory = &self.directory;
        match step {
            Step::Join(session, group) => self.sessions.join(directory, session, group),
            Step::Leave(session, group) => self.sessions.leave(directory, session, group),
            Step::GiveUp(session, group) => self.sessions.give_up(directory, session, group),
            Step::End(session) => self.sessions.end(directory, session),
            Step::Ask => self.ask(),
            Step::CarryOut(call, ok) => self.layer.carry_out(call, ok),
            Step::Lose(call, ok) => self.layer.lose(call, ok),
            Step::Answer(index) => {
                if let Some(answer) = self.layer.answer(index) {
                    self.hear(answer);
                }
            }
            Step::Sweep(due) => self.sweep(due),
            Step::Restart => self.restart(),
            Step::HandOff(group, count, None) => {
                let workers = self.sessions.workers(group);
                self.arrivals.hand_off(directory, group, workers, count);
            }
            Step::HandOff(group, count, Some(dies)) => {
                let workers = self.sessions.workers(group);
                let handed = dies.min(count);
                self.arrivals
                    .hand_off_some(directory, group, workers, (count, handed));
                self.restart();
            }
            Step::Publish(group) => {
                let workers = self.sessions.workers(group);
                self.arrivals.publish(directory, group, workers);
            }
            Step::Take(worker) => self.arrivals.take(worker),
        }
        self.check();
    }

    fn ask(&mut self) {
        if self.woken.take() {
            let waker = Waker::from(Arc::clone(&self.woken));
            for request in self.directory.next_requests(MOST, &waker) {
                self.layer.subscribe(request);
            }
        }
    }

    fn hear(&mut self, answer: Answer) {
        match answer {
            Answer::Subscribe(request, answer) => self.bridge.answered(request, answer),
            Answer::Unsubscribe(groups, answer) => self.bridge.unsubscribed(&groups, answer),
        }
    }

    fn sweep(&mut self, due: bool) {
        let now = Instant::now();
        let leaving = self.bridge.sweep(if due { now + LINGER * 2 } else { now });
        if !leaving.is_empty() {
            self.layer.unsubscribe(leaving);
        }
    }

    /// The bridge dies, and what it had under way with it; the next one is built.
    fn restart(&mut self) {
        self.layer.forget();
        self.bridge = Requests::new(Arc::clone(&self.directory));
        self.woken = Flag::raised();
    }

    /// What holds after every step.
    fn check(&mut self) {
        self.sessions
            .check_acknowledged(|group| self.layer.has(group));
        for index in 0..GROUPS.len() {
            let name = group(index);
            let members = self.sessions.members(index);
            assert_eq!(
                self.directory.members(&name),
                members,
                "members of {name:?}"
            );
            let stripe = self.directory.stripe(&name);
            let entry = stripe.get(&name);
            let workers = entry.map_or(0, |entry| entry.workers);
            assert_eq!(workers, self.sessions.workers(index), "workers of {name:?}");
            if let Some(Subscription::Active) = entry.map(|entry| &entry.subscription) {
                assert!(self.layer.has(&name), "{name:?} counts as subscribed");
            }
        }
        let filled = (0..GROUPS.len()).filter(|group| self.sessions.members(*group) > 0);
        let mut expected: Vec<_> = filled
            .map(|index| (group(index), self.sessions.members(index)))
            .collect();
        expected.sort();
        assert_eq!(self.directory.groups(), expected);
        let of_application = expected
            .iter()
            .filter(|(name, _)| !name.as_str().contains('.'));
        assert_eq!(self.directory.count(), of_application.count());
        assert_eq!(self.directory.metrics.groups.get(), self.remembered());
        self.arrivals.check(&self.directory);
    }

    fn remembered(&self) -> i64 {
        let stripes = self.directory.stripes().iter();
        i64::try_from(stripes.map(|stripe| stripe.lock().len()).sum::<usize>()).unwrap()
    }

    /// The layer answers everything and inboxes are emptied, for long enough.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            if self.layer.has_lost() {
                // An answer that is lost is lost with its bridge.
                self.restart();
            }
            for _ in 0..=GROUPS.len() {
                self.run(Step::Ask);
            }
            while self.layer.is_asked() {
                self.run(Step::CarryOut(0, true));
            }
            while let Some(answer) = self.layer.answer(0) {
                self.hear(answer);
                self.check();
            }
            self.run(Step::Sweep(true));
        }
        self.arrivals.settle(&self.directory, &self.sessions);
        self.check();
    }

    fn check_settled(&self) {
        assert_eq!(self.sessions.waiting(), 0, "sessions that wait for ever");
        for index in 0..GROUPS.len() {
            let name = group(index);
            let wanted = self.sessions.members(index) > 0;
            assert_eq!(
                self.layer.has(&name),
                wanted,
                "the subscription of {name:?}"
            );
        }
        let filled = (0..GROUPS.len()).filter(|group| self.sessions.members(*group) > 0);
        assert_eq!(self.remembered(), i64::try_from(filled.count()).unwrap());
        let changes = self.directory.changes.as_ref().unwrap();
        assert_eq!(changes.take_wanted(usize::MAX, Waker::noop()), []);
        assert_eq!(changes.take_emptied(Instant::now() + LINGER * 2), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn subscriptions_follow_the_members_whatever_the_layer_and_the_bridge_do(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.settle();
        world.check_settled();
    }
}
