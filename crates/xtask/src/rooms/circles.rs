//! Circles among arrows.

use std::collections::{BTreeSet, VecDeque};

use crate::rooms::arrows::Arrow;

/// For each knot of rooms that reach each other, its shortest circle, arrow by arrow.
pub(super) fn find(arrows: &[Arrow]) -> Vec<Vec<&Arrow>> {
    let rooms: BTreeSet<&str> = arrows.iter().map(|arrow| arrow.from.as_str()).collect();
    let mut circles: Vec<_> = rooms
        .into_iter()
        .filter_map(|room| through(room, arrows))
        .collect();
    circles.sort_by_key(Vec::len);
    let mut seen = BTreeSet::new();
    circles.retain(|circle| {
        let fresh = circle
            .iter()
            .all(|arrow| !seen.contains(arrow.from.as_str()));
        if fresh {
            seen.extend(circle.iter().map(|arrow| arrow.from.as_str()));
        }
        fresh
    });
    circles
}

/// The shortest way from a room back to itself.
fn through<'a>(room: &str, arrows: &'a [Arrow]) -> Option<Vec<&'a Arrow>> {
    let mut ways: VecDeque<Vec<&Arrow>> = VecDeque::from([Vec::new()]);
    let mut reached = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let at = way.last().map_or(room, |arrow| arrow.to.as_str());
        for arrow in arrows.iter().filter(|arrow| arrow.from == at) {
            let mut longer = way.clone();
            longer.push(arrow);
            if arrow.to == room {
                return Some(longer);
            }
            if reached.insert(arrow.to.as_str()) {
                ways.push_back(longer);
            }
        }
    }
    None
}
