//! The books of an account, and missing evidence.

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::age_seconds;
use crate::domain::account::AccountState;
use crate::domain::event::Source;
use crate::domain::evidence::EvidenceGap;
use crate::domain::settings::{EvidenceResponse, Settings};
use crate::domain::time::Timestamp;
use crate::wire::time::Rfc3339;

/// One book of an account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Book {
    /// The account.
    pub account: String,
    /// The owner of the book: the engine (local) or the broker.
    pub source: Source,
    /// The time that the age of its newest good snapshot is measured from; null: there is none.
    pub snapshot_at: Option<Rfc3339>,
    /// Age of that snapshot, in seconds.
    pub age_seconds: Option<f64>,
    /// Fetches that failed so far.
    pub fetch_failures_total: u64,
    /// When the last failed fetch was received; null: none failed.
    pub last_failure_at: Option<Rfc3339>,
    /// The error of that fetch.
    pub last_error: Option<String>,
}

impl Book {
    /// The books of an account, as of `now`; empty before the first snapshot or failed fetch.
    #[must_use]
    pub fn of(account: &AccountState, now: Timestamp) -> Vec<Self> {
        let sides = [Source::Local, Source::Broker];
        let is_known = |source: &Source| {
            let failures = account.books.fetch_failures(*source);
            account.books.first_at(*source).is_some() || failures.total > 0
        };
        if !sides.iter().any(is_known) {
            return Vec::new();
        }
        sides.map(|source| Self::new(account, source, now)).into()
    }

    fn new(account: &AccountState, source: Source, now: Timestamp) -> Self {
        let snapshot_at = account.books.snapshot_at(source);
        let failures = account.books.fetch_failures(source);
        Self {
            account: account.name.to_string(),
            source,
            snapshot_at: snapshot_at.map(Rfc3339),
            age_seconds: snapshot_at.map(|at| age_seconds(now, at)),
            fetch_failures_total: failures.total,
            last_failure_at: failures.last.as_ref().map(|(at, _)| Rfc3339(*at)),
            last_error: failures.last.as_ref().map(|(_, error)| error.clone()),
        }
    }
}

/// Evidence that is due and missing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MissingEvidence {
    /// The account.
    pub account: String,
    /// The kind of evidence.
    pub kind: EvidenceGap,
    /// When it was due.
    pub since: Rfc3339,
    /// The configured response, beside an alert.
    pub response: EvidenceResponse,
}

impl MissingEvidence {
    /// The missing evidence of an account, as of `now`.
    pub fn of<'a>(
        account: &'a AccountState,
        now: Timestamp,
        settings: &'a Settings,
    ) -> impl Iterator<Item = Self> + 'a {
        let since = account.missing(now, settings);
        since.into_iter().filter_map(|(kind, since)| {
            Some(Self {
                account: account.name.to_string(),
                kind,
                since: Rfc3339(since?),
                response: kind.response(settings),
            })
        })
    }
}
