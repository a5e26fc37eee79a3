//! What Prometheus scrapes: the catalogue of families, the projection of the state, the encoder.
//!
//! Input: the monitor under a read lock (copied, not encoded, there; a large one in steps, see
//! [`ScrapeSnapshot`]), and [`Runtime`], the
//! exporter's own figures. Output: one exposition in text 0.0.4 or OpenMetrics 1.0. Invariants:
//! both formats carry the same samples; only families of the catalogue come out, each once and in
//! one group; the same state gives the same text; NaN is never written. Deliberately absent: HTTP
//! (see `crate::api`), a second state that somebody must remember to update.
//!
//! ```text
//! Monitor --project--> Projection --+
//!                                   +--encode(Format)--> text
//! Runtime --------------------------+
//! ```

pub mod catalogue;
pub mod families;
pub mod format;
pub mod projection;
pub mod shown;
mod weigh;
mod budget;
pub mod snapshot;
pub mod encode;
pub mod runtime;
mod webhooks;
mod label_values;
mod accept;
mod labels;
mod text;

pub(crate) use accept::accepts_coding;
pub use budget::Budget;
pub use encode::{Exposition, encode};
pub use format::Format;
pub use label_values::{DeliveryOutcome, ListenerKind, NotificationOutcome, StreamEnd};
pub use projection::{Projection, project, project_accounts};
pub use runtime::{Build, Runtime, RuntimeError, SnapshotFigure};
pub use snapshot::{ScrapeSnapshot, Step};
pub use webhooks::WebhookMetrics;
pub use weigh::{count_common, count_family};

#[cfg(test)]
mod tests;
