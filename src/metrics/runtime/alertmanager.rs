//! Metrics of notifications from Alertmanager.

use prometheus::IntCounter;

use super::own::{CounterBy, OptionalGauge, own_metrics};
use crate::metrics::label_values::NotificationOutcome;

own_metrics! {
    /// Metrics of notifications from Alertmanager.
    pub struct AlertmanagerMetrics {
        /// Number of notifications from Alertmanager, by outcome: set (a cause), duplicate (already
        /// acted on), nothing (no action asked for), refused (final), failed (Alertmanager sends it
        /// again).
        notifications: CounterBy<NotificationOutcome>["outcome"] =
            "trading_exporter_alertmanager_webhooks_total",
        /// Number of firing alerts that had no effect because their label action is not halt, reduce or
        /// none.
        unknown_actions: IntCounter = "trading_exporter_alertmanager_unknown_actions_total",
        /// Unix time in seconds at which the alert Watchdog last arrived from Alertmanager; absent if it
        /// has not arrived since the start.
        last_watchdog_time: OptionalGauge =
            "trading_exporter_alertmanager_last_watchdog_timestamp_seconds",
    }
}
