//! Execution figures judged against thresholds, with hysteresis and minimum samples.
//!
//! Input: figures of a window, counts, and the rules. Output: the anomalies that stand, and what
//! changed. Invariants: a figure with too few samples is never an anomaly; one that stands clears
//! only when its distance from the ideal value is back at `clear_fraction` of the threshold's.

use serde::{Deserialize, Serialize};

use crate::domain::execution::figures::Figures;
use crate::domain::settings::{AnomalyRules, FillRatioBasis, Levels};
use crate::domain::time::Timestamp;

/// How bad an anomaly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AnomalyLevel {
    /// Worth a look.
    Warning,
    /// Needs somebody now.
    Critical,
}

impl AnomalyLevel {
    /// As on the wire: `WARNING`, `CRITICAL`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }

    /// As on metrics: 1 warning, 2 critical (0 is none).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }
}

/// What is judged; the label `figure` of `trading_anomaly`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Figure {
    /// Fill ratio of a window.
    FillRatio,
    /// Mean slippage of a window.
    SlippageBps,
    /// Mean fill time of a window.
    FillTimeSeconds,
    /// Rejection ratio of a window.
    RejectionRatio,
    /// Rejections in a row of one symbol.
    ConsecutiveRejections,
    /// Orders that nobody acknowledged.
    Unacknowledged,
    /// More was filled than was ordered.
    Overfill,
    /// One id with two contents.
    Conflict,
    /// Times from the future, or in the wrong order.
    ClockSkew,
    /// An alert halted an account that nobody named.
    HaltOfUnknownAccount,
}

impl Figure {
    /// All figures.
    pub const ALL: [Self; 10] = [
        Self::FillRatio,
        Self::SlippageBps,
        Self::FillTimeSeconds,
        Self::RejectionRatio,
        Self::ConsecutiveRejections,
        Self::Unacknowledged,
        Self::Overfill,
        Self::Conflict,
        Self::ClockSkew,
        Self::HaltOfUnknownAccount,
    ];

    /// As on the wire and on metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FillRatio => "fill_ratio",
            Self::SlippageBps => "slippage_bps",
            Self::FillTimeSeconds => "fill_time_seconds",
            Self::RejectionRatio => "rejection_ratio",
            Self::ConsecutiveRejections => "consecutive_rejections",
            Self::Unacknowledged => "unacknowledged_orders",
            Self::Overfill => "overfill",
            Self::Conflict => "conflict",
            Self::ClockSkew => "clock_skew",
            Self::HaltOfUnknownAccount => "halt_of_unknown_account",
        }
    }

    /// The levels of something that must not happen at all: once is a warning, or worse.
    #[must_use]
    pub const fn levels_of_events(self) -> Levels {
        match self {
            Self::HaltOfUnknownAccount => Levels { warning: None, critical: Some(0.0) },
            Self::FillRatio
            | Self::SlippageBps
            | Self::FillTimeSeconds
            | Self::RejectionRatio
            | Self::ConsecutiveRejections
            | Self::Unacknowledged
            | Self::Overfill
            | Self::Conflict
            | Self::ClockSkew => Levels { warning: Some(0.0), critical: None },
        }
    }
}

/// One open anomaly.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyView {
    /// The instrument; none: the account as a whole.
    pub symbol: Option<crate::domain::ids::Symbol>,
    /// What is judged.
    pub figure: Figure,
    /// How bad it is.
    pub level: AnomalyLevel,
    /// The latest value.
    pub value: f64,
    /// The threshold of the level.
    pub threshold: f64,
    /// Samples behind the value.
    pub samples: usize,
    /// Since when (receive time).
    pub since: crate::domain::time::Timestamp,
}

/// One anomaly that stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// What is judged.
    pub figure: Figure,
    /// How bad it is.
    pub level: AnomalyLevel,
    /// The latest value.
    pub value: f64,
    /// The threshold of the level.
    pub threshold: f64,
    /// Samples behind the value.
    pub samples: usize,
    /// Since when (receive time).
    pub since: Timestamp,
}

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// What is judged.
    pub figure: Figure,
    /// The level from now on; none: cleared.
    pub level: Option<AnomalyLevel>,
    /// The value that decided.
    pub value: f64,
}

/// What is known of one figure at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Which figure.
    pub figure: Figure,
    /// Its value; none: no sample.
    pub value: Option<f64>,
    /// Samples behind it.
    pub samples: usize,
    /// Its thresholds.
    pub levels: Levels,
}

/// The anomalies of one symbol or account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Standings(Vec<Standing>);

impl Standings {
    /// The anomalies that stand.
    #[must_use]
    pub fn all(&self) -> &[Standing] {
        &self.0
    }

    /// Whether no anomaly stands and none of these comes: then there is nothing to judge.
    #[must_use]
    #[inline]
    pub fn is_quiet(&self, observations: &[Observation; 4], rules: &AnomalyRules) -> bool {
        let [a, b, c, d] = observations;
        let comes = |observation| level(observation, rules, None).is_some();
        self.0.is_empty() && !comes(a) && !comes(b) && !comes(c) && !comes(d)
    }

    /// Judges one observation. Returns what changed.
    pub fn judge(
        &mut self,
        observation: Observation,
        rules: &AnomalyRules,
        now: Timestamp,
    ) -> Option<Change> {
        let figure = observation.figure;
        if self.0.is_empty() && level(&observation, rules, None).is_none() {
            return None;
        }
        let at = self.0.iter().position(|s| s.figure == figure);
        let before = at.and_then(|at| self.0.get_mut(at));
        let had = before.as_ref().map(|s| s.level);
        let found = level(&observation, rules, had);
        match (before, found, at) {
            (Some(standing), Some((level, value, threshold)), _) => {
                let samples = observation.samples;
                *standing = Standing { level, value, threshold, samples, ..*standing };
                (had != Some(level)).then_some(Change { figure, level: Some(level), value })
            }
            (Some(_), None, Some(at)) => {
                let gone = self.0.remove(at);
                let value = observation.value.unwrap_or(gone.value);
                Some(Change { figure, level: None, value })
            }
            (None, Some((level, value, threshold)), _) => {
                let samples = observation.samples;
                self.0.push(Standing { figure, level, value, threshold, samples, since: now });
                self.0.sort_by_key(|s| s.figure);
                Some(Change { figure, level: Some(level), value })
            }
            (Some(_) | None, None, _) => None,
        }
    }
}

/// The figures of a window that are judged.
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

/// The level of an observation, its value and the threshold, given the level that stood.
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
    // Distance from the ideal value: a ratio of fills is best at 1, all else at 0.
    let distance = |value: f64| match observation.figure {
        Figure::FillRatio => 1.0 - value,
        Figure::SlippageBps
        | Figure::FillTimeSeconds
        | Figure::RejectionRatio
        | Figure::ConsecutiveRejections
        | Figure::Unacknowledged
        | Figure::Overfill
        | Figure::Conflict
        | Figure::ClockSkew
        | Figure::HaltOfUnknownAccount => value,
    };
    let is_at = |level: AnomalyLevel, threshold: Option<f64>| {
        let threshold = threshold?;
        let stood = had.is_some_and(|had| had >= level);
        let fraction = if stood { rules.clear_fraction } else { 1.0 };
        let (distance, bound) = (distance(value), distance(threshold) * fraction);
        let beyond =
            if observation.figure.is_inclusive() { distance >= bound } else { distance > bound };
        beyond.then_some((level, value, threshold))
    };
    is_at(AnomalyLevel::Critical, observation.levels.critical)
        .or_else(|| is_at(AnomalyLevel::Warning, observation.levels.warning))
}

impl Figure {
    /// Whether the threshold itself is an anomaly: so many in a row are too many.
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

    /// Judges a row of values and compares the levels that stand after each.
    fn check(figure: Figure, levels: Levels, values: &[(f64, &str)]) {
        let rules = AnomalyRules::default();
        let mut standings = Standings::default();
        for (value, expect) in values {
            let observation = Observation { figure, value: Some(*value), samples: 20, levels };
            standings.judge(observation, &rules, Timestamp::MIN);
            let level = standings.all().first().map_or("none", |s| s.level.as_str());
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
        let mut standings = Standings::default();
        let levels = Levels::new(10.0, 20.0);
        let figure = Figure::SlippageBps;
        for (samples, value, expect) in [(19, Some(50.0), 0), (20, Some(50.0), 1), (20, None, 0)] {
            let observation = Observation { figure, value, samples, levels };
            standings.judge(observation, &rules, Timestamp::MIN);
            assert_eq!(standings.all().len(), expect, "{samples} samples of {value:?}");
        }
    }
}
