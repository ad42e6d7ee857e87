//! File descriptors: every session is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::settings::Limits;

/// What a node needs beside its sessions: listeners, Redis, event loops, HTTP clients.
const OVERHEAD: u64 = 256;
const FIX: &str =
    "raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd, ulimits: of a container)";

/// Raises the soft limit as far as the hard one allows, and lowers `limits.http_connections` and
/// `limits.sessions` to what then fits: past that no connection could be answered, not even with a
/// 503. Who chose the number of sessions is warned; that the default does not fit a small machine is
/// no mistake.
pub(crate) fn prepare(limits: &mut Limits) {
    let open_files = raise();
    let share = http_share(open_files);
    if share < limits.http_connections {
        tracing::debug!(
            wanted = limits.http_connections,
            share,
            "the limit of open files lowers limits.http_connections"
        );
        limits.http_connections = share;
    }
    let reserved = OVERHEAD + limits.http_connections as u64;
    let Some((open_files, fitting)) = shortfall(limits.sessions, open_files, reserved) else {
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

/// The connections of HTTP that may take a quarter of what is left beside the overhead.
fn http_share(limit: Option<u64>) -> usize {
    let share = limit.map(|limit| limit.saturating_sub(OVERHEAD) / 4);
    share.map_or(usize::MAX, |share| {
        usize::try_from(share.max(1)).unwrap_or(usize::MAX)
    })
}

/// The limit and the sessions that fit it beside what is reserved, when those are fewer than wanted.
fn shortfall(sessions: usize, limit: Option<u64>, reserved: u64) -> Option<(u64, usize)> {
    let limit = limit?;
    let fitting = usize::try_from(limit.saturating_sub(reserved).max(1)).unwrap_or(usize::MAX);
    (fitting < sessions).then_some((limit, fitting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_what_else_is_open_must_fit() {
        assert_eq!(shortfall(1000, None, 256), None);
        assert_eq!(shortfall(1000, Some(1256), 256), None);
        assert_eq!(shortfall(1000, Some(1255), 256), Some((1255, 999)));
        assert_eq!(shortfall(1000, Some(100), 256), Some((100, 1)));
    }

    #[test]
    fn plain_connections_may_take_a_quarter_of_the_descriptors() {
        assert_eq!(http_share(None), usize::MAX);
        assert_eq!(http_share(Some(1056)), 200);
        assert_eq!(http_share(Some(100)), 1);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise();
        assert_eq!(limit, getrlimit(Resource::Nofile).maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, limit);
    }
}
