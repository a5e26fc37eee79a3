//! The commit: a batch of requests becomes records, bytes in the log, and state.
//!
//! Input: submissions, and a reading of the clocks. Output: receipts and directives, or why nothing was taken.
//! Invariants: sequences have no gaps; receive times never go back; one append for each batch;
//! nothing is folded that is not in the log; after a failure of the log nothing is taken. Free of
//! threads, timers and clocks, so that a test drives it step by step.

mod decisions;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{RwLock, RwLockWriteGuard};

use crate::domain::clock::{Moment, OwnClock, Reading, is_news};
use crate::domain::compact::OneOrMany;
use crate::domain::directive::Directive;
use crate::domain::event::Body;
use crate::domain::ids::Account;
use crate::domain::limits;
use crate::domain::monitor::Monitor;
use crate::domain::record::{Entry, Record, Verdict};
use crate::domain::settings::Settings;
use crate::domain::time::Timestamp;
use crate::engine::codec::{CodecError, RecordCodec};
use crate::engine::replay::Replay;
use crate::engine::submission::Submission;
use crate::engine::{EngineError, Receipt};
use crate::journal::{Batch, EventLog, LogError, Room, SnapshotError};
use crate::wire::time::Rfc3339;

/// The only one who writes: the log's owner, and the only one who locks the state for writing.
pub struct Writer {
    monitor: Arc<RwLock<Monitor>>,
    log: Box<dyn EventLog>,
    codec: RecordCodec,
    /// It stands at the receive time of the newest record: the next one is not earlier.
    clock: OwnClock,
    failed: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// What became of a batch that is in the log.
#[derive(Debug)]
pub struct Committed {
    /// One receipt for each submission, in order.
    pub receipts: Vec<Receipt>,
    /// What is to be told, in order.
    pub directives: Vec<Directive>,
}

/// Why the state could not be rebuilt from the log.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The log cannot be read.
    #[error("the journal cannot be replayed")]
    Log(#[from] LogError),
    /// The snapshots cannot be listed.
    #[error("the snapshots cannot be looked at")]
    Snapshots(#[from] SnapshotError),
    /// A snapshot stands for records that the log does not have: it lost some that were
    /// acknowledged, or belongs to another log.
    #[error(
        "the journal ends at record {last}, before the snapshot of record {snapshot}: records are \
         missing. `journal repair` sets the snapshot aside, to go on with what the journal holds"
    )]
    Shorter {
        /// Sequence of the snapshot.
        snapshot: u64,
        /// Sequence of the newest record of the log.
        last: u64,
    },
    /// A record of the log cannot be decoded.
    #[error("record {sequence} cannot be decoded")]
    Record {
        /// Its sequence.
        sequence: u64,
        /// Why.
        #[source]
        source: CodecError,
    },
}

/// A request on its way. Its entries stay where they are until each is folded: to move a thousand
/// of them from one vector to the next costs as much as to write them down.
struct Planned {
    entries: Vec<Entry>,
    /// What each entry becomes a record with; none: it is known already and not written.
    stamps: Stamps,
    accounts: Vec<Account>,
}

/// Most requests have one entry.
type Stamps = OneOrMany<Option<Stamp>>;

/// What makes a record of an entry, beside the time of its batch.
#[derive(Clone, Copy)]
struct Stamp {
    sequence: u64,
    more: bool,
}

impl Writer {
    /// A writer that goes on where `monitor` and the log stand; see [`Writer::recover`].
    #[must_use]
    pub fn new(monitor: Arc<RwLock<Monitor>>, log: Box<dyn EventLog>, codec: RecordCodec) -> Self {
        let clock = OwnClock::going_on_from(monitor.read().now());
        Self { monitor, log, codec, clock, failed: false }
    }

    /// Goes on from a state that was stored, instead of from nothing.
    ///
    /// # Errors
    /// [`RecoverError::Shorter`] when the log ends before it.
    pub fn resume(&mut self, state: Monitor) -> Result<(), RecoverError> {
        let (snapshot, last) = (state.sequence(), self.log.last_sequence());
        if snapshot > last {
            return Err(RecoverError::Shorter { snapshot, last });
        }
        *self.monitor.write() = state;
        Ok(())
    }

    /// Folds the records that the log holds and the state does not know yet. Their directives were
    /// sent when they were written: they are dropped here. Readers get a turn after each batch, and
    /// `progress` is told the sequence that was reached, and the last one.
    ///
    /// # Errors
    /// See [`RecoverError`]. The state is then incomplete, and the writer must not be used.
    pub fn recover(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), RecoverError> {
        let from = self.monitor.read().sequence() + 1;
        let last = self.log.last_sequence();
        let replay = Replay::new(self.codec);
        let mut broken: Option<RecoverError> = None;
        let result = self.log.replay(from, &mut |batch| {
            let folded = replay.fold(batch, &mut self.monitor.write());
            progress(batch.next_sequence() - 1, last);
            folded.map(|_| ()).map_err(|error| {
                let what = error.to_string();
                let place = format!("sequence {}", batch.first_sequence());
                broken = Some(error);
                LogError::Corrupt { place, what }
            })
        });
        self.clock = OwnClock::going_on_from(self.monitor.read().now());
        result.map_err(|error| broken.unwrap_or(RecoverError::Log(error)))
    }

    /// Sequence of the newest record in the state.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.monitor.read().sequence()
    }

    /// The log, for what has to be done beside appending.
    pub fn log(&mut self) -> &mut dyn EventLog {
        &mut *self.log
    }

    /// The log, when nothing more is written: whoever holds it has the directory.
    #[must_use]
    pub fn into_log(self) -> Box<dyn EventLog> {
        self.log
    }

    /// Whether a record put these settings in force.
    #[must_use]
    pub fn is_under(&self, settings: &Settings) -> bool {
        let monitor = self.monitor.read();
        monitor.sequence() > 0 && **monitor.settings() == *settings
    }

    /// The settings that a record put in force; none before the first record.
    #[must_use]
    pub fn settings(&self) -> Option<Arc<Settings>> {
        let monitor = self.monitor.read();
        (monitor.sequence() > 0).then(|| Arc::clone(monitor.settings()))
    }

    /// Commits the submissions as one batch, received when its own clock says by that reading.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] when the log has no room: nothing was taken, a later batch may be.
    /// [`EngineError::JournalFailed`] when the log failed, now or earlier.
    pub fn commit(
        &mut self,
        mut submissions: Vec<Submission>,
        now: impl Into<Reading>,
    ) -> Result<Committed, EngineError> {
        if self.failed {
            return Err(EngineError::JournalFailed);
        }
        // What was decided stands before what comes later.
        self.record_decisions()?;
        let now = now.into();
        let Moment { at, behind } = self.moment(now);
        let turned = self.turn_of_clock(behind);
        let has_turned = turned.is_some();
        if let Some(turned) = turned {
            // Before what is dated by it.
            submissions.insert(0, turned);
        }
        let (batch, planned) = self.plan(submissions, at);
        if !batch.is_empty() {
            self.append(&batch)?;
            self.clock.go_on(now, at);
        }
        let mut committed = fold(&mut self.monitor.write(), planned, at);
        if has_turned {
            committed.receipts.remove(0);
            tell_of_clock(now.wall, at, behind);
        }
        if let Err(error) = self.record_decisions() {
            // The requests are on the disk and folded; the next commit tries it again.
            tracing::warn!(%error, "a decision waits to be recorded; it stands all the same");
        }
        Ok(committed)
    }

    /// The receive time of that reading. One that is far ahead of the newest record is told before
    /// it is written: whatever waits by receive time ends with it.
    fn moment(&self, now: Reading) -> Moment {
        let monitor = self.monitor.read();
        let (settings, last) = (&monitor.settings().clock, self.clock.at());
        let moment = self.clock.receipt(now, settings);
        if monitor.sequence() > 0 && moment.at.is_past(last, settings.ahead_after) {
            tracing::warn!(
                last = %Rfc3339(last), next = %Rfc3339(moment.at),
                "the clock is far ahead of the newest record: was the exporter stopped for so long?"
            );
        }
        moment
    }

    /// The record which says that the wall clock is behind, or no longer, if that is news.
    fn turn_of_clock(&self, behind: Duration) -> Option<Submission> {
        is_news(self.monitor.read().clock_behind(), behind)
            .then(|| Submission::new(vec![Entry::Clock { behind }], Vec::new(), &self.codec))
    }

    /// Makes what was committed as durable as the log can.
    ///
    /// # Errors
    /// [`EngineError::JournalFailed`] when the log failed, now or earlier.
    pub fn sync(&mut self) -> Result<(), EngineError> {
        if self.failed {
            return Err(EngineError::JournalFailed);
        }
        self.log.sync().map_err(|error| self.fail(&error))
    }

    /// Stamps what is new, and makes the batch of it.
    fn plan(&self, submissions: Vec<Submission>, received_at: Timestamp) -> (Batch, Vec<Planned>) {
        let monitor = self.monitor.read();
        let reserve = submissions.iter().any(|s| s.room() == Room::Reserve);
        let room = if reserve { Room::Reserve } else { Room::Ordinary };
        let mut batch = Batch::new(monitor.sequence() + 1, received_at.as_nanos(), room);
        let mut planned = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let entries = submission.entries();
            let last = entries.iter().rposition(|entry| !is_known(&monitor, entry));
            let mut stamps = Stamps::default();
            for ((at, entry), encoded) in entries.iter().enumerate().zip(submission.encoded()) {
                // What is behind the last one is known already, and that one is not.
                let more = last.is_some_and(|last| at < last);
                if last.is_none_or(|last| at > last) || (more && is_known(&monitor, entry)) {
                    stamps.push(None);
                    continue;
                }
                stamps.push(Some(Stamp { sequence: batch.next_sequence(), more }));
                batch.push(|out| RecordCodec::frame(more, encoded, out));
            }
            let (entries, accounts) = submission.into_parts();
            planned.push(Planned { entries, stamps, accounts });
        }
        (batch, planned)
    }

    /// One append for the whole batch. The failure is logged here, once.
    fn append(&mut self, batch: &Batch) -> Result<(), EngineError> {
        match self.log.append(batch) {
            Ok(()) => Ok(()),
            Err(LogError::Full) => Err(EngineError::DiskFull),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// The log failed: for good.
    fn fail(&mut self, error: &LogError) -> EngineError {
        self.failed = true;
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, source, "the journal failed: nothing more is taken");
        EngineError::JournalFailed
    }
}

/// Logs what was recorded of the clock.
fn tell_of_clock(wall: Timestamp, received_at: Timestamp, behind: Duration) {
    let (wall, received_at) = (Rfc3339(wall), Rfc3339(received_at));
    if behind.is_zero() {
        tracing::info!(%wall, %received_at, "the clock is right again");
    } else {
        tracing::warn!(
            %wall, %received_at, behind_seconds = behind.as_secs(),
            "the clock is behind the newest record: receive time goes on by the monotonic clock, \
             and permits end past clock.behind_max"
        );
    }
}

/// Whether an entry need not be written.
fn is_known(monitor: &Monitor, entry: &Entry) -> bool {
    match entry {
        Entry::Event(event) => monitor.is_duplicate(event),
        Entry::Decision(decision) => monitor.is_decided(decision),
        Entry::Tick
        | Entry::Clock { .. }
        | Entry::Check(_)
        | Entry::Settings(_)
        | Entry::Control(_) => false,
    }
}

/// Folds the records and reads the states afterwards. Readers get a turn now and then, but none
/// sees a request between its first snapshot and the comparison after its last record.
fn fold(
    monitor: &mut RwLockWriteGuard<'_, Monitor>,
    planned: Vec<Planned>,
    received_at: Timestamp,
) -> Committed {
    let mut directives = Vec::new();
    let mut answers = Vec::with_capacity(planned.len());
    let mut since_turn = 0;
    for Planned { entries, stamps, accounts } in planned {
        let mut verdicts = Vec::with_capacity(entries.len());
        let mut compares = false;
        for (entry, stamp) in entries.into_iter().zip(stamps) {
            let Some(Stamp { sequence, more }) = stamp else {
                verdicts.push(Verdict::Duplicate);
                continue;
            };
            let record = Record { sequence, received_at, more, entry };
            verdicts.push(monitor.apply(&record, &mut directives));
            since_turn += 1;
            compares = record.more && (compares || is_snapshot(&record.entry));
            if since_turn >= limits::FOLD_RECORDS_MAX && !compares {
                RwLockWriteGuard::bump(monitor);
                since_turn = 0;
            }
        }
        answers.push((verdicts, accounts));
    }
    let sequence = monitor.sequence();
    let state = |account: Account| {
        let state = monitor.permit(account.as_str()).state;
        (account, state)
    };
    let receipts = answers
        .into_iter()
        .map(|(verdicts, accounts)| {
            let states = accounts.into_iter().map(state).collect();
            Receipt { verdicts, sequence, states }
        })
        .collect();
    Committed { receipts, directives }
}

/// Folds a record of which nothing is to be told.
fn fold_record(monitor: &mut Monitor, record: &Record) {
    monitor.apply(record, &mut Vec::new());
}

/// Whether an entry sets a book, so that a comparison follows.
const fn is_snapshot(entry: &Entry) -> bool {
    match entry {
        Entry::Event(event) => matches!(event.body, Body::Positions(_)),
        Entry::Tick
        | Entry::Clock { .. }
        | Entry::Check(_)
        | Entry::Decision(_)
        | Entry::Settings(_)
        | Entry::Control(_) => false,
    }
}
