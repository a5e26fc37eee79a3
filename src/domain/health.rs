//! Components, their checks, and what they add up to.
//!
//! Input: heartbeats, results of probes, and the passing of time. Output: changes of state, views,
//! a history. Invariants: silence is not health; a state that a component states is believed at
//! once, and only checks that pass or fail are counted; components and histories are bounded.
//! Deliberately absent: who is told (see `monitor`), and the probes (see `crate::sources`).

mod component;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::component::{Outcome, Reported};
use crate::domain::event::Heartbeat;
use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::record::{CheckResult, Refusal};
use crate::domain::settings::HealthSettings;
use crate::domain::time::Timestamp;

/// The state of a component or of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// A component changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The component.
    pub component: Component,
    /// From now on.
    pub health: Health,
    /// What was said, for people.
    pub message: String,
}

/// The components of one account (of `*`: the exporter's own probes).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Components {
    reported: BTreeMap<Component, Reported>,
}

impl Components {
    /// Takes a heartbeat, received at `now`. One that states no health, or healthy, is a check that
    /// passed; any other health is believed at once.
    ///
    /// # Errors
    /// [`Refusal::TooManyComponents`] for a new component past [`limits::COMPONENTS_MAX`].
    pub fn heartbeat(
        &mut self,
        heartbeat: &Heartbeat,
        now: Timestamp,
        settings: &HealthSettings,
    ) -> Result<Option<Change>, Refusal> {
        let outcome = match heartbeat.status {
            None | Some(Health::Healthy) => Outcome::Passed,
            Some(stated) => Outcome::Stated(stated),
        };
        let reported = self.reported_mut(&heartbeat.component, now)?;
        reported.set_interval(heartbeat.interval);
        let message = heartbeat.message.as_deref().unwrap_or_default().to_owned();
        let health = reported.take(outcome, message, heartbeat.latency, now, settings);
        Ok(health.map(|health| change(&heartbeat.component, health, reported)))
    }

    /// Takes the result of a probe, received at `now`.
    ///
    /// # Errors
    /// [`Refusal::TooManyComponents`] for a new component past [`limits::COMPONENTS_MAX`].
    pub fn check(
        &mut self,
        result: &CheckResult,
        now: Timestamp,
        settings: &HealthSettings,
    ) -> Result<Option<Change>, Refusal> {
        let outcome = if result.passed { Outcome::Passed } else { Outcome::Failed };
        let reported = self.reported_mut(&result.component, now)?;
        reported.set_interval(Some(result.interval));
        let message = result.message.clone();
        let health = reported.take(outcome, message, Some(result.latency), now, settings);
        Ok(health.map(|health| change(&result.component, health, reported)))
    }

    /// Lets time pass: a component that was not heard of for too long is unknown, which counts as
    /// one failure when it happens. The changes come in the order of names.
    pub fn tick(&mut self, now: Timestamp, settings: &HealthSettings) -> Vec<Change> {
        let silenced = self.reported.iter_mut().filter_map(|(name, reported)| {
            let health = reported.fall_silent(now, settings)?;
            Some(change(name, health, reported))
        });
        silenced.collect()
    }

    /// Forgets a component that is gone for good; it is born anew if it reports again.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if there is none of that name.
    pub fn retire(&mut self, component: &Component) -> Result<(), Refusal> {
        self.reported.remove(component).map(drop).ok_or(Refusal::NotFound)
    }

    /// The state of a component, if it ever reported.
    #[must_use]
    pub fn health(&self, component: &str) -> Option<Health> {
        self.reported.get(component).map(Reported::health)
    }

    /// The components by name.
    pub fn views<'a>(
        &'a self,
        settings: &'a HealthSettings,
    ) -> impl Iterator<Item = ComponentView> + 'a {
        self.reported.iter().map(|(name, reported)| reported.view(name, settings))
    }

    /// The last results of a component, oldest first.
    #[must_use]
    pub fn history(&self, component: &str) -> Option<Vec<CheckView>> {
        self.reported.get(component).map(Reported::history)
    }

    fn reported_mut(
        &mut self,
        component: &Component,
        now: Timestamp,
    ) -> Result<&mut Reported, Refusal> {
        let known = self.reported.contains_key(component);
        if !known && self.reported.len() >= limits::COMPONENTS_MAX {
            return Err(Refusal::TooManyComponents);
        }
        Ok(self.reported.entry(component.clone()).or_insert_with(|| Reported::new(now)))
    }
}

fn change(component: &Component, health: Health, reported: &Reported) -> Change {
    let message = reported.message().to_owned();
    Change { component: component.clone(), health, message }
}

/// What the components of an account and those of `*` add up to: unhealthy if a critical one is;
/// else degraded if any is not healthy; unknown if nothing is known of any. Unknown never adds up
/// to healthy.
#[must_use]
pub fn system(own: &Components, common: &Components, settings: &HealthSettings) -> Health {
    let mut known = false;
    let mut all_healthy = true;
    for (name, reported) in own.reported.iter().chain(&common.reported) {
        let health = reported.health();
        if health == Health::Unhealthy && is_critical(name, settings) {
            return Health::Unhealthy;
        }
        known |= health != Health::Unknown;
        all_healthy &= health == Health::Healthy;
    }
    match (known, all_healthy) {
        (false, _) => Health::Unknown,
        (true, false) => Health::Degraded,
        (true, true) => Health::Healthy,
    }
}

fn is_critical(component: &Component, settings: &HealthSettings) -> bool {
    settings.critical.iter().any(|name| name == component.as_str())
}
