//! `GET /api/v1/execution`: the execution quality of an account, a symbol or a strategy.

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::check_known;
use crate::api::auth::Caller;
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::{QueryParameters, invalid};
use crate::domain::account::AccountState;
use crate::domain::execution::ExecutionScope;
use crate::domain::ids::{Strategy, Symbol};
use crate::domain::units::Decimal;
use crate::wire::answer::{Execution, ExecutionSource};

/// Execution quality
///
/// Counters since the start of the journal, and figures over the rolling window of ended orders.
/// Without `symbol` and `strategy` they cover the whole account. A figure without a sample is null.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/execution", tag = "read",
    params(
        ("account" = Option<String>, Query, description = "The account; `default` if missing", max_length = 128),
        ("symbol" = Option<String>, Query, description = "The instrument", max_length = 128),
        ("strategy" = Option<String>, Query, description = "The strategy; needs `breakdowns.strategy: true` in the configuration, and excludes `symbol`", max_length = 128),
    ),
    responses(
        (status = 200, description = "Counters and figures", body = Execution),
        (status = 404, description = "`unknown_account`, `unknown_symbol`, `unknown_strategy`, `breakdown_off`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_execution(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Execution>, Problem> {
    let parameters = QueryParameters::parse(&uri, &["account", "symbol", "strategy"])?;
    let name = parameters.account()?.unwrap_or_default();
    let symbol = parameters.name("symbol", Symbol::new)?;
    let strategy = parameters.name("strategy", Strategy::new)?;
    if symbol.is_some() && strategy.is_some() {
        return Err(invalid("strategy", "cannot be combined with symbol"));
    }
    caller.check_account(name.as_str())?;
    let answer = app.engine.read(|monitor| {
        check_known(monitor, &name)?;
        // An account may be named in the configuration before it sends its first event.
        let nothing = AccountState::new(name.clone());
        let account = monitor.account(name.as_str()).unwrap_or(&nothing);
        match (&symbol, &strategy) {
            (Some(symbol), _) => of_symbol(account, symbol),
            (None, Some(strategy)) => {
                of_strategy(account, strategy, monitor.settings().breakdowns.strategy)
            }
            (None, None) => Ok(of_account(account)),
        }
    });
    answer.map(Json)
}

fn of_account(account: &AccountState) -> Execution {
    let execution = &account.execution;
    let symbols = account.symbols.iter();
    Execution::new(ExecutionSource {
        account: account.name.as_str(),
        symbol: None,
        strategy: None,
        scope: execution.whole(),
        open: Some(execution.open_orders_total()),
        unacknowledged: Some(symbols.map(|(key, _)| execution.unacknowledged(key)).sum()),
        rejections: Some(execution.rejections()),
        ledger: None,
    })
}

fn of_symbol(account: &AccountState, symbol: &Symbol) -> Result<Execution, Problem> {
    let key = account.symbols.get(symbol).ok_or_else(|| {
        Problem::new(ProblemCode::UnknownSymbol, "no event of this symbol was received")
            .of_field("symbol")
    })?;
    let execution = &account.execution;
    let nothing = ExecutionScope::default();
    let position = account.books.positions(&account.symbols).find(|p| p.symbol == *symbol);
    Ok(Execution::new(ExecutionSource {
        account: account.name.as_str(),
        symbol: Some(symbol.as_str()),
        strategy: None,
        scope: execution.symbol(key).unwrap_or(&nothing),
        open: Some(execution.open_orders(key)),
        unacknowledged: Some(execution.unacknowledged(key)),
        rejections: None,
        ledger: Some(position.map_or(Decimal::ZERO, |p| p.ledger)),
    }))
}

/// `is_enabled`: whether the configuration breaks orders down by strategy.
fn of_strategy(
    account: &AccountState,
    strategy: &Strategy,
    is_enabled: bool,
) -> Result<Execution, Problem> {
    let (code, why) = if is_enabled {
        (ProblemCode::UnknownStrategy, "no order of this strategy was received")
    } else {
        (
            ProblemCode::BreakdownOff,
            "strategies are not broken down: set `breakdowns.strategy: true` in the configuration",
        )
    };
    let found = account.execution.strategies().find(|(name, _)| *name == strategy.as_str());
    let (name, scope) = found.ok_or_else(|| Problem::new(code, why).of_field("strategy"))?;
    Ok(Execution::new(ExecutionSource {
        account: account.name.as_str(),
        symbol: None,
        strategy: Some(name),
        scope,
        open: None,
        unacknowledged: None,
        rejections: None,
        ledger: None,
    }))
}
