//! `POST /api/v1/halts` and `/api/v1/halts/release`: trading stopped, and let go again.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::body;
use crate::api::decide::decide;
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::wire::answer::{HaltAnswer, ReleaseAnswer};
use crate::wire::decode::DecodeLimits;
use crate::wire::request::decisions::{decode_halt, decode_release};

/// Stops trading
///
/// Sets a cause on the latch of an account, or of all (`*`). Nothing but a release takes it off.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = "/api/v1/halts", tag = "operate",
    request_body(content = serde_json::Value, description = "What to stop, and why"),
    responses((status = 201, description = "It is set", body = HaltAnswer)),
)]
pub(super) async fn post_halt(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<(StatusCode, Json<HaltAnswer>), Problem> {
    Parameters::parse(request.uri(), &[])?;
    let bytes = body::read_decision(&app, request).await?;
    let halt = decode_halt(&bytes, &decision_limits(&app))?;
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

/// Lets trading go on
///
/// Takes causes off the latch of an account, or of all (`*`), if `epoch` is the current one: a
/// stale click releases nothing newer. Refused while a causing drift is open, unless forced.
/// Every attempt is audited.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = "/api/v1/halts/release", tag = "operate",
    request_body(content = serde_json::Value, description = "What to release, and why"),
    responses(
        (status = 200, description = "It is released; other causes may still stand", body = ReleaseAnswer),
        (status = 404, description = "`unknown_account`, `unknown_cause`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`stale_epoch`, `cause_open`, `nothing_to_release`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn post_release(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<ReleaseAnswer>, Problem> {
    Parameters::parse(request.uri(), &[])?;
    let bytes = body::read_decision(&app, request).await?;
    let release = decode_release(&bytes, &decision_limits(&app))?;
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

/// The limits of an operator's request.
pub(super) fn decision_limits(app: &AppState) -> DecodeLimits {
    let web = &app.config.load().web;
    DecodeLimits { events_max: 1, text_bytes_max: web.text_bytes_max, depth_max: web.depth_max }
}
