//! Components, their checks, and the health of the system.
//!
//! Input: heartbeats, results of probes, and ticks. Output: changes of health, views, a history.
//! Invariants: silence never improves a state; a state that a component reports itself is believed at
//! once, and only checks that pass or fail are counted; of several witnesses of one component the
//! worst counts; components and histories are bounded.
//! Deliberately absent: consequences of a change (see `monitor`), and the probes (see
//! `crate::sources`).

mod view;
mod report;
mod component;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::component::ComponentReports;
use self::report::CheckOutcome;
pub use self::view::{
    CheckView, ComponentStatus, ComponentView, Health, HealthChange, Witness, WitnessView,
};
use crate::domain::event::Heartbeat;
use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::record::{CheckResult, Refusal};
use crate::domain::settings::HealthSettings;
use crate::domain::time::Timestamp;

/// The components of one account (of `*`: the exporter's own probes).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Components {
    reported: BTreeMap<Component, ComponentReports>,
}

impl Components {
    /// Applies a heartbeat, received at `now`. One that states no health, or healthy, is a check that
    /// passed; any other health is believed at once.
    ///
    /// # Errors
    /// [`Refusal::TooManyComponents`] for a new component past [`limits::COMPONENTS_MAX`].
    pub fn heartbeat(
        &mut self,
        heartbeat: &Heartbeat,
        now: Timestamp,
        settings: &HealthSettings,
    ) -> Result<Option<HealthChange>, Refusal> {
        let outcome = match heartbeat.status {
            None | Some(Health::Healthy) => CheckOutcome::Passed,
            Some(stated) => CheckOutcome::Stated(stated),
        };
        let reports = self.reports_mut(&heartbeat.component, now)?;
        let report = reports.of(heartbeat.source.into(), now);
        report.set_interval(heartbeat.interval);
        let message = heartbeat.message.as_deref().unwrap_or_default().to_owned();
        report.record(outcome, message, heartbeat.latency, now, settings);
        Ok(reports.update(&heartbeat.component, now))
    }

    /// Applies the result of a probe, received at `now`.
    ///
    /// # Errors
    /// [`Refusal::TooManyComponents`] for a new component past [`limits::COMPONENTS_MAX`].
    pub fn check(
        &mut self,
        result: &CheckResult,
        now: Timestamp,
        settings: &HealthSettings,
    ) -> Result<Option<HealthChange>, Refusal> {
        let outcome = if result.passed { CheckOutcome::Passed } else { CheckOutcome::Failed };
        let reports = self.reports_mut(&result.component, now)?;
        let report = reports.of(Witness::Exporter, now);
        report.set_interval(Some(result.interval));
        report.record(outcome, result.message.clone(), Some(result.latency), now, settings);
        Ok(reports.update(&result.component, now))
    }

    /// Applies the passing of time: a component without a result for too long is unknown, which counts
    /// as a failure, and as another one for each further interval. Time in which the exporter did not
    /// listen is not silence: further failures count only once it has listened for long enough since
    /// `listening_since`. Returns the changes in the order of names.
    pub fn tick(
        &mut self,
        now: Timestamp,
        listening_since: Timestamp,
        settings: &HealthSettings,
    ) -> Vec<HealthChange> {
        let silenced = self.reported.iter_mut().filter_map(|(name, reports)| {
            reports
                .fall_silent(now, listening_since, settings)
                .then(|| reports.update(name, now))?
        });
        silenced.collect()
    }

    /// Forgets a component that is gone for good. If it reports again, it starts as a new one.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if no component has that name.
    pub fn retire(&mut self, component: &Component) -> Result<(), Refusal> {
        self.reported.remove(component).map(drop).ok_or(Refusal::NotFound)
    }

    /// About the bytes of all of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.reported.values().map(ComponentReports::bytes).sum()
    }

    /// The health of a component; none: it never reported.
    #[must_use]
    pub fn health(&self, component: &str) -> Option<Health> {
        self.reported.get(component).map(ComponentReports::health)
    }

    /// The components in the order of names.
    pub fn views<'a>(
        &'a self,
        settings: &'a HealthSettings,
    ) -> impl Iterator<Item = ComponentView> + 'a {
        self.reported.iter().map(|(name, reports)| reports.view(name, settings))
    }

    /// The recent results of a component with their witnesses, oldest first.
    #[must_use]
    pub fn history(&self, component: &str) -> Option<Vec<(Witness, CheckView)>> {
        self.reported.get(component).map(ComponentReports::history)
    }

    fn reports_mut(
        &mut self,
        component: &Component,
        now: Timestamp,
    ) -> Result<&mut ComponentReports, Refusal> {
        let known = self.reported.contains_key(component);
        if !known && self.reported.len() >= limits::COMPONENTS_MAX {
            return Err(Refusal::TooManyComponents);
        }
        Ok(self.reported.entry(component.clone()).or_insert_with(|| ComponentReports::new(now)))
    }
}

/// The health of the system, from the components of an account and those of `*`: unhealthy if a
/// critical one is; else degraded if any is not healthy; unknown if the health of none is known.
/// Unknown components never make a healthy system.
#[must_use]
pub fn system(own: &Components, common: &Components, settings: &HealthSettings) -> Health {
    let mut known = false;
    let mut all_healthy = true;
    for (name, reports) in own.reported.iter().chain(&common.reported) {
        let health = reports.health();
        if health == Health::Unhealthy && settings.is_critical(name) {
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
