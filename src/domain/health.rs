//! Components, their checks, and what they add up to.
//!
//! Input: heartbeats, results of probes, and the passing of time. Output: changes of state, views,
//! a history. Invariants: silence never improves a state; a state that a component states is
//! believed at once, and only checks that pass or fail are counted; of several witnesses of one
//! component the worst counts; components and histories are bounded.
//! Deliberately absent: who is told (see `monitor`), and the probes (see `crate::sources`).

mod component;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::component::Reports;
use self::report::Outcome;
use crate::domain::closed_set::closed_set;
use crate::domain::event::{Heartbeat, Source};
use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::record::{CheckResult, Refusal};
use crate::domain::settings::HealthSettings;
use crate::domain::time::Timestamp;

closed_set! {
    /// The health of a component or of the system, best first. `unknown` never counts as healthy.
    pub enum Health {
        /// Every check passes.
        Healthy = "healthy",
        /// Some checks fail.
        Degraded = "degraded",
        /// There is no result yet, or none for too long.
        Unknown = "unknown",
        /// Down.
        Unhealthy = "unhealthy",
    }
}

impl Health {
    /// The value on metrics: 0 healthy, 1 degraded, 2 unknown, 3 unhealthy. The largest is the
    /// worst.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

closed_set! {
    /// Who reports on a component: a probe of the exporter, the engine (`local`) or the broker's side.
    /// No witness overrules another: the worst report counts.
    pub enum Witness {
        /// A probe that the exporter runs.
        Exporter = "exporter",
        /// The engine.
        Local = "local",
        /// The broker's side.
        Broker = "broker",
    }
}

/// The witness behind an event; an event that names no source is the engine's.
impl From<Option<Source>> for Witness {
    fn from(source: Option<Source>) -> Self {
        match source {
            None | Some(Source::Local) => Self::Local,
            Some(Source::Broker) => Self::Broker,
        }
    }
}

/// One component as it stands. Of several witnesses, what the worst one says is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentView {
    /// Its name.
    pub component: Component,
    /// Its state: the worst of what its witnesses say.
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
    /// Failures in all, of all witnesses, silence too.
    pub failures_total: u64,
    /// When its state last changed.
    pub since: Timestamp,
    /// Whether nothing was heard of a witness for too long.
    pub silent: bool,
    /// What each witness says.
    pub witnesses: Vec<WitnessView>,
}

/// What one witness says of a component.
#[derive(Clone, Debug, PartialEq)]
pub struct WitnessView {
    /// Who.
    pub witness: Witness,
    /// The state by its results and its silence.
    pub health: Health,
    /// Its last message.
    pub message: String,
    /// When its last result was received.
    pub last_check_at: Timestamp,
    /// Whether nothing was heard of it for too long.
    pub silent: bool,
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

/// What a component is, and whether silence alone made it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The state.
    pub health: Health,
    /// It is unhealthy, and nothing but silence says so.
    pub by_silence: bool,
}

/// A component changed its state, or what was unhealthy by silence alone is so by a result, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The component.
    pub component: Component,
    /// From now on.
    pub standing: Standing,
    /// What was said, for people.
    pub message: String,
}

/// The components of one account (of `*`: the exporter's own probes).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Components {
    reported: BTreeMap<Component, Reports>,
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
        let reports = self.reports_mut(&heartbeat.component, now)?;
        let report = reports.of(heartbeat.source.into(), now);
        report.set_interval(heartbeat.interval);
        let message = heartbeat.message.as_deref().unwrap_or_default().to_owned();
        report.take(outcome, message, heartbeat.latency, now, settings);
        Ok(reports.settle(&heartbeat.component, now))
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
        let reports = self.reports_mut(&result.component, now)?;
        let report = reports.of(Witness::Exporter, now);
        report.set_interval(Some(result.interval));
        report.take(outcome, result.message.clone(), Some(result.latency), now, settings);
        Ok(reports.settle(&result.component, now))
    }

    /// Lets time pass: a component that was not heard of for too long is unknown, which counts as a
    /// failure, again for each further interval. What the exporter could not hear is no silence:
    /// further failures count only when it has listened for long enough since `listening_since`. The
    /// changes come in the order of names.
    pub fn tick(
        &mut self,
        now: Timestamp,
        listening_since: Timestamp,
        settings: &HealthSettings,
    ) -> Vec<Change> {
        let silenced = self.reported.iter_mut().filter_map(|(name, reports)| {
            reports
                .fall_silent(now, listening_since, settings)
                .then(|| reports.settle(name, now))?
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
        self.reported.get(component).map(Reports::health)
    }

    /// The components by name.
    pub fn views<'a>(
        &'a self,
        settings: &'a HealthSettings,
    ) -> impl Iterator<Item = ComponentView> + 'a {
        self.reported.iter().map(|(name, reports)| reports.view(name, settings))
    }

    /// The last results of a component, oldest first, and whose they are.
    #[must_use]
    pub fn history(&self, component: &str) -> Option<Vec<(Witness, CheckView)>> {
        self.reported.get(component).map(Reports::history)
    }

    fn reports_mut(
        &mut self,
        component: &Component,
        now: Timestamp,
    ) -> Result<&mut Reports, Refusal> {
        let known = self.reported.contains_key(component);
        if !known && self.reported.len() >= limits::COMPONENTS_MAX {
            return Err(Refusal::TooManyComponents);
        }
        Ok(self.reported.entry(component.clone()).or_insert_with(|| Reports::new(now)))
    }
}

/// What the components of an account and those of `*` add up to: unhealthy if a critical one is;
/// else degraded if any is not healthy; unknown if nothing is known of any. Unknown never adds up
/// to healthy.
#[must_use]
pub fn system(own: &Components, common: &Components, settings: &HealthSettings) -> Health {
    let mut known = false;
    let mut all_healthy = true;
    for (name, reports) in own.reported.iter().chain(&common.reported) {
        let health = reports.health();
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
