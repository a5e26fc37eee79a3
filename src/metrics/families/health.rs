//! Health of components and their combination; `account="*"` has the exporter's own probes.

use super::ACCOUNT;
use crate::metrics::family::{Family, SampleSource};

const COMPONENT: &[&str] = &["account", "component"];

/// Families about health.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_component_health",
        "Health of a component, the worst of its witnesses: 0 healthy, 1 degraded, 2 unknown, \
         3 unhealthy.",
        COMPONENT,
        SampleSource::Control(|c, p| {
            for view in &c.components {
                p.count(&[view.component.as_str()], view.health.code().into());
            }
        }),
    ),
    Family::gauge(
        "trading_component_silent",
        "Whether a component has been silent for more than three of its intervals: 1 yes, 0 no.",
        COMPONENT,
        SampleSource::Control(|c, p| {
            for view in &c.components {
                p.count(&[view.component.as_str()], u64::from(view.silent));
            }
        }),
    ),
    Family::gauge(
        "trading_component_last_check_timestamp_seconds",
        "Unix time in seconds at which the last result of a component was received.",
        COMPONENT,
        SampleSource::Control(|c, p| {
            for view in &c.components {
                p.time(&[view.component.as_str()], view.last_check_at);
            }
        }),
    ),
    Family::counter(
        "trading_component_check_failures_total",
        "Number of failed checks of a component; silence counts one for each interval past the limit.",
        COMPONENT,
        SampleSource::Control(|c, p| {
            for view in &c.components {
                p.count(&[view.component.as_str()], view.failures_total);
            }
        }),
    ),
    Family::gauge(
        "trading_component_check_duration_seconds",
        "Time in seconds that the last check of a component took; absent if the check does not report it.",
        COMPONENT,
        SampleSource::Control(|c, p| {
            for view in &c.components {
                p.value(&[view.component.as_str()], view.latency.map(|l| l.as_secs_f64()));
            }
        }),
    ),
    Family::gauge(
        "trading_system_health",
        "Health combined from all components: 0 healthy, 1 degraded, 2 unknown, 3 unhealthy.",
        ACCOUNT,
        SampleSource::Control(|c, p| p.value(&[], c.system.map(|h| f64::from(h.code())))),
    ),
];
