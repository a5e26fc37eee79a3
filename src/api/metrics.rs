//! `GET /metrics`: what Prometheus scrapes.
//!
//! The state is copied under its lock and encoded after it. A token that is confined to accounts
//! gets the series of those alone, and nothing of the exporter itself, whose figures move with
//! accounts that it may not see: the length of its answer says nothing of others.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::api::AppState;
use crate::api::auth::Caller;
use crate::clock;
use crate::domain::ids::Account;
use crate::metrics::{Format, encode, project, project_accounts};

/// What Prometheus scrapes
///
/// Text 0.0.4 or OpenMetrics 1.0, by `Accept`; compressed by `Accept-Encoding`. A token that is
/// confined to accounts gets the series of those alone.
#[utoipa::path(
    get, path = "/metrics", tag = "process",
    responses(
        (status = 200, description = "All series", content(
            (String = "text/plain; version=0.0.4; charset=utf-8"),
            (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        )),
    ),
)]
pub(super) async fn get_metrics(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let started = clock::monotonic();
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = (!accept.is_empty()).then(|| accept.join(","));
    let format = Format::negotiate(accept.as_deref());
    let text = if caller.may_see(Account::ALL) {
        let (depth, limit) = app.engine.queue();
        app.runtime.queue(depth, limit);
        let projection = app.engine.read(project);
        let text = encode(&projection, Some(&app.runtime), format);
        app.runtime.scrape_duration(clock::monotonic().saturating_duration_since(started));
        text
    } else {
        let projection = app
            .engine
            .read(|monitor| project_accounts(monitor, |account| caller.may_see(account.as_str())));
        encode(&projection, None, format)
    };
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}
