//! How components are judged.

use std::time::Duration;

/// Judging components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Interval assumed of a component that does not say its own.
    pub interval: Duration,
    /// Consecutive failures that make a component unhealthy.
    pub failures: u32,
    /// Consecutive successes that make it healthy again.
    pub successes: u32,
    /// Intervals without a result after which a component is unknown.
    pub silent_intervals: u32,
    /// Silence is never shorter than this.
    pub silent_min: Duration,
    /// Components without which the system is unhealthy.
    pub critical: Vec<String>,
    /// Components that halt their account (probes: all accounts) when they become unhealthy.
    pub halt_on_unhealthy: Vec<String>,
    /// Whether they also halt when nothing but their silence made them unhealthy.
    pub halt_on_silence: bool,
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
