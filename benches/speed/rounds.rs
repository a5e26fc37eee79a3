//! Rounds in which the sides of a comparison take turns, and medians over the rounds.

use std::time::{Duration, Instant};

/// Measured rounds of every comparison. One more round before them is the warm-up.
pub(crate) const ROUNDS: usize = 7;

/// Measures each side once per round, in turn. Returns the values of each side, without the warm-up.
pub(crate) fn take_turns<T, const N: usize>(mut sides: [&mut dyn FnMut() -> T; N]) -> [Vec<T>; N] {
    let mut measured = [(); N].map(|()| Vec::new());
    for round in 0..=ROUNDS {
        for (side, values) in sides.iter_mut().zip(&mut measured) {
            let value = side();
            if round > 0 {
                values.push(value);
            }
        }
    }
    measured
}

/// The median of the values. Panics if there is none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("a value")
}

/// The median of the rounds' ratios.
pub(crate) fn median_ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
}

/// Units of work per second, measured for about `time`. `work` returns how many units it did.
pub(crate) fn rate(time: Duration, mut work: impl FnMut() -> u64) -> f64 {
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < time {
        done += work();
    }
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let done = done as f64;
    done / started.elapsed().as_secs_f64()
}
