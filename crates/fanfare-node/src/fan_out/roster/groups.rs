//! The groups of a roster by index, and the indexes by name.

use std::hash::BuildHasher as _;

use fanfare_protocol::{GroupName, NameHash};
use hashbrown::HashTable;

use super::group::Group;

/// Groups by index. An index is used again after its group is forgotten.
#[derive(Default)]
pub(super) struct Groups {
    slab: Vec<Option<Box<Group>>>,
    free: Vec<u32>,
    /// Indexes alone: the group has the name, and every user of a node may have a group.
    by_name: HashTable<u32>,
    hash: NameHash,
}

impl Groups {
    pub(super) fn get(&self, index: u32) -> Option<&Group> {
        self.slab.get(index as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Group> {
        self.slab.get_mut(index as usize)?.as_deref_mut()
    }

    /// The index of the group with this name.
    pub(super) fn find(&self, name: &GroupName) -> Option<u32> {
        let is_named = |index: &u32| self.get(*index).is_some_and(|group| group.name == *name);
        let index = self.by_name.find(self.hash.hash_one(name), is_named);
        index.copied()
    }

    /// As [`Self::find`]; a group that is not there is made.
    pub(super) fn find_or_add(&mut self, name: &GroupName) -> Option<u32> {
        if let Some(index) = self.find(name) {
            return Some(index);
        }
        let group = Box::new(Group::new(name.clone()));
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slab.push(None);
                u32::try_from(self.slab.len() - 1).ok()?
            }
        };
        *self.slab.get_mut(index as usize)? = Some(group);
        let Self {
            slab,
            by_name,
            hash,
            ..
        } = self;
        let named = |index: &u32| slab.get(*index as usize).and_then(Option::as_deref);
        by_name.insert_unique(hash.hash_one(name), index, |index| {
            named(index).map_or(0, |group| hash.hash_one(&group.name))
        });
        Some(index)
    }

    pub(super) fn forget(&mut self, index: u32) {
        if let Some(group) = self.slab.get_mut(index as usize).and_then(Option::take) {
            let hash = self.hash.hash_one(&group.name);
            if let Ok(entry) = self.by_name.find_entry(hash, |other| *other == index) {
                entry.remove();
            }
            self.free.push(index);
        }
    }

    /// All groups with their indexes.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Group)> {
        let groups = (0u32..).zip(&mut self.slab);
        groups.filter_map(|(index, group)| Some((index, group.as_deref_mut()?)))
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        let groups = (0u32..).zip(&self.slab);
        groups.filter_map(|(index, group)| Some((index, group.as_deref()?)))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}
