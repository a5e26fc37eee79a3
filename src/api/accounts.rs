//! `GET /api/v1/accounts`, and the selection of accounts that every listing uses.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::QueryParameters;
use crate::domain::account::AccountState;
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::wire::answer;

/// The accounts
///
/// Sorted by name, each with its trading state and its counts of orders, fills and symbols.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "read",
    responses((status = 200, description = "The accounts", body = [answer::Account])),
)]
pub(super) async fn get_accounts(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Vec<answer::Account>>, Problem> {
    QueryParameters::parse(&uri, &[])?;
    let accounts = app.engine.read(|monitor| {
        let selection = AccountSelection { caller: &caller, account: None };
        selection.of(monitor).map(|account| answer::Account::new(monitor, account)).collect()
    });
    Ok(Json(accounts))
}

/// Refuses an account that no configuration, token or event has named. To a client that misspelt
/// the account, an empty answer would say that nothing is wrong. An account that was halted before
/// it was named has a state, and may be read.
///
/// # Errors
/// `unknown_account`.
pub(super) fn check_known(monitor: &Monitor, account: &Account) -> Result<(), Problem> {
    let name = account.as_str();
    if monitor.is_known(name) || monitor.account(name).is_some() {
        return Ok(());
    }
    Err(unknown(account))
}

/// Refuses an account that nobody has named, if `strict_accounts` is configured.
///
/// # Errors
/// `unknown_account`.
pub(super) fn check_strict(monitor: &Monitor, account: &Account) -> Result<(), Problem> {
    if monitor.settings().accounts.strict && !monitor.is_known(account.as_str()) {
        return Err(unknown(account));
    }
    Ok(())
}

fn unknown(account: &Account) -> Problem {
    let why = format!(
        "no event of the account {account} was received, and the configuration does not name it"
    );
    Problem::new(ProblemCode::UnknownAccount, why).of_field("account")
}

/// The accounts of a listing: the requested one, or all that the caller may see.
#[derive(Clone, Copy, Debug)]
pub(super) struct AccountSelection<'a> {
    pub caller: &'a Caller,
    /// The requested account. `None`: all that the caller may see.
    pub account: Option<&'a Account>,
}

impl<'a> AccountSelection<'a> {
    /// The selection of the parameter `account`.
    ///
    /// # Errors
    /// `forbidden` when the caller may not see the requested account, `unknown_account` when nobody
    /// has named it.
    pub(super) fn new(
        app: &AppState,
        caller: &'a Caller,
        account: Option<&'a Account>,
    ) -> Result<Self, Problem> {
        if let Some(account) = account {
            caller.check_account(account.as_str())?;
            app.engine.read(|monitor| check_known(monitor, account))?;
        }
        Ok(Self { caller, account })
    }

    /// Whether an account (or `*`) is selected.
    #[must_use]
    pub(super) fn contains(&self, name: &str) -> bool {
        match self.account {
            Some(account) => account.as_str() == name,
            None => self.caller.may_see(name),
        }
    }

    /// The selected accounts, sorted by name.
    pub(super) fn of(self, monitor: &'a Monitor) -> impl Iterator<Item = &'a AccountState> {
        monitor.accounts().filter(move |account| self.contains(account.name.as_str()))
    }
}
