//! A component says that it lives, and how it feels.

use std::time::Duration;

use crate::domain::event::Source;
use crate::domain::health::Health;
use crate::domain::ids::Component;

/// A component says that it lives, and how it feels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// The component.
    pub component: Component,
    /// What it states: healthy, degraded or unhealthy; missing: a check that passed.
    pub status: Option<Health>,
    /// What it says, for people.
    pub message: Option<Box<str>>,
    /// How long its check took.
    pub latency: Option<Duration>,
    /// How often it reports; three intervals without a report are silence.
    pub interval: Option<Duration>,
    /// Who says so; missing: the engine. The two are witnesses of their own, and the worse counts.
    pub source: Option<Source>,
}
