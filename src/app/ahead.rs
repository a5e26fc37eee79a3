//! Records of a replay, read and decoded by a second thread while the first folds those before them.
//!
//! Input: a way to visit the batches of a log. Output: what they hold, in sequence. Both halves cost
//! about the same, so that with two cores a replay takes 0.6 of the time. Invariants: the thread ends
//! with the call; only so much is decoded ahead; the first error ends both, and what is before it is
//! folded.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::engine::{Decoding, Folding, Reading, RecoverError};
use crate::journal::LogError;

/// Records handed over at once: of a log of small batches, one at a time would cost more than it
/// saves.
const HANDED_RECORDS: usize = 1_000;
/// How often so many wait.
const WAITING_MAX: usize = 4;

/// Reads and decodes in another thread, and folds in this one; a [`crate::engine::Carry`].
///
/// # Errors
/// That of `fold`, or else that of `read`; [`RecoverError::Thread`] when there is no second thread.
pub fn ahead(
    read: Reading<'_>,
    decode: &Decoding<'_>,
    fold: &mut Folding<'_>,
) -> Result<(), RecoverError> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    thread::scope(|scope| {
        let reader = move || {
            let (mut decoded, mut records) = (Vec::new(), 0);
            let read = read(&mut |batch| {
                decoded.push(decode(batch));
                records += batch.len();
                if records >= HANDED_RECORDS {
                    records = 0;
                    sender.send(std::mem::take(&mut decoded)).map_err(|_| unwanted())?;
                }
                Ok(())
            });
            // What stands before an error counts too. If nobody takes it, he knows why.
            sender.send(decoded).ok();
            read
        };
        let reader = thread::Builder::new().name("replay".to_owned()).spawn_scoped(scope, reader);
        let reader = reader.map_err(RecoverError::Thread)?;
        // Ends with the reader; and if this ends before it, so does the reader.
        for decoded in receiver {
            for one in decoded {
                fold(one)?;
            }
        }
        match reader.join() {
            Ok(read) => Ok(read?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Nobody takes what is read any more, and the caller has the reason.
fn unwanted() -> LogError {
    let source = io::Error::from(io::ErrorKind::BrokenPipe);
    LogError::Failed { doing: "handing over what was read", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::app::SETTINGS;
    use crate::engine::{Decoded, RecordCodec, Replay, Visit};
    use crate::journal::{Batch, Room};

    /// A batch of so many records, which say nothing.
    fn batch(first: u64, records: u64) -> Batch {
        let mut batch = Batch::new(first, 0, Room::Ordinary);
        (0..records).for_each(|_| batch.push(|out| out.push(0)));
        batch
    }

    fn run(
        read: impl FnOnce(&mut Visit<'_>) -> Result<(), LogError> + Send,
        mut fold: impl FnMut(Decoded) -> Result<(), RecoverError>,
    ) -> Result<(), RecoverError> {
        Replay::new(RecordCodec::new(SETTINGS)).run(1, ahead, Box::new(read), &mut fold)
    }

    #[test]
    fn all_come_in_order() {
        for (batches, records) in [(0, 1), (1, 1), (5_000, 1), (7, 999), (3, 5_000)] {
            let read = |visit: &mut Visit<'_>| {
                (0..batches).try_for_each(|at| visit(&batch(at * records + 1, records)))
            };
            let mut reached = Vec::new();
            run(read, |decoded| {
                reached.push(decoded.next_sequence());
                Ok(())
            })
            .unwrap();
            let expected: Vec<u64> = (1..=batches).map(|at| at * records + 1).collect();
            assert_eq!(reached, expected);
        }
    }

    #[test]
    fn who_folds_no_more_ends_the_reading() {
        for records in [1, 5_000] {
            let visited = AtomicU64::new(0);
            let endless = |visit: &mut Visit<'_>| {
                loop {
                    let at = visited.fetch_add(1, Ordering::Relaxed);
                    visit(&batch(at * records + 1, records))?;
                }
            };
            let mut folded = 0;
            let ended = run(endless, |_| {
                folded += 1;
                let broken = RecoverError::Shorter { snapshot: 7, last: 0 };
                if folded == 3 { Err(broken) } else { Ok(()) }
            });
            assert!(matches!(ended, Err(RecoverError::Shorter { snapshot: 7, .. })), "{ended:?}");
            assert_eq!(folded, 3);
            // Three were folded; besides what waits, one is handed over and one gathered.
            let handed_batches = (HANDED_RECORDS as u64).div_ceil(records);
            assert!(visited.into_inner() <= (3 + WAITING_MAX as u64 + 2) * handed_batches);
        }
    }

    #[test]
    fn what_stands_before_an_unreadable_place_is_folded() {
        let read = |visit: &mut Visit<'_>| {
            visit(&batch(1, 3_000))?;
            visit(&batch(3_001, 1))?;
            Err(LogError::Gone { first: 9 })
        };
        let mut reached = 0;
        let ended = run(read, |decoded| {
            reached = decoded.next_sequence();
            Ok(())
        });
        assert!(matches!(ended, Err(RecoverError::Log(LogError::Gone { first: 9 }))), "{ended:?}");
        assert_eq!(reached, 3_002);
    }
}
