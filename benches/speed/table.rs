//! The resulting table: one line for each comparison, in Markdown.

use std::fmt::Write;

/// One comparison.
#[derive(Debug)]
pub(crate) struct Row {
    /// The measurement.
    pub(crate) what: String,
    /// Its result, with the unit.
    pub(crate) ours: String,
    /// The other side of the comparison.
    pub(crate) against: String,
    /// Its result.
    pub(crate) theirs: String,
    /// `ours` / `theirs`, unless `against` says otherwise.
    pub(crate) ratio: f64,
    pub(crate) goal: Goal,
    /// How busy both sides were, or another remark.
    pub(crate) note: String,
}

/// The goal for a ratio.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// The row is only informative.
    None,
}

impl Goal {
    fn verdict(self, ratio: f64) -> (String, &'static str) {
        let (text, holds) = match self {
            Self::AtLeast(least) => (format!(">= {least}"), ratio >= least),
            Self::AtMost(most) => (format!("<= {most}"), ratio <= most),
            Self::None => return (String::new(), ""),
        };
        (text, if holds { "yes" } else { "**no**" })
    }
}

/// The rows as a table.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | measured | against | measured | ratio | goal | holds | |\n|---|--:|---|--:|--:|--:|---|---|\n",
    );
    for Row { what, ours, against, theirs, ratio, goal, note } in rows {
        let (goal, holds) = goal.verdict(*ratio);
        writeln!(
            text,
            "| {what} | {ours} | {against} | {theirs} | {ratio:.2} | {goal} | {holds} | {note} |"
        )
        .expect("text");
    }
    text
}

/// A rate, such as `112,000/s`.
pub(crate) fn per_second(rate: f64) -> String {
    format!("{}/s", thousands(rate))
}

/// A number rounded to three digits, with commas between thousands.
pub(crate) fn thousands(value: f64) -> String {
    let magnitude = 10_f64.powf((value.abs().max(1.0).log10().floor() - 2.0).max(0.0));
    let digits = format!("{:.0}", (value / magnitude).round() * magnitude);
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
