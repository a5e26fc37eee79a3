//! A small world to test drift in: one account, a clock in seconds, books written as text.

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
    Adoption, Books, CompareContext, DriftType, DriftView, Flow, FlowKind, HaltRequest, Market,
    PositionView, ReconcileOutcome, SnapshotTime, SnapshotVerdict,
};
use crate::domain::directive::{Directive, DirectiveKind, Outbox};
use crate::domain::event::{PositionRow, Positions, Source};
use crate::domain::ids::{Account, Symbol};
use crate::domain::record::{Adopt, Refusal};
use crate::domain::settings::{Settings, Severity};
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Position, Price, parse_decimal};

/// Seconds after the beginning of the world as a point in time; `at(1.5)` is exact.
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

/// One account and all that its books are compared with.
pub(super) struct World {
    pub(super) books: Books,
    pub(super) symbols: SymbolTable,
    settings: Settings,
    account: Account,
    pub(super) market: Market,
    pub(super) now: f64,
    sequence: u64,
    pub(super) directives: Vec<Directive>,
    pub(super) halts: Vec<HaltRequest>,
    /// Symbols beyond this many are folded.
    symbols_max: usize,
}

/// A world in which both sides agree that nothing is held: so the ledger is anchored, and later
/// differences are differences. The clock stands at 0.
pub(super) fn world() -> World {
    let mut world = blank();
    world.both("", "");
    world
}

/// A world that has seen nothing but one fill of next to nothing: so every difference has a value, and
/// by default its quantity decides.
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
        symbols_max: 100,
    }
}

impl World {
    pub(super) fn key(&mut self, symbol: &str) -> SymbolKey {
        let symbol = Symbol::new(symbol).expect("a name");
        self.symbols.intern(&symbol, || true)
    }

    /// Moves the clock.
    pub(super) fn at(&mut self, seconds: f64) -> &mut Self {
        assert!(seconds >= self.now, "receive time never goes back");
        self.now = seconds;
        self
    }

    /// A snapshot as it came; rows are `SYMBOL QUANTITY[@AVERAGE][/MARKET]`, separated by commas.
    fn snapshot(&mut self, snapshot: &Positions, time: f64) -> SnapshotVerdict {
        self.sequence += 1;
        let at = SnapshotTime::new(at(time), at(self.now), self.sequence);
        let max = self.symbols_max;
        let intern = |table: &mut SymbolTable, symbol: &Symbol| {
            let len = table.len();
            table.intern(symbol, || len < max)
        };
        let verdict = self.books.take_snapshot(&mut self.symbols, intern, snapshot, at);
        if snapshot.source == Source::Local {
            self.books.hear(at.time);
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

    /// Word of the engine that moves nothing, dated now.
    fn hear(&mut self) -> &mut Self {
        self.books.hear(at(self.now));
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
            self.books.hear(at(time));
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
        run: impl FnOnce(&mut Books, &CompareContext<'_>, &mut Outbox<'_>) -> Vec<HaltRequest>,
    ) -> &mut Self {
        self.sequence += 1;
        let market = self.market;
        let context = CompareContext {
            now: at(self.now),
            account: &self.account,
            settings: &self.settings,
            symbols: &self.symbols,
            market: &|_| market,
        };
        let mut outbox = Outbox::new(self.sequence, at(self.now), &mut self.directives);
        let halts = run(&mut self.books, &context, &mut outbox);
        self.halts.extend(halts);
        self
    }

    pub(super) fn adopt(
        &mut self,
        symbol: &str,
        adopt: Adopt,
        privileged: bool,
    ) -> Result<u64, Refusal> {
        let key = self.key(symbol);
        let mut result = Err(Refusal::NotFound);
        self.step(|books, context, outbox| {
            result = books.adopt(key, Adoption { adopt, privileged }, context, outbox);
            Vec::new()
        });
        result
    }

    /// The difference of a symbol that stands.
    pub(super) fn drift(&self, symbol: &str) -> Option<DriftView> {
        self.books.differences(&self.symbols).find(|drift| drift.symbol.as_str() == symbol)
    }

    /// The same in words: `open critical quantity_mismatch 12`; `none`: the books agree.
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

    /// What was told since the last time, in words.
    fn told(&mut self) -> Vec<String> {
        self.directives.drain(..).map(|directive| tell(&directive.kind)).collect()
    }

    /// Whether what drift is judged by is too old at that moment.
    fn is_stale(&self, seconds: f64) -> bool {
        let oldest = self.books.oldest_needed();
        oldest.is_some_and(|oldest| at(seconds).is_past(oldest, Duration::from_mins(3)))
    }

    pub(super) fn history(&self) -> Vec<DriftView> {
        self.books.history(&self.symbols).collect()
    }
}

fn words(drift: &DriftView) -> String {
    let severity = drift.severity.map_or("-", Severity::as_str);
    let (state, kind) = (drift.state.as_str(), drift.drift_type.as_str());
    format!("{state} {severity} {kind} {}", drift.quantity_drift.normalize())
}

fn tell(kind: &DirectiveKind) -> String {
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
        | DirectiveKind::Health { .. } => panic!("drift does not say {kind:?}"),
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
