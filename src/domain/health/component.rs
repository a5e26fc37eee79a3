//! The reports of all witnesses on one component, and the health that follows from them.
//!
//! Input: the reports of witnesses. Output: the health and its changes. Invariant: the worst report
//! counts, so that no witness overrules another. Deliberately absent: counting (see `report`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::WitnessReport;
use super::view::{CheckView, ComponentStatus, ComponentView, Health, HealthChange, Witness};
use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::settings::HealthSettings;
use crate::domain::time::Timestamp;
use crate::domain::weight;

/// The reports on one component.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ComponentReports {
    by_witness: BTreeMap<Witness, WitnessReport>,
    /// The status at the last [`Self::update`].
    published: ComponentStatus,
    since: Timestamp,
}

impl ComponentReports {
    /// A component that first reports at `now`: unknown, until a result is recorded.
    pub(super) const fn new(now: Timestamp) -> Self {
        let published = ComponentStatus { health: Health::Unknown, by_silence: false };
        Self { by_witness: BTreeMap::new(), published, since: now }
    }

    /// The report of a witness, mutable. Call [`Self::update`] after the change.
    pub(super) fn of(&mut self, witness: Witness, now: Timestamp) -> &mut WitnessReport {
        self.by_witness.entry(witness).or_insert_with(|| WitnessReport::new(now))
    }

    /// Applies the passing of time. Returns whether silence was counted: then call [`Self::update`].
    pub(super) fn fall_silent(
        &mut self,
        now: Timestamp,
        listening_since: Timestamp,
        settings: &HealthSettings,
    ) -> bool {
        let mut is_counted = false;
        for report in self.by_witness.values_mut() {
            is_counted |= report.fall_silent(now, listening_since, settings);
        }
        is_counted
    }

    /// Derives the status from the reports. Returns the change, if it changed.
    pub(super) fn update(&mut self, component: &Component, now: Timestamp) -> Option<HealthChange> {
        let (before, status) = (self.published, self.status());
        self.published = status;
        let is_heard = before.by_silence && !status.by_silence;
        if status.health != before.health {
            self.since = now;
        } else if !is_heard {
            return None;
        }
        let message = self.worst().map_or("", |(_, report)| report.message()).to_owned();
        Some(HealthChange { component: component.clone(), status, message })
    }

    /// About the bytes of it.
    pub(super) fn bytes(&self) -> usize {
        weight::COMPONENT + self.by_witness.values().map(WitnessReport::bytes).sum::<usize>()
    }

    pub(super) const fn health(&self) -> Health {
        self.published.health
    }

    /// The component for the API and the metrics.
    pub(super) fn view(&self, name: &Component, settings: &HealthSettings) -> ComponentView {
        let worst = self.worst().map(|(_, report)| report);
        let reports = || self.by_witness.values();
        ComponentView {
            component: name.clone(),
            health: self.published.health,
            critical: settings.is_critical(name),
            message: worst.map_or("", WitnessReport::message).to_owned(),
            last_check_at: worst.map(WitnessReport::last_check_at),
            latency: worst.and_then(WitnessReport::latency),
            interval: worst.map_or(settings.interval, |report| report.interval(settings)),
            consecutive_failures: worst.map_or(0, WitnessReport::consecutive_failures),
            failures_total: reports().map(WitnessReport::failures_total).sum(),
            since: self.since,
            silent: reports().any(WitnessReport::is_silent),
            witnesses: self.by_witness.iter().map(|(of, report)| report.view(*of)).collect(),
        }
    }

    /// The recent results with their witnesses, oldest first.
    pub(super) fn history(&self) -> Vec<(Witness, CheckView)> {
        let of = |(witness, report): (&Witness, &WitnessReport)| {
            report.history().map(|check| (*witness, check.clone())).collect::<Vec<_>>()
        };
        let mut all: Vec<(Witness, CheckView)> = self.by_witness.iter().flat_map(of).collect();
        all.sort_by_key(|(_, check)| check.at);
        let surplus = all.len().saturating_sub(limits::HEALTH_HISTORY_MAX);
        all.split_off(surplus)
    }

    /// The worst status. Unhealthy by silence if every unhealthy witness is so by silence.
    fn status(&self) -> ComponentStatus {
        let all = || self.by_witness.values().map(WitnessReport::status);
        let health = all().map(|s| s.health).max().unwrap_or(Health::Unknown);
        let mut worst = all().filter(|s| s.health == health);
        let by_silence = worst.all(|s| s.by_silence) && health == Health::Unhealthy;
        ComponentStatus { health, by_silence }
    }

    /// The report that counts: the worst, and of equal ones that of the longest silent witness.
    fn worst(&self) -> Option<(Witness, &WitnessReport)> {
        let rank = |report: &WitnessReport| {
            let status = report.status();
            (status.health, !status.by_silence, Reverse(report.last_check_at()))
        };
        let worst = self.by_witness.iter().max_by_key(|(_, report)| rank(report));
        worst.map(|(witness, report)| (*witness, report))
    }
}
