//! `GET /api/v1/accounts`: the accounts seen, and which of them a listing is about.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::domain::account::AccountState;
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::wire::view;

/// The accounts seen
///
/// Each with its trading state and how much is known of it, by name.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "read",
    responses((status = 200, description = "The accounts", body = [view::Account])),
)]
pub(super) async fn get_accounts(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Vec<view::Account>>, Problem> {
    Parameters::parse(&uri, &[])?;
    let accounts = app.engine.read(|monitor| {
        let selection = Selection { caller: &caller, account: None };
        selection.of(monitor).map(|account| view::Account::new(monitor, account)).collect()
    });
    Ok(Json(accounts))
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
    /// `forbidden` when the caller may not see the account asked for.
    pub(super) fn new(caller: &'a Caller, account: Option<&'a Account>) -> Result<Self, Problem> {
        if let Some(account) = account {
            caller.check_account(account.as_str())?;
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
