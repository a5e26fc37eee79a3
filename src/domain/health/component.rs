//! What is known of one component: what each of its witnesses reports, and what that adds up to.
//!
//! Input: the reports of witnesses. Output: the state and its changes. Invariant: the worst report
//! counts, so that no witness overrules another. Deliberately absent: counting (see `report`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::Report;
use super::{Change, CheckView, ComponentView, Health, Standing, Witness, is_critical};
use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::settings::HealthSettings;
use crate::domain::time::Timestamp;

/// One component.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reports {
    by_witness: BTreeMap<Witness, Report>,
    /// What they added up to when that was last told.
    told: Standing,
    since: Timestamp,
}

impl Reports {
    /// A component that is first heard of at `now`: unknown, until a result is taken.
    pub(super) const fn new(now: Timestamp) -> Self {
        let told = Standing { health: Health::Unknown, by_silence: false };
        Self { by_witness: BTreeMap::new(), told, since: now }
    }

    /// What a witness reports, to change it; then comes [`Self::settle`].
    pub(super) fn of(&mut self, witness: Witness, now: Timestamp) -> &mut Report {
        self.by_witness.entry(witness).or_insert_with(|| Report::new(now))
    }

    /// Lets time pass; whether a witness is silent for longer than was counted. Then comes
    /// [`Self::settle`].
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

    /// Adds up what the witnesses report now; the change, if it is one.
    pub(super) fn settle(&mut self, component: &Component, now: Timestamp) -> Option<Change> {
        let (before, standing) = (self.told, self.standing());
        self.told = standing;
        let is_heard = before.by_silence && !standing.by_silence;
        if standing.health != before.health {
            self.since = now;
        } else if !is_heard {
            return None;
        }
        let message = self.worst().map_or("", |(_, report)| report.message()).to_owned();
        Some(Change { component: component.clone(), standing, message })
    }

    /// Its state.
    pub(super) const fn health(&self) -> Health {
        self.told.health
    }

    /// As it stands.
    pub(super) fn view(&self, name: &Component, settings: &HealthSettings) -> ComponentView {
        let worst = self.worst().map(|(_, report)| report);
        let reports = || self.by_witness.values();
        ComponentView {
            component: name.clone(),
            health: self.told.health,
            critical: is_critical(name, settings),
            message: worst.map_or("", Report::message).to_owned(),
            last_check_at: worst.map(Report::last_check_at),
            latency: worst.and_then(Report::latency),
            interval: worst.map_or(settings.interval, |report| report.interval(settings)),
            consecutive_failures: worst.map_or(0, Report::consecutive_failures),
            failures_total: reports().map(Report::failures_total).sum(),
            since: self.since,
            silent: reports().any(Report::is_silent),
            witnesses: self.by_witness.iter().map(|(who, report)| report.view(*who)).collect(),
        }
    }

    /// The last results, oldest first, and whose they are.
    pub(super) fn history(&self) -> Vec<(Witness, CheckView)> {
        let of = |(who, report): (&Witness, &Report)| {
            report.history().map(|check| (*who, check.clone())).collect::<Vec<_>>()
        };
        let mut all: Vec<(Witness, CheckView)> = self.by_witness.iter().flat_map(of).collect();
        all.sort_by_key(|(_, check)| check.at);
        let surplus = all.len().saturating_sub(limits::HEALTH_HISTORY_MAX);
        all.split_off(surplus)
    }

    /// Unhealthy by silence, if none of those who say unhealthy was heard to say so.
    fn standing(&self) -> Standing {
        let standings = || self.by_witness.values().map(Report::standing);
        let health = standings().map(|s| s.health).max().unwrap_or(Health::Unknown);
        let mut worst = standings().filter(|s| s.health == health);
        Standing { health, by_silence: worst.all(|s| s.by_silence) && health == Health::Unhealthy }
    }

    /// The report that counts: the worst, and of equal ones that of the witness not heard for longest.
    fn worst(&self) -> Option<(Witness, &Report)> {
        let rank = |report: &Report| {
            let standing = report.standing();
            (standing.health, !standing.by_silence, Reverse(report.last_check_at()))
        };
        let worst = self.by_witness.iter().max_by_key(|(_, report)| rank(report));
        worst.map(|(who, report)| (*who, report))
    }
}
