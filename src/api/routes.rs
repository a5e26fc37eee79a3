//! Every path of the server, its method, who may call it, and what answers.
//!
//! One line for each: the router, the scopes and the OpenAPI document all follow this table.

use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post};

use crate::api::AppState;
use crate::api::auth::Access;
use crate::api::{
    accounts, alertmanager, anomalies, audit, document, drift, events, execution, halts, health,
    metrics, orders, page, permit, positions, probes, runbooks, series, stream,
};
use crate::config::Scope;

/// One path with one method.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{parameters}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What answers.
    pub handler: fn() -> MethodRouter<AppState>,
}

impl Route {
    const fn new(
        method: Method,
        path: &'static str,
        access: Access,
        handler: fn() -> MethodRouter<AppState>,
    ) -> Self {
        Self { method, path, access, handler }
    }
}

const PUBLIC: Access = Access::Public;
/// Who may send events.
pub(super) const INGEST: Access = Access::AnyOf(&[Scope::Ingest, Scope::IngestBroker]);
const READ: Access = Access::AnyOf(&[Scope::Read]);
const METRICS: Access = Access::AnyOf(&[Scope::Metrics]);
const HALT: Access = Access::AnyOf(&[Scope::Halt]);
const RELEASE: Access = Access::AnyOf(&[Scope::Release]);
const RECONCILE: Access = Access::AnyOf(&[Scope::Ingest, Scope::Release]);
const RELOAD: Access = Access::Unconfined(&[Scope::Release]);

/// Every path of the server.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    Route::new(Method::POST, events::EVENTS_PATH, INGEST, || post(events::post_events)),

    Route::new(Method::GET, "/api/v1/execution", READ, || get(execution::get_execution)),
    Route::new(Method::GET, "/api/v1/orders", READ, || get(orders::get_orders)),
    Route::new(Method::GET, "/api/v1/orders/{account}/{order_id}", READ, || get(orders::get_order)),
    Route::new(Method::GET, "/api/v1/anomalies", READ, || get(anomalies::get_anomalies)),
    Route::new(Method::GET, "/api/v1/positions", READ, || get(positions::get_positions)),
    Route::new(Method::GET, "/api/v1/drift", READ, || get(drift::get_drift)),
    Route::new(Method::GET, "/api/v1/drift/history", READ, || get(drift::get_drift_history)),
    Route::new(Method::GET, "/api/v1/health", READ, || get(health::get_health)),
    Route::new(Method::GET, "/api/v1/health/{component}/history", READ, || get(health::get_health_history)),
    Route::new(Method::GET, "/api/v1/accounts", READ, || get(accounts::get_accounts)),
    Route::new(Method::GET, "/api/v1/permit", READ, || get(permit::get_permit)),
    Route::new(Method::GET, "/api/v1/stream", READ, || get(stream::get_stream)),
    Route::new(Method::GET, "/api/v1/audit", READ, || get(audit::get_audit)),
    Route::new(Method::GET, "/api/v1/status/cardinality", READ, || get(series::get_cardinality)),

    Route::new(Method::POST, "/api/v1/halts", HALT, || post(halts::post_halt)),
    Route::new(Method::POST, "/api/v1/halts/release", RELEASE, || post(halts::post_release)),
    Route::new(Method::POST, "/api/v1/alertmanager", HALT, || post(alertmanager::post_notification)),
    Route::new(Method::POST, "/api/v1/drift/reconcile", RECONCILE, || post(drift::post_reconcile)),
    Route::new(Method::DELETE, "/api/v1/series", RELEASE, || delete(series::delete_series)),

    Route::new(Method::GET, "/metrics", METRICS, || get(metrics::get_metrics)),
    Route::new(Method::GET, "/-/healthy", PUBLIC, || get(probes::get_healthy)),
    Route::new(Method::GET, "/-/ready", PUBLIC, || get(probes::get_ready)),
    Route::new(Method::POST, "/-/reload", RELOAD, || post(probes::post_reload)),

    Route::new(Method::GET, "/", PUBLIC, || get(page::get_page)),
    Route::new(Method::GET, "/runbooks", PUBLIC, || get(runbooks::get_runbooks)),
    Route::new(Method::GET, "/api/v1/openapi.json", PUBLIC, || get(document::get_document)),
    Route::new(Method::GET, "/api/v1/docs", PUBLIC, || get(document::get_docs)),
];
