//! The probes: one task for each, begun anew when a reload changes them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::Probe;
use crate::domain::account::AccountState;
use crate::domain::audit::By;
use crate::domain::ids::{Account, Component};
use crate::domain::record::{Decision, Entry};
use crate::engine::Handle;
use crate::sources::{ProbeContext, ProbeRunner, schedule};

/// The probes that run.
pub(super) struct Probes {
    handle: Handle,
    context: ProbeContext,
    running: Vec<Probe>,
    stop: CancellationToken,
}

impl Probes {
    /// No probes yet.
    pub(super) fn new(handle: Handle) -> Self {
        let context = context(&handle);
        Self { handle, context, running: Vec::new(), stop: CancellationToken::new() }
    }

    /// Runs these probes from now on. If they are others than before, all of them begin anew.
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
                        tracing::warn!(%error, "the result of a probe was not recorded");
                    }
                }
            });
            tasks.spawn(async move { stop.run_until_cancelled(checks).await });
        }
    }
}

impl Probes {
    /// Retires the components of probes that are configured no longer: nobody will ever say anything
    /// of them again, and that is no silence.
    pub(super) async fn retire_others(&self, probes: &[Probe]) {
        let known = |name: &Component| probes.iter().any(|probe| probe.component == *name);
        let others: Vec<Component> = self.handle.read(|monitor| {
            let views = monitor.probes().views(&monitor.settings().health);
            views.map(|view| view.component).filter(|name| !known(name)).collect()
        });
        for component in others {
            let decision = Decision::Retire {
                account: Account::all(),
                symbol: None,
                component: Some(component.clone()),
                by: By::exporter(),
            };
            let submitted = self.handle.submit(vec![Entry::Decision(decision)], Vec::new()).await;
            if let Err(error) = submitted {
                tracing::warn!(%component, %error, "a probe that is gone was not retired");
            }
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What probes need from outside.
fn context(handle: &Handle) -> ProbeContext {
    let (started, handle) = (clock::monotonic(), handle.clone());
    let newest = |account: &AccountState| account.last_quote_at;
    ProbeContext {
        elapsed: Arc::new(move || clock::monotonic().saturating_duration_since(started)),
        quote_age: Arc::new(move |account| {
            // By receive time, like the quotes: the wall clock may be behind.
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

/// On a thread of the runtime's own; its end is not waited for, since it may hang.
#[expect(clippy::disallowed_methods, reason = "this is the app")]
fn spawn_blocking(call: Box<dyn FnOnce() + Send>) {
    tokio::task::spawn_blocking(call);
}
