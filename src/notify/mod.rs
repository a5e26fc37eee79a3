//! Delivery of directives by signed webhooks, at least once, in the form of Standard Webhooks.
//!
//! Input: directives, in order. Output: POSTs, and a file for each target with the messages that are
//! not delivered yet. Invariants: the engine never waits for a delivery; a message is retried until
//! it is delivered, is three days old, or is displaced because the account has the most of
//! `backlog::MESSAGES_MAX` pending ones (halts and releases last); a failing target has one attempt in progress, with growing pauses, and does
//! not affect other targets; no redirect is followed, no proxy from the environment is used, and no
//! private address is contacted unless the target allows it. Deliberately absent: clocks and tasks,
//! which `app` provides; the event stream (see `api`).
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

mod message;
mod sign;
mod backlog;
mod outbox;
mod client;
mod courier;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::directive::Directive;
use crate::domain::ids::Account;
use crate::domain::time::Timestamp;

pub use courier::{Courier, PendingDeliveries};
pub use outbox::OutboxError;

/// The input of a courier.
#[derive(Clone, Debug)]
pub enum CourierInput {
    /// A directive, newer than all before it.
    Directive(Arc<Directive>),
    /// Directives were lost before the courier could receive them.
    Lost {
        /// The number of directives.
        count: u64,
        /// The accounts that may have lost one. `None`: any account may.
        accounts: Option<BTreeSet<Account>>,
    },
}

/// Called with the name of a target and an event at it.
pub type DeliveryObserver = Arc<dyn Fn(&str, DeliveryEvent) + Send + Sync>;

/// The functions that a courier gets from `app`.
#[derive(Clone)]
pub struct CourierHooks {
    /// The wall time.
    pub now: fn() -> Timestamp,
    /// The monotonic time since a fixed moment.
    pub elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Records events as metrics.
    pub observe: DeliveryObserver,
}

impl std::fmt::Debug for CourierHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CourierHooks").finish_non_exhaustive()
    }
}

/// An event at a target that a metric shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEvent {
    /// A message was delivered at this time.
    Delivered(Timestamp),
    /// An attempt failed. The message is retried later.
    Failed,
    /// The number of messages that were dropped: displaced by newer ones, or lost before the courier.
    Dropped(u64),
    /// A message was dropped because it was too old.
    Expired,
    /// The number of messages that are not delivered yet.
    Pending(usize),
    /// The target failed so often that attempts pause for a while.
    BreakerOpened,
    /// The target works again.
    BreakerClosed,
    /// The outbox could not be written: a crash now may lose or repeat messages.
    OutboxFailed,
}
