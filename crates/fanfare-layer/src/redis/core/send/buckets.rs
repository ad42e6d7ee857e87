//! The members of a group by the process that they live in.

use fanfare_protocol::{ChannelName, NameMap, NameSet};

use crate::redis::core::keys::{is_fanfare, non_local};

/// The members that share a channel: they get one copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bucket<'a> {
    /// The part of their names that they have in common; a normal channel's whole name.
    pub(super) process: &'a str,
    /// Full names, in the group's order; at least one.
    pub(super) names: Vec<&'a str>,
    /// Whether a node of Fanfare reads it.
    pub(super) fanfare: bool,
}

/// Channels that are left out of an event.
pub(super) struct Excluded<'a> {
    names: NameSet<&'a str>,
    processes: NameSet<&'a str>,
}

impl<'a> Bucket<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            process: non_local(name),
            names: vec![name],
            fanfare: is_fanfare(name),
        }
    }

    /// Its first member, whose capacity counts for all.
    pub(super) fn first(&self) -> &'a str {
        self.names.first().copied().unwrap_or(self.process)
    }
}

/// Sorts members into buckets, in the order in which their first ones stand in the group.
pub(super) fn buckets(names: &[String]) -> Vec<Bucket<'_>> {
    let mut buckets: Vec<Bucket<'_>> = Vec::new();
    // The common case is one process, or members of one that stand together: no look-up for them.
    let mut places = NameMap::default();
    let mut last = 0;
    for name in names {
        let process = non_local(name);
        if buckets.get(last).is_none_or(|it| it.process != process) {
            last = *places.entry(process).or_insert(buckets.len());
        }
        match buckets.get_mut(last) {
            Some(bucket) => bucket.names.push(name),
            None => buckets.push(Bucket::new(name)),
        }
    }
    buckets
}

impl<'a> Excluded<'a> {
    pub(super) fn new(channels: &'a [ChannelName]) -> Self {
        let names = channels.iter().map(ChannelName::as_str);
        Self {
            names: names.clone().collect(),
            processes: names.map(non_local).collect(),
        }
    }

    /// Who is left of a bucket, if that differs from all of it.
    pub(super) fn rest<'n>(&self, bucket: &Bucket<'n>) -> Option<Vec<&'n str>> {
        if !self.processes.contains(bucket.process) {
            return None;
        }
        let names = bucket.names.iter().copied();
        Some(names.filter(|name| !self.names.contains(name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::Naming;

    use super::*;

    const NODE: &str = "0123456789abcdef0123456789abcdef";

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn members_of_a_process_get_one_copy_in_the_order_of_the_group() {
        let route = format!("specific.{NODE}.g3!room");
        let names = owned(&["p!1", "jobs", "q!1", "p!2", &route, "p!3", "q!2", "jobs2"]);
        let found: Vec<_> = buckets(&names)
            .into_iter()
            .map(|it| (it.process, it.names, it.fanfare))
            .collect();
        let lane_process = route.strip_suffix("room").unwrap();
        let expected = vec![
            ("p!", vec!["p!1", "p!2", "p!3"], false),
            ("jobs", vec!["jobs"], false),
            ("q!", vec!["q!1", "q!2"], false),
            (lane_process, vec![route.as_str()], true),
            ("jobs2", vec!["jobs2"], false),
        ];
        assert_eq!(found, expected);
        assert!(buckets(&[]).is_empty());
    }

    #[test]
    fn excluded_members_are_left_out_of_their_bucket_and_of_no_other() {
        let names = owned(&["p!1", "p!2", "q!1", "r!1"]);
        let naming = Naming::plain("asgi");
        let exclude: Vec<_> = ["p!1", "q!1", "s!9"]
            .iter()
            .map(|name| naming.channel(name).unwrap())
            .collect();
        let excluded = Excluded::new(&exclude);
        let rest: Vec<_> = buckets(&names).iter().map(|it| excluded.rest(it)).collect();
        assert_eq!(rest, [Some(vec!["p!2"]), Some(vec![]), None]);
    }

    #[test]
    fn a_large_process_is_sorted_in_time_that_grows_with_its_members() {
        let names: Vec<_> = (0..100_000).map(|at| format!("{}!{at}", at % 2)).collect();
        let sizes: Vec<_> = buckets(&names).iter().map(|it| it.names.len()).collect();
        assert_eq!(sizes, [50_000, 50_000]);
    }
}
