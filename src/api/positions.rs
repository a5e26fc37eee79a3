//! `GET /api/v1/positions`: the three books side by side.

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::AccountSelection;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::api::query::QueryParameters;
use crate::wire::answer::PositionRow;

/// The three books side by side
///
/// For every symbol in at least one book, including flat positions.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/positions", tag = "read",
    params(("account" = Option<String>, Query, description = "The account; all if missing", max_length = 128)),
    responses((status = 200, description = "The books", body = [PositionRow])),
)]
pub(super) async fn get_positions(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Vec<PositionRow>>, Problem> {
    let account = QueryParameters::parse(&uri, &["account"])?.account()?;
    let selection = AccountSelection::new(&app, &caller, account.as_ref())?;
    let rows = app.engine.read(|monitor| {
        let (now, settings) = (monitor.now(), monitor.settings());
        selection.of(monitor).flat_map(|a| PositionRow::of(a, now, settings)).collect()
    });
    Ok(Json(rows))
}
