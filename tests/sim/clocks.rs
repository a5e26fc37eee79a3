//! The clocks of the simulated machine: a wall clock that is set forward and back, and a monotonic one.
//!
//! Their random numbers are their own, so that a world does the same whatever the clocks do.

use std::time::Duration;

use trading_exporter::domain::clock::ClockReading;
use trading_exporter::domain::time::Timestamp;

use crate::random::Random;

/// Both clocks.
pub(crate) struct Clocks {
    /// The time that every right clock shows.
    right: Timestamp,
    wall: Timestamp,
    monotonic: Duration,
    /// The monotonic time of the newest record.
    committed: Duration,
    /// The process has written no record since its start.
    is_fresh: bool,
    random: Random,
}

impl Clocks {
    pub(crate) fn new(right: Timestamp, seed: u64) -> Self {
        let (monotonic, committed) = (Duration::from_secs(1), Duration::ZERO);
        let random = Random(seed ^ 0x636c_6f63_6b73);
        Self { right, wall: right, monotonic, committed, is_fresh: true, random }
    }

    pub(crate) const fn reading(&self) -> ClockReading {
        ClockReading { wall: self.wall, monotonic: Some(self.monotonic) }
    }

    pub(crate) const fn wall(&self) -> Timestamp {
        self.wall
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        (self.right, self.wall) = (self.right.plus(by), self.wall.plus(by));
        if !self.is_fresh {
            self.monotonic += by;
        }
    }

    /// Since the newest record.
    pub(crate) fn since_committed(&self) -> Duration {
        self.monotonic.saturating_sub(self.committed)
    }

    /// Notes the reading of a batch with records.
    pub(crate) fn committed(&mut self, now: ClockReading) {
        self.committed = now.monotonic.unwrap_or(self.committed);
        self.is_fresh = false;
    }

    /// A process that starts knows no earlier monotonic time, so for it none passes before its first
    /// record.
    pub(crate) const fn restarted(&mut self) {
        self.monotonic = self.committed;
        self.is_fresh = true;
    }

    /// Sets the wall clock: by this much, by days, by 70 years; or right again.
    pub(crate) fn jump(&mut self, by: Duration, is_forward: bool) {
        const DAY: u64 = 86_400;
        self.wall = match self.random.below(8) {
            0..4 if is_forward => self.wall.plus(by),
            0..4 => self.wall.minus(by),
            4 => self.wall.plus(Duration::from_secs(DAY * (1 + self.random.below(3)))),
            5 if self.random.chance(4) => self.right.plus(Duration::from_secs(70 * 365 * DAY)),
            _ => self.right,
        };
    }
}
