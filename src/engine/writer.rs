//! The commit: a batch of requests becomes records, bytes in the log, and state.
//!
//! Input: submissions, and a reading of the clocks. Output: receipts and directives, or why the batch
//! was refused. Invariants: sequences have no gaps; receive times never decrease; one append for each
//! batch; a record is in the log before it is applied; after a failure of the log every batch is
//! refused. Free of threads, timers and clocks, so that a test can drive it step by step.

mod decisions;
mod ceiling;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{RwLock, RwLockWriteGuard};

use crate::domain::clock::{ClockReading, OwnClock, ReceiveTime, is_news};
use crate::domain::compact::OneOrMany;
use crate::domain::directive::Directive;
use crate::domain::ids::Account;
use crate::domain::limits;
use crate::domain::monitor::Monitor;
use crate::domain::record::{Entry, Opening, Record, Refusal, Verdict};
use crate::domain::settings::Settings;
use crate::domain::time::Timestamp;
use crate::engine::codec;
use crate::engine::encoded_request::EncodedRequest;
use crate::engine::replay::{RecoverError, Replay, ReplaySettings};
use crate::engine::shared::StateSize;
use crate::engine::{EngineError, Receipt};
use crate::journal::{Batch, EventLog, LogError, Room};
use crate::wire::time::Rfc3339;

use ceiling::StateCeiling;

/// The single writer: it owns the log, and no other code locks the state for writing.
pub struct Writer {
    monitor: Arc<RwLock<Monitor>>,
    log: Box<dyn EventLog>,
    /// Set to the receive time of the newest record, so that the next one is not earlier.
    clock: OwnClock,
    ceiling: StateCeiling,
    has_failed: bool,
    /// The monotonic time, to measure folds. Always zero if it was not given.
    elapsed: fn() -> Duration,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("has_failed", &self.has_failed).finish_non_exhaustive()
    }
}

/// The result of a batch that is in the log.
#[derive(Debug)]
pub struct CommittedBatch {
    /// One receipt for each submission, in order.
    pub receipts: Vec<Receipt>,
    /// The directives to publish, in order.
    pub directives: Vec<Directive>,
    /// How long the fold took; zero if that is not measured.
    pub folding: Duration,
}

/// A request whose records are planned. Its entries stay in their vector until each is applied, because
/// moving a thousand of them to another vector costs as much as encoding them.
struct PlannedRequest {
    entries: Vec<Entry>,
    /// The plan of each entry.
    stamps: RecordStamps,
    accounts: Vec<Account>,
    token: Option<Arc<str>>,
}

/// Most requests have one entry.
type RecordStamps = OneOrMany<EntryPlan>;

/// Whether an entry is written.
#[derive(Clone, Copy)]
enum EntryPlan {
    Write(RecordStamp),
    /// A duplicate is not written.
    Duplicate,
    /// Nor is an entry for which the state has no room.
    NoRoom,
}

/// The fields that turn an entry into a record, except the receive time, which its batch has.
#[derive(Clone, Copy)]
struct RecordStamp {
    sequence: u64,
    more: bool,
    /// Whether no event named the account before this batch.
    is_opening: bool,
}

impl Writer {
    /// A writer that continues from the state in `monitor`; see [`Writer::recover`].
    #[must_use]
    pub fn new(monitor: Arc<RwLock<Monitor>>, log: Box<dyn EventLog>) -> Self {
        let clock = OwnClock::going_on_from(monitor.read().now());
        Self {
            monitor,
            log,
            clock,
            ceiling: StateCeiling::none(),
            has_failed: false,
            elapsed: || Duration::ZERO,
        }
    }

    /// The writer, refusing events while the state takes more than about `bytes_max` bytes.
    pub(super) fn within(mut self, bytes_max: u64, size: Arc<StateSize>) -> Self {
        self.ceiling = StateCeiling::new(bytes_max, size);
        self
    }

    /// A writer that measures its folds by this monotonic time.
    #[must_use]
    pub fn measured_by(mut self, elapsed: fn() -> Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    /// Replaces the state by one from a snapshot.
    ///
    /// # Errors
    /// [`RecoverError::Shorter`] when the log ends before the snapshot.
    pub fn resume(&mut self, state: Monitor) -> Result<(), RecoverError> {
        let (snapshot, last) = (state.sequence(), self.log.last_sequence());
        if snapshot > last {
            return Err(RecoverError::Shorter { snapshot, last });
        }
        *self.monitor.write() = state;
        Ok(())
    }

    /// Applies the records of the log that are newer than the state. Their directives are dropped,
    /// because they were published when the records were written. The lock is released after each
    /// batch; `progress` receives the sequence reached and the last one.
    ///
    /// # Errors
    /// See [`RecoverError`]. The state is then incomplete, and the writer must not be used.
    pub fn recover(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), RecoverError> {
        let from = self.monitor.read().sequence() + 1;
        let last = self.log.last_sequence();
        let replay = Replay::new(ReplaySettings::AsRecorded);
        let mut broken: Option<RecoverError> = None;
        let result = self.log.replay(from, &mut |batch| {
            let applied = replay.apply(batch, &mut self.monitor.write());
            progress(batch.next_sequence() - 1, last);
            applied.map(|_| ()).map_err(|error| {
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

    /// The log, for tasks other than appending.
    pub fn log(&mut self) -> &mut dyn EventLog {
        &mut *self.log
    }

    /// Ends the writer and returns the log, which holds the lock on its directory until it is dropped.
    #[must_use]
    pub fn into_log(self) -> Box<dyn EventLog> {
        self.log
    }

    /// Whether the newest settings record holds these settings.
    #[must_use]
    pub fn is_under(&self, settings: &Settings) -> bool {
        let monitor = self.monitor.read();
        monitor.sequence() > 0 && **monitor.settings() == *settings
    }

    /// The settings in force; None before the first record.
    #[must_use]
    pub fn settings(&self) -> Option<Arc<Settings>> {
        let monitor = self.monitor.read();
        (monitor.sequence() > 0).then(|| Arc::clone(monitor.settings()))
    }

    /// Commits the submissions as one batch. Its receive time follows from `now` and the writer's own
    /// clock, which never goes back.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] when the log has no room: the batch was refused, and a later one may be
    /// accepted. [`EngineError::JournalFailed`] when the log failed, now or earlier.
    pub fn commit(
        &mut self,
        mut submissions: Vec<EncodedRequest>,
        now: impl Into<ClockReading>,
    ) -> Result<CommittedBatch, EngineError> {
        if self.has_failed {
            return Err(EngineError::JournalFailed);
        }
        // Decisions that are not written yet come first in the log: they precede this batch.
        self.record_decisions()?;
        let now = now.into();
        let ReceiveTime { at, behind } = self.moment(now);
        let clock_record = self.clock_record(behind);
        let has_clock_record = clock_record.is_some();
        if let Some(clock_record) = clock_record {
            // Before the events that it dates.
            submissions.insert(0, clock_record);
        }
        self.ceiling.weigh_if_due(&self.monitor, at);
        let (batch, planned) = self.plan(submissions, at);
        self.ceiling.grow(batch.size_bytes());
        // Durable first, applied second: a record that is not in the log never changes the state.
        if !batch.is_empty() {
            self.append(&batch)?;
            self.clock.go_on(now, at);
        }
        let started = (self.elapsed)();
        let mut committed = apply(&mut self.monitor.write(), planned, at);
        committed.folding = (self.elapsed)().saturating_sub(started);
        if has_clock_record {
            committed.receipts.remove(0);
            log_clock(now.wall, at, behind);
        }
        if let Err(error) = self.record_decisions() {
            // The requests are durable and applied; the next commit retries this.
            tracing::warn!(%error, "a decision is in force but not recorded yet; it is retried");
        }
        Ok(committed)
    }

    /// The receive time of a reading. If it is far ahead of the newest record, that is logged before
    /// anything is written, because every wait that runs on receive time ends with it.
    fn moment(&self, now: ClockReading) -> ReceiveTime {
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

    /// A record of how far the wall clock is behind, if that changed.
    fn clock_record(&self, behind: Duration) -> Option<EncodedRequest> {
        is_news(self.monitor.read().clock_behind(), behind)
            .then(|| EncodedRequest::new(vec![Entry::Clock { behind }], Vec::new()))
    }

    /// Makes the committed batches as durable as the log can.
    ///
    /// # Errors
    /// [`EngineError::JournalFailed`] when the log failed, now or earlier.
    pub fn sync(&mut self) -> Result<(), EngineError> {
        if self.has_failed {
            return Err(EngineError::JournalFailed);
        }
        self.log.sync().map_err(|error| self.fail(&error))
    }

    /// Stamps the entries that are no duplicates, and builds the batch of their records.
    fn plan(
        &self,
        submissions: Vec<EncodedRequest>,
        received_at: Timestamp,
    ) -> (Batch, Vec<PlannedRequest>) {
        let monitor = self.monitor.read();
        let reserve = submissions.iter().any(|s| s.room() == Room::Reserve);
        let room = if reserve { Room::Reserve } else { Room::Ordinary };
        let mut batch = Batch::new(monitor.sequence() + 1, received_at.as_nanos(), room);
        let mut planned = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let entries = submission.entries();
            let has_room = |entry: &Entry| {
                let admits = |p| monitor.admits(entry, submission.token().map(|t| &**t), p);
                self.ceiling.pressure().is_none_or(admits)
            };
            let is_new = |entry: &Entry| !is_known(&monitor, entry) && has_room(entry);
            let last = entries.iter().rposition(is_new);
            // Nearly always all accounts are known, and no single event has to be looked up.
            let opens = |account: &Account| monitor.is_unopened(account);
            let opener = submission.token().filter(|_| submission.accounts().iter().any(opens));
            let mut stamps = RecordStamps::default();
            for ((at, entry), encoded) in entries.iter().enumerate().zip(submission.encoded()) {
                // `last` is the last new entry: all after it are duplicates, so only those before it
                // need a look-up.
                let more = last.is_some_and(|last| at < last);
                if last.is_none_or(|last| at > last) || (more && !is_new(entry)) {
                    let is_refused =
                        self.ceiling.pressure().is_some() && !is_known(&monitor, entry);
                    stamps.push(if is_refused { EntryPlan::NoRoom } else { EntryPlan::Duplicate });
                    continue;
                }
                let is_opening = opener.is_some() && is_opening(&monitor, entry);
                let sequence = batch.next_sequence();
                stamps.push(EntryPlan::Write(RecordStamp { sequence, more, is_opening }));
                match opener.filter(|_| is_opening) {
                    None => batch.push(|out| codec::frame(more, encoded, out)),
                    Some(token) => {
                        batch.push(|out| codec::frame_opening(more, token, encoded, out));
                    }
                }
            }
            let (entries, accounts, token) = submission.into_parts();
            planned.push(PlannedRequest { entries, stamps, accounts, token });
        }
        (batch, planned)
    }

    /// Appends the whole batch at once. A failure is logged here, once.
    fn append(&mut self, batch: &Batch) -> Result<(), EngineError> {
        match self.log.append(batch) {
            Ok(()) => Ok(()),
            Err(LogError::Full) => Err(EngineError::DiskFull),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// Refuses every later batch.
    fn fail(&mut self, error: &LogError) -> EngineError {
        self.has_failed = true;
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, source, "the journal failed: every further request is refused");
        EngineError::JournalFailed
    }
}

/// Logs a clock record.
fn log_clock(wall: Timestamp, received_at: Timestamp, behind: Duration) {
    let (wall, received_at) = (Rfc3339(wall), Rfc3339(received_at));
    if behind.is_zero() {
        tracing::info!(%wall, %received_at, "the clock is no longer behind");
    } else {
        tracing::warn!(
            %wall, %received_at, behind_seconds = behind.as_secs(),
            "the clock is behind the newest record: receive time advances by the monotonic clock, \
             and no permits are issued past clock.behind_max"
        );
    }
}

/// Whether an entry is a duplicate, which is not written.
fn is_known(monitor: &Monitor, entry: &Entry) -> bool {
    match entry {
        Entry::Event(event) => monitor.is_duplicate(event),
        Entry::Opening(opening) => monitor.is_duplicate(&opening.event),
        Entry::Decision(decision) => monitor.is_decided(decision),
        Entry::Note(note) => monitor.notes().is_known(note),
        Entry::Tick
        | Entry::Clock { .. }
        | Entry::Check(_)
        | Entry::Settings(_)
        | Entry::Control(_) => false,
    }
}

/// Whether an entry is an event of an account that no event named before.
fn is_opening(monitor: &Monitor, entry: &Entry) -> bool {
    matches!(entry, Entry::Event(event) if monitor.is_unopened(&event.account))
}

/// Applies the records and reads the trading states afterwards. The lock is yielded to readers every
/// [`limits::FOLD_RECORDS_MAX`] records, where the fold allows it.
fn apply(
    monitor: &mut RwLockWriteGuard<'_, Monitor>,
    planned: Vec<PlannedRequest>,
    received_at: Timestamp,
) -> CommittedBatch {
    let mut directives = Vec::new();
    let mut answers = Vec::with_capacity(planned.len());
    let mut since_yield = 0;
    for PlannedRequest { entries, stamps, accounts, token } in planned {
        let mut verdicts = Vec::with_capacity(entries.len());
        for (entry, stamp) in entries.into_iter().zip(stamps) {
            let RecordStamp { sequence, more, is_opening } = match stamp {
                EntryPlan::Write(stamp) => stamp,
                EntryPlan::Duplicate => {
                    verdicts.push(Verdict::Duplicate);
                    continue;
                }
                EntryPlan::NoRoom => {
                    verdicts.push(Verdict::Refused(Refusal::StateFull));
                    continue;
                }
            };
            let entry = match (entry, &token) {
                (Entry::Event(event), Some(token)) if is_opening => {
                    Entry::Opening(Box::new(Opening { event, token: (&**token).into() }))
                }
                (entry, _) => entry,
            };
            let record = Record { sequence, received_at, more, entry };
            verdicts.push(monitor.apply(&record, &mut directives));
            since_yield += 1;
            if since_yield >= limits::FOLD_RECORDS_MAX && monitor.may_yield() {
                RwLockWriteGuard::bump(monitor);
                since_yield = 0;
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
    CommittedBatch { receipts, directives, folding: Duration::ZERO }
}
