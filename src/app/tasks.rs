//! The small tasks next to the server: ticks, checks of the journal, directives in the log, signals.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::api::CheckSlot;
use crate::domain::directive::{Directive, DirectiveKind};
use crate::domain::execution::anomaly::AnomalyLevel;
use crate::domain::recount::RecountCursor;
use crate::engine::{Handle, LogTaskError, LostDirectives, Subscription};
use crate::invariant;
use crate::metrics::Runtime;

use super::chain;

/// The interval of checks that the journal is still at its path.
const JOURNAL_CHECK: Duration = Duration::from_secs(5);
/// The interval of checks of running sums.
const RECOUNT: Duration = Duration::from_mins(1);
/// The interval of ticks. Each becomes a record.
const TICK: Duration = Duration::from_secs(1);

/// Registers SIGHUP. From here on it does not kill the process, even while nothing waits for it.
pub(super) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Registers SIGTERM and SIGINT. The future completes with the name of the first that arrives.
pub(super) fn shutdown() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Whether the password has this bcrypt hash. Takes a core for as long as the cost of the hash says,
/// and holds the slot for as long: also when the returned future is dropped before.
#[expect(
    clippy::disallowed_methods,
    reason = "it ends by itself, and its slot limits how many run"
)]
pub(super) async fn check_password(hash: String, password: Vec<u8>, slot: CheckSlot) -> bool {
    let check = move || {
        let is_right = bcrypt::verify(password, &hash).unwrap_or(false);
        drop(slot);
        is_right
    };
    tokio::task::spawn_blocking(check).await.unwrap_or(false)
}

/// Submits a tick every second.
pub(super) async fn tick(handle: Handle, stop: CancellationToken) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        handle.tick();
    }
}

/// Checks regularly that the journal is still at its path. If it was moved, no further event is
/// acknowledged: the next start would not find it.
pub(super) async fn watch_journal(handle: Handle, stop: CancellationToken) {
    let mut every = tokio::time::interval(JOURNAL_CHECK);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        match handle.with_log(|log| log.check_in_place()).await {
            Ok(()) => {}
            Err(LogTaskError::Log(error)) => {
                tracing::error!(error = chain(&error), "the journal was moved or removed");
                return handle.tick();
            }
            Err(LogTaskError::Engine(_)) => return,
        }
    }
}

/// Counts broken invariants on /metrics, and logs the first one.
pub(super) async fn watch_invariants(runtime: Arc<Runtime>, stop: CancellationToken) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counted = 0;
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        let violations = invariant::violations();
        if violations == counted {
            continue;
        }
        // One line is enough: every event may break the same invariant.
        if counted == 0 {
            tracing::error!(first = invariant::first(), "an invariant is broken: this is a bug");
        }
        runtime.service.invariant_violations.inc_by(violations - counted);
        counted = violations;
    }
}

/// Derives running sums again: a sample after the replay, and one each minute. A difference counts as a
/// broken invariant.
pub(super) async fn recount(handle: Handle, runtime: Arc<Runtime>, stop: CancellationToken) {
    stop.run_until_cancelled(handle.opened()).await;
    let mut every = tokio::time::interval(RECOUNT);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cursor = RecountCursor::default();
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        let (turn, next) = handle.recount(&cursor);
        runtime.service.sums_recounted.inc_by(turn.compared as u64);
        for total in turn.differences {
            invariant::record(total.broken());
        }
        cursor = next;
    }
}

/// Writes every directive to the log.
pub(super) async fn log_directives(mut directives: Subscription, stop: CancellationToken) {
    while let Some(received) = stop.run_until_cancelled(directives.next()).await {
        match received {
            Ok(directive) => log_directive(&directive),
            Err(LostDirectives { count: lost, .. }) => {
                tracing::warn!(lost, "directives were emitted faster than they could be logged");
            }
        }
    }
}

/// Logs a directive as one line. Text from clients is quoted, so that it cannot add lines.
fn log_directive(directive: &Directive) {
    let Directive { id, account, kind, at: _ } = directive;
    match kind {
        DirectiveKind::Halt { state, cause, reason, epoch } => tracing::warn!(
            %id, %account, state = state.as_str(), cause = cause.as_str(), ?reason, epoch, "halt"
        ),
        DirectiveKind::Release { state, epoch } => {
            tracing::warn!(%id, %account, state = state.as_str(), epoch, "release");
        }
        DirectiveKind::Reconcile { symbol, from_quantity, to_quantity, drift, attempt, .. } => {
            tracing::info!(
                %id, %account, %symbol, %from_quantity, %to_quantity, drift = drift.as_str(),
                attempt, "reconcile"
            );
        }
        DirectiveKind::Drift(drift) => tracing::info!(
            %id, %account, symbol = %drift.symbol, drift = drift.drift_type.as_str(),
            severity = drift.severity.map(crate::domain::settings::Severity::as_str),
            state = drift.state.as_str(), quantity_drift = %drift.quantity_drift, "drift"
        ),
        DirectiveKind::Anomaly { symbol, figure, level, value } => tracing::info!(
            %id, %account, symbol = symbol.as_ref().map(tracing::field::display),
            figure = figure.as_str(), level = level.map(AnomalyLevel::as_str), value, "anomaly"
        ),
        DirectiveKind::Health { component, health } => {
            tracing::info!(%id, %account, %component, health = health.as_str(), "health");
        }
    }
}
