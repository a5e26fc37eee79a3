//! The table that comes out: one line for each comparison, in Markdown.

use std::fmt::Write;

/// One comparison.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What came out, with its unit.
    pub(crate) ours: String,
    /// Against what.
    pub(crate) against: String,
    /// What came out there.
    pub(crate) theirs: String,
    /// Ours by theirs.
    pub(crate) ratio: f64,
    /// What the ratio should be.
    pub(crate) goal: Goal,
    /// How busy server and load were, or what else must be known.
    pub(crate) note: String,
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// The more, the better.
    AtLeast(f64),
    /// The less, the better.
    AtMost(f64),
    /// It only tells.
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

/// A rate as people read it: `112,000/s`.
pub(crate) fn per_second(rate: f64) -> String {
    format!("{}/s", thousands(rate))
}

/// A number with its thousands apart, rounded to three digits.
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
