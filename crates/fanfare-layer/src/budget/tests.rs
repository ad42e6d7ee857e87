use std::sync::Arc;

use futures_util::FutureExt as _;
use parking_lot::Mutex;

use super::*;

/// Holds things of these sizes.
struct Holder {
    things: Mutex<Vec<Charge>>,
    budget: MemoryBudget,
}

impl Holder {
    fn new(budget: &MemoryBudget, sizes: &[usize]) -> Arc<Self> {
        let thing = |size: &usize| budget.charge(MemoryUse::Channels).of(*size);
        let holder = Arc::new(Self {
            things: Mutex::new(sizes.iter().map(thing).collect()),
            budget: budget.clone(),
        });
        let weak: Weak<Self> = Arc::downgrade(&holder);
        budget.add_holder(weak);
        holder
    }

    fn sizes(&self) -> Vec<usize> {
        self.things.lock().iter().map(Charge::bytes).collect()
    }
}

impl Shed for Holder {
    fn heaviest(&self) -> usize {
        self.sizes().into_iter().max().unwrap_or_default()
    }

    fn shed(&self, floor: usize) -> bool {
        let mut things = self.things.lock();
        things.sort_by_key(Charge::bytes);
        let mut any = false;
        while !self.budget.is_eased() && things.last().is_some_and(|it| it.bytes() >= floor) {
            things.pop();
            any = true;
        }
        any
    }
}

#[test]
fn whoever_holds_the_largest_things_gives_them_up_first_until_it_is_eased() {
    let budget = MemoryBudget::new(1000);
    let first = Holder::new(&budget, &[300, 10, 10]);
    let second = Holder::new(&budget, &[250, 200, 20, 20]);
    budget.relieve();
    assert_eq!(first.sizes(), [300, 10, 10], "810 of 1000 are not short");
    let _more = budget.charge(MemoryUse::Bodies).of(200);
    budget.relieve();
    assert_eq!(first.sizes(), [10, 10]);
    assert_eq!(second.sizes(), [250, 200, 20, 20], "710 are eased");
    let _still_more = budget.charge(MemoryUse::Bodies).of(400);
    budget.relieve();
    assert_eq!(second.sizes(), [20, 20]);
    assert_eq!(first.sizes(), [10, 10], "the small ones keep theirs");
}

#[test]
fn what_nobody_can_give_up_ends_no_loop() {
    let budget = MemoryBudget::new(100);
    let _kept = budget.charge(MemoryUse::Redis).of(100);
    let _empty = Holder::new(&budget, &[]);
    budget.relieve();
    assert!(budget.is_short());
}

#[test]
fn who_waits_for_room_is_woken_when_memory_is_given_back() {
    let budget = MemoryBudget::new(100);
    let mut charge = budget.charge(MemoryUse::Redis).of(90);
    let mut room = Box::pin(budget.room());
    assert!(room.as_mut().now_or_never().is_none());
    charge.set(80);
    assert!(room.now_or_never().is_some());
}

#[test]
fn an_account_tells_in_steps_and_an_empty_queue_counts_nothing() {
    let budget = MemoryBudget::new(1 << 20);
    let mut account = budget.account(MemoryUse::Inboxes);
    account.set(1000);
    assert_eq!(budget.used(), 0);
    account.set(2000);
    assert_eq!(budget.used_by(MemoryUse::Inboxes), 2000);
    account.set(1500);
    assert_eq!(budget.used(), 2000);
    account.set(0);
    assert_eq!(budget.used(), 0);
    account.set(5000);
    drop(account);
    assert_eq!(budget.used(), 0);
}
