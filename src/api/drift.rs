//! `GET /api/v1/drift`, `/api/v1/drift/history` and `POST /api/v1/drift/reconcile`.

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::AccountSelection;
use crate::api::auth::Caller;
use crate::api::decide::{decide, read_request};
use crate::api::problem::Problem;
use crate::api::query::QueryParameters;
use crate::config::Scope;
use crate::domain::drift::DriftState;
use crate::domain::principal::Principal;
use crate::domain::record::{Adopt, Decision};
use crate::wire::answer::{Drift, ReconcileAnswer};
use crate::wire::request::decisions::{ReconcileRequest, decode_reconcile};

/// Differences between the books
///
/// All differences beyond tolerance: in flight, unconfirmed, open. `state=open` selects those that are
/// confirmed and not cleared, `state=within_tolerance` those that are too small to be drift. Cleared
/// drifts are in the history.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/drift", tag = "read",
    params(
        ("account" = Option<String>, Query, description = "The account; all if missing", max_length = 128),
        ("state" = Option<DriftState>, Query, description = "The state of the difference; `open` includes `reconciling`"),
    ),
    responses((status = 200, description = "The differences", body = [Drift])),
)]
pub(super) async fn get_drift(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Vec<Drift>>, Problem> {
    let parameters = QueryParameters::parse(&uri, &["account", "state"])?;
    let account = parameters.account()?;
    let state = parameters.member::<DriftState>("state")?;
    let selection = AccountSelection::new(&app, &caller, account.as_ref())?;
    let differences = app.engine.read(|monitor| {
        let accounts = selection.of(monitor);
        let differences = accounts.flat_map(|account| {
            let differences = account.books.differences(&account.symbols);
            let asked_for = differences.filter(|difference| match state {
                None => difference.state != DriftState::WithinTolerance,
                Some(DriftState::Open) => difference.state.is_open(),
                Some(state) => difference.state == state,
            });
            asked_for.map(|difference| Drift::new(account.name.as_str(), &difference))
        });
        differences.collect()
    });
    Ok(Json(differences))
}

/// The confirmed drifts
///
/// Open and ended ones, oldest first, at most 1000 for each account.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/drift/history", tag = "read",
    params(("account" = Option<String>, Query, description = "The account; all if missing", max_length = 128)),
    responses((status = 200, description = "The drifts", body = [Drift])),
)]
pub(super) async fn get_drift_history(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Vec<Drift>>, Problem> {
    let account = QueryParameters::parse(&uri, &["account"])?.account()?;
    let selection = AccountSelection::new(&app, &caller, account.as_ref())?;
    let drifts = app.engine.read(|monitor| {
        let accounts = selection.of(monitor);
        let drifts = accounts.flat_map(|account| {
            let history = account.books.history();
            history.map(|drift| Drift::new(account.name.as_str(), &drift))
        });
        drifts.collect()
    });
    Ok(Json(drifts))
}

/// Reconciles a drift by hand
///
/// `adopt: "broker"` tells the engine to adopt the broker's quantity; `adopt: "local"` accepts the
/// difference until it is retired. A token with `ingest` may adopt the broker's side of a MINOR
/// drift; everything else needs `release`. Audited.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    post, path = "/api/v1/drift/reconcile", tag = "operate",
    request_body(content = serde_json::Value, description = "The drift, and the side that is right"),
    responses(
        (status = 200, description = "The decision is in force", body = ReconcileAnswer),
        (status = 404, description = "`unknown_account`, `not_found`: no such drift is open", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn post_reconcile(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<ReconcileAnswer>, Problem> {
    let reconcile = read_request(&app, request, decode_reconcile).await?;
    caller.check_account(reconcile.account.as_str())?;
    let ReconcileRequest { account, symbol, adopt, reason, actor } = reconcile;
    let decision = Decision::Reconcile {
        account: account.clone(),
        symbol: symbol.clone(),
        adopt,
        privileged: caller.has(Scope::Release),
        reason,
        by: Principal::with_token(actor, caller.token()),
    };
    let decided = decide(&app, &caller, account.clone(), decision).await?;
    Ok(Json(ReconcileAnswer {
        account: account.to_string(),
        symbol: symbol.to_string(),
        adopt: match adopt {
            Adopt::Broker => "broker",
            Adopt::Local => "local",
        },
        state: decided.state,
        sequence: decided.sequence,
    }))
}
