//! `GET /api/v1/permit`: what an engine may do, for a limited time.

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::probes;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::clock;
use crate::wire::view::Permit;

/// What an engine may do
///
/// A permit holds for `valid_for_ms`, counted by the engine on its own monotonic clock from before
/// it asked. It is issued only while the journal is healthy and the state is caught up; when none
/// can be had and the last one ran out, the engine does what `on_expiry` said.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/permit", tag = "read",
    params(("account" = Option<String>, Query, description = "The account; `default` if missing, `*` for the state of all accounts alone", max_length = 128)),
    responses((status = 200, description = "The permit, also of an account that was never seen", body = Permit)),
)]
pub(super) async fn get_permit(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Permit>, Problem> {
    let account = Parameters::parse(&uri, &["account"])?.account()?.unwrap_or_default();
    caller.check_account(account.as_str())?;
    probes::check_ready(&app)?;
    let now = clock::now();
    let permit = app.engine.read(|monitor| {
        let settings = monitor.settings().permit;
        // Ticks are records: a state without one for so long waits for its log.
        let stands_still = monitor.sequence() > 0 && now.is_past(monitor.now(), settings.valid_for);
        let permit = Permit::new(account.as_str(), &monitor.permit(account.as_str()), settings);
        if stands_still { Err(behind()) } else { Ok(permit) }
    });
    permit.map(Json)
}

fn behind() -> Problem {
    Problem::new(Code::NotReady, "the state is behind: the log takes nothing")
}
