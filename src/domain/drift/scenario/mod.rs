//! A small world for tests of drift: one account, a clock in seconds, books written as text.

mod adoption;
mod attribution;
mod budget;
mod confirmation;
mod in_flight;
mod reconciliation;
mod severity;
mod snapshots;
mod value;

use std::time::Duration;

use super::{
    Adoption, Books, DriftHalt, DriftType, DriftView, Market, MarketOf, PositionView,
    ReconcileOutcome, SnapshotTime, SnapshotVerdict,
};
use crate::domain::directive::{Directive, DirectiveKind, Outbox};
use crate::domain::event::{PositionRow, Positions, Source};
use crate::domain::flow::{Flow, FlowKind};
use crate::domain::ids::{Account, Symbol};
use crate::domain::record::{Adopt, Refusal};
use crate::domain::settings::{Settings, Severity};
use crate::domain::step::{Moment, Step};
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Position, Price, parse_decimal};

/// A time in seconds after the start of the world; `at(1.5)` is exact.
fn at(seconds: f64) -> Timestamp {
    let origin = Timestamp::MIN.plus(Duration::from_hours(24));
    if seconds < 0.0 {
        origin.minus(Duration::from_secs_f64(-seconds))
    } else {
        origin.plus(Duration::from_secs_f64(seconds))
    }
}

fn decimal(text: &str) -> Decimal {
    parse_decimal(text).expect("a number")
}

/// One account with its books, market, clock and output.
pub(super) struct World {
    pub(super) books: Books,
    pub(super) symbols: SymbolTable,
    settings: Settings,
    account: Account,
    pub(super) market: Market,
    pub(super) now: f64,
    sequence: u64,
    pub(super) directives: Vec<Directive>,
    pub(super) halts: Vec<DriftHalt>,
}

/// A world in which both sides agree that nothing is held, so that the ledger is anchored and later
/// differences count. The clock is at 0.
pub(super) fn world() -> World {
    let mut world = blank();
    world.both("", "");
    world
}

/// A world without books, and with a last fill at a tiny price, so that every difference has a value
/// and by default its quantity decides.
pub(super) fn blank() -> World {
    World {
        books: Books::default(),
        symbols: SymbolTable::default(),
        settings: Settings::default(),
        account: Account::default(),
        market: Market { last_fill: Some(Price::new(Decimal::new(1, 9))), ..Market::default() },
        now: 0.0,
        sequence: 0,
        directives: Vec::new(),
        halts: Vec::new(),
    }
}

impl World {
    pub(super) fn key(&mut self, symbol: &str) -> SymbolKey {
        let symbol = Symbol::new(symbol).expect("a name");
        self.symbols.intern(&symbol, usize::MAX)
    }

    /// Moves the clock.
    pub(super) fn at(&mut self, seconds: f64) -> &mut Self {
        assert!(seconds >= self.now, "receive time never goes back");
        self.now = seconds;
        self
    }

    /// Applies a snapshot. Rows are `SYMBOL QUANTITY[@AVERAGE][/MARKET]`, separated by commas.
    fn snapshot(&mut self, snapshot: &Positions, time: f64) -> SnapshotVerdict {
        let time = at(time);
        let verdict = self.with_step(|books, step| {
            let at = SnapshotTime::new(time, step.now, step.sequence());
            books.take_snapshot(step, snapshot, at)
        });
        if snapshot.source == Source::Local {
            self.books.engine_heard(time);
        }
        verdict
    }

    pub(super) fn complete(&mut self, source: Source, time: f64, rows: &str) -> SnapshotVerdict {
        let snapshot = Positions { source, rows: rows_of(rows), complete: true, failure: None };
        self.snapshot(&snapshot, time)
    }

    pub(super) fn partial(&mut self, source: Source, time: f64, rows: &str) -> SnapshotVerdict {
        let snapshot = Positions { source, rows: rows_of(rows), complete: false, failure: None };
        self.snapshot(&snapshot, time)
    }

    pub(super) fn failed(&mut self, source: Source) -> SnapshotVerdict {
        let failure = Some("timeout".into());
        let snapshot = Positions { source, rows: Box::default(), complete: true, failure };
        self.snapshot(&snapshot, self.now)
    }

    /// A complete local snapshot of now, compared.
    fn local(&mut self, rows: &str) -> &mut Self {
        self.complete(Source::Local, self.now, rows);
        self.compare()
    }

    /// A complete broker snapshot of now, compared.
    fn broker(&mut self, rows: &str) -> &mut Self {
        self.complete(Source::Broker, self.now, rows);
        self.compare()
    }

    /// Complete snapshots of both sides of now in one request, compared.
    pub(super) fn both(&mut self, local: &str, broker: &str) -> &mut Self {
        self.complete(Source::Local, self.now, local);
        self.complete(Source::Broker, self.now, broker);
        self.compare()
    }

    /// An event of the engine that moves nothing, dated now.
    fn hear(&mut self) -> &mut Self {
        self.books.engine_heard(at(self.now));
        self.compare()
    }

    /// A change of position, not compared: a buy if it is positive.
    pub(super) fn flow(&mut self, time: f64, symbol: &str, change: &str) -> &mut Self {
        let kind = if change.starts_with('-') { FlowKind::Sell } else { FlowKind::Buy };
        self.flow_of(time, symbol, change, kind)
    }

    fn flow_of(&mut self, time: f64, symbol: &str, change: &str, kind: FlowKind) -> &mut Self {
        let key = self.key(symbol);
        let flow = Flow { time: at(time), change: decimal(change), kind };
        self.books.flow(key, flow, &self.settings.drift.in_flight);
        if kind != FlowKind::Adjustment {
            self.books.engine_heard(at(time));
        }
        self
    }

    /// The end of a request.
    pub(super) fn compare(&mut self) -> &mut Self {
        self.step(Books::compare_dirty)
    }

    /// One tick now.
    fn tick(&mut self) -> &mut Self {
        self.step(Books::tick)
    }

    /// A tick every second until `seconds`.
    pub(super) fn tick_to(&mut self, seconds: f64) -> &mut Self {
        while self.now < seconds {
            let next = (self.now + 1.0).min(seconds);
            self.at(next).tick();
        }
        self
    }

    fn step(
        &mut self,
        run: impl FnOnce(&mut Books, &mut Step<'_, '_>, MarketOf<'_>) -> Vec<DriftHalt>,
    ) -> &mut Self {
        let market = self.market;
        let halts = self.with_step(|books, step| run(books, step, &|_| market));
        self.halts.extend(halts);
        self
    }

    /// Runs one record.
    fn with_step<T>(&mut self, run: impl FnOnce(&mut Books, &mut Step<'_, '_>) -> T) -> T {
        self.sequence += 1;
        let (now, settings) = (at(self.now), &self.settings);
        let moment = Moment { now, clock_behind: Duration::ZERO, settings };
        let mut outbox = Outbox::new(self.sequence, now, &mut self.directives);
        let mut step = Step::new(moment, &self.account, &mut self.symbols, &mut outbox);
        run(&mut self.books, &mut step)
    }

    pub(super) fn adopt(
        &mut self,
        symbol: &str,
        adopt: Adopt,
        privileged: bool,
    ) -> Result<u64, Refusal> {
        let (key, market) = (self.key(symbol), self.market);
        let adoption = Adoption { adopt, privileged };
        self.with_step(|books, step| books.adopt(key, adoption, step, &|_| market))
    }

    /// The current difference of a symbol.
    pub(super) fn drift(&self, symbol: &str) -> Option<DriftView> {
        self.books.differences(&self.symbols).find(|drift| drift.symbol.as_str() == symbol)
    }

    /// The current difference in words: `open critical quantity_mismatch 12`; `none`: the books agree.
    fn says(&self, symbol: &str) -> String {
        self.drift(symbol).map_or_else(|| "none".to_owned(), |drift| words(&drift))
    }

    #[track_caller]
    fn expect(&mut self, symbol: &str, expect: &str) -> &mut Self {
        assert_eq!(self.says(symbol), expect, "at {} s", self.now);
        self
    }

    #[track_caller]
    fn expect_halts(&mut self, count: usize) -> &mut Self {
        assert_eq!(self.halts.len(), count, "at {} s: {:?}", self.now, self.halts);
        self
    }

    fn position(&self, symbol: &str) -> PositionView {
        let mut positions = self.books.positions(&self.symbols);
        positions.find(|p| p.symbol.as_str() == symbol).expect("a position")
    }

    fn ledger(&self, symbol: &str) -> String {
        self.position(symbol).ledger.to_string()
    }

    /// The directives since the last call, in words.
    fn directives_in_words(&mut self) -> Vec<String> {
        self.directives.drain(..).map(|directive| directive_words(&directive.kind)).collect()
    }

    /// Whether the books are too old to judge drift at that moment.
    fn is_stale(&self, seconds: f64) -> bool {
        let oldest = self.books.oldest_needed();
        oldest.is_some_and(|oldest| at(seconds).is_past(oldest, Duration::from_mins(3)))
    }

    pub(super) fn history(&self) -> Vec<DriftView> {
        self.books.history().collect()
    }
}

fn words(drift: &DriftView) -> String {
    let severity = drift.severity.map_or("-", Severity::as_str);
    let (state, kind) = (drift.state.as_str(), drift.drift_type.as_str());
    format!("{state} {severity} {kind} {}", drift.quantity_drift.normalize())
}

fn directive_words(kind: &DirectiveKind) -> String {
    match kind {
        DirectiveKind::Drift(drift) => words(drift),
        DirectiveKind::Reconcile {
            symbol,
            from_quantity,
            to_quantity,
            from_price,
            to_price,
            drift,
            attempt,
        } => {
            let price = |price: &Option<Decimal>| price.map_or("-".to_owned(), |p| p.to_string());
            format!(
                "reconcile {symbol} {} {from_quantity}@{} -> {to_quantity}@{} #{attempt}",
                drift.as_str(),
                price(from_price),
                price(to_price),
            )
        }
        DirectiveKind::Halt { .. }
        | DirectiveKind::Release { .. }
        | DirectiveKind::Anomaly { .. }
        | DirectiveKind::Health { .. } => panic!("books do not emit {kind:?}"),
    }
}

fn rows_of(text: &str) -> Box<[PositionRow]> {
    let rows = text.split(',').map(str::trim).filter(|row| !row.is_empty());
    rows.map(|row| {
        let (symbol, rest) = row.split_once(' ').expect("SYMBOL QUANTITY");
        let (rest, market) = split(rest, '/');
        let (quantity, average) = split(rest, '@');
        PositionRow {
            symbol: Symbol::new(symbol).expect("a name"),
            quantity: Position::new(decimal(quantity)),
            average_price: average.map(|text| Price::new(decimal(text))),
            market_price: market.map(|text| Price::new(decimal(text))),
        }
    })
    .collect()
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(head, tail)| (head, Some(tail)))
}
