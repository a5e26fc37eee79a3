//! Pauses between attempts: they double, up to a bound, and differ by chance.
//!
//! Input: random bits. Output: the next pause. Invariant: a pause is at least half of its step, so that
//! attempts are rare, and at most the step.

use std::time::Duration;

/// The first step.
const FIRST: Duration = Duration::from_millis(200);
/// The longest step.
const LONGEST: Duration = Duration::from_secs(30);

/// The pauses of one source.
#[derive(Debug)]
pub(super) struct Backoff {
    step: Duration,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Backoff {
    /// Pauses of at most `longest`.
    pub(super) const fn up_to(longest: Duration) -> Self {
        Self { step: FIRST, longest }
    }

    /// An attempt succeeded.
    pub(super) const fn reset(&mut self) {
        self.step = FIRST;
    }

    /// The pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        // Without random bits all pauses are the longest of their step.
        self.next_with(getrandom::u32().unwrap_or(u32::MAX))
    }

    fn next_with(&mut self, random: u32) -> Duration {
        let step = self.step.min(self.longest);
        self.step = step.saturating_mul(2);
        let half = step / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_again() {
        let mut backoff = Backoff::up_to(Duration::from_secs(1));
        let mut next = |random: u32| backoff.next_with(random).as_millis();
        assert_eq!(
            [next(0), next(u32::MAX), next(0), next(0), next(u32::MAX)],
            [100, 400, 400, 500, 1000]
        );
        backoff.reset();
        assert_eq!(backoff.next_with(0).as_millis(), 100);
    }
}
