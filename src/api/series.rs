//! `GET /api/v1/status/cardinality` and `DELETE /api/v1/series`: the series of `/metrics`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::decide::decide;
use crate::api::metrics::with_snapshot;
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::{QueryParameters, required};
use crate::domain::ids::{Actor, Component, Symbol};
use crate::domain::limits;
use crate::domain::principal::Principal;
use crate::domain::record::Decision;
use crate::metrics::rows::AccountRow;
use crate::metrics::{Projection, catalogue, count_account, count_control};
use crate::wire::answer::{AccountSeries, Cardinality};

/// The number of series
///
/// The series on `/metrics`, by account and family, compared with the budget of series, and the
/// symbols that are folded into `__other__` because of it. Folded symbols are still monitored.
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
    QueryParameters::parse(&uri, &[])?;
    Ok(Json(with_snapshot(&app, &caller, |snapshot| cardinality(snapshot.projection())).await))
}

/// Folded symbols that the answer names for each account.
const NAMES_MAX: usize = 1_000;

/// The counts of the series that a projection makes.
fn cardinality(projection: &Projection) -> Cardinality {
    let mut accounts: Vec<AccountSeries> = projection.accounts.iter().map(account_series).collect();
    accounts.sort_by(|a, b| b.series.cmp(&a.series).then_with(|| a.account.cmp(&b.account)));
    let mut families = BTreeMap::new();
    for family in catalogue::all() {
        let name = family.descriptor.name;
        let common = count_control(family, &projection.common);
        let own = accounts.iter().filter_map(|account| account.families.get(name));
        let series = common + own.sum::<u64>();
        if series > 0 {
            families.insert(name, series);
        }
    }
    let settings = &projection.common.settings;
    let folded = |a: &AccountSeries| a.symbols_folded + a.strategies_folded + a.venues_folded;
    Cardinality {
        series: families.values().sum(),
        series_max: settings.series.max,
        accounts_max: limits::ACCOUNTS_MAX,
        symbols_max: settings.symbols.max,
        components_max: limits::COMPONENTS_MAX,
        breakdowns_max: limits::BREAKDOWNS_MAX,
        folded: accounts.iter().map(folded).sum(),
        families,
        accounts,
    }
}

fn account_series(row: &AccountRow) -> AccountSeries {
    let families =
        catalogue::all().map(|family| (family.descriptor.name, count_account(family, row)));
    let families: BTreeMap<&'static str, u64> = families.filter(|(_, n)| *n > 0).collect();
    let fold = &row.fold;
    let names = fold.symbols.folded().take(NAMES_MAX);
    let names = names.filter_map(|place| row.symbols.get(place)).map(|row| row.symbol.to_string());
    AccountSeries {
        account: row.control.account.to_string(),
        series: families.values().sum(),
        symbols: row.symbols.len(),
        symbols_folded: fold.symbols.folded().count(),
        folded: names.collect(),
        not_monitored: row.not_monitored,
        components: row.control.components.len(),
        strategies: row.strategies.len(),
        strategies_folded: fold.strategies.folded().count(),
        venues: row.venues.len(),
        venues_folded: fold.venues.folded().count(),
        families,
    }
}

/// Retires a symbol or a component
///
/// Deletes its series, books and results. Nothing is deleted automatically, because a symbol without
/// data must not look like a flat position. Audited.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    delete, path = "/api/v1/series", tag = "operate",
    params(
        ("account" = String, Query, description = "The account, or `*` for one of the exporter's own components", max_length = 128),
        ("symbol" = Option<String>, Query, description = "The instrument to retire; it must be flat, without open orders and drift", max_length = 128),
        ("component" = Option<String>, Query, description = "The component to retire", max_length = 128),
        ("actor" = Option<String>, Query, description = "Who decides; the name of the token, or `anonymous`, if missing", max_length = 128),
    ),
    responses(
        (status = 204, description = "It is retired"),
        (status = 404, description = "`unknown_account`, `not_found`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`in_use`: it still has state", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete_series(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<StatusCode, Problem> {
    let parameters = QueryParameters::parse(&uri, &["account", "symbol", "component", "actor"])?;
    let account = required(parameters.account()?, "account")?;
    let symbol = parameters.name("symbol", Symbol::new)?;
    let component = parameters.name("component", Component::new)?;
    let actor = parameters.name("actor", Actor::new)?;
    if symbol.is_none() && component.is_none() {
        return Err(Problem::new(ProblemCode::MissingParameter, "symbol or component is required")
            .of_field("symbol"));
    }
    caller.check_account(account.as_str())?;
    let actor = match actor {
        Some(actor) => actor,
        None => caller.actor()?,
    };
    let by = Principal::with_token(actor, caller.token());
    let decision = Decision::Retire { account: account.clone(), symbol, component, by };
    decide(&app, &caller, account, decision).await?;
    Ok(StatusCode::NO_CONTENT)
}
