//! Components and what they add up to; `account="*"` are the exporter's own probes.

use super::ACCOUNT;
use crate::metrics::catalogue::{Family, Source};

const COMPONENT: &[&str] = &["account", "component"];

/// Families about health.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_component_health",
        "Health of a component, the worst of its witnesses: 0 healthy, 1 degraded, 2 unknown, \
         3 unhealthy.",
        COMPONENT,
        Source::Control(|c, p| {
            for view in &c.components {
                p.count(&[view.component.as_str()], view.health.code().into());
            }
        }),
    ),
    Family::gauge(
        "trading_component_silent",
        "Whether nothing was heard of a component for more than three of its intervals: 1 so, 0 not.",
        COMPONENT,
        Source::Control(|c, p| {
            for view in &c.components {
                p.count(&[view.component.as_str()], u64::from(view.silent));
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
        "Number of failed checks of a component; silence is one for each interval that it lasts too long.",
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
        "What the components add up to: 0 healthy, 1 degraded, 2 unknown, 3 unhealthy.",
        ACCOUNT,
        Source::Control(|c, p| p.value(&[], c.system.map(|h| f64::from(h.code())))),
    ),
];
