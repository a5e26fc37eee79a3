//! Judges execution figures against thresholds, with hysteresis and minimum samples.
//!
//! Input: figures of a window, counts, and the rules. Output: the active anomalies, and the changes.
//! Invariants: a figure with too few samples is never an anomaly; an active anomaly clears only when
//! its distance from the ideal value is back at `clear_fraction` of the threshold's distance.

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::directive::DirectiveKind;
use crate::domain::execution::figures::Figures;
use crate::domain::ids::Symbol;
pub use crate::domain::settings::Figure;
use crate::domain::settings::{AnomalyRules, FillRatioBasis, Worse};
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
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

impl AnomalyChange {
    /// Emits the change as a directive. `symbol`: `None` for the whole account.
    pub(super) fn emit(self, symbol: Option<SymbolKey>, step: &mut Step<'_, '_>) {
        let symbol = symbol.and_then(|key| step.symbols.name(key)).cloned();
        let Self { figure, level, value } = self;
        step.emit(DirectiveKind::Anomaly { symbol, figure, level, value });
    }
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
    pub fn is_quiet(&self, observations: &[Observation; OF_WINDOW], rules: &AnomalyRules) -> bool {
        let is_quiet = |observation| level(observation, rules, None).is_none();
        // One by one, not in a loop: each figure is known to the compiler then.
        let [fill_ratio, slippage, fill_time, rejection_ratio] = observations;
        self.0.is_empty()
            && is_quiet(fill_ratio)
            && is_quiet(slippage)
            && is_quiet(fill_time)
            && is_quiet(rejection_ratio)
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

/// Number of figures that are read off a window.
const OF_WINDOW: usize = 4;

/// The figures of a window that rules judge: the value of each, and the samples behind it.
#[must_use]
#[inline]
pub fn window_observations(figures: &Figures, rules: &AnomalyRules) -> [Observation; OF_WINDOW] {
    let fill_ratio = match rules.fill_ratio_basis {
        FillRatioBasis::All => (figures.fill_ratio, figures.samples),
        FillRatioBasis::ExUserCancels => {
            (figures.fill_ratio_ex_user_cancels, figures.samples - figures.untouched_user_cancels)
        }
    };
    let reference = rules.slippage_reference.index();
    let slippage = figures.slippage.get(reference).copied().unwrap_or_default();
    [
        (Figure::FillRatio, fill_ratio),
        (Figure::SlippageBps, (slippage.mean_bps, slippage.samples)),
        (Figure::FillTimeSeconds, (figures.fill_time.seconds, figures.fill_time.samples)),
        (Figure::RejectionRatio, (figures.rejection_ratio, figures.samples)),
    ]
    .map(|(figure, (value, samples))| Observation { figure, value, samples })
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
    let (figure, spec) = (observation.figure, observation.figure.spec());
    if spec.is_of_window && observation.samples < rules.min_samples {
        return None;
    }
    let distance = |value: f64| match spec.worse {
        Worse::Lower => 1.0 - value,
        Worse::Higher => value,
    };
    let is_at = |level: AnomalyLevel, threshold: Option<f64>| {
        let threshold = threshold?;
        let is_active = had.is_some_and(|had| had >= level);
        let fraction = if is_active { rules.clear_fraction } else { 1.0 };
        let (distance, bound) = (distance(value), distance(threshold) * fraction);
        // As many rejections in a row as the threshold are too many already.
        let is_inclusive = figure == Figure::ConsecutiveRejections;
        let is_beyond = if is_inclusive { distance >= bound } else { distance > bound };
        is_beyond.then_some((level, value, threshold))
    };
    let levels = &rules.levels[figure];
    is_at(AnomalyLevel::Critical, levels.critical)
        .or_else(|| is_at(AnomalyLevel::Warning, levels.warning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::settings::Levels;

    /// Judges values one after the other and compares the active level after each.
    fn check(figure: Figure, levels: Levels, values: &[(f64, &str)]) {
        let mut rules = AnomalyRules::default();
        rules.levels[figure] = levels;
        let mut anomalies = ActiveAnomalies::default();
        for (value, expect) in values {
            let observation = Observation { figure, value: Some(*value), samples: 20 };
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
        let figure = Figure::SlippageBps;
        for (samples, value, expect) in [(19, Some(50.0), 0), (20, Some(50.0), 1), (20, None, 0)] {
            let observation = Observation { figure, value, samples };
            anomalies.judge(observation, &rules, Timestamp::MIN);
            assert_eq!(anomalies.all().len(), expect, "{samples} samples of {value:?}");
        }
    }

    #[test]
    fn every_figure_of_a_window_is_observed() {
        let observed = window_observations(&Figures::default(), &AnomalyRules::default());
        let of_window = Figure::ALL.into_iter().filter(|figure| figure.spec().is_of_window);
        assert!(observed.into_iter().map(|o| o.figure).eq(of_window));
    }
}
