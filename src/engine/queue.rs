//! The bounded queue before the writer, and the thin loop of the writer.
//!
//! Input: requests of many tasks. Output: batches for the one writer. Invariants: requests and bytes in
//! the queues are bounded; halts, alerts and releases have a queue of their own, which goes first; a
//! batch is bounded in events and bytes, and its requests use one room of the log; a request that is
//! larger than a batch is committed in parts and answered after the last one; a tick takes no place in
//! the queue and is never lost, and several ticks that wait become one.
//! Deliberately absent: a linger timer. Batches form while the log is busy, and while the writer yields
//! (see `fairness`).

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::domain::clock::ClockReading;
use crate::domain::limits;
use crate::domain::monitor::Monitor;
use crate::domain::record::Entry;
use crate::engine::directive_feed::DirectiveFeed;
use crate::engine::encoded_request::EncodedRequest;
use crate::engine::fairness::{FoldPace, Gather};
use crate::engine::handle::Handle;
use crate::engine::shared::{
    ByteBudget, EnginePhase, EngineState, EngineStatus, QueuedRequest, WriterMessage,
};
use crate::engine::writer::{CommittedBatch, Writer};
use crate::engine::{EngineError, Receipt};
use crate::journal::{EventLog, Room};

/// Messages that are no requests, at most: few tasks wait for the log at once.
const OTHER_MESSAGES_MAX: usize = 16;

/// Creates the two ends of the queue around a monitor: a handle for request tasks, and the inbox of the
/// one writer. At most `requests_max` requests wait; zero counts as one.
#[must_use]
pub fn channel(monitor: Monitor, requests_max: usize) -> (Handle, Inbox) {
    bounded(monitor, requests_max, limits::QUEUE_BYTES_MAX)
}

fn bounded(monitor: Monitor, requests_max: usize, bytes_max: usize) -> (Handle, Inbox) {
    let slots_max = requests_max.max(1);
    let (sender, receiver) = mpsc::channel(slots_max + OTHER_MESSAGES_MAX);
    let (urgent, decisions) = mpsc::channel(limits::URGENT_REQUESTS_MAX);
    let shared = Arc::new(EngineState {
        monitor: Arc::new(RwLock::new(monitor)),
        sender,
        slots: Arc::new(Semaphore::new(slots_max)),
        slots_max,
        wake_queued: AtomicBool::new(false),
        budget: ByteBudget::new(bytes_max),
        urgent,
        urgent_budget: ByteBudget::new(limits::URGENT_BYTES_MAX),
        status: watch::Sender::new(EngineStatus::default()),
        feed: Arc::new(DirectiveFeed::new()),
        tick_due: AtomicBool::new(false),
        committed_at: Mutex::new(None),
        state_size: Arc::default(),
    });
    let gather = Gather::new(|| Duration::ZERO);
    let inbox = Inbox {
        receiver,
        decisions,
        was_urgent: false,
        split: None,
        is_part: false,
        held_back: None,
        pace: FoldPace::unlimited(),
        gather,
        shared: Arc::clone(&shared),
    };
    (Handle::new_with(shared), inbox)
}

/// The writer's end of the queue.
pub struct Inbox {
    receiver: mpsc::Receiver<WriterMessage>,
    /// Halts, alerts and releases.
    decisions: mpsc::Receiver<QueuedRequest>,
    /// Whether the last batch consisted of those. Then other requests go first, if there are any.
    was_urgent: bool,
    /// The rest of a request whose first part is in the current batch, or was in an earlier one.
    split: Option<QueuedRequest>,
    /// Whether the current batch is a part of that request.
    is_part: bool,
    /// The request that did not fit into the last batch.
    held_back: Option<QueuedRequest>,
    /// The number of events in a batch.
    pace: FoldPace,
    /// Runs before a batch of a single request is closed.
    gather: Gather,
    shared: Arc<EngineState>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    /// The monitor, for the writer.
    #[must_use]
    pub fn monitor(&self) -> Arc<RwLock<Monitor>> {
        Arc::clone(&self.shared.monitor)
    }

    /// The writer of this queue's monitor, which records to `log` and refuses events once the state
    /// takes about `state_bytes_max` bytes.
    #[must_use]
    pub fn writer(&self, log: Box<dyn EventLog>, state_bytes_max: u64) -> Writer {
        let size = Arc::clone(&self.shared.state_size);
        Writer::new(self.monitor(), log).within(state_bytes_max, size)
    }

    /// An inbox whose writer yields its thread when a single request is queued. `yield_thread` returns
    /// how long the yield took.
    #[must_use]
    pub fn with_yield(mut self, yield_thread: fn() -> Duration) -> Self {
        self.gather = Gather::new(yield_thread);
        self
    }

    /// An inbox whose batches are small enough for decisions not to wait long for their folding.
    #[must_use]
    pub fn with_pace(mut self) -> Self {
        self.pace = FoldPace::measured();
        self
    }

    /// Reports that the disk has no room, before the first request finds out.
    pub fn disk_is_full(&self) {
        self.shared.set_log_error(Some(&EngineError::DiskFull));
    }

    /// Accepts requests from now on: the state is caught up with the log.
    pub fn open(&self) {
        self.shared.feed.seed(self.shared.monitor.read().recent().cloned());
        self.shared.set_phase(EnginePhase::Open);
    }

    /// Commits requests until the handle says stop and the queue is empty. Blocks: run it on a thread
    /// of its own.
    pub fn run<R: Into<ClockReading>>(mut self, writer: &mut Writer, now: impl Fn() -> R) {
        while self.step(writer, &now) {}
        if let Err(error) = writer.sync() {
            self.shared.set_log_error(Some(&error));
        }
    }

    /// Waits for a batch and commits it. False: stopped, and the queue is empty.
    fn step<R: Into<ClockReading>>(&mut self, writer: &mut Writer, now: &impl Fn() -> R) -> bool {
        let batch = self.next_batch(writer);
        if batch.is_empty() {
            return false;
        }
        let room = batch.first().map_or(Room::Ordinary, |request| request.submission.room());
        let mut submissions = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        let mut events = 0;
        for QueuedRequest { submission, answer, share, earlier, slot: _ } in batch {
            events += submission.len();
            submissions.push(submission);
            waiting.push((answer, share, earlier));
        }
        let now = now().into();
        let committed = writer.commit(submissions, now);
        if let (Ok(_), Some(at)) = (&committed, now.monotonic) {
            *self.shared.committed_at.lock() = Some(at);
        }
        // A batch that fits into the reserve does not show that the disk has room again.
        if room == Room::Ordinary || committed.is_err() {
            self.shared.set_log_error(committed.as_ref().err());
        }
        // Publish before answering: a client that was answered finds the directives of its request.
        let answers: Vec<Result<Receipt, EngineError>> = match committed {
            Ok(CommittedBatch { receipts, directives, folding }) => {
                self.pace.folded(events, folding);
                self.shared.feed.publish(directives);
                receipts.into_iter().map(Ok).collect()
            }
            Err(error) => waiting.iter().map(|_| Err(error.clone())).collect(),
        };
        for ((answer, share, mut earlier), mut result) in waiting.into_iter().zip(answers) {
            if std::mem::take(&mut self.is_part) {
                self.part_is_done(result);
                continue;
            }
            if let Ok(receipt) = &mut result
                && !earlier.is_empty()
            {
                earlier.append(&mut receipt.verdicts);
                receipt.verdicts = earlier;
            }
            // Release the budget first, so that the client's next request finds room.
            drop(share);
            // The client may be gone; its events are committed all the same.
            answer.map(|answer| answer.send(result).ok());
        }
        true
    }

    /// Keeps the verdicts of the first part of a split request for its answer, or answers it if the part
    /// was refused. The records of earlier parts are in the log, which is safe: the client sends the
    /// request again.
    fn part_is_done(&mut self, result: Result<Receipt, EngineError>) {
        match result {
            Ok(mut receipt) => {
                if let Some(rest) = &mut self.split {
                    rest.earlier.append(&mut receipt.verdicts);
                }
            }
            Err(error) => {
                let rest = self.split.take();
                rest.and_then(|rest| rest.answer).map(|answer| answer.send(Err(error)).ok());
            }
        }
    }

    /// The requests of the next batch, waiting for the first; empty when stopped.
    fn next_batch(&mut self, writer: &mut Writer) -> Vec<QueuedRequest> {
        let Some(mut first) = self.first(writer) else { return Vec::new() };
        self.was_urgent = first.submission.is_urgent();
        if self.was_urgent {
            return self.all_decisions(first);
        }
        if let Some(submission) = first.submission.split(self.pace.events()) {
            self.split = Some(first);
            self.is_part = true;
            return vec![QueuedRequest {
                submission,
                answer: None,
                share: None,
                slot: None,
                earlier: Vec::new(),
            }];
        }
        if self.receiver.is_empty() {
            self.gather.run(|| !self.receiver.is_empty());
        }
        let room = first.submission.room();
        let mut events = first.submission.len();
        let mut bytes = first.submission.size_bytes();
        let mut batch = vec![first];
        while let Some(next) = self.queued(writer) {
            events += next.submission.len();
            bytes += next.submission.size_bytes();
            let fits = events <= self.pace.events() && bytes <= limits::BATCH_BYTES_MAX;
            if !fits || next.submission.room() != room {
                self.held_back = Some(next);
                break;
            }
            batch.push(next);
        }
        batch
    }

    /// A batch of the decisions that wait.
    fn all_decisions(&mut self, first: QueuedRequest) -> Vec<QueuedRequest> {
        let mut batch = vec![first];
        while let Ok(next) = self.decisions.try_recv() {
            batch.push(next);
        }
        batch
    }

    /// The first request of a batch: a decision, a tick that is due, the rest of a split request, the
    /// request held back, or the next message.
    fn first(&mut self, writer: &mut Writer) -> Option<QueuedRequest> {
        if self.was_urgent && self.held_back.is_none() && self.split.is_none() {
            // The turn of the others.
            self.held_back = self.queued(writer);
        }
        loop {
            let others_first =
                self.was_urgent && (self.held_back.is_some() || self.split.is_some());
            if !others_first && let Ok(request) = self.decisions.try_recv() {
                return Some(request);
            }
            if self.shared.tick_due.swap(false, Ordering::AcqRel) {
                let submission = EncodedRequest::new(vec![Entry::Tick], Vec::new());
                let (answer, share, slot, earlier) = (None, None, None, Vec::new());
                return Some(QueuedRequest { submission, answer, share, slot, earlier });
            }
            if let Some(request) = self.split.take() {
                return Some(request);
            }
            if let Some(request) = self.held_back.take() {
                return Some(request);
            }
            let Some(message) = self.receiver.blocking_recv() else {
                // Stopped. Decisions that are queued already are still committed.
                self.decisions.close();
                return self.decisions.try_recv().ok();
            };
            if let Some(request) = self.handle(message, writer) {
                return Some(request);
            }
        }
    }

    /// The next request that is already queued.
    fn queued(&mut self, writer: &mut Writer) -> Option<QueuedRequest> {
        if let Some(request) = self.held_back.take() {
            return Some(request);
        }
        loop {
            let message = self.receiver.try_recv().ok()?;
            if let Some(request) = self.handle(message, writer) {
                return Some(request);
            }
        }
    }

    /// The request in a message, or None after doing what the message asks for.
    fn handle(&mut self, message: WriterMessage, writer: &mut Writer) -> Option<QueuedRequest> {
        match message {
            WriterMessage::Submit(mut request) => {
                // The next request finds a place while this one is committed.
                request.slot = None;
                return Some(request);
            }
            WriterMessage::Run(task) => task(writer.log()),
            // Whatever is due from here on sends another one.
            WriterMessage::Wake => {
                self.shared.wake_queued.swap(false, Ordering::AcqRel);
            }
            // Accepts nothing more; messages that are already queued are still received.
            WriterMessage::Stop => {
                self.shared.set_phase(EnginePhase::Closed);
                self.receiver.close();
            }
        }
        None
    }
}

impl Drop for Inbox {
    /// However the loop ended, also by a panic: no caller waits for a writer that is gone.
    fn drop(&mut self) {
        self.shared.set_phase(EnginePhase::Closed);
    }
}
