//! How the health of components is judged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::Component;

/// How the health of components is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthSettings {
    /// Interval assumed for a component that does not report its own.
    pub interval: Duration,
    /// Consecutive failures that make a component unhealthy.
    pub failures: u32,
    /// Consecutive successes that make it healthy again.
    pub successes: u32,
    /// Intervals without a result after which a component is unknown.
    pub silent_intervals: u32,
    /// Least time without a result that counts as silence.
    pub silent_min: Duration,
    /// Components that make the system unhealthy when they are.
    pub critical: Vec<String>,
    /// Components that halt their account when they become unhealthy; a probe halts all accounts.
    pub halt_on_unhealthy: Vec<String>,
    /// Whether they also halt when silence alone made them unhealthy.
    pub halt_on_silence: bool,
}

impl HealthSettings {
    /// Whether the system is unhealthy without a component.
    #[must_use]
    pub fn is_critical(&self, component: &Component) -> bool {
        self.critical.iter().any(|name| name == component.as_str())
    }
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            failures: 3,
            successes: 2,
            silent_intervals: 3,
            silent_min: Duration::from_secs(5),
            critical: ["broker", "data_feed", "engine"].map(String::from).to_vec(),
            halt_on_unhealthy: Vec::new(),
            halt_on_silence: true,
        }
    }
}
