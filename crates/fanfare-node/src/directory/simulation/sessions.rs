//! The model of the sessions: who is in which group, and who waits for an acknowledgement.

use std::collections::BTreeSet;

use fanfare_protocol::GroupName;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::{SESSIONS, WORKERS, group};
use crate::directory::Directory;

struct Waiting {
    session: usize,
    group: usize,
    done: oneshot::Receiver<()>,
}

#[derive(Default)]
pub(super) struct Sessions {
    /// Pairs of session and group.
    members: BTreeSet<(usize, usize)>,
    waiting: Vec<Waiting>,
    /// Groups that were joined without a wait, by the last step.
    at_once: Vec<usize>,
}

fn worker(session: usize) -> u8 {
    u8::try_from(session).unwrap() % WORKERS
}

impl Sessions {
    pub(super) fn join(&mut self, directory: &Directory, session: usize, index: usize) {
        let wait = match self.members.insert((session, index)) {
            true => directory.join(&group(index), worker(session)),
            false => directory.acknowledgement(&group(index)),
        };
        match wait {
            Some(done) => self.waiting.push(Waiting {
                session,
                group: index,
                done,
            }),
            None => self.at_once.push(index),
        }
    }

    pub(super) fn leave(&mut self, directory: &Directory, session: usize, index: usize) {
        if self.members.remove(&(session, index)) {
            let last = self.workers(index) & (1 << worker(session)) == 0;
            directory.leave(&group(index), worker(session), last);
        }
    }

    pub(super) fn give_up(&mut self, directory: &Directory, session: usize, index: usize) {
        let waits = |waiting: &Waiting| (waiting.session, waiting.group) == (session, index);
        if self.waiting.iter().any(waits) {
            self.waiting.retain(|waiting| !waits(waiting));
            self.leave(directory, session, index);
        }
    }

    pub(super) fn end(&mut self, directory: &Directory, session: usize) {
        self.waiting.retain(|waiting| waiting.session != session);
        for index in 0..super::GROUPS.len() {
            self.leave(directory, session, index);
        }
    }

    pub(super) fn members(&self, index: usize) -> usize {
        self.members.iter().filter(|(_, of)| *of == index).count()
    }

    /// Bit per worker that has members.
    pub(super) fn workers(&self, index: usize) -> u64 {
        (0..SESSIONS)
            .filter(|session| self.members.contains(&(*session, index)))
            .fold(0, |bits, session| bits | 1 << worker(session))
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A join is acknowledged only while the layer has the group; only who has left is turned away.
    pub(super) fn check_acknowledged(&mut self, has: impl Fn(&GroupName) -> bool) {
        for index in std::mem::take(&mut self.at_once) {
            assert!(has(&group(index)), "{:?} needed no wait", group(index));
        }
        let members = &self.members;
        self.waiting.retain_mut(|waiting| {
            let name = group(waiting.group);
            match waiting.done.try_recv() {
                Ok(()) => assert!(has(&name), "{name:?} was acknowledged"),
                Err(TryRecvError::Closed) => {
                    let member = members.contains(&(waiting.session, waiting.group));
                    assert!(!member, "a member of {name:?} was turned away");
                }
                Err(TryRecvError::Empty) => return true,
            }
            false
        });
    }
}
