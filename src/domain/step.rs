//! One record in one account: the values that every part of the account needs, and what it produces.
//!
//! [`AccountState`](crate::domain::account::AccountState) makes one `Step` for each record and lends
//! it to its parts. Inputs: the receive time, the settings in force, the account and its symbols.
//! Outputs: directives, warnings, flows. Deliberately absent: the state of any part.

use std::time::Duration;

use crate::domain::compact::OneOrMany;
use crate::domain::directive::{DirectiveKind, Outbox};
use crate::domain::flow::Flow;
use crate::domain::ids::{Account, DirectiveId, Symbol};
use crate::domain::settings::Settings;
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::warning::Warnings;

/// The time of a record, and the settings in force.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Receive time of the record.
    pub now: Timestamp,
    /// How far the wall clock is behind receive time.
    pub clock_behind: Duration,
    /// The settings in force.
    pub settings: &'a Settings,
}

/// One record in one account.
#[derive(Debug)]
pub struct Step<'a, 'out> {
    /// Receive time of the record.
    pub now: Timestamp,
    /// How far the wall clock is behind receive time.
    pub clock_behind: Duration,
    /// The settings in force.
    pub settings: &'a Settings,
    /// The account.
    pub account: &'a Account,
    /// The account's symbols.
    pub symbols: &'a mut SymbolTable,
    /// Directives so far.
    outbox: &'a mut Outbox<'out>,
    /// Warnings for the answer so far.
    pub warnings: Warnings,
    /// Changes of positions that the execution side reports to the books.
    pub flows: OneOrMany<(SymbolKey, Flow)>,
}

impl<'a, 'out> Step<'a, 'out> {
    /// A step without output so far.
    pub fn new(
        moment: Moment<'a>,
        account: &'a Account,
        symbols: &'a mut SymbolTable,
        outbox: &'a mut Outbox<'out>,
    ) -> Self {
        let Moment { now, clock_behind, settings } = moment;
        let (warnings, flows) = (Warnings::default(), OneOrMany::default());
        Self { now, clock_behind, settings, account, symbols, outbox, warnings, flows }
    }

    /// Emits a directive about the account.
    pub fn emit(&mut self, kind: DirectiveKind) -> DirectiveId {
        self.outbox.push(self.account, kind)
    }

    /// Sequence of the record.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.outbox.sequence()
    }

    /// Whether one more symbol is watched.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.symbols.has_room(self.settings.symbols.max)
    }

    /// The key of a symbol. A new symbol past `symbols.max` folds into `__other__`.
    pub fn intern(&mut self, symbol: &Symbol) -> SymbolKey {
        self.symbols.intern(symbol, self.settings.symbols.max)
    }

    /// A sender's time by the exporter's own clock. Where that clock is ahead of the wall clock, so are
    /// all times in the state; a later event must still be newer than an earlier one.
    #[must_use]
    pub fn by_own_clock(&self, time: Timestamp) -> Timestamp {
        time.plus(self.clock_behind)
    }

    /// The time at which something happened: the receive time, if the sender's clock is ahead.
    /// Dated by that clock, it would be in flight until then.
    #[must_use]
    pub fn not_ahead(&self, time: Timestamp) -> Timestamp {
        if time.is_past(self.now, self.settings.ingest.clock_skew_max) { self.now } else { time }
    }

    /// The time of a fill that its sender dates `time`. Of a fill dated ahead, only the receive time is
    /// a bound: it happened earlier, by up to the time that lists wait for a report. It is dated that
    /// much earlier, so that a list which already has it does not count as older than the fill.
    #[must_use]
    pub fn reported(&self, time: Timestamp) -> Timestamp {
        let at = self.not_ahead(time);
        let rules = &self.settings.drift.in_flight;
        if at == time { at } else { at.minus(rules.settle + rules.ahead) }
    }
}
