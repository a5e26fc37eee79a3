//! The file descriptors of the process: as many as it may have, and connections for which they last.
//!
//! Output: the limit of the operating system, raised, and the number of connections that fits. The journal,
//! snapshots, webhooks, probes and feeds need descriptors as well: a connection must never take their last one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::serve::DECISION_CONNECTIONS_MAX;
use crate::config::Config;

/// For the journal (directory, lock, segments held in advance), a snapshot being written, the
/// configuration, logs, timers, name resolution.
const OF_THE_PROCESS: u64 = 48;
/// For each webhook: a connection, a second one while the first closes, the outbox and its next version.
const OF_A_WEBHOOK: u64 = 4;
/// For each probe: a connection, and one that closes.
const OF_A_PROBE: u64 = 2;
/// For each feed: its open files, a directory and a position; or a connection, and one that closes.
const OF_A_FEED: u64 = 36;
/// For each position source: two connections, one that closes, and the pipes of an expression for each.
const OF_A_POSITION_SOURCE: u64 = 10;
/// Fewer connections than this are no service. Below it, the exporter takes the risk.
const CONNECTIONS_MIN: usize = 8;

/// Raises the limit of open files to the hard limit, and returns it. `None`: there is no limit.
pub(super) fn raise_limit() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    getrlimit(Resource::Nofile).current
}

/// The number of connections for which the descriptors last, at most the configured one.
pub(super) fn connections_for(config: &Config, limit: Option<u64>) -> usize {
    let wanted = config.web.connections_max;
    let Some(limit) = limit else { return wanted };
    let of_decisions = config.web.decision_listen.map_or(0, |_| DECISION_CONNECTIONS_MAX as u64);
    let others = OF_THE_PROCESS
        + of_decisions
        + OF_A_WEBHOOK * config.webhooks.len() as u64
        + OF_A_PROBE * config.probes.len() as u64
        + OF_A_FEED * config.feeds.len() as u64
        + OF_A_POSITION_SOURCE * config.position_sources.len() as u64;
    let left = usize::try_from(limit.saturating_sub(others)).unwrap_or(usize::MAX);
    let fits = wanted.min(left.max(CONNECTIONS_MIN));
    if fits < wanted {
        tracing::warn!(
            limit,
            connections_max = wanted,
            effective = fits,
            "the limit of open files (ulimit -n, LimitNOFILE=) is too low for web.connections_max"
        );
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        let check = |limit: Option<u64>, expect: usize| {
            assert_eq!(connections_for(&Config::default(), limit), expect, "{limit:?}");
        };
        check(None, 1_024);
        check(Some(1_048_576), 1_024);
        check(Some(1_024), 976);
        check(Some(128), 80);
        check(Some(20), CONNECTIONS_MIN);
    }
}
