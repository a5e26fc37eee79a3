//! Evidence that should be there and is not: a book that never came, one that is too old, an engine
//! of which nothing comes.
//!
//! Input: the books of an account, when its engine was last heard, the settings. Output: what is
//! missing since when, and what has to be latched. Invariants: missing evidence is no drift and
//! clears none; what is latched for a reason is latched once, until that evidence was there again.
//! Deliberately absent: the latch (see `state`), components (see `health`).

use std::collections::BTreeMap;
use std::time::Duration;

use enum_map::{EnumMap, enum_map};
use serde::{Deserialize, Serialize};

use crate::domain::account::AccountState;
use crate::domain::closed_set::closed_set;
use crate::domain::drift::Books;
use crate::domain::event::Source;
use crate::domain::settings::{EvidenceResponse, Settings};
use crate::domain::state::TradingState;
use crate::domain::time::Timestamp;

closed_set! {
    /// Evidence that is missing: the positions of one side never came, those that drift is judged by
    /// are too old, or the engine is silent.
    pub enum Missing {
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

impl Missing {
    /// What the settings ask for beside an alert.
    #[must_use]
    pub const fn response(self, settings: &Settings) -> EvidenceResponse {
        let evidence = &settings.missing_evidence;
        match self {
            Self::LocalBookNeverCame | Self::BrokerBookNeverCame => evidence.book_never_came,
            Self::BookStale => evidence.book_stale,
            Self::EngineSilent => evidence.engine_silent,
        }
    }

    /// How long it may be missing; none: for ever.
    #[must_use]
    pub const fn allowed(self, settings: &Settings) -> Option<Duration> {
        match self {
            Self::LocalBookNeverCame | Self::BrokerBookNeverCame | Self::BookStale => {
                Some(settings.drift.stale_after)
            }
            Self::EngineSilent => settings.missing_evidence.engine_silent_after,
        }
    }

    /// Why, for people.
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
pub type MissingSince = EnumMap<Missing, Option<Timestamp>>;

/// What is missing of an account at `now`.
#[must_use]
pub fn missing(account: &AccountState, now: Timestamp, settings: &Settings) -> MissingSince {
    missing_with(account, account.books.oldest_needed(), now, settings)
}

/// The same, where [`Books::oldest_needed`] is known.
#[must_use]
pub fn missing_with(
    account: &AccountState,
    oldest_needed: Option<Timestamp>,
    now: Timestamp,
    settings: &Settings,
) -> MissingSince {
    let books = &account.books;
    let waits_since: MissingSince = enum_map! {
        Missing::LocalBookNeverCame => awaited(books, Source::Local, Source::Broker),
        Missing::BrokerBookNeverCame => awaited(books, Source::Broker, Source::Local),
        Missing::BookStale => oldest_needed,
        // An engine that has never sent anything is waited for once its broker has.
        Missing::EngineSilent => account.engine_at.or(books.first_at(Source::Broker)),
    };
    waits_since.map(|kind, waits_since| {
        let since = waits_since?.plus(kind.allowed(settings)?);
        (now > since).then_some(since)
    })
}

/// Whether drift cannot be judged: a book is too old, or the broker's never came. Where local never
/// came the ledger stands in for it.
#[must_use]
pub fn is_unjudged(missing: &MissingSince) -> bool {
    missing[Missing::BrokerBookNeverCame].or(missing[Missing::BookStale]).is_some()
}

/// Since when a side is waited for: since the other one came.
fn awaited(books: &Books, side: Source, other: Source) -> Option<Timestamp> {
    books.first_at(other).filter(|_| books.first_at(side).is_none())
}

/// What was latched for evidence that is missing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Latched(BTreeMap<Missing, TradingState>);

/// A cause that has to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latching {
    /// What is missing.
    pub missing: Missing,
    /// The state that the settings ask for.
    pub state: TradingState,
    /// Why, for people.
    pub reason: String,
}

impl Latched {
    /// What has to be latched now. Each kind is latched when it begins to be missing, and again only
    /// after it was there, or when the settings ask for more: a person who released it knew.
    ///
    /// What came while the exporter did not listen is not missing: it takes as long as is allowed
    /// since `listening_since`.
    pub fn follow(
        &mut self,
        missing: &MissingSince,
        now: Timestamp,
        listening_since: Timestamp,
        settings: &Settings,
    ) -> Vec<Latching> {
        let mut latching = Vec::new();
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
                latching.push(Latching { missing: kind, state, reason: kind.reason(allowed) });
            }
        }
        latching
    }

    /// Whether nothing was latched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
