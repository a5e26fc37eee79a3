//! When the writer lets others run before it closes a batch.
//!
//! Where the writer shares a core with the tasks of requests, it would run as soon as the first
//! request is in the queue, and each request would cost a batch of its own, two changes of threads
//! and two calls of the kernel to wake them. If it gives the core back once, the others come too:
//! on one core with 64 connections that takes 1.3 times as many requests. Invariant: a pause that
//! takes long and brings nobody is left out more and more often, for then the core went to a
//! stranger, who may keep it for some milliseconds. Deliberately absent: a timer.

use std::time::Duration;

/// A pause is left out at most this many times in a row.
const LEFT_OUT_MAX: u32 = 255;
/// A pause from which on it must have brought somebody. The tasks of requests are quicker.
const LONG: Duration = Duration::from_millis(1);

/// The pause of a writer.
#[derive(Debug)]
pub(super) struct Pause {
    /// Lets others run, and says for how long.
    give_way: fn() -> Duration,
    /// How often it is still to be left out.
    left_out: u32,
    /// How often it was left out before the last one; 0: the last one was none to regret.
    in_vain: u32,
}

impl Pause {
    /// A pause that lets others run by `give_way`, which says how long that took.
    pub(super) const fn new(give_way: fn() -> Duration) -> Self {
        Self { give_way, left_out: 0, in_vain: 0 }
    }

    /// Lets others run, unless that was long and in vain of late; `came` says whether it brought
    /// somebody.
    pub(super) fn take(&mut self, came: impl FnOnce() -> bool) {
        if self.left_out > 0 {
            self.left_out -= 1;
            return;
        }
        let in_vain = (self.give_way)() >= LONG && !came();
        self.in_vain = if in_vain { (2 * self.in_vain + 1).min(LEFT_OUT_MAX) } else { 0 };
        self.left_out = self.in_vain;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::cell::Cell;

    thread_local! {
        static TAKES: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static TAKEN: Cell<u32> = const { Cell::new(0) };
    }

    /// Which of so many chances are taken, when a pause takes so long and brings somebody or not.
    fn taken(pause: &mut Pause, chances: u32, takes: Duration, comes: bool) -> Vec<u32> {
        TAKES.set(takes);
        let takes_it = |_: &u32| {
            TAKEN.set(0);
            pause.take(|| comes);
            TAKEN.get() > 0
        };
        (0..chances).filter(takes_it).collect()
    }

    #[test]
    fn a_long_pause_in_vain_is_left_out_more_and_more_often() {
        let mut pause = Pause::new(|| {
            TAKEN.set(TAKEN.get() + 1);
            TAKES.get()
        });
        let short = Duration::from_micros(20);
        assert_eq!(taken(&mut pause, 4, short, false), [0, 1, 2, 3]);
        assert_eq!(taken(&mut pause, 4, LONG, true), [0, 1, 2, 3]);
        assert_eq!(taken(&mut pause, 27, LONG, false), [0, 2, 6, 14]);
        // When one is due again it pays, and so those after it are taken.
        assert_eq!(taken(&mut pause, 6, LONG, true), [3, 4, 5]);
        assert_eq!(taken(&mut pause, 3, LONG, false), [0, 2]);
        assert_eq!(taken(&mut pause, 6, short, false), [3, 4, 5]);
        let rare = taken(&mut pause, 2_000, LONG, false);
        assert_eq!(rare.windows(2).map(|two| two[1] - two[0]).max(), Some(LEFT_OUT_MAX + 1));
    }
}
