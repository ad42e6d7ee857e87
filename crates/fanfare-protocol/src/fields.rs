//! Building a map from decoded pairs.

use std::collections::HashMap;

use bytestring::ByteString;

use crate::event::Value;

/// Up to this many keys a walk is cheaper than a hash.
const WALKED: usize = 16;

/// A map under construction: a key stands where it was first seen and has the value it had last.
#[derive(Default)]
pub(crate) struct Fields {
    entries: Vec<(ByteString, Value)>,
    /// Where each key is, so that a map with many keys costs no more than its bytes.
    index: Option<HashMap<ByteString, usize>>,
}

impl Fields {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            entries: Vec::with_capacity(capacity),
            index: None,
        }
    }

    pub(crate) fn reserve(&mut self, additional: usize) {
        self.entries.reserve(additional);
    }

    pub(crate) fn insert(&mut self, key: ByteString, value: Value) {
        if self.index.is_none() && self.entries.len() >= WALKED {
            let places = self
                .entries
                .iter()
                .enumerate()
                .map(|(at, (key, _))| (key.clone(), at));
            self.index = Some(places.collect());
        }
        let place = match &self.index {
            Some(index) => index.get(&key).copied(),
            None => self.entries.iter().position(|(known, _)| *known == key),
        };
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) {
            entry.1 = value;
            return;
        }
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.entries.len());
        }
        self.entries.push((key, value));
    }

    pub(crate) fn into_entries(self) -> Vec<(ByteString, Value)> {
        self.entries
    }
}
