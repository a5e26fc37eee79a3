//! Who yields to whom where the writer, the request tasks and a scrape share one core.
//!
//! # Design
//!
//! On a small machine three kinds of work compete for one core: the tasks of requests on the runtime's
//! threads, the writer on a thread of its own, and a scrape, which is a task that has much more to do
//! than any request. The kernel knows nothing of their order and lets a busy thread run for
//! milliseconds. Four rules keep requests fast:
//!
//! 1. *The writer yields to request tasks before it closes a batch of one request* (`Gather`). The
//!    first request wakes the writer. If the writer ran at once, every request would pay for a batch of
//!    its own: two thread switches, two wake-up calls to the kernel, and one sync of the disk. After one
//!    yield the other tasks have queued their requests too, and one batch serves all of them (group
//!    commit).
//! 2. *A scrape yields to request tasks and to the writer.* It copies and encodes in steps of
//!    [`SCRAPE_STEP_BYTES`] and after each step lets the other tasks of its thread run. If a request then
//!    waits for the writer ([`super::Handle::is_waited_for`]), it yields its thread too, at most
//!    [`SCRAPE_YIELDS_MAX`] times, because the writer itself may yield once by rule 1.
//! 3. *A scrape ends.* Under overload somebody is always ready, and a yield can take as long as a hundred
//!    requests. So a scrape waits for [`SCRAPE_PATIENCE`] in all, and from then on for no longer than it
//!    has worked itself ([`ScrapeShare`]): half of its thread is its own. Rows that change while they are
//!    copied are copied again, at most [`SCRAPE_PASSES_MAX`] times or until no more than
//!    [`SCRAPE_ROWS_LEFT_MAX`] are left; the rest is copied under the lock, so that the scrape shows one
//!    moment.
//! 4. *The writer yields to halts, alerts and releases.* They have a queue of their own, and go before
//!    all other requests. A record is in the log before it is folded, so a batch cannot be interrupted:
//!    instead its size is bounded such that folding takes about [`FOLD_TIME`] (`FoldPace`), and a
//!    larger request is split into several batches. After a batch of decisions the other requests have
//!    their turn.
//!
//! Assumed: a yield returns within microseconds if the other threads are our own. If it took a
//! millisecond and no request arrived, another process took the core; then `Gather` skips yields with
//! exponential back-off, because that process may keep the core for milliseconds each time.
//!
//! Rejected: a linger timer before each batch (a lone request would always pay for it), and priorities of
//! threads (they need privileges, and would let ingest starve scrapes). Held by the tests here and in
//! `queue`, and by benches/speed.

use std::time::Duration;

use crate::domain::limits;

/// Bytes of text that a scrape encodes (and compresses) between two yields.
pub const SCRAPE_STEP_BYTES: usize = 8 * 1024;
/// How often one step of a scrape yields its thread while a request waits for the writer.
pub const SCRAPE_YIELDS_MAX: usize = 3;
/// How long a scrape waits for others in all, besides as long as it works itself.
pub const SCRAPE_PATIENCE: Duration = Duration::from_millis(100);
/// How often a scrape copies changed rows again before it locks the state for the rest.
pub const SCRAPE_PASSES_MAX: usize = 3;
/// With at most this many changed rows left, a scrape copies them under the lock at once.
pub const SCRAPE_ROWS_LEFT_MAX: usize = 32;

/// Yields skipped in a row, at most.
const SKIPPED_MAX: u32 = 255;
/// A yield that took this long should have brought a request: request tasks are faster.
const LONG_YIELD: Duration = Duration::from_millis(1);

/// The time to fold one batch that the writer aims at: the longest that a decision waits for others.
pub const FOLD_TIME: Duration = Duration::from_millis(5);
/// The smallest batch that a request is split into, in events.
const PACE_MIN: usize = 64;
/// The largest batch with a pace, in events: it bounds the first batch of events that are suddenly slow.
const PACE_MAX: usize = 8_192;
/// The first batch of a process, in events.
const PACE_FIRST: usize = 1_024;

/// The time that a scrape has worked, and has waited for others. All times are since its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScrapeShare {
    worked: Duration,
    waited: Duration,
    /// The end of the last step or yield.
    since: Duration,
}

impl ScrapeShare {
    /// A step of work ended. Returns whether others have their turn.
    pub fn worked(&mut self, now: Duration) -> bool {
        self.worked += now.saturating_sub(self.since);
        self.since = now;
        self.waited <= SCRAPE_PATIENCE + self.worked
    }

    /// The turn of others ended. Returns whether they may have another one.
    pub fn waited(&mut self, now: Duration) -> bool {
        self.waited += now.saturating_sub(self.since);
        self.since = now;
        self.waited <= SCRAPE_PATIENCE + self.worked
    }
}

/// The number of events that the writer can fold in [`FOLD_TIME`], from the batches before.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoldPace {
    events: usize,
}

impl FoldPace {
    /// No bound but that of all batches.
    pub(super) const fn unlimited() -> Self {
        Self { events: limits::BATCH_EVENTS_MAX }
    }

    /// A bound that follows from the time that batches take.
    pub(super) const fn measured() -> Self {
        Self { events: PACE_FIRST }
    }

    #[cfg(test)]
    pub(super) const fn of(events: usize) -> Self {
        Self { events }
    }

    /// Events of one batch, at most.
    pub(super) const fn events(self) -> usize {
        self.events
    }

    /// Adapts to a batch. A batch that took too long counts at once; one that was quick only if it was
    /// large enough to show that a larger one would be. A time of zero was not measured.
    pub(super) fn folded(&mut self, events: usize, took: Duration) {
        if took.is_zero() || events == 0 {
            return;
        }
        let fits = events as u128 * FOLD_TIME.as_nanos() / took.as_nanos();
        let fits = usize::try_from(fits).unwrap_or(usize::MAX);
        let half = self.events / 2;
        if took > 4 * FOLD_TIME && events > PACE_MIN {
            self.events = fits.min(self.events);
        } else if took > FOLD_TIME {
            // The thread may have lost its core for a moment.
            self.events = fits.clamp(half, self.events);
        } else if events >= half {
            self.events = fits.clamp(self.events, 2 * self.events);
        }
        self.events = self.events.clamp(PACE_MIN, PACE_MAX);
    }
}

/// The writer's yield before it closes a batch.
#[derive(Debug)]
pub(super) struct Gather {
    /// Yields the thread; returns how long that took.
    yield_thread: fn() -> Duration,
    /// Yields still to be skipped.
    skips_left: u32,
    /// Yields skipped after the last futile one; 0 after a useful one.
    back_off: u32,
}

impl Gather {
    pub(super) const fn new(yield_thread: fn() -> Duration) -> Self {
        Self { yield_thread, skips_left: 0, back_off: 0 }
    }

    /// Yields, unless recent yields were long and futile; `has_arrived` says whether a request is
    /// queued now.
    pub(super) fn run(&mut self, has_arrived: impl FnOnce() -> bool) {
        if self.skips_left > 0 {
            self.skips_left -= 1;
            return;
        }
        let is_futile = (self.yield_thread)() >= LONG_YIELD && !has_arrived();
        self.back_off = if is_futile { (2 * self.back_off + 1).min(SKIPPED_MAX) } else { 0 };
        self.skips_left = self.back_off;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::cell::Cell;

    thread_local! {
        static TAKES: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static YIELDED: Cell<u32> = const { Cell::new(0) };
    }

    /// The chances, of so many, at which it yields if each yield takes `takes` and a request arrives or not.
    fn yields(gather: &mut Gather, chances: u32, takes: Duration, arrives: bool) -> Vec<u32> {
        TAKES.set(takes);
        let is_yield = |_: &u32| {
            YIELDED.set(0);
            gather.run(|| arrives);
            YIELDED.get() > 0
        };
        (0..chances).filter(is_yield).collect()
    }

    /// A scrape ends, however long the turns of others take, after its patience and twice its work, and
    /// one turn more.
    #[test]
    fn a_scrape_waits_no_longer_than_its_patience_and_its_work() {
        let check = |work_us: u64, turn_ms: u64, expect_turns: u32| {
            let (mut now, mut share, mut turns) = (Duration::ZERO, ScrapeShare::default(), 0);
            for _ in 0..1_000 {
                now += Duration::from_micros(work_us);
                let mut may_yield = share.worked(now);
                for _ in 0..SCRAPE_YIELDS_MAX {
                    if may_yield {
                        now += Duration::from_millis(turn_ms);
                        turns += 1;
                        may_yield = share.waited(now);
                    }
                }
            }
            assert_eq!(turns, expect_turns, "{work_us} {turn_ms}");
        };
        check(100, 0, 3_000);
        check(1_000, 1, 1_101);
        check(100, 10, 21);
        check(100, 60, 4);
        check(100, 1_000, 1);
    }

    #[test]
    fn the_pace_follows_the_time_that_batches_take() {
        let mut pace = FoldPace::measured();
        let mut check = |events: usize, took_us: u64, expect: usize| {
            pace.folded(events, Duration::from_micros(took_us));
            assert_eq!(pace.events(), expect, "{events} in {took_us} us");
        };
        check(1_024, 0, 1_024);
        check(10, 10, 1_024);
        check(1_024, 1_000, 2_048);
        check(2_048, 5_000, 2_048);
        check(2_048, 6_000, 1_706);
        check(1, 6_000, 853);
        check(800, 400_000, 64);
        check(64, 1, 128);
        for _ in 0..10 {
            pace.folded(PACE_MAX, Duration::from_micros(1));
        }
        assert_eq!(pace.events(), PACE_MAX);
    }

    #[test]
    fn long_futile_yields_are_skipped_with_exponential_back_off() {
        let mut gather = Gather::new(|| {
            YIELDED.set(YIELDED.get() + 1);
            TAKES.get()
        });
        let short = Duration::from_micros(20);
        assert_eq!(yields(&mut gather, 4, short, false), [0, 1, 2, 3]);
        assert_eq!(yields(&mut gather, 4, LONG_YIELD, true), [0, 1, 2, 3]);
        assert_eq!(yields(&mut gather, 27, LONG_YIELD, false), [0, 2, 6, 14]);
        // The next yield that is due is useful, which ends the back-off.
        assert_eq!(yields(&mut gather, 6, LONG_YIELD, true), [3, 4, 5]);
        assert_eq!(yields(&mut gather, 3, LONG_YIELD, false), [0, 2]);
        assert_eq!(yields(&mut gather, 6, short, false), [3, 4, 5]);
        let rare = yields(&mut gather, 2_000, LONG_YIELD, false);
        assert_eq!(rare.windows(2).map(|two| two[1] - two[0]).max(), Some(SKIPPED_MAX + 1));
    }
}
