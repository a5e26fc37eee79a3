//! The state of one account, and the part of it that each kind of event changes.
//!
//! Input: events of this account, in the order of the journal. Output: an [`EventEffect`] for the
//! monitor, which carries out the consequences outside of the account. Invariant: a refused event changes nothing.

use serde::{Deserialize, Serialize};

use crate::domain::directive::Outbox;
use crate::domain::drift::{Adoption, Books, DriftHalt, Market, SnapshotTime, SnapshotVerdict};
use crate::domain::event::{Body, Event, PositionAdjusted, Positions, Source};
use crate::domain::evidence::{self, EvidenceGap, EvidenceHalt, EvidenceLatch, MissingSince};
use crate::domain::execution::anomaly::Figure;
use crate::domain::execution::facts::FactEffect;
use crate::domain::execution::{Execution, OrderReport};
use crate::domain::flow::{Flow, FlowKind};
use crate::domain::health::{Components, HealthChange};
use crate::domain::horizon::Horizon;
use crate::domain::ids::{Account, Symbol};
use crate::domain::record::Refusal;
use crate::domain::recount::Recount;
use crate::domain::settings::{Settings, Severity};
use crate::domain::state::{Cause, Latch, TradingState};
use crate::domain::step::{Moment, Step};
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::versions::Version;
use crate::domain::warning::{Warning, Warnings};
use crate::domain::weight;

/// The state of one account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountState {
    /// Its name.
    pub name: Account,
    /// Its symbols.
    pub symbols: SymbolTable,
    /// Orders, windows, figures, anomalies.
    pub execution: Execution,
    /// Local book, broker book, ledger, and the drift between them.
    pub books: Books,
    /// Components that reported under this account.
    pub components: Components,
    /// The account's own latch.
    pub latch: Latch,
    /// Ids of its events, to recognise duplicates.
    pub horizon: Horizon,
    /// Receive time of the last event.
    pub last_event_at: Option<Timestamp>,
    /// Receive time of the newest quote.
    pub last_quote_at: Option<Timestamp>,
    /// Receive time of the last event that the broker's side did not send.
    pub engine_at: Option<Timestamp>,
    /// Causes that were latched because evidence is missing.
    pub latched: EvidenceLatch,
    /// The token of its first event, or of the halt before that; [`crate::domain::principal::NO_TOKEN`]
    /// without one. None: the exporter itself.
    pub opened_by: Option<Box<str>>,
    /// An alert halted it before a configuration, token or event named it, and it is still halted.
    pub is_halted_unknown: bool,
    /// Bumped by every mutable access.
    #[serde(skip)]
    version: Version,
}

/// The effect of an event outside of its account.
#[derive(Clone, Debug, PartialEq)]
pub enum EventEffect {
    /// None.
    Nothing,
    /// It was known already.
    Duplicate,
    /// A snapshot was older than the one before, and ignored.
    OutOfOrder,
    /// Books or positions changed: they are compared at the end of the request.
    Books,
    /// A component changed its state. Boxed: it is rare, and every event returns an effect.
    Health(Box<HealthChange>),
}

/// The effects of a tick outside of its account.
#[derive(Clone, Debug, PartialEq)]
pub struct TickEffects {
    /// Components whose health changed.
    pub health: Vec<HealthChange>,
    /// Halts for confirmed CRITICAL drifts.
    pub drift: Vec<DriftHalt>,
    /// Halts for missing evidence.
    pub evidence: Vec<EvidenceHalt>,
}

impl AccountState {
    /// Compares its running sums, from a symbol on; with the first one, those of the account as a whole.
    /// Returns the index of the symbol to go on with; `None` once all were compared.
    #[must_use]
    pub fn recount(&self, from: usize, recount: &mut Recount) -> Option<usize> {
        if from == 0 {
            self.execution.recount(recount);
        }
        for (key, _) in self.symbols.iter_from(from) {
            if recount.is_enough() && key.index() > from {
                return Some(key.index());
            }
            self.execution.recount_symbol(key, recount);
            self.books.recount(key, recount);
        }
        None
    }

    /// An account of which nothing is known yet.
    #[must_use]
    pub fn new(name: Account) -> Self {
        Self {
            name,
            symbols: SymbolTable::default(),
            execution: Execution::default(),
            books: Books::default(),
            components: Components::default(),
            latch: Latch::default(),
            horizon: Horizon::default(),
            last_event_at: None,
            last_quote_at: None,
            engine_at: None,
            latched: EvidenceLatch::default(),
            opened_by: None,
            is_halted_unknown: false,
            version: Version::default(),
        }
    }

    /// The account, mutable. Bumps its version.
    pub(super) const fn bumped(&mut self) -> &mut Self {
        self.version.bump();
        self
    }

    /// The version of the account: it changes whenever any part of it may have changed.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version.get()
    }

    /// About the bytes of it. O(components).
    #[must_use]
    pub fn bytes(&self) -> usize {
        weight::ACCOUNT
            + self.symbols.len() * weight::SYMBOL
            + self.execution.bytes()
            + self.books.bytes()
            + self.components.bytes()
            + self.horizon.len() * weight::EVENT_ID
            + self.latch.causes().count() * weight::CAUSE
    }

    /// Applies an event with a new id. Returns the effect beyond the account, and warnings for the
    /// answer.
    ///
    /// # Errors
    /// See [`Refusal`]. A refused event changes nothing.
    pub fn take(
        &mut self,
        event: &Event,
        moment: Moment<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<(EventEffect, Warnings), Refusal> {
        let mut step = Step::new(moment, &self.name, &mut self.symbols, outbox);
        let renamed = step.settings.aliases.renamed(event);
        let event = renamed.as_ref().unwrap_or(event);
        let given = event.time.map(|time| step.by_own_clock(time));
        // The facts of an order are measured against one another, so they keep the sender's time.
        let at = given.unwrap_or(step.now);
        let dated = step.not_ahead(at);
        let is_skewed = dated != at;
        let effect = match &event.body {
            Body::Order(order) => {
                let report = OrderReport::new(event, order, at);
                take_order(&mut self.execution, &mut self.books, &report, &mut step)?
            }
            Body::Quote(quote) => {
                let key = step.intern(&quote.symbol);
                self.execution.quote(key, dated, quote.mid, &step);
                self.last_quote_at = Some(step.now);
                EventEffect::Nothing
            }
            Body::Positions(positions) => {
                let is_given = given == Some(dated);
                if is_given && self.books.is_repeated(positions, dated) {
                    return Ok((EventEffect::Duplicate, step.warnings));
                }
                take_snapshot(&mut self.books, positions, dated, &mut step)
            }
            Body::PositionAdjusted(adjusted) => {
                take_adjustment(&mut self.execution, &mut self.books, adjusted, dated, &mut step)
            }
            Body::Heartbeat(heartbeat) => self
                .components
                .heartbeat(heartbeat, step.now, &step.settings.health)?
                .map_or(EventEffect::Nothing, |change| EventEffect::Health(Box::new(change))),
            Body::Reconciled(reconciled) => {
                if let Some(key) = step.symbols.get(&reconciled.symbol) {
                    let directive_id = reconciled.directive_id.as_deref();
                    self.books.reconciled(key, directive_id, step.now);
                }
                EventEffect::Books
            }
            // Equity is for risk limits, which do not exist yet.
            Body::AccountEquity(_) => EventEffect::Nothing,
        };
        if effect == EventEffect::Duplicate {
            return Ok((effect, step.warnings));
        }
        if is_skewed {
            step.warnings.insert(Warning::ClockSkew);
            self.execution.record_incident(Figure::ClockSkew, None, &mut step);
        }
        // An event of the engine may be the report that a pending difference waits for.
        let is_due = event.body.sender() == Some(Source::Local) && self.books.engine_heard(dated);
        let effect =
            if is_due && effect == EventEffect::Nothing { EventEffect::Books } else { effect };
        Ok((effect, step.warnings))
    }

    /// Records an anomaly of the account as a whole.
    pub fn record_incident(&mut self, figure: Figure, moment: Moment<'_>, outbox: &mut Outbox<'_>) {
        let mut step = Step::new(moment, &self.name, &mut self.symbols, outbox);
        self.execution.record_incident(figure, None, &mut step);
    }

    /// Applies a tick: orders, ids, components, books and evidence grow older.
    pub fn tick(
        &mut self,
        listening_since: Timestamp,
        moment: Moment<'_>,
        outbox: &mut Outbox<'_>,
    ) -> TickEffects {
        let Moment { now, settings, .. } = moment;
        if self.is_halted_unknown {
            self.is_halted_unknown =
                !self.is_named(settings) && self.latch.state() > TradingState::Active;
        }
        let mut step = Step::new(moment, &self.name, &mut self.symbols, outbox);
        if self.is_halted_unknown {
            self.execution.record_incident(Figure::HaltOfUnknownAccount, None, &mut step);
        }
        self.execution.tick(&mut step);
        self.horizon.forget_old(now, &settings.ingest);
        let health = self.components.tick(now, listening_since, &settings.health);
        let drift = self.books.tick(&mut step, &markets(&self.execution, moment));
        let evidence = self.tick_evidence(now, listening_since, settings);
        TickEffects { health, drift, evidence }
    }

    /// The halts that are due because evidence is missing. Skips the search where the settings ask for
    /// nothing but an alert.
    fn tick_evidence(
        &mut self,
        now: Timestamp,
        listening_since: Timestamp,
        settings: &Settings,
    ) -> Vec<EvidenceHalt> {
        let asks = |kind: EvidenceGap| kind.response(settings).state() > TradingState::Active;
        if self.latched.is_empty() && !EvidenceGap::ALL.into_iter().any(asks) {
            return Vec::new();
        }
        let missing = self.missing(now, settings);
        self.latched.follow(&missing, now, listening_since, settings)
    }

    /// The evidence that is missing at `now`, and since when.
    #[must_use]
    pub fn missing(&self, now: Timestamp, settings: &Settings) -> MissingSince {
        let oldest_needed = self.books.oldest_needed();
        evidence::missing(&self.books, self.engine_at, oldest_needed, now, settings)
    }

    /// Whether evidence of that name is missing.
    #[must_use]
    pub fn is_missing(&self, name: &str, now: Timestamp, settings: &Settings) -> bool {
        self.missing(now, settings)
            .iter()
            .any(|(kind, since)| kind.as_str() == name && since.is_some())
    }

    /// Whether an event or the configuration named it.
    fn is_named(&self, settings: &Settings) -> bool {
        self.last_event_at.is_some() || settings.accounts.is_named(self.name.as_str())
    }

    /// Compares the books that changed since the last comparison. Returns the halts that follow.
    pub fn compare(&mut self, moment: Moment<'_>, outbox: &mut Outbox<'_>) -> Vec<DriftHalt> {
        let mut step = Step::new(moment, &self.name, &mut self.symbols, outbox);
        self.books.compare_dirty(&mut step, &markets(&self.execution, moment))
    }

    /// Reconciles an open drift by hand.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] without an open drift of that symbol, [`Refusal::NeedsRelease`] when
    /// an actor without the release scope wants more than the broker's side of a MINOR drift.
    pub fn adopt(
        &mut self,
        symbol: &Symbol,
        adoption: Adoption,
        moment: Moment<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Refusal> {
        let key = self.symbols.get(symbol).ok_or(Refusal::NotFound)?;
        let mut step = Step::new(moment, &self.name, &mut self.symbols, outbox);
        let market = markets(&self.execution, moment);
        self.books.adopt(key, adoption, &mut step, &market).map(|_| ())
    }

    /// The symbols of the open drifts that a cause is about: its subject, or, if it counts several, all
    /// CRITICAL drifts.
    #[must_use]
    pub fn open_drifts(&self, cause: &Cause) -> Vec<String> {
        if cause.count > 1 {
            let differences = self.books.differences(&self.symbols);
            let critical =
                differences.filter(|d| d.state.is_open() && d.severity == Some(Severity::Critical));
            return critical.map(|drift| drift.symbol.as_str().to_owned()).collect();
        }
        let is_open =
            |symbol: &&String| self.key_of(symbol).is_some_and(|key| self.books.is_drift_open(key));
        cause.subject.iter().filter(is_open).cloned().collect()
    }

    /// Marks the drift of a symbol as known to the actor of a forced release.
    pub fn acknowledge_drift(&mut self, symbol: &str) {
        if let Some(key) = self.key_of(symbol) {
            self.books.acknowledge_drift(key);
        }
    }

    /// Forgets a symbol for good.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is not known, [`Refusal::InUse`] while a book holds it, a
    /// difference stands or an order is open.
    pub fn retire(&mut self, symbol: &Symbol) -> Result<(), Refusal> {
        let key = self.symbols.get(symbol).ok_or(Refusal::NotFound)?;
        if self.execution.open_orders(key) > 0 {
            return Err(Refusal::InUse);
        }
        // A symbol that no book ever listed has nothing to forget there.
        match self.books.retire(key) {
            Ok(()) | Err(Refusal::NotFound) => {}
            Err(refusal) => return Err(refusal),
        }
        self.execution.retire(key);
        self.symbols.retire(key);
        Ok(())
    }

    fn key_of(&self, symbol: &str) -> Option<SymbolKey> {
        self.symbols.get(&Symbol::new(symbol).ok()?)
    }
}

/// The open orders and prices of each symbol, for the comparison of books.
fn markets<'a>(
    execution: &'a Execution,
    Moment { now, settings, .. }: Moment<'a>,
) -> impl Fn(SymbolKey) -> Market + 'a {
    move |key| execution.market(key, now, settings.drift.quote_age_max)
}

fn take_order(
    execution: &mut Execution,
    books: &mut Books,
    report: &OrderReport<'_>,
    step: &mut Step<'_, '_>,
) -> Result<EventEffect, Refusal> {
    if execution.take(report, step)? == FactEffect::Duplicate {
        return Ok(EventEffect::Duplicate);
    }
    let flows = std::mem::take(&mut step.flows);
    let effect = if flows.is_empty() { EventEffect::Nothing } else { EventEffect::Books };
    for (key, flow) in flows {
        let flow = Flow { time: step.reported(flow.time), ..flow };
        if books.flow(key, flow, &step.settings.drift.in_flight) {
            step.warnings.insert(Warning::Stale);
        }
    }
    Ok(effect)
}

fn take_snapshot(
    books: &mut Books,
    positions: &Positions,
    time: Timestamp,
    step: &mut Step<'_, '_>,
) -> EventEffect {
    let at = SnapshotTime::new(time, step.now, step.sequence());
    if step.now.is_past(at.dated(), step.settings.drift.stale_after) {
        step.warnings.insert(Warning::Stale);
    }
    match books.take_snapshot(step, positions, at) {
        SnapshotVerdict::Taken => EventEffect::Books,
        SnapshotVerdict::OutOfOrder => EventEffect::OutOfOrder,
        SnapshotVerdict::Failed => EventEffect::Nothing,
    }
}

fn take_adjustment(
    execution: &mut Execution,
    books: &mut Books,
    adjusted: &PositionAdjusted,
    at: Timestamp,
    step: &mut Step<'_, '_>,
) -> EventEffect {
    let key = step.intern(&adjusted.symbol);
    let change = adjusted.quantity.get();
    // A fee in coins that the fill reported already has moved the position.
    if adjusted.is_fee() && execution.pair_coin_fee(key, at, change) {
        return EventEffect::Nothing;
    }
    let flow = Flow { time: at, change, kind: FlowKind::Adjustment };
    books.flow(key, flow, &step.settings.drift.in_flight);
    EventEffect::Books
}
