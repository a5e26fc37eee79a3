//! `POST /api/v1/halts` and `/api/v1/halts/release`: an operator stops trading, and resumes it.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::decide::{decide, read_request};
use crate::api::problem::Problem;
use crate::wire::answer::{HaltAnswer, ReleaseAnswer};
use crate::wire::request::decisions::{decode_halt, decode_release};

/// Stops trading
///
/// Sets a cause on the latch of an account, or of all accounts (`*`). Only a release removes it.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = "/api/v1/halts", tag = "operate",
    request_body(content = serde_json::Value, description = "The account, the state and the reason"),
    responses((status = 201, description = "The cause is set", body = HaltAnswer)),
)]
pub(super) async fn post_halt(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<(StatusCode, Json<HaltAnswer>), Problem> {
    let halt = read_request(&app, request, decode_halt).await?;
    caller.check_account(halt.account.as_str())?;
    let account = halt.account.clone();
    let decided = decide(&app, &caller, account.clone(), halt.decided_with(caller.token())).await?;
    let answer = HaltAnswer {
        id: decided.id,
        account: account.to_string(),
        state: decided.state,
        epoch: decided.epoch,
        sequence: decided.sequence,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Resumes trading
///
/// Removes causes from the latch of an account, or of all accounts (`*`), if `epoch` is the current
/// one: a click on an outdated page releases nothing newer. Refused while a drift that caused the
/// halt is open, unless forced. Every attempt is audited.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = "/api/v1/halts/release", tag = "operate",
    request_body(content = serde_json::Value, description = "The account, the epoch and the reason"),
    responses(
        (status = 200, description = "The causes are removed; others may remain", body = ReleaseAnswer),
        (status = 404, description = "`unknown_account`, `unknown_cause`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`stale_epoch`, `cause_open`, `nothing_to_release`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn post_release(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<ReleaseAnswer>, Problem> {
    let release = read_request(&app, request, decode_release).await?;
    caller.check_account(release.account.as_str())?;
    let account = release.account.clone();
    let decided =
        decide(&app, &caller, account.clone(), release.decided_with(caller.token())).await?;
    Ok(Json(ReleaseAnswer {
        account: account.to_string(),
        state: decided.state,
        epoch: decided.epoch,
        sequence: decided.sequence,
    }))
}
