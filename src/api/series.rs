//! `GET /api/v1/status/cardinality` and `DELETE /api/v1/series`: what stands in labels.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::decide::decide;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Parameters, required};
use crate::domain::audit::By;
use crate::domain::ids::{Actor, Component, Symbol};
use crate::domain::record::Decision;
use crate::wire::view::Cardinality;

/// What stands in labels
///
/// Against the series budget: past it, new symbols fold into `__other__`.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/status/cardinality", tag = "read",
    responses((status = 200, description = "Counts and bounds", body = Cardinality)),
)]
pub(super) async fn get_cardinality(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Cardinality>, Problem> {
    Parameters::parse(&uri, &[])?;
    let answer = app
        .engine
        .read(|monitor| Cardinality::new(monitor, |account| caller.may_see(account.name.as_str())));
    Ok(Json(answer))
}

/// Retires a symbol or a component
///
/// What is gone for good is forgotten: its series, books and results. Until then unknown must not
/// look like flat, so nothing is ever forgotten by itself. Audited.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    delete, path = "/api/v1/series", tag = "operate",
    params(
        ("account" = String, Query, description = "The account, or `*` for a component of the exporter's own", max_length = 128),
        ("symbol" = Option<String>, Query, description = "The instrument to forget: flat, without open orders and drift", max_length = 128),
        ("component" = Option<String>, Query, description = "The component to forget", max_length = 128),
        ("actor" = Option<String>, Query, description = "Who; the name of the token, or `anonymous`, if missing", max_length = 128),
    ),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 404, description = "`unknown_account`, `not_found`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`in_use`: it still has state", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete_series(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<StatusCode, Problem> {
    let parameters = Parameters::parse(&uri, &["account", "symbol", "component", "actor"])?;
    let account = required(parameters.account()?, "account")?;
    let symbol = parameters.name("symbol", Symbol::new)?;
    let component = parameters.name("component", Component::new)?;
    let actor = parameters.name("actor", Actor::new)?;
    if symbol.is_none() && component.is_none() {
        return Err(Problem::new(Code::MissingParameter, "symbol or component is required")
            .of_field("symbol"));
    }
    caller.check_account(account.as_str())?;
    let actor = match actor {
        Some(actor) => actor,
        None => caller.actor()?,
    };
    let by = By::with_token(actor, caller.token());
    let decision = Decision::Retire { account: account.clone(), symbol, component, by };
    decide(&app, &caller, account, decision).await?;
    Ok(StatusCode::NO_CONTENT)
}
