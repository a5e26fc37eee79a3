//! The ceiling on the size of the state.
//!
//! Input: the state once a second, and the bytes written since. Output: the [`Pressure`] under which
//! events are refused before they are written, so that the log holds only what was accepted and a
//! replay needs no ceiling.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::RwLock;

use crate::domain::monitor::Monitor;
use crate::domain::time::Timestamp;
use crate::domain::weight::Pressure;
use crate::engine::shared::StateSize;

/// The state is weighed this often.
const EVERY: Duration = Duration::from_secs(1);
/// It is weighed earlier when more than this part of the ceiling was written.
const WRITTEN_PART: u64 = 256;

/// The ceiling on the size of the state, and how close it is.
#[derive(Debug)]
pub(super) struct StateCeiling {
    bytes_max: u64,
    size: Arc<StateSize>,
    weighed_at: Option<Timestamp>,
    /// Bytes of records written since.
    written: u64,
    pressure: Option<Pressure>,
}

impl StateCeiling {
    /// No ceiling.
    pub(super) fn none() -> Self {
        Self::new(u64::MAX, Arc::default())
    }

    pub(super) fn new(bytes_max: u64, size: Arc<StateSize>) -> Self {
        size.bytes_max.store(bytes_max, Ordering::Relaxed);
        Self { bytes_max, size, weighed_at: None, written: 0, pressure: None }
    }

    /// Why events may be refused; None: they are not.
    pub(super) const fn pressure(&self) -> Option<&Pressure> {
        self.pressure.as_ref()
    }

    /// Notes bytes that were written.
    pub(super) const fn grow(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Weighs the state, if that is due at `now`.
    pub(super) fn weigh_if_due(&mut self, monitor: &RwLock<Monitor>, now: Timestamp) {
        let is_recent = self.weighed_at.is_some_and(|at| !now.is_past(at, EVERY));
        if is_recent && self.written <= self.bytes_max / WRITTEN_PART {
            return;
        }
        self.weighed_at = Some(now);
        self.written = 0;
        let weight = monitor.read().weigh();
        self.size.bytes.store(weight.bytes(), Ordering::Relaxed);
        let before = std::mem::replace(&mut self.pressure, weight.pressure(self.bytes_max));
        let (bytes, bytes_max) = (weight.bytes(), self.bytes_max);
        match (&before, &self.pressure) {
            (None, Some(pressure)) => tracing::warn!(
                bytes, bytes_max, largest = ?pressure.refused(),
                "the state is full: events of its largest holders are refused"
            ),
            (Some(_), None) => tracing::info!(bytes, bytes_max, "the state has room again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}
