//! A layer that carries out requests and answers them when the simulation says so.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_layer::SubscribeError;
use fanfare_protocol::GroupName;

use crate::directory::Request;

type Answered = Result<(), SubscribeError>;

/// What the bridge hears.
pub(super) enum Answer {
    Subscribe(Request, Answered),
    Unsubscribe(Vec<GroupName>, Answered),
}

enum Asked {
    Subscribe(Request),
    Unsubscribe(Vec<GroupName>),
}

struct Call {
    number: u64,
    asked: Asked,
    /// The bridge that asked has died.
    orphaned: bool,
}

#[derive(Default)]
pub(super) struct Layer {
    /// What is in place for certain.
    has: BTreeSet<GroupName>,
    /// The last call for each group: what is wanted is noted at the call.
    last: BTreeMap<GroupName, u64>,
    calls: Vec<Call>,
    answers: Vec<Answer>,
    /// An answer to the bridge that lives was lost.
    lost: bool,
    next: u64,
}

impl Layer {
    pub(super) fn subscribe(&mut self, request: Request) {
        let group = request.group.clone();
        self.call(Asked::Subscribe(request), [group]);
    }

    pub(super) fn unsubscribe(&mut self, groups: Vec<GroupName>) {
        for group in &groups {
            self.has.remove(group);
        }
        self.call(Asked::Unsubscribe(groups.clone()), groups);
    }

    fn call(&mut self, asked: Asked, groups: impl IntoIterator<Item = GroupName>) {
        self.next += 1;
        for group in groups {
            self.last.insert(group, self.next);
        }
        self.calls.push(Call {
            number: self.next,
            asked,
            orphaned: false,
        });
    }

    /// Carries out one of the calls that wait, or refuses it.
    pub(super) fn carry_out(&mut self, call: usize, ok: bool) {
        if let Some((answer, false)) = self.resolve(call, ok) {
            self.answers.push(answer);
        }
    }

    /// As [`Self::carry_out`], but nobody is told.
    pub(super) fn lose(&mut self, call: usize, ok: bool) {
        if let Some((_, false)) = self.resolve(call, ok) {
            self.lost = true;
        }
    }

    /// The answer, and whether nobody waits for it.
    fn resolve(&mut self, call: usize, ok: bool) -> Option<(Answer, bool)> {
        let call = call.checked_rem(self.calls.len())?;
        let call = self.calls.remove(call);
        let answered = if ok {
            Ok(())
        } else {
            Err(SubscribeError("refused".into()))
        };
        let answer = match call.asked {
            Asked::Subscribe(request) => {
                if ok && self.last.get(&request.group) == Some(&call.number) {
                    self.has.insert(request.group.clone());
                }
                Answer::Subscribe(request, answered)
            }
            Asked::Unsubscribe(groups) => Answer::Unsubscribe(groups, answered),
        };
        Some((answer, call.orphaned))
    }

    /// One of the answers that the bridge has not heard.
    pub(super) fn answer(&mut self, index: usize) -> Option<Answer> {
        let index = index.checked_rem(self.answers.len())?;
        Some(self.answers.remove(index))
    }

    /// The bridge has died: its calls are carried out all the same, and answered to nobody.
    pub(super) fn forget(&mut self) {
        self.answers.clear();
        self.lost = false;
        for call in &mut self.calls {
            call.orphaned = true;
        }
    }

    pub(super) fn has(&self, group: &GroupName) -> bool {
        self.has.contains(group)
    }

    pub(super) fn has_lost(&self) -> bool {
        self.lost
    }

    pub(super) fn is_asked(&self) -> bool {
        !self.calls.is_empty()
    }
}
