//! `GET /` and `GET /accounts/{account}`: the status page.
//!
//! Input: the state, as far as the caller may read it. Output: the shell of the page (`web/shell.html`)
//! with a summary, so that it says the state without a script; the script (see `assets`) replaces the
//! summary by what it reads from the API. Invariants: every caller sees version and readiness, and only
//! callers who may read see accounts; the browser runs our files alone and asks nobody else; links are
//! relative, so that they hold behind a prefix of paths, and behind a proxy that adds one.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};

use crate::api::AppState;
use crate::api::accounts::{AccountSelection, check_known};
use crate::api::auth::Caller;
use crate::api::html::Escaped;
use crate::api::problem::Problem;
use crate::api::query::{self, invalid};
use crate::clock;
use crate::config::Scope;
use crate::domain::ids::Account as AccountName;
use crate::domain::state::TradingState;
use crate::wire::answer::Account;

/// Accounts on the page. The rest is counted, with a link to the API.
const ACCOUNTS_MAX: usize = 200;

/// The page around the summary. [`fill`] puts values in the place of `{{names}}`.
const SHELL: &str = include_str!("../../web/shell.html");

/// Only files of this server are loaded, and nothing that is written in the page runs.
const HEADERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
];

/// The values on the page.
struct StatusPage {
    ready: bool,
    uptime: Duration,
    sequence: u64,
    common: TradingState,
    /// `None` if the caller may not read them.
    accounts: Option<Vec<Account>>,
    /// The account that the page is about. `None`: all.
    about: Option<AccountName>,
    /// Whether a decision needs a token.
    needs_token: bool,
}

/// The status page
///
/// For people: readiness, and for callers who may read them the accounts, why trading is stopped, drifts,
/// execution, health and the audit trail. Halts and releases are sent with a token of their own.
#[utoipa::path(
    get, path = "/", tag = "process",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(super) async fn get_page(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    answer(&app, &caller, None)
}

/// The status page of one account
#[utoipa::path(
    get, path = "/accounts/{account}", tag = "process",
    params(("account" = String, Path, description = "The account", max_length = 128)),
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8"),
        (status = 400, description = "`invalid_parameter`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_account`", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_account_page(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    account: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let account = query::path(account)?;
    let account = AccountName::new(&account).map_err(|e| invalid("account", &e.to_string()))?;
    caller.check_account(account.as_str())?;
    answer(&app, &caller, Some(&account))
}

fn answer(
    app: &AppState,
    caller: &Caller,
    about: Option<&AccountName>,
) -> Result<Response, Problem> {
    let may_read = caller.has(Scope::Read);
    let needs_token = !app.config.load().is_open();
    let status = app.engine.read(|monitor| {
        if let Some(account) = about.filter(|_| may_read) {
            check_known(monitor, account)?;
        }
        let selection = AccountSelection { caller, account: about };
        Ok::<_, Problem>(StatusPage {
            ready: app.engine.is_ready(),
            uptime: clock::monotonic().saturating_duration_since(app.started),
            sequence: monitor.sequence(),
            common: monitor.common().state(),
            accounts: may_read
                .then(|| selection.of(monitor).map(|a| Account::new(monitor, a)).collect()),
            about: about.cloned(),
            needs_token,
        })
    })?;
    Ok((HEADERS, render(&status)).into_response())
}

fn render(status: &StatusPage) -> String {
    let about = status.about.as_ref().map(AccountName::as_str);
    let base = if about.is_some() { "../" } else { "" };
    let attribute = about.map(|name| format!(" data-account=\"{}\"", Escaped(name)));
    let title = about.map_or_else(|| "trading-exporter".into(), |a| Escaped(a).to_string());
    let summary = summary(status, base);
    fill(SHELL, |name| match name {
        "title" => &title,
        "home" if base.is_empty() => "./",
        "base" | "home" => base,
        "tokens" if status.needs_token => "yes",
        "tokens" => "no",
        "version" => env!("CARGO_PKG_VERSION"),
        "account" => attribute.as_deref().unwrap_or_default(),
        "summary" => &summary,
        _ => {
            impossible!("every name in the shell has a value");
            ""
        }
    })
}

/// The template with values in the place of `{{names}}`. A value is never searched for names.
fn fill<'a>(template: &str, value: impl Fn(&str) -> &'a str) -> String {
    let mut parts = template.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        page.push_str(value(name));
        page.push_str(rest);
    }
    page
}

/// The state in plain HTML, for a browser that runs no script, and until the script has an answer.
fn summary(status: &StatusPage, base: &str) -> String {
    let (class, word) = if status.ready { ("good", "ready") } else { ("bad", "not ready") };
    let version = env!("CARGO_PKG_VERSION");
    let mut page = String::new();
    // Writing to a string cannot fail.
    writeln!(
        page,
        "<p>The exporter is <span class=\"tag {class}\">{word}</span> \
         <span class=\"dim\">Version {version}, up {}, sequence {}</span></p>",
        uptime(status.uptime),
        status.sequence,
    )
    .ok();
    match &status.accounts {
        None => page.push_str(
            "<p class=\"dim\">Accounts are shown with a token that has the scope <code>read</code>.</p>\n",
        ),
        Some(accounts) => push_accounts(&mut page, accounts, status.common, base),
    }
    let noscript = "<noscript><p class=\"dim\">Causes, drifts and figures need JavaScript, or the API.</p></noscript>\n";
    page.push_str(noscript);
    page
}

fn push_accounts(page: &mut String, accounts: &[Account], common: TradingState, base: &str) {
    push_summary(page, accounts, common);
    if accounts.is_empty() {
        page.push_str("<p class=\"dim\">No event has been received yet.</p>\n");
        return;
    }
    page.push_str(
        "<div class=\"scroll\"><table>\n<tr><th>Account</th><th>Trading</th><th class=\"num\">Open drifts</th>\
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
    page.push_str("</table></div>\n");
    let more = accounts.len().saturating_sub(ACCOUNTS_MAX);
    if more > 0 {
        let link = format!("<a href=\"{base}api/v1/accounts\">/api/v1/accounts</a>");
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
            about: None,
            needs_token: false,
        })
    }

    #[test]
    fn values_are_not_searched_for_names() {
        let value = |name: &str| if name == "a" { "{{b}}" } else { "B" };
        assert_eq!(fill("1{{a}}2{{b}}3", value), "1{{b}}2B3");
        assert_eq!(fill("{{b}}", value), "B");
        assert_eq!(fill("none", value), "none");
    }

    #[test]
    fn every_name_in_the_shell_has_a_value() {
        let page = page(TradingState::Active, &[TradingState::Active]);
        assert!(!page.contains("{{") && !page.contains("}}"), "{page}");
        assert!(
            page.contains("src=\"web/main.js\"") && page.contains("href=\"metrics\""),
            "{page}"
        );
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
