//! The report of one witness on a component: its state, its counts, its recent results.
//!
//! Input: outcomes and silence. Output: the state. Invariants: neither a failure nor silence improves
//! it; the history holds [`limits::HEALTH_HISTORY_MAX`] results.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::view::{CheckView, ComponentStatus, Health, Witness, WitnessView};
use crate::domain::limits;
use crate::domain::settings::HealthSettings;
use crate::domain::time::{Timestamp, seconds};
use crate::domain::weight;

/// The outcome of one check or heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckOutcome {
    /// A check passed.
    Passed,
    /// A check failed, errored or timed out.
    Failed,
    /// The component reports itself that it is not healthy.
    Stated(Health),
}

/// The report of one witness.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WitnessReport {
    /// By its results, and by silence once that has lasted long enough to be unhealthy.
    health: Health,
    /// It is unhealthy, and no result reports so.
    by_silence: bool,
    last_check_at: Timestamp,
    /// As reported; none: that of the settings.
    interval: Option<Duration>,
    /// Set while it is silent: after this time its silence counts as one more failure.
    silent_until: Option<Timestamp>,
    successes: u32,
    failures: u32,
    failures_total: u64,
    history: VecDeque<CheckView>,
    /// Bytes of the messages of the history.
    message_bytes: usize,
}

impl WitnessReport {
    /// A witness that first reports at `now`: unknown, until its result is recorded.
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            health: Health::Unknown,
            by_silence: false,
            last_check_at: now,
            interval: None,
            silent_until: None,
            successes: 0,
            failures: 0,
            failures_total: 0,
            history: VecDeque::new(),
            message_bytes: 0,
        }
    }

    /// Its status. A silent witness is unknown, unless it is worse.
    pub(super) fn status(&self) -> ComponentStatus {
        let health = if self.is_silent() { self.health.max(Health::Unknown) } else { self.health };
        ComponentStatus { health, by_silence: self.by_silence }
    }

    /// Sets the time between two reports, if it is given.
    pub(super) const fn set_interval(&mut self, interval: Option<Duration>) {
        if interval.is_some() {
            self.interval = interval;
        }
    }

    /// Records a result.
    pub(super) fn record(
        &mut self,
        outcome: CheckOutcome,
        message: String,
        latency: Option<Duration>,
        now: Timestamp,
        settings: &HealthSettings,
    ) {
        self.last_check_at = now;
        self.silent_until = None;
        self.count(outcome);
        self.health = match outcome {
            CheckOutcome::Passed => self.after_success(settings),
            CheckOutcome::Failed => self.after_failure(settings),
            CheckOutcome::Stated(stated) => stated,
        };
        let passed = outcome == CheckOutcome::Passed;
        self.by_silence &= passed && self.health == Health::Unhealthy;
        self.keep(CheckView { at: now, passed, health: self.health, message, latency });
    }

    /// Counts a failure after a silence that is too long, and after each further interval. Returns
    /// whether it did.
    ///
    /// The first failure counts as soon as the last result is too old, because an old result says
    /// nothing about health now. Further failures lead to unhealthy, so they count only time in which
    /// the exporter listened: after a restart a component has the full time to report.
    pub(super) fn fall_silent(
        &mut self,
        now: Timestamp,
        listening_since: Timestamp,
        settings: &HealthSettings,
    ) -> bool {
        let interval = self.interval(settings);
        let limit = interval.saturating_mul(settings.silent_intervals).max(settings.silent_min);
        let due = match self.silent_until {
            None => self.last_check_at.plus(limit),
            Some(until) => until.max(listening_since.plus(limit)),
        };
        if now <= due {
            return false;
        }
        let before = (self.is_silent(), self.health);
        self.silent_until = Some(due.plus(interval).max(now));
        self.count(CheckOutcome::Failed);
        if self.health != Health::Unhealthy && self.failures >= settings.failures {
            self.health = Health::Unhealthy;
            self.by_silence = true;
        }
        // A lasting silence enters the history only when it changes the state, so that the results
        // before it stay readable.
        if before != (true, self.health) {
            let age = seconds(due.since(self.last_check_at));
            let message = format!("no result for more than {age} s");
            let (passed, health, latency) = (false, self.status().health, None);
            self.keep(CheckView { at: now, passed, health, message, latency });
        }
        true
    }

    /// The report for the API.
    pub(super) fn view(&self, witness: Witness) -> WitnessView {
        WitnessView {
            witness,
            health: self.status().health,
            message: self.message().to_owned(),
            last_check_at: self.last_check_at,
            silent: self.is_silent(),
        }
    }

    pub(super) fn message(&self) -> &str {
        self.history.back().map_or("", |check| check.message.as_str())
    }

    /// Duration of the last check; none: not reported.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.history.back().and_then(|check| check.latency)
    }

    /// The recent results, oldest first.
    pub(super) fn history(&self) -> impl Iterator<Item = &CheckView> {
        self.history.iter()
    }

    /// Receive time of the last result.
    pub(super) const fn last_check_at(&self) -> Timestamp {
        self.last_check_at
    }

    /// Failures in a row.
    pub(super) const fn consecutive_failures(&self) -> u32 {
        self.failures
    }

    /// Failures so far, silence included.
    pub(super) const fn failures_total(&self) -> u64 {
        self.failures_total
    }

    pub(super) const fn is_silent(&self) -> bool {
        self.silent_until.is_some()
    }

    /// Time between two reports.
    pub(super) fn interval(&self, settings: &HealthSettings) -> Duration {
        self.interval.unwrap_or(settings.interval)
    }

    /// Only checks that pass or fail count towards a state; a stated health does not.
    const fn count(&mut self, outcome: CheckOutcome) {
        match outcome {
            CheckOutcome::Passed => {
                self.successes = self.successes.saturating_add(1);
                self.failures = 0;
                return;
            }
            CheckOutcome::Failed => self.failures = self.failures.saturating_add(1),
            CheckOutcome::Stated(_) => {}
        }
        self.successes = 0;
        self.failures_total = self.failures_total.saturating_add(1);
    }

    /// From unknown one success is enough. From degraded or unhealthy it takes several in a row.
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
        if self.health == Health::Unhealthy || self.failures >= settings.failures {
            return Health::Unhealthy;
        }
        Health::Degraded
    }

    fn keep(&mut self, check: CheckView) {
        if self.history.len() >= limits::HEALTH_HISTORY_MAX
            && let Some(oldest) = self.history.pop_front()
        {
            self.message_bytes -= oldest.message.len();
        }
        self.message_bytes += check.message.len();
        self.history.push_back(check);
    }

    /// About the bytes of the results.
    pub(super) fn bytes(&self) -> usize {
        self.message_bytes + self.history.len() * weight::RESULT
    }
}
