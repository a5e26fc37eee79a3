//! Delivery of directives by signed webhooks, at least once, in the form of Standard Webhooks.
//!
//! Input: directives, in order. Output: POSTs, and a file for each target with what is not
//! delivered yet. Invariants: nothing here is waited for by whoever decides; what is taken is tried
//! until it is delivered, three days old, or pushed out by `backlog::MESSAGES_MAX` newer ones
//! (halts and releases last); a target that fails costs one attempt at a time, further and further
//! apart, and disturbs no other; no redirect is followed, no proxy of the environment asked, and no
//! address taken that the target may not have. Deliberately absent: clocks and tasks, which come
//! from `app`; the stream (see `api`).
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

mod message;
mod sign;
mod backlog;
mod outbox;
mod post;
mod courier;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::directive::Directive;
use crate::domain::time::Timestamp;

pub use courier::{Courier, Waiting};
pub use outbox::OutboxError;

/// What a courier is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// A directive, later than all before it.
    Directive(Arc<Directive>),
    /// So many were lost before they came here.
    Lost(u64),
}

/// Told the name of a target, and what happened there.
pub type Observer = Arc<dyn Fn(&str, Seen) + Send + Sync>;

/// What a courier needs from outside.
#[derive(Clone)]
pub struct Tools {
    /// The wall time.
    pub now: fn() -> Timestamp,
    /// The monotonic time since some moment.
    pub elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Told of everything that a metric shows.
    pub observe: Observer,
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools").finish_non_exhaustive()
    }
}

/// What happened at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A message was delivered at that time.
    Delivered(Timestamp),
    /// An attempt failed; the message waits for the next.
    Failed,
    /// So many messages were given up: too many newer ones, or lost on the way.
    Dropped(u64),
    /// A message was given up because it was too old.
    Expired,
    /// So many messages wait.
    Pending(usize),
    /// The target failed so often that it is left alone for a while.
    BreakerOpened,
    /// The target works again.
    BreakerClosed,
    /// The outbox could not be written: a crash now may lose or repeat messages.
    OutboxFailed,
}
