//! `GET /api/v1/accounts`: the accounts seen, and which of them a listing is about.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::domain::account::AccountState;
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::wire::answer;

/// The accounts seen
///
/// Each with its trading state and how much is known of it, by name.
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
    Parameters::parse(&uri, &[])?;
    let accounts = app.engine.read(|monitor| {
        let selection = Selection { caller: &caller, account: None };
        selection.of(monitor).map(|account| answer::Account::new(monitor, account)).collect()
    });
    Ok(Json(accounts))
}

/// Refuses to say anything about an account that nobody has named: that nothing is wrong with it
/// would mislead whoever misspelt it. One that somebody has halted may be read, too.
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

/// Refuses a permit of an account that nobody has named, where the configuration is strict.
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
        "no event of the account {account} was seen, and the configuration does not name it"
    );
    Problem::new(Code::UnknownAccount, why).of_field("account")
}

/// The accounts that a listing is about: the one asked for, or all that the caller may see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The account asked for; none: all.
    pub account: Option<&'a Account>,
}

impl<'a> Selection<'a> {
    /// A selection by the parameter `account`.
    ///
    /// # Errors
    /// `forbidden` when the caller may not see the account asked for, `unknown_account` when nobody
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

    /// Whether it holds an account (or `*`).
    #[must_use]
    pub(super) fn holds(&self, name: &str) -> bool {
        match self.account {
            Some(account) => account.as_str() == name,
            None => self.caller.may_see(name),
        }
    }

    /// Its accounts, by name.
    pub(super) fn of(self, monitor: &'a Monitor) -> impl Iterator<Item = &'a AccountState> {
        monitor.accounts().filter(move |account| self.holds(account.name.as_str()))
    }
}
