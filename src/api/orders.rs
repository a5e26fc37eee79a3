//! `GET /api/v1/orders` and `/api/v1/orders/{account}/{order_id}`: the orders in memory.
//!
//! Invariant: a listing locks the state for a bounded time. A page examines at most [`SCAN_MAX`]
//! orders, even if the filter matches few of them, and returns a cursor to continue.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};

use crate::api::AppState;
use crate::api::accounts::AccountSelection;
use crate::api::auth::Caller;
use crate::api::problem::{Problem, ProblemCode};
use crate::api::query::{QueryParameters, invalid, path};
use crate::domain::execution::OrderView;
use crate::domain::ids::{Account, OrderId, Session, Symbol};
use crate::domain::monitor::Monitor;
use crate::wire::answer::{Order, OrderPage, OrderStatus};
use crate::wire::hex::hex;

/// Orders on a page, by default.
const LIMIT_DEFAULT: usize = 100;
/// Orders on the largest page.
const LIMIT_MAX: usize = 1_000;
/// Orders that are examined for one page.
const SCAN_MAX: usize = 10_000;

/// Symbols that a refusal lists when orders of several symbols have the same id.
const NAMES_MAX: usize = 8;

/// The orders that a request asks for.
struct OrderFilter {
    symbol: Option<Symbol>,
    status: Option<OrderStatus>,
    limit: usize,
    after: Option<OrderCursor>,
}

/// The position at which a listing continues: after this order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OrderCursor {
    account: String,
    position: u64,
}

/// The orders in memory
///
/// By account, in the order in which they were first reported. Follow `next_cursor` until it is
/// null.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/orders", tag = "read",
    params(
        ("account" = Option<String>, Query, description = "The account; all if missing", max_length = 128),
        ("symbol" = Option<String>, Query, description = "The instrument", max_length = 128),
        ("status" = Option<OrderStatus>, Query, description = "The status of the orders"),
        ("limit" = Option<u32>, Query, description = "Orders on a page; 100 if missing", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page", max_length = 512),
    ),
    responses((status = 200, description = "One page of orders", body = OrderPage)),
)]
pub(super) async fn get_orders(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<OrderPage>, Problem> {
    let names = ["account", "symbol", "status", "limit", "cursor"];
    let parameters = QueryParameters::parse(&uri, &names)?;
    let account = parameters.account()?;
    let filter = OrderFilter {
        symbol: parameters.name("symbol", Symbol::new)?,
        status: parameters.member::<OrderStatus>("status")?,
        limit: parameters.number("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT),
        after: parameters.text("cursor").map(OrderCursor::parse).transpose()?,
    };
    let selection = AccountSelection::new(&app, &caller, account.as_ref())?;
    if filter.after.as_ref().is_some_and(|after| !selection.contains(&after.account)) {
        return Err(invalid("cursor", "belongs to another listing"));
    }
    Ok(Json(app.engine.read(|monitor| page(monitor, selection, &filter))))
}

fn page(monitor: &Monitor, selection: AccountSelection<'_>, filter: &OrderFilter) -> OrderPage {
    let start = filter.after.as_ref().map_or("", |after| after.account.as_str());
    let accounts = selection.of(monitor).filter(|account| account.name.as_str() >= start);
    let listed = accounts.flat_map(|account| {
        let after = filter.after.as_ref().filter(|c| c.account == account.name.as_str());
        let after = after.map_or(0, |cursor| cursor.position);
        let orders = account.execution.orders(&account.symbols, after);
        orders.map(move |(position, order)| (account.name.as_str(), position, order))
    });
    let mut orders = Vec::new();
    let mut last: Option<(&str, u64)> = None;
    for (seen, (account, position, order)) in listed.enumerate() {
        if orders.len() == filter.limit || seen == SCAN_MAX {
            let next = last
                .map(|(account, position)| OrderCursor { account: account.to_owned(), position });
            return OrderPage { orders, next_cursor: next.map(|cursor| cursor.to_text()) };
        }
        last = Some((account, position));
        if filter.matches(&order) {
            orders.push(Order::new(account, order));
        }
    }
    OrderPage { orders, next_cursor: None }
}

impl OrderFilter {
    fn matches(&self, order: &OrderView) -> bool {
        let symbol = self.symbol.as_ref().is_none_or(|s| order.symbol.as_ref() == Some(s));
        symbol && self.status.is_none_or(|s| OrderStatus::from(order) == s)
    }
}

impl OrderCursor {
    /// Text that is opaque to clients: the position, and the account in hexadecimal.
    fn to_text(&self) -> String {
        format!("{}.{}", self.position, hex(self.account.as_bytes()))
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let parts = text.split_once('.').and_then(|(position, account)| {
            let plain = position.bytes().all(|b| b.is_ascii_digit());
            let position = position.parse().ok().filter(|_| plain)?;
            Some(Self { position, account: from_hex(account)? })
        });
        parts.ok_or_else(|| invalid("cursor", "is not one that a page returned"))
    }
}

fn from_hex(text: &str) -> Option<String> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    let bytes: Option<Vec<u8>> = bytes.collect();
    String::from_utf8(bytes.filter(|_| rest.is_empty())?).ok()
}

/// One order
///
/// With its facts, by any id in its replace chain.
///
/// # Errors
/// See [`Problem`].
#[utoipa::path(
    get, path = "/api/v1/orders/{account}/{order_id}", tag = "read",
    params(
        ("account" = String, Path, description = "The account", max_length = 128),
        ("order_id" = String, Path, description = "Any id in the replace chain of the order", max_length = 128),
        ("session" = Option<String>, Query, description = "The session of the engine; the one without a name if missing", max_length = 128),
        ("symbol" = Option<String>, Query, description = "The instrument; required if orders of several symbols have this id (`orders.id_scope`)", max_length = 128),
    ),
    responses(
        (status = 200, description = "The order", body = Order),
        (status = 404, description = "`unknown_order`: the order is unknown, or was forgotten", body = crate::api::problem::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_order(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    names: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<Order>, Problem> {
    let parameters = QueryParameters::parse(&uri, &["session", "symbol"])?;
    let symbol = parameters.name("symbol", Symbol::new)?;
    let (account, order_id) = path(names)?;
    let session = parameters.name("session", Session::new)?;
    let account = Account::new(&account).map_err(|e| invalid("account", &e.to_string()))?;
    let order_id = OrderId::new(&order_id).map_err(|e| invalid("order_id", &e.to_string()))?;
    caller.check_account(account.as_str())?;
    let found = app.engine.read(|monitor| {
        let held = monitor.account(account.as_str())?;
        let session = session.as_ref().map(Session::as_str);
        let (execution, symbols) = (&held.execution, &held.symbols);
        if let Some(symbol) = &symbol {
            return execution.order_of(symbols, session, (order_id.as_str(), symbol)).map(Ok);
        }
        let sharing = execution.shared_by(symbols, session, order_id.as_str());
        let names: Vec<&str> = sharing.map(Symbol::as_str).take(NAMES_MAX).collect();
        if !names.is_empty() {
            let message = format!("is required: the order id exists for {}", names.join(", "));
            return Some(Err(invalid("symbol", &message)));
        }
        execution.order(symbols, session, order_id.as_str()).map(Ok)
    });
    let order = found.unwrap_or_else(|| {
        Err(Problem::new(ProblemCode::UnknownOrder, "the order is unknown, or was forgotten"))
    })?;
    Ok(Json(Order::new(account.as_str(), order)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_form() {
        for (account, position) in [("paper", 0), ("日本/\"*", u64::MAX), ("", 7)] {
            let cursor = OrderCursor { account: account.to_owned(), position };
            assert_eq!(OrderCursor::parse(&cursor.to_text()).expect("a cursor"), cursor);
        }
        for text in ["", ".", "1", "1.6", "1.zz", "+1.61", "-1.61", "1.ff", "99999999999999999999."]
        {
            let problem = OrderCursor::parse(text).expect_err(text);
            assert_eq!(problem.code(), ProblemCode::InvalidParameter, "{text}");
        }
    }
}
