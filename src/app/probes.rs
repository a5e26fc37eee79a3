//! The tasks of the probes: one for each probe, restarted when a reload changes the probes.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::{Config, Probe};
use crate::domain::account::AccountState;
use crate::domain::ids::{Account, Component};
use crate::domain::principal::Principal;
use crate::domain::record::{Decision, Entry};
use crate::engine::Handle;
use crate::sources::{ProbeContext, ProbeRunner, schedule};

/// The running probes. Dropping it stops them.
pub(super) struct ProbeTasks {
    handle: Handle,
    context: ProbeContext,
    running: Vec<Probe>,
    stop: CancellationToken,
}

impl ProbeTasks {
    pub(super) fn new(handle: Handle) -> Self {
        let context = context(&handle);
        Self { handle, context, running: Vec::new(), stop: CancellationToken::new() }
    }

    /// Runs these probes in place of the current ones. If any of them changed, all are restarted.
    pub(super) fn run(&mut self, probes: &[Probe], tasks: &TaskTracker) {
        if self.running == probes {
            return;
        }
        self.stop.cancel();
        self.stop = CancellationToken::new();
        self.running = probes.to_vec();
        for probe in probes {
            let checker = ProbeRunner::new(probe.clone(), self.context.clone());
            let (handle, stop) = (self.handle.clone(), self.stop.clone());
            let checks = schedule(checker, move |entry| {
                let handle = handle.clone();
                async move {
                    if let Err(error) = handle.submit(vec![entry], Vec::new()).await {
                        tracing::warn!(%error, "the result of a probe could not be recorded");
                    }
                }
            });
            tasks.spawn(async move { stop.run_until_cancelled(checks).await });
        }
    }

    /// Retires the components of probes and feeds that are no longer configured. No result will ever come for
    /// them, which must not count as a component that fell silent.
    pub(super) async fn retire_others(&self, config: &Config) {
        let known = |name: &Component| {
            let mut probes = config.probes.iter().map(|probe| &probe.component);
            let mut feeds = config.feeds.iter().map(|feed| &feed.component);
            probes.any(|known| known == name) || feeds.any(|known| known == name)
        };
        let others: Vec<Component> = self.handle.read(|monitor| {
            let views = monitor.probes().views(&monitor.settings().health);
            views.map(|view| view.component).filter(|name| !known(name)).collect()
        });
        for component in others {
            retire(&self.handle, Account::all(), component).await;
        }
    }
}

/// Retires a component whose source of results is no longer configured.
pub(super) async fn retire(handle: &Handle, account: Account, component: Component) {
    let decision = Decision::Retire {
        account,
        symbol: None,
        component: Some(component.clone()),
        by: Principal::exporter(),
    };
    let submitted = handle.submit(vec![Entry::Decision(decision)], Vec::new()).await;
    if let Err(error) = submitted {
        tracing::warn!(%component, %error, "a component that nothing reports any more could not be retired");
    }
}

impl Drop for ProbeTasks {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The clock, state and threads that probes use.
fn context(handle: &Handle) -> ProbeContext {
    let (started, handle) = (clock::monotonic(), handle.clone());
    let newest = |account: &AccountState| account.last_quote_at;
    ProbeContext {
        elapsed: Arc::new(move || clock::monotonic().saturating_duration_since(started)),
        quote_age: Arc::new(move |account| {
            // Both times are receive times of records: the wall clock may be behind.
            let (at, now) = handle.read(|monitor| {
                let at = match account {
                    Some(account) => monitor.account(account).and_then(newest),
                    None => monitor.accounts().filter_map(newest).max(),
                };
                at.map(|at| (at, monitor.now()))
            })?;
            let nanos = u64::try_from(now.since(at)).unwrap_or(0);
            Some(std::time::Duration::from_nanos(nanos))
        }),
        blocking: Arc::new(spawn_blocking),
    }
}

/// Runs `call` on a blocking thread of the runtime. Nobody waits for its end: it may hang.
#[expect(clippy::disallowed_methods, reason = "this is the app")]
pub(super) fn spawn_blocking(call: Box<dyn FnOnce() + Send>) {
    tokio::task::spawn_blocking(call);
}
