//! Metrics of the service as a whole: long-lived requests, the writer's queue, scrapes, the
//! configuration, the build.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::own::{CountGauge, CounterBy, GaugeBy, own_metrics};
use crate::domain::time::Timestamp;
use crate::metrics::label_values::{
    ConnectionClose, ListenerKind, ListenerLabel, ScrapeRefusal, StreamEnd,
};

own_metrics! {
    /// Metrics of long-lived requests.
    pub struct ListenerMetrics {
        /// Number of open event streams, and of requests that wait for a permit, by kind.
        listeners: GaugeBy<ListenerKind>["kind"] = "trading_exporter_listeners",
        /// Number of event streams and waits for a permit that were refused because too many were open,
        /// by kind.
        listeners_refused: CounterBy<ListenerKind>["kind"] =
            "trading_exporter_listeners_refused_total",
        /// Number of event streams that ended, by reason: client (disconnected), slow (cut off),
        /// lifetime, token (no longer valid), draining.
        streams_ended: CounterBy<StreamEnd>["reason"] = "trading_exporter_streams_ended_total",
    }
}

own_metrics! {
    /// Metrics of connections.
    pub struct ConnectionMetrics {
        /// Number of open connections, by listener.
        open: GaugeBy<ListenerLabel>["listener"] = "trading_exporter_connections",
        /// Maximum number of open connections, by listener; 0 for a listener that is not configured.
        limit: GaugeBy<ListenerLabel>["listener"] = "trading_exporter_connections_limit",
        /// Number of connections that the exporter closed, by reason: idle or without a whole head while
        /// many were open, a slow head, idle for too long, an answer that was not read.
        closed: CounterBy<ConnectionClose>["reason"] =
            "trading_exporter_connections_closed_total",
        /// Number of connections that got one of the last places, which serve only decisions, permits
        /// and health.
        reserve_used: IntCounter = "trading_exporter_connections_reserve_used_total",
        /// Number of requests that were refused, by code; ingest and scrapes too.
        refused: IntCounterVec["code"] = "trading_exporter_requests_refused_total",
    }
}

own_metrics! {
    /// Metrics of the service as a whole.
    pub struct ServiceMetrics {
        /// Number of requests that wait for the writer.
        queue_depth: CountGauge = "trading_exporter_queue_depth",
        /// Maximum number of requests that wait for the writer; further ones are answered overloaded.
        queue_limit: CountGauge = "trading_exporter_queue_limit",
        /// About the number of bytes that the monitored state takes.
        state_bytes: IntGauge = "trading_exporter_state_bytes",
        /// Number of bytes of the monitored state beyond which events of those who use most are refused.
        state_bytes_limit: IntGauge = "trading_exporter_state_bytes_limit",
        /// Time in seconds that the previous scrape took to project and encode.
        scrape_duration: Gauge = "trading_exporter_scrape_duration_seconds",
        /// Whether the last load of the configuration succeeded: 1 yes, 0 no.
        reload_successful: IntGauge = "trading_exporter_config_last_reload_successful",
        /// Number of scrapes that were not answered, or not to their end, by reason: too many were under
        /// way, the scrape gave way to another client, the client disconnected or read nothing.
        scrapes_refused: CounterBy<ScrapeRefusal>["reason"] =
            "trading_exporter_scrapes_refused_total",
        /// Unix time in seconds of the last successful load of the configuration.
        reload_success_time: Gauge = "trading_exporter_config_last_reload_success_timestamp_seconds",
        /// Number of broken invariants since the start; 0 unless the exporter has a bug.
        invariant_violations: IntCounter = "trading_exporter_invariant_violations_total",
        /// Number of running sums (windows, open orders, flows, ledgers) that were derived again from their
        /// entries, a sample each minute; a difference is a broken invariant.
        sums_recounted: IntCounter = "trading_exporter_sums_recounted_total",
        /// Version, revision and compiler of the running exporter; always 1.
        build_info: IntGaugeVec["version", "revision", "rustversion"] =
            "trading_exporter_build_info",
    }
}

impl ServiceMetrics {
    /// Records a successful load of the configuration, at the start or by a reload.
    pub(crate) fn config_loaded(&self, at: Timestamp) {
        self.reload_successful.set(1);
        self.reload_success_time.set(at.as_seconds());
    }
}
