//! File descriptors: every session is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::settings::Limits;

/// What a node needs beside its sessions: listeners, Redis, event loops, HTTP clients.
const OVERHEAD: u64 = 256;
const FIX: &str =
    "raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd, ulimits: of a container)";

/// Raises the soft limit as far as the hard one allows, and lowers `limits.sessions` to what then
/// fits: past that no connection could be answered, not even with a 503. Who chose the number is
/// warned; that the default does not fit a small machine is no mistake.
pub(crate) fn prepare(limits: &mut Limits) {
    let Some((open_files, fitting)) = shortfall(limits.sessions, raise()) else {
        return;
    };
    let wanted = std::mem::replace(&mut limits.sessions, fitting);
    if limits.sessions_given {
        tracing::warn!(
            open_files,
            wanted,
            "the limit of open files allows {fitting} sessions, not the {wanted} of \
             limits.sessions: {FIX} or lower limits.sessions"
        );
    } else {
        tracing::info!(
            open_files,
            wanted,
            "the limit of open files allows {fitting} sessions, not the {wanted} of the default: \
             {FIX} for more"
        );
    }
}

/// The soft limit after raising it; `None` is unlimited.
fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            limit.current
        }
    }
}

/// The limit and the sessions that fit it, when those are fewer than wanted.
fn shortfall(sessions: usize, limit: Option<u64>) -> Option<(u64, usize)> {
    let limit = limit?;
    let fitting = usize::try_from(limit.saturating_sub(OVERHEAD).max(1)).unwrap_or(usize::MAX);
    (fitting < sessions).then_some((limit, fitting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_what_else_is_open_must_fit() {
        assert_eq!(shortfall(1000, None), None);
        assert_eq!(shortfall(1000, Some(1256)), None);
        assert_eq!(shortfall(1000, Some(1255)), Some((1255, 999)));
        assert_eq!(shortfall(1000, Some(100)), Some((100, 1)));
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise();
        assert_eq!(limit, getrlimit(Resource::Nofile).maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, limit);
    }
}
