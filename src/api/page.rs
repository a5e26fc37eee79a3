//! `GET /`: the status page, plain HTML that loads and runs nothing.
//!
//! Every caller sees version and readiness. The accounts are shown only to callers who may read them.
//! Links are relative, so that they hold behind a prefix of paths, and behind a proxy that adds one.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::api::AppState;
use crate::api::accounts::AccountSelection;
use crate::api::auth::Caller;
use crate::api::html::{Escaped, FOOT, PAGE_HEADERS, head};
use crate::clock;
use crate::config::Scope;
use crate::domain::state::TradingState;
use crate::wire::answer::Account;

/// Accounts on the page. The rest is counted, with a link to the API.
const ACCOUNTS_MAX: usize = 200;

/// The values on the page.
struct StatusPage {
    ready: bool,
    uptime: Duration,
    sequence: u64,
    common: TradingState,
    /// `None` if the caller may not read them.
    accounts: Option<Vec<Account>>,
}

/// The status page
///
/// For people: readiness, and the accounts with their trading state for callers who may read them.
#[utoipa::path(
    get, path = "/", tag = "process",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(super) async fn get_page(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let may_read = caller.has(Scope::Read);
    let selection = AccountSelection { caller: &caller, account: None };
    let status = app.engine.read(|monitor| StatusPage {
        ready: app.engine.is_ready(),
        uptime: clock::monotonic().saturating_duration_since(app.started),
        sequence: monitor.sequence(),
        common: monitor.common().state(),
        accounts: may_read
            .then(|| selection.of(monitor).map(|a| Account::new(monitor, a)).collect()),
    });
    (PAGE_HEADERS, render(&status)).into_response()
}

fn render(status: &StatusPage) -> String {
    let mut page = head("trading-exporter");
    let (class, word) = if status.ready { ("good", "ready") } else { ("bad", "not ready") };
    let version = env!("CARGO_PKG_VERSION");
    // Writing to a string cannot fail.
    write!(
        page,
        "<h1>trading-exporter <span class=\"tag {class}\">{word}</span></h1>\n\
         <p class=\"dim\">Version {version}, up {}, sequence {}</p>\n\
         <nav><a href=\"metrics\">Metrics</a><a href=\"api/v1/docs\">API</a>\
         <a href=\"api/v1/openapi.json\">OpenAPI</a><a href=\"runbooks\">Runbooks</a>\
         <a href=\"-/ready\">Ready</a><a href=\"-/healthy\">Healthy</a></nav>\n<h2>Accounts</h2>\n<div class=\"card\">\n",
        uptime(status.uptime),
        status.sequence,
    )
    .ok();
    match &status.accounts {
        None => page.push_str(
            "<p class=\"dim\">Shown with a token that has the scope <code>read</code>.</p>\n",
        ),
        Some(accounts) => push_accounts(&mut page, accounts, status.common),
    }
    page.push_str("</div>\n");
    page.push_str(FOOT);
    page
}

fn push_accounts(page: &mut String, accounts: &[Account], common: TradingState) {
    push_summary(page, accounts, common);
    if accounts.is_empty() {
        page.push_str("<p class=\"dim\">No event has been received yet.</p>\n");
        return;
    }
    page.push_str(
        "<table>\n<tr><th>Account</th><th>Trading</th><th class=\"num\">Open drifts</th>\
         <th class=\"num\">Anomalies</th><th class=\"num\">Open orders</th>\
         <th class=\"num\">Fills</th><th class=\"num\">Symbols</th></tr>\n",
    );
    // The worst first, so that a halt is seen without scrolling.
    let mut accounts: Vec<&Account> = accounts.iter().collect();
    accounts.sort_by_key(|account| Reverse((account.state, account.open_drifts > 0)));
    for account in accounts.iter().take(ACCOUNTS_MAX) {
        write!(
            page,
            "<tr><td class=\"mono\">{}</td><td>{}</td>",
            Escaped(&account.account),
            StateTag(account.state)
        )
        .ok();
        for (count, is_alarming) in [
            (account.open_drifts as u64, account.open_drifts > 0),
            (account.anomalies as u64, account.anomalies > 0),
            (account.open_orders, false),
            (account.fills, false),
            (account.symbols as u64, false),
        ] {
            let class = if is_alarming { "num bad" } else { "num" };
            write!(page, "<td class=\"{class}\">{count}</td>").ok();
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
    let more = accounts.len().saturating_sub(ACCOUNTS_MAX);
    if more > 0 {
        let link = "<a href=\"api/v1/accounts\">/api/v1/accounts</a>";
        writeln!(page, "<p class=\"dim\">And {more} more at {link}.</p>").ok();
    }
}

/// The worst state of any account, and how many accounts have it; then a halt of all accounts.
fn push_summary(page: &mut String, accounts: &[Account], common: TradingState) {
    let worst = accounts.iter().map(|account| account.state).fold(common, Ord::max);
    write!(page, "<p>Trading: {}", StateTag(worst)).ok();
    let count = accounts.iter().filter(|account| account.state == worst).count();
    if worst != TradingState::Active && !accounts.is_empty() {
        write!(page, " in {count} of {} accounts", accounts.len()).ok();
    }
    page.push_str("</p>\n");
    if common != TradingState::Active {
        writeln!(page, "<p>For all accounts (<code>*</code>): {}</p>", StateTag(common)).ok();
    }
}

/// A trading state as a coloured word.
struct StateTag(TradingState);

impl std::fmt::Display for StateTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let class = match self.0 {
            TradingState::Active => "good",
            TradingState::Reducing => "warn",
            TradingState::Halted => "bad",
        };
        write!(f, "<span class=\"tag {class}\">{}</span>", self.0.as_str())
    }
}

/// `3d 4h`, `4h 12m`, `12m 7s`, `7s`.
fn uptime(up: Duration) -> String {
    let seconds = up.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::account::AccountState;
    use crate::domain::monitor::Monitor;
    use crate::domain::settings::Settings;

    /// The page of accounts with these states.
    fn page(common: TradingState, states: &[TradingState]) -> String {
        let monitor = Monitor::new(Arc::new(Settings::default()));
        let account = |(n, state): (usize, &TradingState)| {
            let name = crate::domain::ids::Account::new(&format!("account-{n}")).unwrap();
            Account { state: *state, ..Account::new(&monitor, &AccountState::new(name)) }
        };
        let accounts = states.iter().enumerate().map(account).collect();
        render(&StatusPage {
            ready: true,
            uptime: Duration::ZERO,
            sequence: 0,
            common,
            accounts: Some(accounts),
        })
    }

    #[test]
    fn the_worst_account_leads() {
        use TradingState::{Active, Halted, Reducing};
        let check = |common, states: &[TradingState], expect: &str| {
            let page = page(common, states);
            let start = page.find("<p>Trading: ").unwrap();
            let summary = page[start..].lines().take_while(|line| line.starts_with("<p>"));
            let tags = ["<p>", "</p>", "</span>", "<code>", "</code>"];
            let plain = tags
                .iter()
                .fold(summary.collect::<Vec<_>>().join("; "), |text, tag| text.replace(tag, ""));
            let colours = ["good", "warn", "bad"];
            let plain = colours.iter().fold(plain, |text, colour| {
                text.replace(&format!("<span class=\"tag {colour}\">"), "")
            });
            assert_eq!(plain, expect);
        };
        check(Active, &[Active, Active], "Trading: active");
        check(Active, &[Active, Halted, Reducing], "Trading: halted in 1 of 3 accounts");
        check(
            Halted,
            &[Halted, Halted],
            "Trading: halted in 2 of 2 accounts; For all accounts (*): halted",
        );
        check(Active, &[], "Trading: active");
        check(Halted, &[], "Trading: halted; For all accounts (*): halted");
        let page = page(Active, &[Active, Halted, Reducing]);
        let places = ["account-1", "account-2", "account-0"].map(|name| page.find(name));
        assert!(places.is_sorted() && places[0].is_some(), "{page}");
    }

    #[test]
    fn uptimes_are_short() {
        let check = |seconds: u64, expect: &str| {
            assert_eq!(uptime(Duration::from_secs(seconds)), expect);
        };
        check(0, "0s");
        check(59, "59s");
        check(61, "1m 1s");
        check(3_600, "1h 0m");
        check(90_000, "1d 1h");
    }
}
