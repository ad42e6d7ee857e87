//! From the messages of several lanes to one order.

use std::collections::VecDeque;

use crate::redis::core::host::popped::Popped;

/// What was popped and may not leave yet, because another lane may still hold something older.
///
/// Lanes are popped at one moment, so whatever was sent before a popped message is popped too, or
/// still behind what its lane gave. A lane that gave all that it was asked for, or that was not
/// asked, may hold more: what is newer than its newest here waits.
#[derive(Debug)]
pub(in crate::redis::core) struct Merge {
    lanes: Vec<Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    /// Lowest score first.
    waiting: VecDeque<Popped>,
    /// Whether Redis may have more that is older than what other lanes gave.
    more: bool,
}

impl Merge {
    pub(in crate::redis::core) fn new(lanes: usize) -> Self {
        let lanes = (0..lanes).map(|_| Lane::default()).collect();
        Self { lanes }
    }

    pub(in crate::redis::core) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.is_empty())
    }

    /// The lanes to pop next: those of which nothing waits here. So not more waits than was popped
    /// at once.
    pub(in crate::redis::core) fn wanted(&self) -> Vec<usize> {
        let lanes = self.lanes.iter().enumerate();
        let empty = lanes.filter(|(_, lane)| lane.waiting.is_empty());
        empty.map(|(at, _)| at).collect()
    }

    /// Another pop begins: what is not popped now may hold more.
    pub(in crate::redis::core) fn begin(&mut self) {
        for lane in &mut self.lanes {
            lane.more = !lane.waiting.is_empty();
        }
    }

    /// A lane was popped; `full`: it gave as much as it was asked for.
    pub(in crate::redis::core) fn add(
        &mut self,
        lane: usize,
        messages: impl IntoIterator<Item = Popped>,
        full: bool,
    ) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.waiting.extend(messages);
            lane.more |= full;
        }
    }

    /// What may leave now, in order.
    pub(in crate::redis::core) fn ready(&mut self) -> Vec<Popped> {
        let limited = self.lanes.iter().filter(|lane| lane.more);
        let limits = limited.filter_map(|lane| lane.waiting.back().map(|last| last.score));
        self.take(limits.fold(f64::INFINITY, f64::min))
    }

    /// All of it, in order: no more is coming.
    pub(in crate::redis::core) fn rest(&mut self) -> Vec<Popped> {
        self.take(f64::INFINITY)
    }

    fn take(&mut self, limit: f64) -> Vec<Popped> {
        let mut out = Vec::new();
        for lane in &mut self.lanes {
            let count = (lane.waiting.iter())
                .take_while(|it| it.score <= limit)
                .count();
            out.extend(lane.waiting.drain(..count));
        }
        // Stable: what has one score stays in the order of its lane.
        out.sort_by(|one, other| one.score.total_cmp(&other.score));
        out
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn messages(scores: &[u32]) -> Vec<Popped> {
        let message = |score: &u32| Popped {
            score: f64::from(*score),
            body: score.to_string().into(),
        };
        scores.iter().map(message).collect()
    }

    fn scores(messages: Vec<Popped>) -> Vec<u32> {
        messages.iter().map(|it| it.score as u32).collect()
    }

    /// Pops lanes as Redis would, `count` at once, until they are empty.
    fn drained(mut lanes: Vec<VecDeque<u32>>, count: usize) -> Vec<u32> {
        let mut merge = Merge::new(lanes.len());
        let mut out = Vec::new();
        while lanes.iter().any(|lane| !lane.is_empty()) || !merge.is_empty() {
            let wanted = merge.wanted();
            merge.begin();
            for at in wanted {
                let most = lanes[at].len().min(count);
                let popped: Vec<_> = lanes[at].drain(..most).collect();
                merge.add(at, messages(&popped), popped.len() == count);
            }
            let ready = scores(merge.ready());
            assert!(!ready.is_empty(), "stuck behind {out:?}");
            out.extend(ready);
        }
        out
    }

    #[test]
    fn messages_of_all_lanes_leave_in_the_order_of_their_scores() {
        let mut merge = Merge::new(3);
        merge.begin();
        merge.add(0, messages(&[2, 5]), false);
        merge.add(2, messages(&[1, 3, 4]), false);
        assert_eq!(scores(merge.ready()), [1, 2, 3, 4, 5]);
        assert!(merge.is_empty());
    }

    #[test]
    fn what_is_newer_than_a_lane_that_gave_its_full_count_waits_for_the_rest_of_it() {
        let mut merge = Merge::new(2);
        merge.begin();
        merge.add(0, messages(&[1, 2]), true);
        merge.add(1, messages(&[1, 4, 6]), false);
        assert_eq!(scores(merge.ready()), [1, 1, 2]);
        assert_eq!(merge.wanted(), [0], "nobody asks for what would wait too");
        merge.begin();
        merge.add(0, messages(&[3, 5]), false);
        // The other lane was not asked: a 7 sent there before an 8 here would be missing.
        assert_eq!(scores(merge.ready()), [3, 4, 5, 6]);
        merge.begin();
        merge.add(0, messages(&[8]), false);
        merge.add(1, messages(&[7]), false);
        assert_eq!(scores(merge.ready()), [7, 8]);
    }

    #[test]
    fn a_lane_that_was_not_asked_holds_back_what_is_newer_than_it_gave() {
        let mut merge = Merge::new(2);
        merge.begin();
        merge.add(0, messages(&[1]), true);
        merge.add(1, messages(&[2]), false);
        assert_eq!(scores(merge.ready()), [1]);
        merge.begin();
        merge.add(0, messages(&[4]), false);
        assert_eq!(
            scores(merge.ready()),
            [2],
            "the other lane may have a 3 by now"
        );
        assert_eq!(scores(merge.rest()), [4]);
    }

    #[test]
    fn equal_scores_keep_the_order_of_their_lane() {
        let mut merge = Merge::new(1);
        merge.begin();
        let equal = |body: &'static str| Popped {
            score: 1.0,
            body: body.into(),
        };
        merge.add(0, ["b", "a", "c"].map(equal), false);
        let bodies: Vec<_> = merge.ready().into_iter().map(|it| it.body).collect();
        assert_eq!(bodies, ["b", "a", "c"]);
    }

    #[test]
    fn however_messages_are_spread_over_lanes_they_leave_in_order_and_all() {
        let mut state = 7_u32;
        let mut random = iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        });
        for count in 1..=5 {
            let mut lanes = vec![VecDeque::new(); 4];
            for score in 0..200 {
                let lane = random.next().unwrap() as usize % 4;
                lanes[lane].push_back(score);
            }
            assert_eq!(drained(lanes, count), (0..200).collect::<Vec<_>>());
        }
    }
}
