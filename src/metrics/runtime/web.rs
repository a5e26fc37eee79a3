//! Metrics of the web configuration file: TLS, the rate limit, its reloads.

use prometheus::{IntCounter, IntGauge};

use super::own::{CounterBy, own_metrics};
use crate::metrics::label_values::HandshakeFailure;

own_metrics! {
    /// Metrics of the web configuration file.
    pub struct WebMetrics {
        /// Number of TLS handshakes that failed, by reason: timeout, plaintext (HTTP without TLS),
        /// certificate (the client's is missing, unknown, expired or not allowed), refused (by the
        /// client), incompatible (no version, suite or curve in common), disconnected, invalid.
        handshakes_failed: CounterBy<HandshakeFailure>["reason"] =
            "trading_exporter_tls_handshake_failures_total",
        /// Number of requests without a token that were refused because of the rate limit in the
        /// web configuration file.
        rate_limited: IntCounter = "trading_exporter_rate_limited_requests_total",
        /// Whether the web configuration file and the files that it names are in force as they are on
        /// disk: 1 yes, 0 no (the old ones stay in force). 1 without such a file.
        file_reload_successful: IntGauge =
            "trading_exporter_web_config_last_reload_successful",
        /// Number of times that a changed web configuration file, certificate or key was refused.
        file_reloads_failed: IntCounter = "trading_exporter_web_config_reload_failures_total",
    }
}
