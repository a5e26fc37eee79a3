//! Every path of the server, with the access it needs: the one list of routes.
//!
//! A line of `routes!` names the access and the handler. Method and path are in the handler's
//! `#[utoipa::path]`, next to its description. The router, the scopes and the OpenAPI document all
//! come from this list, so one more route is one line here.

use std::sync::LazyLock;

use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::OpenApi;

use crate::api::AppState;
use crate::api::auth::Access;
use crate::api::{
    accounts, adapters, alertmanager, anomalies, assets, audit, docs, drift, events, execution,
    halts, health, metrics, orders, page, permit, positions, probes, runbooks, series, stream,
};
use crate::config::Scope;

/// One path with one method.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method. A path that takes GET also answers HEAD.
    pub method: Method,
    /// The path, with `{parameters}` as in OpenAPI.
    pub path: String,
    /// Who may call it.
    pub access: Access,
    handler: fn(MethodFilter) -> MethodRouter<AppState>,
}

impl Route {
    /// The handler, for the route's own method.
    pub(super) fn handler(&self) -> MethodRouter<AppState> {
        let Ok(filter) = MethodFilter::try_from(self.method.clone()) else {
            impossible!("every method of OpenAPI is one that axum routes");
            return MethodRouter::new();
        };
        (self.handler)(filter)
    }
}

/// Makes [`ROUTES`] and [`Operations`] from one list of `ACCESS module::handler`.
macro_rules! routes {
    ($($access:ident $module:ident::$handler:ident;)+) => {
        /// The descriptions of all handlers, as utoipa derives them.
        #[derive(OpenApi)]
        #[openapi(paths($($module::$handler),+))]
        pub(super) struct Operations;

        /// Every path of the server.
        pub static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
            let operations = Operations::openapi();
            let routes = [$(
                route(&operations, stringify!($handler), $access, |filter| {
                    on(filter, $module::$handler)
                }),
            )+];
            routes.into_iter().flatten().collect()
        });
    };
}

/// The route of a handler. utoipa names an operation after its handler, so that name finds the
/// method and the path.
fn route(
    operations: &utoipa::openapi::OpenApi,
    name: &str,
    access: Access,
    handler: fn(MethodFilter) -> MethodRouter<AppState>,
) -> Option<Route> {
    let found = operations.paths.paths.iter().find_map(|(path, item)| {
        let methods =
            [(Method::GET, &item.get), (Method::POST, &item.post), (Method::DELETE, &item.delete)];
        let (method, _) = methods.into_iter().find(|(_, operation)| {
            operation.as_ref().and_then(|o| o.operation_id.as_deref()) == Some(name)
        })?;
        Some(Route { method, path: path.clone(), access, handler })
    });
    if found.is_none() {
        impossible!("every handler of the list is described with GET, POST or DELETE");
    }
    found
}

const PUBLIC: Access = Access::Public;
const PAGE: Access = Access::Page;
const PROBE: Access = Access::Probe;
/// Who may send events.
pub(super) const INGEST: Access = Access::AnyOf(&[Scope::Ingest, Scope::IngestBroker]);
/// Who may send messages in the format of another system.
const WEBHOOK: Access = Access::Webhook(&[Scope::Ingest, Scope::IngestBroker]);
const READ: Access = Access::AnyOf(&[Scope::Read]);
const METRICS: Access = Access::AnyOf(&[Scope::Metrics]);
const HALT: Access = Access::AnyOf(&[Scope::Halt]);
const RELEASE: Access = Access::AnyOf(&[Scope::Release]);
const RECONCILE: Access = Access::AnyOf(&[Scope::Ingest, Scope::Release]);
const RELOAD: Access = Access::Unconfined(&[Scope::Release]);

routes! {
    // Events in.
    INGEST    events::post_events;
    WEBHOOK   adapters::post_adapter;

    // The state.
    READ      execution::get_execution;
    READ      orders::get_orders;
    READ      orders::get_order;
    READ      anomalies::get_anomalies;
    READ      positions::get_positions;
    READ      drift::get_drift;
    READ      drift::get_drift_history;
    READ      health::get_health;
    READ      health::get_health_history;
    READ      accounts::get_accounts;
    READ      permit::get_permit;
    READ      stream::get_stream;
    READ      audit::get_audit;
    READ      series::get_cardinality;

    // Decisions of operators, and of Alertmanager.
    HALT      halts::post_halt;
    RELEASE   halts::post_release;
    HALT      alertmanager::post_notification;
    RECONCILE drift::post_reconcile;
    RELEASE   series::delete_series;

    // The process, as Prometheus has it.
    METRICS   metrics::get_metrics;
    PROBE     probes::get_healthy;
    PROBE     probes::get_ready;
    RELOAD    probes::post_reload;

    // Pages for people.
    PAGE      page::get_page;
    PAGE      page::get_account_page;
    PUBLIC    assets::get_asset;
    PAGE      runbooks::get_runbooks;
    PUBLIC    docs::get_document;
    PAGE      docs::get_docs;
}
