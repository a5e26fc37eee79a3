//! Components, their check results, and the health of the system.

use serde::Serialize;
use utoipa::ToSchema;

use super::evidence::{Book, MissingEvidence};
use super::scalar::age_seconds;
use crate::domain::health::{self, CheckView, ComponentView, Witness, WitnessView};
use crate::domain::time::Timestamp;
use crate::wire::time::Rfc3339;

/// The health of the system, and of each component.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Health {
    /// The account asked for; null: all that the caller may see.
    pub account: Option<String>,
    /// `unhealthy` if a critical component is, else `degraded` if any component is not healthy;
    /// `unknown` if nothing is known.
    pub status: health::Health,
    /// The components; those of account `*` are probes of the exporter.
    pub components: Vec<Component>,
    /// The books of each account that had a snapshot or a failed fetch.
    pub books: Vec<Book>,
    /// Evidence that is due and missing.
    pub missing_evidence: Vec<MissingEvidence>,
}

/// The current state of one component.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Component {
    /// The account that it reports for; `*`: a probe of the exporter.
    pub account: String,
    /// Its name.
    pub component: String,
    /// Its state: the worst that a witness reports. The fields below are those of that witness.
    pub status: health::Health,
    /// Whether the system is unhealthy without it.
    pub critical: bool,
    /// The last message.
    pub message: String,
    /// When the last result was received; null: none yet.
    pub last_check_at: Option<Rfc3339>,
    /// Age of the last result, in seconds.
    pub age_seconds: Option<f64>,
    /// How long the last check took, in seconds.
    pub latency_seconds: Option<f64>,
    /// How often it reports, in seconds; three intervals without a result are silence.
    pub interval_seconds: f64,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// All failures so far; silence counts as one.
    pub failures_total: u64,
    /// When its state last changed (receive time).
    pub since: Rfc3339,
    /// A witness has not reported for more than three of its intervals.
    pub silent: bool,
    /// The report of each witness. None overrules another.
    pub witnesses: Vec<WitnessReport>,
}

/// The report of one witness about a component.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct WitnessReport {
    /// The witness.
    pub source: Witness,
    /// The state that follows from its results, or from their absence.
    pub status: health::Health,
    /// Its last message.
    pub message: String,
    /// When its last result was received.
    pub last_check_at: Rfc3339,
    /// Age of that result, in seconds.
    pub age_seconds: f64,
    /// It has not reported for more than three of its intervals.
    pub silent: bool,
}

impl Component {
    /// The answer for one component, as of `now`.
    #[must_use]
    pub fn new(account: &str, view: ComponentView, now: Timestamp) -> Self {
        Self {
            account: account.to_owned(),
            component: view.component.to_string(),
            status: view.health,
            critical: view.critical,
            message: view.message,
            last_check_at: view.last_check_at.map(Rfc3339),
            age_seconds: view.last_check_at.map(|at| age_seconds(now, at)),
            latency_seconds: view.latency.map(|l| l.as_secs_f64()),
            interval_seconds: view.interval.as_secs_f64(),
            consecutive_failures: view.consecutive_failures,
            failures_total: view.failures_total,
            since: Rfc3339(view.since),
            silent: view.silent,
            witnesses: view.witnesses.into_iter().map(|w| WitnessReport::new(w, now)).collect(),
        }
    }
}

impl WitnessReport {
    fn new(view: WitnessView, now: Timestamp) -> Self {
        Self {
            source: view.witness,
            status: view.health,
            message: view.message,
            last_check_at: Rfc3339(view.last_check_at),
            age_seconds: age_seconds(now, view.last_check_at),
            silent: view.silent,
        }
    }
}

/// One check result of a component.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CheckResult {
    /// The account that it reports for; `*`: a probe of the exporter.
    pub account: String,
    /// The witness.
    pub source: Witness,
    /// When it was received.
    pub at: Rfc3339,
    /// Whether it counted as a success.
    pub passed: bool,
    /// The state of the component after it.
    pub status: health::Health,
    /// The message.
    pub message: String,
    /// How long the check took, in seconds.
    pub latency_seconds: Option<f64>,
}

impl CheckResult {
    /// The answer for one result.
    #[must_use]
    pub fn new(account: &str, witness: Witness, check: CheckView) -> Self {
        Self {
            account: account.to_owned(),
            source: witness,
            at: Rfc3339(check.at),
            passed: check.passed,
            status: check.health,
            message: check.message,
            latency_seconds: check.latency.map(|l| l.as_secs_f64()),
        }
    }
}
