//! Execution figures beyond their thresholds.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::execution::anomaly::{AnomalyLevel, AnomalyView, Figure};
use crate::wire::time::Rfc3339;

/// One open anomaly.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Anomaly {
    /// The account.
    pub account: String,
    /// The instrument; null: the account as a whole.
    pub symbol: Option<String>,
    /// Its severity.
    pub severity: AnomalyLevel,
    /// The figure that crossed its threshold.
    pub figure: Figure,
    /// Its latest value, in the unit that the figure's name ends with.
    pub value: f64,
    /// The threshold of the severity.
    pub threshold: f64,
    /// Number of samples of the value.
    pub samples: usize,
    /// When it opened (receive time).
    pub since: Rfc3339,
}

impl Anomaly {
    /// An open anomaly of an account.
    #[must_use]
    pub fn new(account: &str, anomaly: AnomalyView) -> Self {
        Self {
            account: account.to_owned(),
            symbol: anomaly.symbol.map(|s| s.to_string()),
            severity: anomaly.level,
            figure: anomaly.figure,
            value: anomaly.value,
            threshold: anomaly.threshold,
            samples: anomaly.samples,
            since: Rfc3339(anomaly.since),
        }
    }
}
