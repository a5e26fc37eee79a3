//! What one witness reports of a component: its state, its counts, its last results.
//!
//! Input: outcomes and silence. Output: the state. Invariants: neither a failure nor silence makes a
//! component look better; the history holds [`limits::HEALTH_HISTORY_MAX`] results.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CheckView, Health, Standing, Witness, WitnessView};
use crate::domain::limits;
use crate::domain::settings::HealthSettings;
use crate::domain::time::{Timestamp, seconds};

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

/// What one witness reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// By its results, and by silence that lasted as long as it takes to be unhealthy.
    health: Health,
    /// It is unhealthy, and no result says so.
    by_silence: bool,
    last_check_at: Timestamp,
    /// As it says itself; none: that of the settings.
    interval: Option<Duration>,
    /// When it is silent: once this is past, its silence is one failure more.
    silent_until: Option<Timestamp>,
    successes: u32,
    failures: u32,
    failures_total: u64,
    history: VecDeque<CheckView>,
}

impl Report {
    /// A witness that is first heard at `now`: unknown, until its result is taken.
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
        }
    }

    /// Its state: silent is unknown, unless it is worse.
    pub(super) fn standing(&self) -> Standing {
        let health = if self.is_silent() { self.health.max(Health::Unknown) } else { self.health };
        Standing { health, by_silence: self.by_silence }
    }

    /// Remembers how often it reports, if it says so.
    pub(super) const fn set_interval(&mut self, interval: Option<Duration>) {
        if interval.is_some() {
            self.interval = interval;
        }
    }

    /// Takes a result.
    pub(super) fn take(
        &mut self,
        outcome: Outcome,
        message: String,
        latency: Option<Duration>,
        now: Timestamp,
        settings: &HealthSettings,
    ) {
        self.last_check_at = now;
        self.silent_until = None;
        self.count(outcome);
        self.health = match outcome {
            Outcome::Passed => self.after_success(settings),
            Outcome::Failed => self.after_failure(settings),
            Outcome::Stated(stated) => stated,
        };
        let passed = outcome == Outcome::Passed;
        self.by_silence &= passed && self.health == Health::Unhealthy;
        self.keep(CheckView { at: now, passed, health: self.health, message, latency });
    }

    /// Counts a failure, if nothing was heard for too long, or for one more interval. Whether it did.
    ///
    /// The first one is counted as soon as the result is too old, for an old result is no health. The
    /// further ones lead to unhealthy, so they take time in which the exporter listened: after a
    /// restart a component has as long as ever to be heard.
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
        self.count(Outcome::Failed);
        if self.health != Health::Unhealthy && self.failures >= settings.failures {
            self.health = Health::Unhealthy;
            self.by_silence = true;
        }
        // Of a silence that lasts, the history keeps what changes, and what was said before it.
        if before != (true, self.health) {
            let age = seconds(due.since(self.last_check_at));
            let message = format!("no result for more than {age} s");
            let (passed, health, latency) = (false, self.standing().health, None);
            self.keep(CheckView { at: now, passed, health, message, latency });
        }
        true
    }

    /// As it stands.
    pub(super) fn view(&self, witness: Witness) -> WitnessView {
        WitnessView {
            witness,
            health: self.standing().health,
            message: self.message().to_owned(),
            last_check_at: self.last_check_at,
            silent: self.is_silent(),
        }
    }

    /// What was said last.
    pub(super) fn message(&self) -> &str {
        self.history.back().map_or("", |check| check.message.as_str())
    }

    /// How long the last check took, if it says so.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.history.back().and_then(|check| check.latency)
    }

    /// The last results, oldest first.
    pub(super) fn history(&self) -> impl Iterator<Item = &CheckView> {
        self.history.iter()
    }

    /// When the last result was received.
    pub(super) const fn last_check_at(&self) -> Timestamp {
        self.last_check_at
    }

    /// Failures in a row.
    pub(super) const fn consecutive_failures(&self) -> u32 {
        self.failures
    }

    /// Failures in all, silence too.
    pub(super) const fn failures_total(&self) -> u64 {
        self.failures_total
    }

    /// Whether nothing was heard for too long.
    pub(super) const fn is_silent(&self) -> bool {
        self.silent_until.is_some()
    }

    /// How often it reports.
    pub(super) fn interval(&self, settings: &HealthSettings) -> Duration {
        self.interval.unwrap_or(settings.interval)
    }

    /// Counting towards a state is for checks that pass or fail, not for what is stated.
    const fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Passed => {
                self.successes = self.successes.saturating_add(1);
                self.failures = 0;
                return;
            }
            Outcome::Failed => self.failures = self.failures.saturating_add(1),
            Outcome::Stated(_) => {}
        }
        self.successes = 0;
        self.failures_total = self.failures_total.saturating_add(1);
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
        if self.health == Health::Unhealthy || self.failures >= settings.failures {
            return Health::Unhealthy;
        }
        Health::Degraded
    }

    fn keep(&mut self, check: CheckView) {
        if self.history.len() >= limits::HEALTH_HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(check);
    }
}
