//! Building blocks of `PromQL`.
//!
//! Invariants: a value is the latest of two minutes, so that one missed scrape neither ends an alert
//! nor restarts its `for`; the right side of a join with thresholds is aggregated, so that two replicas
//! do not break it.

use std::fmt::Display;

use super::Thresholds;
use crate::domain::settings::Settings;

/// The input of all rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleContext<'s> {
    pub(super) settings: &'s Settings,
    pub(super) thresholds: Thresholds,
}

/// A comparison, as `PromQL` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    /// `<`
    Below,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Compare {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// The latest value of a selector; it survives one missed scrape.
pub(super) fn latest(selector: &str) -> String {
    format!("last_over_time({selector}[2m])")
}

/// The largest over all replicas.
pub(super) fn max_by(labels: &str, expr: &str) -> String {
    format!("max by ({labels}) ({expr})")
}

/// An expression with every line indented.
pub(super) fn indent(expr: &str) -> String {
    let lines: Vec<String> = expr.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

/// An expression in parentheses on lines of their own.
pub(super) fn brackets(expr: &str) -> String {
    format!("(\n{}\n)", indent(expr))
}

/// Expressions joined by an operator on a line of its own.
pub(super) fn chain(operator: &str, parts: &[String]) -> String {
    parts.join(&format!("\n{operator}\n"))
}

impl RuleContext<'_> {
    /// A threshold in force: an expression with the labels `job` and `account`, or the number. `None` if
    /// the level is off.
    pub(super) fn threshold(
        &self,
        figure: &str,
        severity: &str,
        configured: Option<impl Display>,
    ) -> Option<String> {
        match self.thresholds {
            Thresholds::Joined => {
                let selector =
                    format!("trading_threshold{{figure=\"{figure}\",severity=\"{severity}\"}}");
                Some(max_by("job, account", &latest(&selector)))
            }
            Thresholds::Literal => configured.map(|number| number.to_string()),
        }
    }

    /// The series of `left` that are beyond a threshold of [`Self::threshold`]; they keep their labels
    /// and their value.
    pub(super) fn compare(&self, left: &str, compare: Compare, threshold: &str) -> String {
        let compare = compare.as_str();
        match self.thresholds {
            Thresholds::Joined => {
                format!("  {left}\n{compare} on (job, account) group_left ()\n  {threshold}")
            }
            Thresholds::Literal => format!("{left} {compare} {threshold}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_joined_or_in_place() {
        let settings = Settings::default();
        let check = |thresholds, configured: Option<f64>, expect: Option<&str>| {
            let context = RuleContext { settings: &settings, thresholds };
            let threshold = context.threshold("fill_ratio", "critical", configured);
            let found = threshold.map(|t| context.compare("x", Compare::Below, &t));
            assert_eq!(found.as_deref(), expect, "{thresholds:?} {configured:?}");
        };
        let joined = "  x\n< on (job, account) group_left ()\n  max by (job, account) \
                      (last_over_time(trading_threshold{figure=\"fill_ratio\",severity=\"critical\"}[2m]))";
        check(Thresholds::Joined, Some(0.75), Some(joined));
        check(Thresholds::Joined, None, Some(joined));
        check(Thresholds::Literal, Some(0.75), Some("x < 0.75"));
        check(Thresholds::Literal, None, None);
    }
}
