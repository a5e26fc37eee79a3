//! Evidence that is missing: a book that never came, one that is too old, a silent engine.
//!
//! Input: the books of an account, the time of the last event of its engine, the settings. Output:
//! the evidence that is missing and since when, and the halts that follow. Invariants: missing evidence
//! is no drift and clears none; each kind halts once, and again only after that evidence was there.
//! Deliberately absent: the latch (see `state`), components (see `health`).

use std::collections::BTreeMap;
use std::time::Duration;

use enum_map::{EnumMap, enum_map};
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::drift::Books;
use crate::domain::event::Source;
use crate::domain::settings::{EvidenceResponse, Settings};
use crate::domain::state::TradingState;
use crate::domain::time::Timestamp;

closed_set! {
    /// Evidence that is missing: the positions of one side never came, those that drift is judged by
    /// are too old, or the engine is silent.
    pub enum EvidenceGap {
        /// The broker's positions came, local ones never did.
        LocalBookNeverCame = "local_book_never_came",
        /// Local positions came, the broker's never did.
        BrokerBookNeverCame = "broker_book_never_came",
        /// A book that drift is judged by is too old.
        BookStale = "book_stale",
        /// The engine has sent nothing for too long.
        EngineSilent = "engine_silent",
    }
}

impl EvidenceGap {
    /// The response that the settings ask for, besides the alert.
    #[must_use]
    pub const fn response(self, settings: &Settings) -> EvidenceResponse {
        let evidence = &settings.missing_evidence;
        match self {
            Self::LocalBookNeverCame | Self::BrokerBookNeverCame => evidence.book_never_came,
            Self::BookStale => evidence.book_stale,
            Self::EngineSilent => evidence.engine_silent,
        }
    }

    /// How long it may be missing; none: without limit.
    #[must_use]
    pub const fn allowed(self, settings: &Settings) -> Option<Duration> {
        match self {
            Self::LocalBookNeverCame | Self::BrokerBookNeverCame | Self::BookStale => {
                Some(settings.drift.stale_after)
            }
            Self::EngineSilent => settings.missing_evidence.engine_silent_after,
        }
    }

    /// The reason of the halt, for people.
    fn reason(self, allowed: Duration) -> String {
        let seconds = allowed.as_secs_f64();
        match self {
            Self::LocalBookNeverCame => {
                format!(
                    "no local positions came within {seconds} s of the first ones of the broker"
                )
            }
            Self::BrokerBookNeverCame => {
                format!(
                    "no positions of the broker came within {seconds} s of the first local ones"
                )
            }
            Self::BookStale => {
                format!("positions that drift is judged by are older than {seconds} s")
            }
            Self::EngineSilent => format!("nothing came from the engine for more than {seconds} s"),
        }
    }
}

/// The time since which each kind of evidence is missing; none: it is there.
pub type MissingSince = EnumMap<EvidenceGap, Option<Timestamp>>;

/// The evidence of an account that is missing at `now`. `engine_at` is the receive time of the last
/// event of its engine, `oldest_needed` is [`Books::oldest_needed`].
#[must_use]
pub fn missing(
    books: &Books,
    engine_at: Option<Timestamp>,
    oldest_needed: Option<Timestamp>,
    now: Timestamp,
    settings: &Settings,
) -> MissingSince {
    let waits_since: MissingSince = enum_map! {
        EvidenceGap::LocalBookNeverCame => awaited(books, Source::Local, Source::Broker),
        EvidenceGap::BrokerBookNeverCame => awaited(books, Source::Broker, Source::Local),
        EvidenceGap::BookStale => oldest_needed,
        // An engine that has never sent anything is waited for once its broker has.
        EvidenceGap::EngineSilent => engine_at.or(books.first_at(Source::Broker)),
    };
    waits_since.map(|kind, waits_since| {
        let since = waits_since?.plus(kind.allowed(settings)?);
        (now > since).then_some(since)
    })
}

/// Whether drift cannot be judged: a book is too old, or the broker's never came. For a local book
/// that never came, the ledger stands in.
#[must_use]
pub fn is_unjudged(missing: &MissingSince) -> bool {
    missing[EvidenceGap::BrokerBookNeverCame].or(missing[EvidenceGap::BookStale]).is_some()
}

/// The time since which a side is awaited: the arrival of the other side's first book.
fn awaited(books: &Books, side: Source, other: Source) -> Option<Timestamp> {
    books.first_at(other).filter(|_| books.first_at(side).is_none())
}

/// The kinds of missing evidence that halted the account, each with the state it set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EvidenceLatch(BTreeMap<EvidenceGap, TradingState>);

/// A halt for missing evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceHalt {
    /// The kind that is missing.
    pub missing: EvidenceGap,
    /// The trading state that the settings ask for.
    pub state: TradingState,
    /// Why, for people.
    pub reason: String,
}

impl EvidenceLatch {
    /// The halts that are due. A kind halts when it starts to be missing, and again only after it was
    /// there in between, or when the settings ask for a more severe state: the operator who released
    /// the first halt knew of it.
    ///
    /// Evidence may have arrived while the exporter was not listening, so a kind halts only once the
    /// exporter has listened for as long as the evidence may be missing.
    pub fn follow(
        &mut self,
        missing: &MissingSince,
        now: Timestamp,
        listening_since: Timestamp,
        settings: &Settings,
    ) -> Vec<EvidenceHalt> {
        let mut halts = Vec::new();
        for (kind, since) in missing {
            if since.is_none() {
                self.0.remove(&kind);
                continue;
            }
            let Some(allowed) = kind.allowed(settings) else { continue };
            let state = kind.response(settings).state();
            let before = self.0.get(&kind).copied().unwrap_or_default();
            if state > before && now.is_past(listening_since, allowed) {
                self.0.insert(kind, state);
                halts.push(EvidenceHalt { missing: kind, state, reason: kind.reason(allowed) });
            }
        }
        halts
    }

    /// Whether no kind has halted the account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
