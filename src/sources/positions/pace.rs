//! When a source is asked again.
//!
//! Input: the interval, and how the last pulls ended. Output: the time from the begin of a pull to the
//! begin of the next one. Invariants: never shorter than the interval; bounded, so that a server that asks
//! for a day of silence is not lost for a day.

use std::time::Duration;

/// The longest pause: this many intervals ...
const INTERVALS_MAX: u32 = 8;
/// ... but no longer than this, unless the interval itself is longer.
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// The longest pause that a server may ask for.
const ASKED_MAX: Duration = Duration::from_hours(1);

/// The load of a server, by its answers to a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServerLoad {
    /// It answered, or failed in a way that a pause does not change.
    Ready,
    /// It answered 403, 418, 429 or 5xx.
    Busy,
    /// It asked for a pause.
    BusyFor(Duration),
}

/// The pace of one source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PullPace {
    interval: Duration,
    /// Pulls in a row that the server refused because it is busy.
    refused: u32,
}

impl PullPace {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self { interval, refused: 0 }
    }

    /// The wait after a pull.
    pub(crate) fn next(&mut self, load: ServerLoad) -> Duration {
        let max = (self.interval * INTERVALS_MAX).min(PAUSE_MAX).max(self.interval);
        let asked = match load {
            ServerLoad::Ready => {
                self.refused = 0;
                return self.interval;
            }
            ServerLoad::Busy => None,
            ServerLoad::BusyFor(pause) => Some(pause),
        };
        self.refused = self.refused.saturating_add(1);
        let doubled = self.interval.saturating_mul(1 << self.refused.min(4));
        match asked {
            // One that is asked too early may ban this address, and with it the engine.
            Some(pause) => pause.clamp(self.interval, ASKED_MAX.max(self.interval)),
            None => doubled.clamp(self.interval, max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_is_asked_less_often() {
        let seconds = Duration::from_secs;
        let mut pace = PullPace::new(seconds(10));
        let mut check = |load: ServerLoad, expect: u64| {
            assert_eq!(pace.next(load), seconds(expect), "{load:?}");
        };
        check(ServerLoad::Ready, 10);
        check(ServerLoad::Busy, 20);
        check(ServerLoad::Busy, 40);
        check(ServerLoad::Busy, 80);
        check(ServerLoad::Busy, 80);
        check(ServerLoad::BusyFor(seconds(30)), 30);
        check(ServerLoad::BusyFor(seconds(1)), 10);
        check(ServerLoad::BusyFor(seconds(600)), 600);
        check(ServerLoad::BusyFor(seconds(86_400)), 3_600);
        check(ServerLoad::Ready, 10);
        check(ServerLoad::Busy, 20);
        let mut slow = PullPace::new(seconds(3_600));
        assert_eq!(slow.next(ServerLoad::BusyFor(seconds(86_400))), seconds(3_600));
        let mut minute = PullPace::new(seconds(60));
        assert_eq!(minute.next(ServerLoad::BusyFor(seconds(86_400))), seconds(3_600));
    }
}
