//! Probes: checks of the world around the engine that the exporter runs itself.
//!
//! Input: [`Probe`]s of the configuration and a [`Context`]. Output: [`CheckResult`]s, one for each
//! interval. Invariants: a check ends within its timeout, and an error or a timeout is a failure;
//! no probe waits for another; messages hold no URL and no secret. Deliberately absent: tasks (see
//! `crate::app`, which runs one [`schedule`] for each probe), and what a result means (see
//! `crate::domain::health`).

mod disk;
mod feed;
mod http_get;
mod memory;
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

/// Tells the time since some fixed point; never goes back.
pub type Elapsed = Arc<dyn Fn() -> Duration + Send + Sync>;
/// Tells the age of the newest quote of an account, or of any; none: there was no quote.
pub type QuoteAge = Arc<dyn Fn(Option<&str>) -> Option<Duration> + Send + Sync>;
/// Runs a call that may block, away from the threads that serve.
pub type Blocking = Arc<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

/// What probes need from outside.
#[derive(Clone)]
pub struct Context {
    /// For how long a check took.
    pub elapsed: Elapsed,
    /// For the age of a feed.
    pub quote_age: QuoteAge,
    /// For calls that may hang, like one to a file system that is gone.
    pub blocking: Blocking,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// What a check saw, for people: a pass or a failure.
type Seen = Result<String, String>;

/// A probe that is ready to run.
#[derive(Debug)]
pub struct Checker {
    probe: Probe,
    context: Context,
    check: Check,
}

/// What is checked, with what is kept between two checks.
#[derive(Debug)]
enum Check {
    Http(http_get::Get),
    Tcp(tcp::Connect),
    Disk(disk::FreeSpace),
    Memory(memory::Available),
    Feed(feed::NewestQuote),
}

impl Checker {
    /// Makes a probe ready.
    #[must_use]
    pub fn new(probe: Probe, context: Context) -> Self {
        let check = match &probe.kind {
            ProbeKind::Http { url, statuses } => Check::Http(http_get::Get::new(url, statuses)),
            ProbeKind::Tcp { address } => Check::Tcp(tcp::Connect::new(address)),
            ProbeKind::Disk { path, free_ratio_min, free_bytes_min } => {
                Check::Disk(disk::FreeSpace::new(path, *free_ratio_min, *free_bytes_min))
            }
            ProbeKind::Memory { available_ratio_min } => {
                Check::Memory(memory::Available::new(*available_ratio_min))
            }
            ProbeKind::Feed { account, age_max } => {
                Check::Feed(feed::NewestQuote::new(account.as_deref(), *age_max))
            }
        };
        Self { probe, context, check }
    }

    /// Checks once, within the timeout of the probe.
    pub async fn run(&self) -> CheckResult {
        let started = (self.context.elapsed)();
        let seen = match tokio::time::timeout(self.probe.timeout, self.see()).await {
            Ok(seen) => seen,
            Err(_) => Err(format!("no result within {} s", self.probe.timeout.as_secs_f64())),
        };
        let (passed, message) = match seen {
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

    async fn see(&self) -> Seen {
        match &self.check {
            Check::Http(get) => get.see().await,
            Check::Tcp(connect) => connect.see().await,
            Check::Disk(free_space) => free_space.see(&self.context.blocking).await,
            Check::Memory(available) => available.see().await,
            Check::Feed(newest_quote) => newest_quote.see(&self.context.quote_age),
        }
    }
}

/// Runs a probe at its interval, at once for the first time, and hands each result to `submit`.
/// It never ends by itself: whoever runs it drops it. A check that takes long, or a `submit` that
/// does, puts off the next check and adds none.
pub async fn schedule<F: Future<Output = ()>>(checker: Checker, submit: impl Fn(Entry) -> F) {
    // The configuration refuses an interval of zero, and a timer would panic.
    let interval = checker.probe.interval.max(Duration::from_millis(1));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        submit(Entry::Check(checker.run().await)).await;
    }
}

/// At most as long as any other text of an event.
fn cut(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(limits::TEXT_BYTES_MAX));
    message
}

/// The innermost reason of an error, which says most: "Connection refused".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
