//! Probes: health checks that the exporter runs itself.
//!
//! Input: [`Probe`]s of the configuration and a [`ProbeContext`]. Output: [`CheckResult`]s, one for each
//! interval. Invariants: a check ends within its timeout, and an error or a timeout is a failure; no
//! probe waits for another; messages contain no URL and no secret. Deliberately absent: tasks (see
//! `crate::app`, which runs one [`schedule`] for each probe), and the meaning of a result (see
//! `crate::domain::health`).

mod disk;
mod feed;
mod http_get;
mod memory;
mod positions;
mod tcp;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::config::{Probe, ProbeKind};
use crate::domain::limits;
use crate::domain::record::{CheckResult, Entry};

pub(crate) use positions::{
    Evaluate, Evaluated, PositionPuller, PullFailure, PullPace, PulledSide, ServerLoad, event_id,
};

/// A monotonic clock: the time since a fixed point.
pub(crate) type Elapsed = Arc<dyn Fn() -> Duration + Send + Sync>;
/// The age of the newest quote of an account, or of any account. `None` if there was no quote.
pub(crate) type QuoteAge = Arc<dyn Fn(Option<&str>) -> Option<Duration> + Send + Sync>;
/// Runs a call that may block on a thread that serves no requests.
pub(crate) type Blocking = Arc<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

/// Functions that probes need from the application.
#[derive(Clone)]
pub(crate) struct ProbeContext {
    /// Measures the latency of a check.
    pub(crate) elapsed: Elapsed,
    pub(crate) quote_age: QuoteAge,
    /// For calls that may hang, such as one to a network file system whose server is gone.
    pub(crate) blocking: Blocking,
}

impl fmt::Debug for ProbeContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeContext").finish_non_exhaustive()
    }
}

/// The message of a check that passed, or of one that failed.
type ProbeOutcome = Result<String, String>;

/// A probe that is ready to run.
#[derive(Debug)]
pub(crate) struct ProbeRunner {
    probe: Probe,
    context: ProbeContext,
    check: ProbeCheck,
}

/// The check of a probe, with its state between two runs.
#[derive(Debug)]
enum ProbeCheck {
    Http(http_get::HttpGet),
    Tcp(tcp::TcpConnect),
    Disk(disk::FreeSpace),
    Memory(memory::AvailableMemory),
    Feed(feed::NewestQuote),
}

impl ProbeRunner {
    #[must_use]
    pub(crate) fn new(probe: Probe, context: ProbeContext) -> Self {
        let check = match &probe.kind {
            ProbeKind::Http { url, statuses } => {
                ProbeCheck::Http(http_get::HttpGet::new(url, statuses))
            }
            ProbeKind::Tcp { address } => ProbeCheck::Tcp(tcp::TcpConnect::new(address)),
            ProbeKind::Disk { path, free_ratio_min, free_bytes_min } => {
                ProbeCheck::Disk(disk::FreeSpace::new(path, *free_ratio_min, *free_bytes_min))
            }
            ProbeKind::Memory { available_ratio_min } => {
                ProbeCheck::Memory(memory::AvailableMemory::new(*available_ratio_min))
            }
            ProbeKind::Feed { account, age_max } => {
                ProbeCheck::Feed(feed::NewestQuote::new(account.as_deref(), *age_max))
            }
        };
        Self { probe, context, check }
    }

    /// Runs the check once, within the timeout of the probe.
    pub(crate) async fn run(&self) -> CheckResult {
        let started = (self.context.elapsed)();
        let outcome = match tokio::time::timeout(self.probe.timeout, self.outcome()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no result within {} s", self.probe.timeout.as_secs_f64())),
        };
        let (passed, message) = match outcome {
            Ok(message) => (true, message),
            Err(message) => (false, message),
        };
        CheckResult {
            component: self.probe.component.clone(),
            passed,
            message: cut(message),
            latency: (self.context.elapsed)().saturating_sub(started),
            interval: self.probe.interval,
        }
    }

    async fn outcome(&self) -> ProbeOutcome {
        match &self.check {
            ProbeCheck::Http(get) => get.check().await,
            ProbeCheck::Tcp(connect) => connect.check().await,
            ProbeCheck::Disk(free_space) => free_space.check(&self.context.blocking).await,
            ProbeCheck::Memory(available) => available.check().await,
            ProbeCheck::Feed(newest_quote) => newest_quote.check(&self.context.quote_age),
        }
    }
}

/// Runs a probe immediately and then at its interval, and passes each result to `submit`. It never
/// returns: drop it to stop. If a check or `submit` takes longer than the interval, the next check is
/// late and none is added.
pub(crate) async fn schedule<F: Future<Output = ()>>(
    checker: ProbeRunner,
    submit: impl Fn(Entry) -> F,
) {
    // The configuration rejects an interval of zero, with which the timer would panic.
    let interval = checker.probe.interval.max(Duration::from_millis(1));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        submit(Entry::Check(checker.run().await)).await;
    }
}

/// Cuts a message to the limit for texts of events.
fn cut(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(limits::TEXT_BYTES_MAX));
    message
}

/// The innermost source of an error, which is the most specific: "Connection refused".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
