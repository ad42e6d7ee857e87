use std::time::Duration;

use prometheus::Registry;

use super::*;
use crate::options::MembershipMode;

/// The groups of the application, counted one by one.
fn counted(directory: &Directory) -> usize {
    let groups = directory.groups();
    let of_application = |group: &&(GroupName, usize)| !group.0.as_str().starts_with("fanfare.");
    groups.iter().filter(of_application).count()
}

#[test]
fn the_count_of_groups_is_exact_after_each_join_and_leave() {
    let linger = Duration::from_secs(60);
    let lingering = || Some(Changes::new(linger, MembershipMode::PerNode));
    for changes in [None, lingering()] {
        let directory = Directory::new(
            NodeId::random().expect("randomness"),
            Naming::plain("asgi"),
            changes,
            (QueueOptions::default(), MemoryBudget::unlimited()),
            NodeMetrics::new(&Registry::new()).expect("a fresh registry"),
        );
        let names = ["a", "b", "fanfare.all", "fanfare.user.ann"];
        let groups = names.map(|name| GroupName::parse(name).expect(name));
        for expected in [2, 0, 2] {
            for group in &groups {
                for worker in [0, 1] {
                    if expected == 0 {
                        directory.leave(group, worker, true);
                    } else {
                        drop(directory.join(group, worker));
                    }
                    assert_eq!(directory.count(), counted(&directory), "{group:?}");
                }
            }
            assert_eq!(directory.count(), expected);
            // A leave too many changes nothing.
            if expected == 0 {
                directory.leave(&groups[0], 0, true);
                assert_eq!(directory.count(), 0);
            }
        }
    }
}
