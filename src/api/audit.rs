//! `GET /api/v1/audit`: who halted, released or reconciled an account, when and why.

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::AccountSelection;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::api::query::QueryParameters;
use crate::wire::answer::AuditLine;

/// Lines of an answer, by default.
const LIMIT_DEFAULT: usize = 1_000;
/// Lines of an answer, at most.
const LIMIT_MAX: usize = 10_000;

/// The audit trail
///
/// Every halt, release, reconciliation and change of the configuration, including refused ones, each
/// with the name of the token that decided. The answer has the newest `limit` lines, oldest first.
///
/// Of each account, the newest 2,000 lines of three kinds are kept, so that no account and no kind
/// displaces another: decisions of people; changes of a latch by the exporter itself; and attempts
/// that were refused or that an engine can cause. The journal has them all.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "read",
    params(
        ("account" = Option<String>, Query, description = "The account, or `*`; all if missing", max_length = 128),
        ("limit" = Option<u32>, Query, description = "Lines; 1000 if missing", minimum = 1, maximum = 10000),
    ),
    responses((status = 200, description = "The trail", body = [AuditLine])),
)]
pub(super) async fn get_audit(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Vec<AuditLine>>, Problem> {
    let parameters = QueryParameters::parse(&uri, &["account", "limit"])?;
    let account = parameters.account()?;
    let limit = parameters.number("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let selection = AccountSelection::new(&app, &caller, account.as_ref())?;
    let mut lines: Vec<AuditLine> = app.engine.read(|monitor| {
        let newest = monitor.audit().newest(|account| selection.contains(account.as_str()));
        newest.take(limit).map(AuditLine::new).collect()
    });
    lines.reverse();
    Ok(Json(lines))
}
