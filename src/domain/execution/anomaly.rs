//! Judges execution figures against thresholds, with hysteresis and minimum samples.
//!
//! Input: figures of a window, counts, and the rules. Output: the active anomalies, and the changes.
//! Invariants: a figure with too few samples is never an anomaly; an active anomaly clears only when
//! its distance from the ideal value is back at `clear_fraction` of the threshold's distance.

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::execution::figures::Figures;
use crate::domain::ids::Symbol;
use crate::domain::settings::{AnomalyRules, FillRatioBasis, Levels};
use crate::domain::time::Timestamp;

closed_set! {
    /// How severe an anomaly is.
    pub enum AnomalyLevel {
        /// Worth a look.
        Warning = "WARNING",
        /// Needs action now.
        Critical = "CRITICAL",
    }
}

impl AnomalyLevel {
    /// As on metrics: 1 warning, 2 critical (0 is none).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }
}

closed_set! {
    /// A judged figure; the label `figure` of `trading_anomaly`.
    pub enum Figure {
        /// Fill ratio of a window.
        FillRatio = "fill_ratio",
        /// Mean slippage of a window.
        SlippageBps = "slippage_bps",
        /// Mean fill time of a window.
        FillTimeSeconds = "fill_time_seconds",
        /// Rejection ratio of a window.
        RejectionRatio = "rejection_ratio",
        /// Rejections in a row of one symbol.
        ConsecutiveRejections = "consecutive_rejections",
        /// Orders without any answer from the venue.
        Unacknowledged = "unacknowledged_orders",
        /// More was filled than was ordered.
        Overfill = "overfill",
        /// One id with two contents.
        Conflict = "conflict",
        /// Times from the future, or in the wrong order.
        ClockSkew = "clock_skew",
        /// An alert halted an account that no configuration, token or event names.
        HaltOfUnknownAccount = "halt_of_unknown_account",
    }
}

impl Figure {
    /// The levels of an incident: a single one is a warning, or worse.
    #[must_use]
    pub const fn levels_of_incident(self) -> Levels {
        if matches!(self, Self::HaltOfUnknownAccount) {
            return Levels { warning: None, critical: Some(0.0) };
        }
        Levels { warning: Some(0.0), critical: None }
    }
}

/// One open anomaly.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyView {
    /// The instrument; `None` for the account as a whole.
    pub symbol: Option<Symbol>,
    /// The judged figure.
    pub figure: Figure,
    /// Its severity.
    pub level: AnomalyLevel,
    /// The latest value.
    pub value: f64,
    /// The threshold of the level.
    pub threshold: f64,
    /// Number of samples of the value.
    pub samples: usize,
    /// Since when (receive time).
    pub since: Timestamp,
}

/// An active anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveAnomaly {
    /// The judged figure.
    pub figure: Figure,
    /// Its severity.
    pub level: AnomalyLevel,
    /// The latest value.
    pub value: f64,
    /// The threshold of the level.
    pub threshold: f64,
    /// Number of samples of the value.
    pub samples: usize,
    /// Since when (receive time).
    pub since: Timestamp,
}

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnomalyChange {
    /// The judged figure.
    pub figure: Figure,
    /// The new level; `None` if it cleared.
    pub level: Option<AnomalyLevel>,
    /// The value that changed the level.
    pub value: f64,
}

/// The value of one figure at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// The observed figure.
    pub figure: Figure,
    /// `None` without a sample.
    pub value: Option<f64>,
    /// Number of its samples.
    pub samples: usize,
    /// Its thresholds.
    pub levels: Levels,
}

/// The anomalies of one symbol or account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ActiveAnomalies(Vec<ActiveAnomaly>);

impl ActiveAnomalies {
    /// The anomalies, in the order of [`Figure::ALL`].
    #[must_use]
    pub fn all(&self) -> &[ActiveAnomaly] {
        &self.0
    }

    /// Whether no anomaly is active and none of these observations starts one.
    #[must_use]
    #[inline]
    pub fn is_quiet(&self, observations: &[Observation; 4], rules: &AnomalyRules) -> bool {
        let [a, b, c, d] = observations;
        let starts = |observation| level(observation, rules, None).is_some();
        self.0.is_empty() && !starts(a) && !starts(b) && !starts(c) && !starts(d)
    }

    /// Judges one observation. Returns the change of level, if any.
    pub fn judge(
        &mut self,
        observation: Observation,
        rules: &AnomalyRules,
        now: Timestamp,
    ) -> Option<AnomalyChange> {
        let figure = observation.figure;
        if self.0.is_empty() && level(&observation, rules, None).is_none() {
            return None;
        }
        let at = self.0.iter().position(|s| s.figure == figure);
        let before = at.and_then(|at| self.0.get_mut(at));
        let had = before.as_ref().map(|s| s.level);
        let found = level(&observation, rules, had);
        match (before, found, at) {
            (Some(active), Some((level, value, threshold)), _) => {
                let samples = observation.samples;
                *active = ActiveAnomaly { level, value, threshold, samples, ..*active };
                (had != Some(level)).then_some(AnomalyChange { figure, level: Some(level), value })
            }
            (Some(_), None, Some(at)) => {
                let gone = self.0.remove(at);
                let value = observation.value.unwrap_or(gone.value);
                Some(AnomalyChange { figure, level: None, value })
            }
            (None, Some((level, value, threshold)), _) => {
                let samples = observation.samples;
                self.0.push(ActiveAnomaly { figure, level, value, threshold, samples, since: now });
                self.0.sort_by_key(|s| s.figure);
                Some(AnomalyChange { figure, level: Some(level), value })
            }
            (Some(_) | None, None, _) => None,
        }
    }
}

/// Observations of the window figures that rules judge.
#[must_use]
#[inline]
pub fn window_observations(figures: &Figures, rules: &AnomalyRules) -> [Observation; 4] {
    let (fill_ratio, ended) = match rules.fill_ratio_basis {
        FillRatioBasis::All => (figures.fill_ratio, figures.samples),
        FillRatioBasis::ExUserCancels => {
            (figures.fill_ratio_ex_user_cancels, figures.samples - figures.untouched_user_cancels)
        }
    };
    let reference = rules.slippage_reference.index();
    let slippage = figures.slippage.get(reference).copied().unwrap_or_default();
    [
        observe(Figure::FillRatio, fill_ratio, ended, rules.fill_ratio),
        observe(Figure::SlippageBps, slippage.mean_bps, slippage.samples, rules.slippage_bps),
        observe(
            Figure::FillTimeSeconds,
            figures.fill_time.seconds,
            figures.fill_time.samples,
            rules.fill_time_seconds,
        ),
        observe(
            Figure::RejectionRatio,
            figures.rejection_ratio,
            figures.samples,
            rules.rejection_ratio,
        ),
    ]
}

const fn observe(
    figure: Figure,
    value: Option<f64>,
    samples: usize,
    levels: Levels,
) -> Observation {
    Observation { figure, value, samples, levels }
}

/// The level of an observation, its value and the threshold. `had` is the active level: it clears
/// later than it starts.
#[inline]
fn level(
    observation: &Observation,
    rules: &AnomalyRules,
    had: Option<AnomalyLevel>,
) -> Option<(AnomalyLevel, f64, f64)> {
    let value = observation.value?;
    if observation.figure.needs_samples() && observation.samples < rules.min_samples {
        return None;
    }
    // Distance from the ideal value: a fill ratio is best at 1, every other figure at 0.
    let is_best_at_one = observation.figure == Figure::FillRatio;
    let distance = |value: f64| if is_best_at_one { 1.0 - value } else { value };
    let is_at = |level: AnomalyLevel, threshold: Option<f64>| {
        let threshold = threshold?;
        let is_active = had.is_some_and(|had| had >= level);
        let fraction = if is_active { rules.clear_fraction } else { 1.0 };
        let (distance, bound) = (distance(value), distance(threshold) * fraction);
        let beyond =
            if observation.figure.is_inclusive() { distance >= bound } else { distance > bound };
        beyond.then_some((level, value, threshold))
    };
    is_at(AnomalyLevel::Critical, observation.levels.critical)
        .or_else(|| is_at(AnomalyLevel::Warning, observation.levels.warning))
}

impl Figure {
    /// Whether a value equal to the threshold is an anomaly.
    const fn is_inclusive(self) -> bool {
        matches!(self, Self::ConsecutiveRejections)
    }

    /// Whether the figure is a statistic that needs a minimum of samples.
    const fn needs_samples(self) -> bool {
        matches!(
            self,
            Self::FillRatio | Self::SlippageBps | Self::FillTimeSeconds | Self::RejectionRatio
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges values one after the other and compares the active level after each.
    fn check(figure: Figure, levels: Levels, values: &[(f64, &str)]) {
        let rules = AnomalyRules::default();
        let mut anomalies = ActiveAnomalies::default();
        for (value, expect) in values {
            let observation = Observation { figure, value: Some(*value), samples: 20, levels };
            anomalies.judge(observation, &rules, Timestamp::MIN);
            let level = anomalies.all().first().map_or("none", |s| s.level.as_str());
            assert_eq!(level, *expect, "{figure:?} at {value}");
        }
    }

    #[test]
    fn levels_hold_until_most_of_the_way_back() {
        check(
            Figure::SlippageBps,
            Levels::new(10.0, 20.0),
            &[
                (10.0, "none"),
                (10.1, "WARNING"),
                (8.1, "WARNING"),
                (8.0, "none"),
                (9.0, "none"),
                (20.0, "WARNING"),
                (20.1, "CRITICAL"),
                (16.1, "CRITICAL"),
                (16.0, "WARNING"),
                (8.0, "none"),
                (-50.0, "none"),
            ],
        );
        check(
            Figure::FillRatio,
            Levels::new(0.90, 0.75),
            &[
                (0.90, "none"),
                (0.89, "WARNING"),
                (0.91, "WARNING"),
                (0.93, "none"),
                (0.75, "WARNING"),
                (0.74, "CRITICAL"),
                (0.79, "CRITICAL"),
                (0.81, "WARNING"),
                (1.0, "none"),
            ],
        );
    }

    #[test]
    fn thin_data_is_no_anomaly() {
        let rules = AnomalyRules::default();
        let mut anomalies = ActiveAnomalies::default();
        let levels = Levels::new(10.0, 20.0);
        let figure = Figure::SlippageBps;
        for (samples, value, expect) in [(19, Some(50.0), 0), (20, Some(50.0), 1), (20, None, 0)] {
            let observation = Observation { figure, value, samples, levels };
            anomalies.judge(observation, &rules, Timestamp::MIN);
            assert_eq!(anomalies.all().len(), expect, "{samples} samples of {value:?}");
        }
    }
}
