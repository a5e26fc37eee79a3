//! A place in the writer's queue, taken before a request is decoded.
//!
//! Input: the size of a body. Output: a place, or why there is none; then the receipt of the request.
//! Invariants: a request that gets no place was neither decoded nor encoded; a place is free again when
//! the writer takes the request, and its bytes when the request is answered; a dropped place frees both.
//! Deliberately absent: decisions, which have a queue of their own.
//!
//! # Design
//! Decoding and encoding cost more than everything else that a request costs before the writer has it.
//! While the queue is full, that work would be done for requests that are refused in the end, and would
//! take the cores from those that are accepted. So the place comes first. The size of the encoded
//! records is not known then: the bytes of the body stand for it, and the share is corrected later.

use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::domain::ids::Account;
use crate::domain::record::Entry;
use crate::engine::encoded_request::EncodedRequest;
use crate::engine::shared::{EngineState, QueuedRequest, WriterMessage};
use crate::engine::{EngineError, Receipt};

/// A place in the writer's queue for one request.
pub struct QueuePlace {
    shared: Arc<EngineState>,
    slot: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

impl std::fmt::Debug for QueuePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueuePlace")
            .field("bytes", &self.share.num_permits())
            .finish_non_exhaustive()
    }
}

impl QueuePlace {
    pub(super) fn take(shared: &Arc<EngineState>, bytes: usize) -> Result<Self, EngineError> {
        let slot = Arc::clone(&shared.slots).try_acquire_owned();
        let slot = slot.map_err(|_| EngineError::Overloaded)?;
        let share = shared.budget.take(bytes)?;
        Ok(Self { shared: Arc::clone(shared), slot, share })
    }

    /// Encodes the entries of the request and queues them at once, like
    /// [`super::Handle::submit_from`].
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] only if the records are larger than the body was;
    /// [`EngineError::Closed`] when the writer has ended.
    pub fn submit_from(
        self,
        token: Option<Arc<str>>,
        entries: Vec<Entry>,
        accounts: Vec<Account>,
    ) -> Result<PendingReceipt, EngineError> {
        self.submit(EncodedRequest::new(entries, accounts).from_token(token))
    }

    pub(super) fn submit(self, submission: EncodedRequest) -> Result<PendingReceipt, EngineError> {
        let Self { shared, slot, mut share } = self;
        shared.budget.resize(&mut share, submission.size_bytes())?;
        let (answer, receipt) = oneshot::channel();
        let (answer, share, slot) = (Some(answer), Some(share), Some(slot));
        let request = QueuedRequest { submission, answer, share, slot, earlier: Vec::new() };
        let message = WriterMessage::Submit(request);
        shared.sender.try_send(message).map_err(|error| refused(&error))?;
        Ok(PendingReceipt(receipt))
    }
}

/// The receipt of a queued request. If it is dropped, the request is committed all the same.
#[derive(Debug)]
pub struct PendingReceipt(oneshot::Receiver<Result<Receipt, EngineError>>);

impl PendingReceipt {
    /// Waits for the writer.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn received(self) -> Result<Receipt, EngineError> {
        self.0.await.unwrap_or(Err(EngineError::Closed))
    }
}

pub(super) const fn refused<T>(error: &TrySendError<T>) -> EngineError {
    match error {
        TrySendError::Full(_) => EngineError::Overloaded,
        TrySendError::Closed(_) => EngineError::Closed,
    }
}
