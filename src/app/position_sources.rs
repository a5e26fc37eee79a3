//! The tasks of the position sources: one for each source, restarted when a reload changes it.
//!
//! Invariants: a pull does not begin before the one before it has ended and was recorded; sources begin at
//! random moments, so that a hundred of them do not ask at once; a queue that is full delays a list and
//! loses none silently.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use enum_map::EnumMap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::probes::retire;
use super::{AppError, chain, expressions};
use crate::clock;
use crate::config::PositionSource;
use crate::domain::event::{Body, Event, Heartbeat, Positions, Source};
use crate::domain::health::Health;
use crate::domain::ids::{Account, Component};
use crate::domain::record::{Entry, Verdict};
use crate::domain::time::Timestamp;
use crate::engine::{EngineError, Handle};
use crate::metrics::{PullOutcome, Runtime};
use crate::sources::{
    Evaluate, PositionPuller, PullFailure, PullPace, PulledSide, ServerLoad, event_id,
};

/// The longest wait before the first pull.
const START_SPREAD_MAX: Duration = Duration::from_secs(10);
/// The first and the longest wait before a list is offered to the queue again.
const RETRY_WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The component of the broker's side.
const BROKER: &str = "broker";

/// The running sources. Dropping it stops them.
pub(super) struct PositionSourceTasks {
    handle: Handle,
    runtime: Arc<Runtime>,
    evaluate: Evaluate,
    running: Vec<(PositionSource, CancellationToken)>,
}

impl PositionSourceTasks {
    pub(super) fn new(handle: Handle, runtime: Arc<Runtime>) -> Self {
        Self { handle, runtime, evaluate: expressions::evaluator(), running: Vec::new() }
    }

    /// Pulls from these sources from now on. An unchanged one continues. What a removed one reported of the
    /// health of a component is retired: no result will ever come, which must not count as silence.
    pub(super) async fn run(&mut self, sources: &[PositionSource], tasks: &TaskTracker) {
        let reported: BTreeSet<_> = sources.iter().flat_map(components).collect();
        let mut gone = BTreeSet::new();
        self.running.retain(|(source, stop)| {
            let is_kept = sources.contains(source);
            if !is_kept {
                gone.extend(components(source).filter(|pair| !reported.contains(pair)));
                stop.cancel();
                self.runtime.position_sources.forget(&source.name);
            }
            is_kept
        });
        for source in sources {
            if self.running.iter().any(|(running, _)| running == source) {
                continue;
            }
            self.runtime.position_sources.declare(&source.name);
            let stop = CancellationToken::new();
            let task = SourceTask {
                puller: PositionPuller::new(source.clone(), Arc::clone(&self.evaluate)),
                token: format!("position source {}", source.name).into(),
                source: source.clone(),
                handle: self.handle.clone(),
                runtime: Arc::clone(&self.runtime),
                failures: EnumMap::default(),
            };
            let own = stop.clone();
            tasks.spawn(async move { own.run_until_cancelled(task.run()).await });
            self.running.push((source.clone(), stop));
        }
        for (account, component) in gone {
            retire(&self.handle, account, component).await;
        }
    }
}

/// The components whose health a source reports, with its account.
fn components(source: &PositionSource) -> impl Iterator<Item = (Account, Component)> + '_ {
    let names = source.lists.iter().filter_map(|list| component_of(source, list.role));
    names.map(|component| (source.account.clone(), component))
}

/// The component of one side. The list of the engine's side is answered by its API, not by the engine that
/// trades.
fn component_of(source: &PositionSource, role: Source) -> Option<Component> {
    let name = match role {
        Source::Broker => BROKER,
        Source::Local => &source.name,
    };
    Component::new(name).ok()
}

impl Drop for PositionSourceTasks {
    fn drop(&mut self) {
        self.running.iter().for_each(|(_, stop)| stop.cancel());
    }
}

/// The task of one source.
struct SourceTask {
    source: PositionSource,
    puller: PositionPuller,
    handle: Handle,
    runtime: Arc<Runtime>,
    /// The sender of its events, for the share of accounts.
    token: Arc<str>,
    /// Failed pulls of each side in a row.
    failures: EnumMap<Source, u32>,
}

impl SourceTask {
    /// Pulls at the pace of the source. It never returns: drop it to stop.
    async fn run(mut self) {
        // Until the journal is replayed, nothing can be recorded.
        self.handle.opened().await;
        let spread = self.source.interval.min(START_SPREAD_MAX);
        let random = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        tokio::time::sleep(spread.mul_f64(random)).await;
        let mut pace = PullPace::new(self.source.interval);
        loop {
            let begun = clock::monotonic();
            let asked_at = clock::now();
            let sides = self.puller.pull(asked_at).await;
            let took = clock::monotonic().saturating_duration_since(begun);
            let wait = pace.next(load(&sides));
            self.record(&sides, PullTimes { asked_at, took, wait }).await;
            let spent = clock::monotonic().saturating_duration_since(begun);
            tokio::time::sleep(wait.saturating_sub(spent)).await;
        }
    }

    /// Records what a pull brought, and reports it as metrics.
    async fn record(&mut self, sides: &[PulledSide], times: PullTimes) {
        let name = self.source.name.clone();
        let failure = sides.iter().find_map(|side| side.result.as_ref().err());
        let failed_before = self.failures.values().any(|failures| *failures > 0);
        match (failure, failed_before) {
            (Some(failure), false) => {
                tracing::warn!(source = name, why = failure.why, "no list of positions");
            }
            (None, true) => tracing::info!(source = name, "the position source works again"),
            _ => {}
        }
        let mut outcome = PullOutcome::Recorded;
        if failure.is_some() {
            outcome = PullOutcome::Failed;
        }
        for side in sides {
            let failures = &mut self.failures[side.role];
            *failures = if side.result.is_err() { failures.saturating_add(1) } else { 0 };
        }
        let events = sides.iter().flat_map(|side| self.events(side, times)).collect();
        if let Err(error) = self.submit(events, times.wait).await {
            tracing::error!(source = name, error, "a list of positions was not recorded");
            outcome = PullOutcome::NotRecorded;
        }
        let seconds = times.took.as_secs_f64();
        self.runtime.position_sources.pulled(&name, outcome, times.asked_at, seconds);
    }

    /// The events of one side: its list, or that there is none; and the health of its component. That the
    /// engine's side has none is no event of the engine, so it is told by the component alone.
    fn events(&self, side: &PulledSide, times: PullTimes) -> Vec<Event> {
        let list = match &side.result {
            Ok(list) => Some(list.clone()),
            Err(failure) if side.role == Source::Broker => {
                let body = Body::Positions(failed(side.role, failure));
                Some(self.event(body, side.role, "list", times))
            }
            Err(_) => None,
        };
        let Some(component) = component_of(&self.source, side.role) else {
            impossible!("the name of a source is the name of a component");
            return Vec::from_iter(list);
        };
        let (status, message) = match &side.result {
            Ok(_) => (None, None),
            Err(failure) => {
                (Some(self.health(side.role, &component)), Some(failure.why.as_str().into()))
            }
        };
        let heartbeat = Heartbeat {
            component,
            status,
            message,
            latency: Some(times.took),
            interval: Some(times.wait),
            source: Some(side.role),
        };
        let heartbeat = self.event(Body::Heartbeat(heartbeat), side.role, "check", times);
        list.into_iter().chain([heartbeat]).collect()
    }

    fn event(&self, body: Body, role: Source, what: &str, times: PullTimes) -> Event {
        Event {
            account: self.source.account.clone(),
            time: Some(times.asked_at),
            event_id: event_id(&self.source.name, role, what, times.asked_at),
            session: None,
            strategy: None,
            venue: None,
            synthetic: false,
            body,
        }
    }

    /// The health that failed pulls of a side mean: the same number of them in a row as of failed checks.
    /// A failure never makes a component better than it is.
    fn health(&self, role: Source, component: &Component) -> Health {
        let (unhealthy_at, now) = self.handle.read(|monitor| {
            let account = monitor.account(self.source.account.as_str());
            let now = account.and_then(|account| account.components.health(component.as_str()));
            (monitor.settings().health.failures, now)
        });
        let is_unhealthy = self.failures[role] >= unhealthy_at || now == Some(Health::Unhealthy);
        if is_unhealthy { Health::Unhealthy } else { Health::Degraded }
    }

    /// Records events. While there is no room in the queue, they are offered again, until the next pull is
    /// due. They keep their ids, so an attempt that was recorded after all counts once.
    async fn submit(&self, events: Vec<Event>, patience: Duration) -> Result<(), String> {
        let begun = clock::monotonic();
        let mut pause = RETRY_WAIT.0;
        loop {
            let entries = events.iter().cloned().map(Entry::Event).collect();
            let accounts = vec![self.source.account.clone()];
            let token = Some(Arc::clone(&self.token));
            match self.handle.submit_from(token, entries, accounts).await {
                Ok(receipt) => return check(&receipt.verdicts),
                Err(error @ (EngineError::Overloaded | EngineError::DiskFull)) => {
                    let spent = clock::monotonic().saturating_duration_since(begun);
                    if spent + pause > patience {
                        return Err(chain(&error));
                    }
                }
                Err(error @ (EngineError::JournalFailed | EngineError::Closed)) => {
                    return Err(chain(&error));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_WAIT.1);
        }
    }
}

/// The times of one pull.
#[derive(Clone, Copy)]
struct PullTimes {
    /// When the server was asked: the date of the lists.
    asked_at: Timestamp,
    took: Duration,
    /// From the begin of this pull to the begin of the next one.
    wait: Duration,
}

/// The load of the server, by its answers: the longest pause that it asked for.
fn load(sides: &[PulledSide]) -> ServerLoad {
    let failures = sides.iter().filter_map(|side| side.result.as_ref().err());
    failures.map(PullFailure::load).max().unwrap_or(ServerLoad::Ready)
}

/// A list that could not be fetched: it changes no book.
fn failed(source: Source, failure: &PullFailure) -> Positions {
    let failure = Some(failure.why.as_str().into());
    Positions { source, rows: Box::default(), complete: true, failure }
}

/// The first refusal of the fold.
fn check(verdicts: &[Verdict]) -> Result<(), String> {
    let refusal = verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Refused(refusal) => Some(refusal.to_string()),
        Verdict::Contradicts(why) => Some(why.to_string()),
        Verdict::Accepted | Verdict::Decided { .. } | Verdict::Warned(_) | Verdict::Duplicate => {
            None
        }
    });
    refusal.map_or(Ok(()), Err)
}

/// Asks a source once, on a runtime of its own. Nothing is recorded.
///
/// # Errors
/// [`AppError`] if there are no threads.
pub(crate) fn try_source(source: &PositionSource) -> Result<Vec<PulledSide>, AppError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|source| AppError::SetUp { what: "threads", source })?;
    let puller = PositionPuller::new(source.clone(), expressions::evaluator());
    Ok(runtime.block_on(puller.pull(clock::now())))
}
