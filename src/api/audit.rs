//! `GET /api/v1/audit`: who set, released, reconciled what, when, why.

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::Selection;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::domain::limits;
use crate::wire::answer::AuditLine;

/// Lines of an answer, if the request does not say.
const LIMIT_DEFAULT: usize = 1_000;

/// The audit trail
///
/// Every halt, release, reconciliation and change of the configuration, refused ones too, each with
/// the name of the token that decided; oldest first, the newest `limit` of them. What people decided,
/// what the exporter did to a latch by itself, and what was refused or can be brought about by an
/// engine are held apart, 10,000 lines each: none pushes out the others. The journal holds them all.
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
    let parameters = Parameters::parse(&uri, &["account", "limit"])?;
    let account = parameters.account()?;
    let limit = parameters.count("limit", LIMIT_DEFAULT, limits::AUDIT_MAX)?;
    let selection = Selection::new(&app, &caller, account.as_ref())?;
    let mut lines: Vec<AuditLine> = app.engine.read(|monitor| {
        let newest = monitor.audit().newest(|account| selection.holds(account.as_str()));
        newest.into_iter().take(limit).map(AuditLine::new).collect()
    });
    lines.reverse();
    Ok(Json(lines))
}
