//! What the answer says about an event that was taken.
//!
//! Input: facts that the decoder or the fold notices. Output: a small set, copied into the verdict.
//! Deliberately absent: refusals (see `record`), which change nothing.

/// Something to say about an event that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// The snapshot is too old to be judged, or a fill was reported too late.
    Stale,
    /// The time is too far ahead of receipt.
    ClockSkew,
    /// The account has as many symbols as are watched, and this is a further one.
    NotMonitored,
    /// A number was rounded.
    Rounded,
    /// The first event of an account that neither the configuration nor a token names.
    UnknownAccount,
}

impl Warning {
    /// All of them, in the order of the answer.
    pub const ALL: [Self; 5] =
        [Self::Stale, Self::ClockSkew, Self::NotMonitored, Self::Rounded, Self::UnknownAccount];

    /// The stable code: it stands in answers and on metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::ClockSkew => "clock_skew",
            Self::NotMonitored => "not_monitored",
            Self::Rounded => "rounded",
            Self::UnknownAccount => "unknown_account",
        }
    }

    /// What it means, for people.
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

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of warnings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warnings(u8);

impl Warnings {
    /// Adds one.
    pub const fn insert(&mut self, warning: Warning) {
        self.0 |= warning.bit();
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn contains(self, warning: Warning) -> bool {
        self.0 & warning.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All of them, in the order of [`Warning::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Warning> {
        Warning::ALL.into_iter().filter(move |warning| self.contains(*warning))
    }
}

impl FromIterator<Warning> for Warnings {
    fn from_iter<I: IntoIterator<Item = Warning>>(warnings: I) -> Self {
        let mut set = Self::default();
        warnings.into_iter().for_each(|warning| set.insert(warning));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        assert!(Warnings::default().is_empty());
        for warning in Warning::ALL {
            let set: Warnings = [warning].into_iter().collect();
            let found: Vec<Warning> = set.iter().collect();
            assert_eq!(found, [warning], "{}", warning.as_str());
            assert!(!set.is_empty() && !warning.message().is_empty());
        }
        let all: Warnings = Warning::ALL.into_iter().rev().collect();
        assert!(all.iter().eq(Warning::ALL));
    }
}
