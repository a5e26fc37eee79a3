//! `GET /api/v1/health` and `/api/v1/health/{component}/history`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::AccountSelection;
use crate::api::auth::Caller;
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::{QueryParameters, invalid, path};
use crate::domain::health::{self, Components, Health as DomainHealth};
use crate::domain::ids::{Account, Component as ComponentName};
use crate::domain::limits;
use crate::domain::monitor::Monitor;
use crate::wire::answer::{Book, CheckResult, Component, Health, MissingEvidence};

/// The health of the system
///
/// Covers one account with the exporter's own probes, or all accounts. The answer includes the books
/// that drift detection compares, and the evidence that is missing. Missing evidence does not affect
/// the status: it has alerts of its own.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/health", tag = "read",
    params(("account" = Option<String>, Query, description = "The account; all if missing", max_length = 128)),
    responses((status = 200, description = "The status of the system and its components, also if it is unhealthy", body = Health)),
)]
pub(super) async fn get_health(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Health>, Problem> {
    let account = QueryParameters::parse(&uri, &["account"])?.account()?;
    let selection = AccountSelection::new(&app, &caller, account.as_ref())?;
    Ok(Json(app.engine.read(|monitor| overview(monitor, selection))))
}

fn overview(monitor: &Monitor, selection: AccountSelection<'_>) -> Health {
    let settings = &monitor.settings().health;
    let now = monitor.now();
    let none = Components::default();
    let mut status = health::system(&none, monitor.probes(), settings);
    let mut components: Vec<Component> = Vec::new();
    let mut add = |account: &str, of: &Components| {
        components.extend(of.views(settings).map(|view| Component::new(account, view, now)));
        components.len()
    };
    // The exporter's own probes count in every account.
    let mut known = add(Account::ALL, monitor.probes());
    for account in selection.of(monitor) {
        let sum = add(account.name.as_str(), &account.components);
        if sum > known {
            let own = health::system(&account.components, monitor.probes(), settings);
            status = if known == 0 { own } else { worse(status, own) };
            known = sum;
        }
    }
    let account = selection.account.map(ToString::to_string);
    let accounts = || selection.of(monitor);
    Health {
        account,
        status,
        components,
        books: accounts().flat_map(|account| Book::of(account, now)).collect(),
        missing_evidence: accounts()
            .flat_map(|account| MissingEvidence::of(account, now, monitor.settings()))
            .collect(),
    }
}

/// The status of two systems together. Unknown and anything else make degraded, not healthy.
fn worse(a: DomainHealth, b: DomainHealth) -> DomainHealth {
    match (a, b) {
        (DomainHealth::Unhealthy, _) | (_, DomainHealth::Unhealthy) => DomainHealth::Unhealthy,
        (a, b) if a == b => a,
        _ => DomainHealth::Degraded,
    }
}

/// The last results of a component
///
/// Oldest first. Without `account`, the results of all accounts with this component.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/health/{component}/history", tag = "read",
    params(
        ("component" = String, Path, description = "The component", max_length = 128),
        ("account" = Option<String>, Query, description = "The account, or `*` for the exporter's own probes; all if missing", max_length = 128),
    ),
    responses(
        (status = 200, description = "The last 1000 results", body = [CheckResult]),
        (status = 404, description = "`unknown_component`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_health_history(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Vec<CheckResult>>, Problem> {
    let account = QueryParameters::parse(&uri, &["account"])?.account()?;
    let component = path(name)?;
    ComponentName::new(&component).map_err(|e| invalid("component", &e.to_string()))?;
    // The exporter's own probes count in every account, so every caller may see them.
    let probes_alone = account.as_ref().is_some_and(Account::is_all);
    let selection = if probes_alone {
        AccountSelection { caller: &caller, account: account.as_ref() }
    } else {
        AccountSelection::new(&app, &caller, account.as_ref())?
    };
    let results = app.engine.read(|monitor| results(monitor, selection, &component));
    results.map(Json).ok_or_else(|| {
        Problem::new(ProblemCode::UnknownComponent, "no result of this component was received")
    })
}

fn results(
    monitor: &Monitor,
    selection: AccountSelection<'_>,
    component: &str,
) -> Option<Vec<CheckResult>> {
    let all = selection.account.is_none_or(Account::is_all);
    let probes = all.then_some((Account::ALL, monitor.probes()));
    let accounts = selection.of(monitor).map(|a| (a.name.as_str(), &a.components));
    let mut known = false;
    let mut results: Vec<CheckResult> = Vec::new();
    for (account, components) in probes.into_iter().chain(accounts) {
        let Some(history) = components.history(component) else { continue };
        known = true;
        let of = |(witness, check)| CheckResult::new(account, witness, check);
        results.extend(history.into_iter().map(of));
    }
    results.sort_by_key(|result| result.at);
    let surplus = results.len().saturating_sub(limits::HEALTH_HISTORY_MAX);
    known.then(|| results.split_off(surplus))
}
