//! Remarks in the answer about an event that was accepted.
//!
//! Input: facts that the decoder or the fold notices. Output: a small set, copied into the verdict.
//! Deliberately absent: refusals (see `record`), which change nothing.

use crate::domain::closed_set::closed_set;
use crate::domain::enum_set::EnumSet;

closed_set! {
    /// A remark about an event that was accepted.
    pub enum Warning {
        /// The snapshot is too old to be judged, or a fill was reported too late.
        Stale = "stale",
        /// The time is too far ahead of receipt.
        ClockSkew = "clock_skew",
        /// The symbol is one more than the account may have.
        NotMonitored = "not_monitored",
        /// A number was rounded.
        Rounded = "rounded",
        /// The first event of an account that neither the configuration nor a token names.
        UnknownAccount = "unknown_account",
    }
}

/// A set of warnings.
pub type Warnings = EnumSet<Warning>;

impl Warning {
    /// An explanation for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Stale => {
                "the snapshot is older than drift.stale_after, or the fill than the list that the \
                 ledger starts from: it sets nothing and clears nothing"
            }
            Self::ClockSkew => {
                "the time is further ahead of receipt than ingest.clock_skew_max: check the \
                 sender's clock"
            }
            Self::NotMonitored => {
                "the account has as many symbols as symbols.max: positions and drift of this one \
                 are not monitored"
            }
            Self::Rounded => "a number with more than 18 decimals was rounded to 18",
            Self::UnknownAccount => {
                "the first event of an account that neither the configuration nor a token names: \
                 check its spelling"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warning_has_a_message() {
        assert!(Warning::ALL.iter().all(|warning| !warning.message().is_empty()));
    }
}
