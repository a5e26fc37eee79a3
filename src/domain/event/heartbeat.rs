//! A component reports that it is alive, and its health.

use std::time::Duration;

use crate::domain::event::{OtherKind, Source};
use crate::domain::health::Health;
use crate::domain::ids::{Component, Symbol};

/// A component reports that it is alive, and its health.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// The component.
    pub component: Component,
    /// The health that it reports, never `Unknown`; `None` counts as one passed check.
    pub status: Option<Health>,
    /// A message for people.
    pub message: Option<Box<str>>,
    /// Duration of its check.
    pub latency: Option<Duration>,
    /// The interval between its reports. Three intervals without a report are silence.
    pub interval: Option<Duration>,
    /// The reporting side; `None` for the engine. Engine and broker report independently, and the worse
    /// health counts.
    pub source: Option<Source>,
}

impl OtherKind for Heartbeat {
    fn sender(&self) -> Option<Source> {
        match self.source {
            Some(Source::Broker) => Some(Source::Broker),
            Some(Source::Local) | None => {
                (self.component.as_str() == "engine").then_some(Source::Local)
            }
        }
    }

    fn each_symbol(&mut self, _: &mut dyn FnMut(&mut Symbol)) {}
}
