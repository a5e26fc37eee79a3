//! `GET /api/v1/anomalies`: the execution figures beyond their thresholds.

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::AccountSelection;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::api::query::QueryParameters;
use crate::wire::answer::Anomaly;

/// The open anomalies
///
/// Execution figures that crossed their thresholds and have not recovered far enough since.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/anomalies", tag = "read",
    params(("account" = Option<String>, Query, description = "The account; all if missing", max_length = 128)),
    responses((status = 200, description = "The open anomalies", body = [Anomaly])),
)]
pub(super) async fn get_anomalies(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Vec<Anomaly>>, Problem> {
    let account = QueryParameters::parse(&uri, &["account"])?.account()?;
    let selection = AccountSelection::new(&app, &caller, account.as_ref())?;
    let anomalies = app.engine.read(|monitor| {
        let accounts = selection.of(monitor);
        let anomalies = accounts.flat_map(|account| {
            let open = account.execution.anomalies(&account.symbols).into_iter();
            open.map(|anomaly| Anomaly::new(account.name.as_str(), anomaly))
        });
        anomalies.collect()
    });
    Ok(Json(anomalies))
}
