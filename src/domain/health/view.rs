//! Health as values: the states, the witnesses, and what the API and the metrics show.
//!
//! Deliberately absent: how a state follows from results (see `report`, `component`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::event::Source;
use crate::domain::ids::Component;
use crate::domain::time::Timestamp;

closed_set! {
    /// The health of a component or of the system, best first. `unknown` never counts as healthy.
    pub enum Health {
        /// Every check passes.
        Healthy = "healthy",
        /// Some checks fail.
        Degraded = "degraded",
        /// There is no result yet, or none for too long.
        Unknown = "unknown",
        /// Down.
        Unhealthy = "unhealthy",
    }
}

impl Health {
    /// The value on metrics: 0 healthy, 1 degraded, 2 unknown, 3 unhealthy. The largest is the
    /// worst.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

closed_set! {
    /// The reporter on a component: a probe of the exporter, the engine (`local`) or the broker's
    /// side. No witness overrules another: the worst report counts.
    pub enum Witness {
        /// A probe that the exporter runs.
        Exporter = "exporter",
        /// The engine.
        Local = "local",
        /// The broker's side.
        Broker = "broker",
    }
}

/// The witness of an event. An event without a source is the engine's.
impl From<Option<Source>> for Witness {
    fn from(source: Option<Source>) -> Self {
        match source {
            None | Some(Source::Local) => Self::Local,
            Some(Source::Broker) => Self::Broker,
        }
    }
}

/// One component. Of several witnesses, the report of the worst is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentView {
    /// Its name.
    pub component: Component,
    /// The worst health that a witness reports.
    pub health: Health,
    /// Whether the system is unhealthy without it.
    pub critical: bool,
    /// The last message.
    pub message: String,
    /// Receive time of the last result.
    pub last_check_at: Option<Timestamp>,
    /// Duration of the last check.
    pub latency: Option<Duration>,
    /// Time between two reports.
    pub interval: Duration,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Failures so far of all witnesses, silence included.
    pub failures_total: u64,
    /// When its health last changed.
    pub since: Timestamp,
    /// Whether a witness has been silent for too long.
    pub silent: bool,
    /// The report of each witness.
    pub witnesses: Vec<WitnessView>,
}

/// The report of one witness on a component.
#[derive(Clone, Debug, PartialEq)]
pub struct WitnessView {
    /// The reporter.
    pub witness: Witness,
    /// The health by its results and its silence.
    pub health: Health,
    /// Its last message.
    pub message: String,
    /// Receive time of its last result.
    pub last_check_at: Timestamp,
    /// Whether it has been silent for too long.
    pub silent: bool,
}

/// One result in the history of a component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckView {
    /// Receive time.
    pub at: Timestamp,
    /// Whether it counted as a success.
    pub passed: bool,
    /// The health after it.
    pub health: Health,
    /// Its message.
    pub message: String,
    /// Duration of the check.
    pub latency: Option<Duration>,
}

/// The health of a component, and whether silence alone caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentStatus {
    /// Its health.
    pub health: Health,
    /// It is unhealthy, and no result reports so: only silence does.
    pub by_silence: bool,
}

/// The health of a component changed, or a component that was unhealthy by silence alone is now
/// unhealthy by a result too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthChange {
    /// The component.
    pub component: Component,
    /// The status from now on.
    pub status: ComponentStatus,
    /// The message of the report that counts, for people.
    pub message: String,
}
