//! Whether each account may trade; `account="*"` is the latch for all of them.

use super::ACCOUNT;
use crate::metrics::family::{Family, SampleSource};

/// Families about the trading state.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_state",
        "Trading state, the more severe of the account's own and that of *: \
         0 active, 1 reducing, 2 halted.",
        ACCOUNT,
        SampleSource::Control(|c, p| p.count(&[], c.state.code().into())),
    ),
    Family::counter(
        "trading_halts_total",
        "Number of causes set on the account's own latch, by kind.",
        &["account", "cause"],
        SampleSource::Control(|c, p| {
            for (cause, count) in &c.halts {
                p.count(&[cause.as_str()], *count);
            }
        }),
    ),
    Family::counter(
        "trading_halt_releases_total",
        "Number of releases of the account's own latch.",
        ACCOUNT,
        SampleSource::Control(|c, p| p.count(&[], c.releases)),
    ),
    Family::gauge(
        "trading_state_last_change_timestamp_seconds",
        "Unix time in seconds at which a cause was last set or released; absent if never.",
        ACCOUNT,
        SampleSource::Control(|c, p| p.time(&[], c.changed_at)),
    ),
];
