//! Components and what they add up to; `account="*"` are the exporter's own probes.

use super::ACCOUNT;
use crate::metrics::catalogue::{Family, Source};

const COMPONENT: &[&str] = &["account", "component"];

/// Families about health.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_component_health",
        "Health of a component: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy.",
        COMPONENT,
        Source::Control(|c, p| {
            for view in &c.components {
                p.count(&[view.component.as_str()], view.health.code().into());
            }
        }),
    ),
    Family::gauge(
        "trading_component_last_check_timestamp_seconds",
        "Unix time in seconds at which the last result of a component was received.",
        COMPONENT,
        Source::Control(|c, p| {
            for view in &c.components {
                p.time(&[view.component.as_str()], view.last_check_at);
            }
        }),
    ),
    Family::counter(
        "trading_component_check_failures_total",
        "Number of failed checks of a component; silence for too long is one.",
        COMPONENT,
        Source::Control(|c, p| {
            for view in &c.components {
                p.count(&[view.component.as_str()], view.failures_total);
            }
        }),
    ),
    Family::gauge(
        "trading_component_check_duration_seconds",
        "Time in seconds that the last check of a component took; absent if it does not say.",
        COMPONENT,
        Source::Control(|c, p| {
            for view in &c.components {
                p.value(&[view.component.as_str()], view.latency.map(|l| l.as_secs_f64()));
            }
        }),
    ),
    Family::gauge(
        "trading_system_health",
        "What the components add up to: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy.",
        ACCOUNT,
        Source::Control(|c, p| p.value(&[], c.system.map(|h| f64::from(h.code())))),
    ),
];
