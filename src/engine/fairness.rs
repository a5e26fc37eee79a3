//! Who yields to whom where the writer, the request tasks and a scrape share one core.
//!
//! # Design
//!
//! On a small machine three kinds of work compete for one core: the tasks of requests on the runtime's
//! threads, the writer on a thread of its own, and a scrape, which is a task that has much more to do
//! than any request. The kernel knows nothing of their order and lets a busy thread run for
//! milliseconds. Three rules keep requests fast:
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
//! 3. *A scrape ends.* Rows that change while they are copied are copied again, at most
//!    [`SCRAPE_PASSES_MAX`] times or until no more than [`SCRAPE_ROWS_LEFT_MAX`] are left; the rest is
//!    copied under the lock, so that the scrape shows one moment.
//!
//! Assumed: a yield returns within microseconds if the other threads are our own. If it took a
//! millisecond and no request arrived, another process took the core; then `Gather` skips yields with
//! exponential back-off, because that process may keep the core for milliseconds each time.
//!
//! Rejected: a linger timer before each batch (a lone request would always pay for it), and priorities of
//! threads (they need privileges, and would let ingest starve scrapes). Held by the tests here and in
//! `queue`, and by benches/speed.

use std::time::Duration;

/// Bytes of text that a scrape encodes (and compresses) between two yields.
pub const SCRAPE_STEP_BYTES: usize = 8 * 1024;
/// How often one step of a scrape yields its thread while a request waits for the writer.
pub const SCRAPE_YIELDS_MAX: usize = 3;
/// How often a scrape copies changed rows again before it locks the state for the rest.
pub const SCRAPE_PASSES_MAX: usize = 3;
/// With at most this many changed rows left, a scrape copies them under the lock at once.
pub const SCRAPE_ROWS_LEFT_MAX: usize = 32;

/// Yields skipped in a row, at most.
const SKIPPED_MAX: u32 = 255;
/// A yield that took this long should have brought a request: request tasks are faster.
const LONG_YIELD: Duration = Duration::from_millis(1);

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
