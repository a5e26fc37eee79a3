//! What is known of one component: its state, its counts, its last results.
//!
//! Input: outcomes and silence. Output: the new state when it changed. Invariants: a failure never
//! makes a component look better; the history holds [`limits::HEALTH_HISTORY_MAX`] results.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CheckView, ComponentView, Health, is_critical};
use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::settings::HealthSettings;
use crate::domain::time::Timestamp;

/// What a result says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A check passed.
    Passed,
    /// A check failed, errored or timed out.
    Failed,
    /// The component says itself that it is not healthy.
    Stated(Health),
}

/// One component.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reported {
    health: Health,
    since: Timestamp,
    last_check_at: Timestamp,
    /// As it says itself; none: that of the settings.
    interval: Option<Duration>,
    is_silent: bool,
    successes: u32,
    failures: u32,
    failures_total: u64,
    history: VecDeque<CheckView>,
}

impl Reported {
    /// A component that is first heard of at `now`: unknown, until its result is taken.
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            health: Health::Unknown,
            since: now,
            last_check_at: now,
            interval: None,
            is_silent: false,
            successes: 0,
            failures: 0,
            failures_total: 0,
            history: VecDeque::new(),
        }
    }

    /// Its state.
    pub(super) const fn health(&self) -> Health {
        self.health
    }

    /// Remembers how often it reports, if it says so.
    pub(super) const fn set_interval(&mut self, interval: Option<Duration>) {
        if interval.is_some() {
            self.interval = interval;
        }
    }

    /// Takes a result; its state from now on, if that is another.
    pub(super) fn take(
        &mut self,
        outcome: Outcome,
        message: String,
        latency: Option<Duration>,
        now: Timestamp,
        settings: &HealthSettings,
    ) -> Option<Health> {
        self.last_check_at = now;
        self.is_silent = false;
        let passed = outcome == Outcome::Passed;
        self.count(passed);
        let health = match outcome {
            Outcome::Passed => self.after_success(settings),
            Outcome::Failed => self.after_failure(settings),
            Outcome::Stated(stated) => stated,
        };
        self.keep(CheckView { at: now, passed, health, message, latency })
    }

    /// Unknown, if nothing was heard for too long and that is new; counts as one failure.
    pub(super) fn fall_silent(
        &mut self,
        now: Timestamp,
        settings: &HealthSettings,
    ) -> Option<Health> {
        let intervals = self.interval(settings).saturating_mul(settings.silent_intervals);
        let limit = intervals.max(settings.silent_min);
        if self.is_silent || !now.is_past(self.last_check_at, limit) {
            return None;
        }
        self.is_silent = true;
        self.count(false);
        let message = format!("no result for more than {} s", limit.as_secs_f64());
        let (health, latency) = (Health::Unknown, None);
        self.keep(CheckView { at: now, passed: false, health, message, latency })
    }

    /// As it stands.
    pub(super) fn view(&self, name: &Component, settings: &HealthSettings) -> ComponentView {
        ComponentView {
            component: name.clone(),
            health: self.health,
            critical: is_critical(name, settings),
            message: self.message().to_owned(),
            last_check_at: Some(self.last_check_at),
            latency: self.history.back().and_then(|check| check.latency),
            interval: self.interval(settings),
            consecutive_failures: self.failures,
            failures_total: self.failures_total,
            since: self.since,
        }
    }

    /// What was said last.
    pub(super) fn message(&self) -> &str {
        self.history.back().map_or("", |check| check.message.as_str())
    }

    /// The last results, oldest first.
    pub(super) fn history(&self) -> Vec<CheckView> {
        self.history.iter().cloned().collect()
    }

    fn interval(&self, settings: &HealthSettings) -> Duration {
        self.interval.unwrap_or(settings.interval)
    }

    const fn count(&mut self, passed: bool) {
        if passed {
            self.successes = self.successes.saturating_add(1);
            self.failures = 0;
        } else {
            self.successes = 0;
            self.failures = self.failures.saturating_add(1);
            self.failures_total = self.failures_total.saturating_add(1);
        }
    }

    /// From unknown one success is enough; from worse it takes several in a row.
    const fn after_success(&self, settings: &HealthSettings) -> Health {
        match self.health {
            Health::Unknown | Health::Healthy => Health::Healthy,
            Health::Degraded | Health::Unhealthy if self.successes >= settings.successes => {
                Health::Healthy
            }
            Health::Degraded | Health::Unhealthy => self.health,
        }
    }

    fn after_failure(&self, settings: &HealthSettings) -> Health {
        let counted =
            if self.failures >= settings.failures { Health::Unhealthy } else { Health::Degraded };
        counted.max(self.health)
    }

    fn keep(&mut self, check: CheckView) -> Option<Health> {
        let (health, at) = (check.health, check.at);
        if self.history.len() >= limits::HEALTH_HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(check);
        if health == self.health {
            return None;
        }
        self.health = health;
        self.since = at;
        Some(health)
    }
}
