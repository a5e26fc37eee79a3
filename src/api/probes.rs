//! `/-/healthy`, `/-/ready` and `/-/reload`: the process itself, as Prometheus has it. Like there,
//! a query is passed over: a probe with a stray parameter must not be blind.

use axum::Extension;
use axum::extract::State;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::problem::{Code, Problem};
use crate::domain::audit::By;

/// Whether the process lives
#[utoipa::path(
    get, path = "/-/healthy", tag = "process",
    responses((status = 200, description = "It lives", body = String, content_type = "text/plain; charset=utf-8")),
)]
pub(super) async fn get_healthy() -> &'static str {
    "trading-exporter lives.\n"
}

/// Whether requests are taken
///
/// Not while the journal is replayed, while the process ends, or while the journal cannot be
/// written.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/-/ready", tag = "process",
    responses((status = 200, description = "They are", body = String, content_type = "text/plain; charset=utf-8")),
)]
pub(super) async fn get_ready(State(app): State<AppState>) -> Result<&'static str, Problem> {
    check_ready(&app)?;
    Ok("trading-exporter is ready.\n")
}

/// Refuses while the engine is not ready.
///
/// # Errors
/// `not_ready`.
pub(super) fn check_ready(app: &AppState) -> Result<(), Problem> {
    app.engine.readiness().map_err(|why| Problem::new(Code::NotReady, why.to_string()))
}

/// Reads the configuration again
///
/// The same as SIGHUP. A configuration with a mistake changes nothing. Both stand in the audit trail,
/// with what changed.
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
    let by = By::with_token(caller.actor()?, caller.token());
    (app.reload)(by).await.map_err(|mistakes| Problem::new(Code::InvalidConfig, mistakes))?;
    Ok("The configuration is in force.\n")
}
