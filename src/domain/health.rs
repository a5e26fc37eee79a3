//! Components, their checks, and what they add up to.

use std::time::Duration;

use crate::domain::ids::Component;
use crate::domain::settings::HealthSettings;
use crate::domain::time::Timestamp;

/// The state of a component or of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Nothing is known, or nothing was heard for too long. Never counts as healthy.
    Unknown,
    /// All is well.
    Healthy,
    /// Some checks fail.
    Degraded,
    /// Down.
    Unhealthy,
}

impl Health {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// As on metrics: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Healthy => 1,
            Self::Degraded => 2,
            Self::Unhealthy => 3,
        }
    }
}

/// One component as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentView {
    /// Its name.
    pub component: Component,
    /// Its state.
    pub health: Health,
    /// Whether the system is unhealthy without it.
    pub critical: bool,
    /// The last message.
    pub message: String,
    /// When the last result was received.
    pub last_check_at: Option<Timestamp>,
    /// How long the last check took.
    pub latency: Option<Duration>,
    /// How often it reports.
    pub interval: Duration,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Failures in all, silence too.
    pub failures_total: u64,
    /// When its state last changed.
    pub since: Timestamp,
}

/// One result of a component, as kept in its history.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckView {
    /// When it was received.
    pub at: Timestamp,
    /// Whether it counted as a success.
    pub passed: bool,
    /// The state after it.
    pub health: Health,
    /// What was said.
    pub message: String,
    /// How long the check took.
    pub latency: Option<Duration>,
}

/// The components of one account (of `*`: the exporter's own probes).
#[derive(Clone, Debug, Default)]
pub struct Components {}

impl Components {
    /// The components by name.
    pub fn views<'a>(
        &'a self,
        _settings: &'a HealthSettings,
    ) -> impl Iterator<Item = ComponentView> + 'a {
        std::iter::empty()
    }

    /// The last results of a component, oldest first.
    #[must_use]
    pub fn history(&self, _component: &str) -> Option<Vec<CheckView>> {
        None
    }
}

/// What the components of an account and those of `*` add up to.
#[must_use]
pub fn system(_own: &Components, _common: &Components, _settings: &HealthSettings) -> Health {
    Health::Unknown
}
