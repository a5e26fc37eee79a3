//! `/-/healthy`, `/-/ready` and `/-/reload`: the process itself, with the paths of Prometheus.
//!
//! As in Prometheus, a query is ignored: a probe with a stray parameter must still get its answer.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::problem::{Problem, ProblemCode};
use crate::clock;
use crate::domain::monitor::Monitor;
use crate::domain::principal::Principal;

/// The longest time without a record for which the exporter is ready.
const WRITE_PENDING_MAX: Duration = Duration::from_secs(5);

/// Whether the process is alive
#[utoipa::path(
    get, path = "/-/healthy", tag = "process",
    responses((status = 200, description = "It is alive", body = String, content_type = "text/plain; charset=utf-8")),
)]
pub(super) async fn get_healthy() -> &'static str {
    "trading-exporter is healthy.\n"
}

/// Whether the exporter accepts requests
///
/// It does not while it replays its journal, shuts down, cannot write the journal, has waited for the
/// disk for five seconds, or while the clock of the machine is further behind than `clock.behind_max`. A clock that is behind by less is
/// mentioned in the answer.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/-/ready", tag = "process",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain; charset=utf-8")),
)]
pub(super) async fn get_ready(State(app): State<AppState>) -> Result<String, Problem> {
    check_ready(&app)?;
    check_writing(&app)?;
    let behind = app.engine.read(Monitor::clock_behind);
    Ok(if behind.is_zero() {
        "trading-exporter is ready.\n".to_owned()
    } else {
        format!("trading-exporter is ready; {}.\n", clock_behind(behind))
    })
}

/// Checks that the engine is ready, and its clock close enough to issue anything for a limited time.
///
/// # Errors
/// `not_ready`.
pub(super) fn check_ready(app: &AppState) -> Result<(), Problem> {
    app.engine.readiness().map_err(|why| Problem::new(ProblemCode::NotReady, why.to_string()))?;
    let (behind, max) =
        app.engine.read(|monitor| (monitor.clock_behind(), monitor.settings().clock.behind_max));
    if behind > max {
        return Err(Problem::new(ProblemCode::NotReady, clock_behind(behind)));
    }
    Ok(())
}

/// Checks that records are written. A tick is recorded every second, so without any for this long the
/// disk does not respond.
///
/// # Errors
/// `not_ready`.
fn check_writing(app: &AppState) -> Result<(), Problem> {
    let age = app.engine.age(clock::reading());
    if app.engine.read(Monitor::sequence) == 0 || age <= WRITE_PENDING_MAX {
        return Ok(());
    }
    let detail = format!("the journal has accepted no record for {} s", age.as_secs());
    Err(Problem::new(ProblemCode::NotReady, detail))
}

fn clock_behind(behind: Duration) -> String {
    format!("the clock is {} s behind the newest record", behind.as_secs())
}

/// Reloads the configuration
///
/// SIGHUP does the same. A configuration with a mistake changes nothing. The audit trail records
/// both, with what changed.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = "/-/reload", tag = "process",
    responses(
        (status = 200, description = "It is in force", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 422, description = "`invalid_config`: the old one stays in force", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn post_reload(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<&'static str, Problem> {
    let by = Principal::with_token(caller.actor()?, caller.token());
    (app.reload)(by)
        .await
        .map_err(|mistakes| Problem::new(ProblemCode::InvalidConfig, mistakes))?;
    Ok("The configuration is in force.\n")
}
