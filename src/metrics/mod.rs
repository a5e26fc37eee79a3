//! /metrics: the catalogue of families, the rows of the state, the encoder.
//!
//! Input: the monitor under a read lock, copied there and encoded after it (a large one in steps, see
//! [`ScrapeSnapshot`]), and [`Runtime`], the exporter's own metrics. Output: one exposition in text
//! 0.0.4 or OpenMetrics 1.0. Invariants: both formats carry the same samples; only families of the
//! catalogue are written, each in one group; the same state gives the same text; NaN is never written.
//! Deliberately absent: HTTP (see `crate::api`), and counters of the state that code would have to
//! remember to increment.
//!
//! ```text
//! Monitor --projection--> rows --families--> points --+
//!                                                     +--encode--> text
//! Runtime ------------------------------> own samples-+
//! ```
//!
//! The files below are in the order of their imports; a test forbids an import in a circle.

mod label_values;
mod descriptor;
mod text;
mod accept;
mod format;
pub mod selection;
pub mod rows;
mod projection;
mod labels;
pub mod points;
mod family;
pub mod families;
mod runtime;
pub mod catalogue;
mod encode;
mod weigh;
mod budget;
mod snapshot;

pub(crate) use accept::accepts_coding;
pub use budget::SeriesBudget;
pub use descriptor::{Descriptor, MetricKind};
pub use encode::{Exposition, encode};
pub use family::{Family, SampleSource};
pub use format::Format;
pub use label_values::{
    ConnectionClose, DeliveryOutcome, DurabilityLabel, FeedResult, FoldLabel, HandshakeFailure,
    ListenerKind, ListenerLabel, NotificationOutcome, PullOutcome, ScrapeRefusal, SnapshotPart,
    StreamEnd,
};
pub use rows::Projection;
pub use runtime::{
    AlertmanagerMetrics, Build, ConnectionMetrics, FeedMetrics, IngestMetrics, JournalMetrics,
    ListenerMetrics, PositionSourceMetrics, Runtime, RuntimeError, ServiceMetrics, SnapshotMetrics,
    WebMetrics, WebhookMetrics,
};
pub use snapshot::{CopyStep, ScrapeSnapshot, project, project_accounts};
pub use weigh::{count_account, count_control};

#[cfg(test)]
mod tests;
