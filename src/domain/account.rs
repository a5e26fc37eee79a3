//! The state of one account, and the part of it that each kind of event changes.
//!
//! Input: events of this account, in the order of the journal. Output: an [`EventEffect`] for the
//! monitor, which carries out the consequences outside of the account. Invariant: a refused event changes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::compact::OneOrMany;
use crate::domain::directive::Outbox;
use crate::domain::drift::{
    Adoption, Books, CompareContext, Flow, FlowKind, HaltRequest, SnapshotTime, SnapshotVerdict,
};
use crate::domain::event::{Body, Event, PositionAdjusted, Positions, Quote, Reconciled, Source};
use crate::domain::evidence::{self, EvidenceHalt, EvidenceLatch, EvidenceGap, MissingSince};
use crate::domain::execution::anomaly::Figure;
use crate::domain::execution::context::Context;
use crate::domain::execution::facts::FactEffect;
use crate::domain::execution::{Execution, OrderReport};
use crate::domain::health::{Components, HealthChange};
use crate::domain::horizon::Horizon;
use crate::domain::ids::{Account, Symbol};
use crate::domain::record::Refusal;
use crate::domain::settings::{Settings, Severity};
use crate::domain::state::{Cause, Latch, TradingState};
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::versions::Version;
use crate::domain::warning::{Warning, Warnings};

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
    /// An alert halted it before a configuration, token or event named it, and it is still halted.
    pub is_halted_unknown: bool,
    /// Bumped by every mutable access.
    #[serde(skip)]
    version: Version,
}

/// The context of one record for an account.
#[derive(Debug)]
pub struct Scene<'a, 'b> {
    /// Receive time of the record.
    pub now: Timestamp,
    /// How far the wall clock is behind it.
    pub behind: Duration,
    /// The settings in force.
    pub settings: &'a Settings,
    /// Warnings for the answer.
    pub warnings: Warnings,
    /// Where directives go.
    pub outbox: &'a mut Outbox<'b>,
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
    /// A component changed its state.
    Health(HealthChange),
}

impl Scene<'_, '_> {
    /// A sender's time by the exporter's own clock. Where that is ahead of the wall clock, so are all
    /// times in the state: else nothing that is sent now would be newer than what was sent before.
    #[must_use]
    pub fn by_own_clock(&self, time: Timestamp) -> Timestamp {
        time.plus(self.behind)
    }

    /// When a fill happened that its sender dates so. Of one whose date lies ahead nothing is known
    /// but that it was before its receipt: by as long as lists wait for a report, and so that a list
    /// which has it already is not taken for older than the fill.
    #[must_use]
    pub fn reported(&self, time: Timestamp) -> Timestamp {
        let at = self.not_ahead(time);
        let rules = &self.settings.drift.in_flight;
        if at == time { at } else { at.minus(rules.settle + rules.ahead) }
    }

    /// When something happened: at its receipt, if its sender's clock is ahead. Dated by that clock it
    /// would be in flight until then.
    #[must_use]
    pub fn not_ahead(&self, time: Timestamp) -> Timestamp {
        if time.is_past(self.now, self.settings.ingest.clock_skew_max) { self.now } else { time }
    }
}

impl AccountState {
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

    /// Applies an event whose id is new.
    ///
    /// # Errors
    /// See [`Refusal`]. A refused event changes nothing.
    pub fn take(
        &mut self,
        event: &Event,
        scene: &mut Scene<'_, '_>,
    ) -> Result<EventEffect, Refusal> {
        let renamed = scene.settings.aliases.renamed(event);
        let event = renamed.as_ref().unwrap_or(event);
        let given = event.time.map(|time| scene.by_own_clock(time));
        // Latencies are differences between facts of an order, so these keep the time of their sender.
        let at = given.unwrap_or(scene.now);
        let dated = scene.not_ahead(at);
        let is_skewed = dated != at;
        let effect = match &event.body {
            Body::Order(order) => self.take_order(&OrderReport::new(event, order, at), scene)?,
            Body::Quote(quote) => self.take_quote(quote, dated, scene),
            Body::Positions(positions) => {
                let has_time = given == Some(dated);
                if has_time && self.books.is_repeated(positions, dated) {
                    return Ok(EventEffect::Duplicate);
                }
                self.take_snapshot(positions, dated, scene)
            }
            Body::PositionAdjusted(adjusted) => self.take_adjustment(adjusted, dated, scene),
            Body::Heartbeat(heartbeat) => self
                .components
                .heartbeat(heartbeat, scene.now, &scene.settings.health)?
                .map_or(EventEffect::Nothing, EventEffect::Health),
            Body::Reconciled(reconciled) => self.take_reconciled(reconciled, scene),
            // Equity is for risk limits, which do not exist yet.
            Body::AccountEquity(_) => EventEffect::Nothing,
        };
        if effect == EventEffect::Duplicate {
            return Ok(effect);
        }
        if is_skewed {
            scene.warnings.insert(Warning::ClockSkew);
            self.record_incident(Figure::ClockSkew, scene);
        }
        // An event of the engine may be the report that a pending difference waits for.
        let is_due = event.body.sender() == Some(Source::Local) && self.books.hear(dated);
        Ok(if is_due && effect == EventEffect::Nothing { EventEffect::Books } else { effect })
    }

    /// Records an incident of the account: an anomaly at once.
    pub fn record_incident(&mut self, figure: Figure, scene: &mut Scene<'_, '_>) {
        let mut flows = OneOrMany::default();
        let (execution, mut context) = self.execution_side(scene, &mut flows);
        execution.record_incident(figure, None, &mut context);
    }

    /// A second passed: updates everything that ages. Returns the changed components.
    pub fn tick(&mut self, listening_since: Timestamp, scene: &mut Scene<'_, '_>) -> Vec<HealthChange> {
        if self.is_halted_unknown {
            self.is_halted_unknown =
                !self.is_named(scene.settings) && self.latch.state() > TradingState::Active;
            if self.is_halted_unknown {
                self.record_incident(Figure::HaltOfUnknownAccount, scene);
            }
        }
        let mut flows = OneOrMany::default();
        let (execution, mut context) = self.execution_side(scene, &mut flows);
        execution.tick(&mut context);
        self.horizon.forget_old(scene.now, &scene.settings.ingest);
        self.components.tick(scene.now, listening_since, &scene.settings.health)
    }

    /// The states to latch because evidence is missing. Skipped if the settings ask for none.
    pub fn tick_evidence(
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

    /// Compares the books that changed since the last comparison. Returns the requested halts.
    pub fn compare(&mut self, scene: &mut Scene<'_, '_>) -> Vec<HaltRequest> {
        let execution = &self.execution;
        let context = CompareContext {
            now: scene.now,
            account: &self.name,
            settings: scene.settings,
            symbols: &self.symbols,
            market: &|key| execution.market(key, scene.now, scene.settings.drift.quote_age_max),
        };
        self.books.compare_dirty(&context, scene.outbox)
    }

    /// Compares all books if it is time, and times out reconciliations. Returns the requested halts.
    pub fn tick_books(&mut self, scene: &mut Scene<'_, '_>) -> Vec<HaltRequest> {
        let execution = &self.execution;
        let context = CompareContext {
            now: scene.now,
            account: &self.name,
            settings: scene.settings,
            symbols: &self.symbols,
            market: &|key| execution.market(key, scene.now, scene.settings.drift.quote_age_max),
        };
        self.books.tick(&context, scene.outbox)
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
        scene: &mut Scene<'_, '_>,
    ) -> Result<(), Refusal> {
        let key = self.symbols.get(symbol).ok_or(Refusal::NotFound)?;
        let execution = &self.execution;
        let context = CompareContext {
            now: scene.now,
            account: &self.name,
            settings: scene.settings,
            symbols: &self.symbols,
            market: &|key| execution.market(key, scene.now, scene.settings.drift.quote_age_max),
        };
        self.books.adopt(key, adoption, &context, scene.outbox).map(|_| ())
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

    fn take_order(
        &mut self,
        report: &OrderReport<'_>,
        scene: &mut Scene<'_, '_>,
    ) -> Result<EventEffect, Refusal> {
        let mut flows = OneOrMany::default();
        let (execution, mut context) = self.execution_side(scene, &mut flows);
        if execution.take(report, &mut context)? == FactEffect::Duplicate {
            return Ok(EventEffect::Duplicate);
        }
        let moved = !flows.is_empty();
        for (key, flow) in flows.iter() {
            let flow = Flow { time: scene.reported(flow.time), ..*flow };
            if self.books.flow(*key, flow, &scene.settings.drift.in_flight) {
                scene.warnings.insert(Warning::Stale);
            }
        }
        Ok(if moved { EventEffect::Books } else { EventEffect::Nothing })
    }

    fn take_quote(
        &mut self,
        quote: &Quote,
        at: Timestamp,
        scene: &mut Scene<'_, '_>,
    ) -> EventEffect {
        let mut flows = OneOrMany::default();
        let (execution, mut context) = self.execution_side(scene, &mut flows);
        let key = context.intern(&quote.symbol);
        execution.quote(key, at, quote.mid, &context);
        self.last_quote_at = Some(scene.now);
        EventEffect::Nothing
    }

    fn take_snapshot(
        &mut self,
        positions: &Positions,
        time: Timestamp,
        scene: &mut Scene<'_, '_>,
    ) -> EventEffect {
        let at = SnapshotTime::new(time, scene.now, scene.outbox.sequence());
        if scene.now.is_past(at.dated(), scene.settings.drift.stale_after) {
            scene.warnings.insert(Warning::Stale);
        }
        let max = scene.settings.symbols.max;
        let intern = |symbols: &mut SymbolTable, symbol: &Symbol| {
            let has_room = symbols.has_room(max);
            symbols.intern(symbol, || has_room)
        };
        match self.books.take_snapshot(&mut self.symbols, intern, positions, at) {
            SnapshotVerdict::Taken => EventEffect::Books,
            SnapshotVerdict::OutOfOrder => EventEffect::OutOfOrder,
            SnapshotVerdict::Failed => EventEffect::Nothing,
        }
    }

    fn take_adjustment(
        &mut self,
        adjusted: &PositionAdjusted,
        at: Timestamp,
        scene: &Scene<'_, '_>,
    ) -> EventEffect {
        let has_room = self.symbols.has_room(scene.settings.symbols.max);
        let key = self.symbols.intern(&adjusted.symbol, || has_room);
        let change = adjusted.quantity.get();
        if adjusted.is_fee() && self.execution.pair_coin_fee(key, at, change) {
            return EventEffect::Nothing;
        }
        let flow = Flow { time: at, change, kind: FlowKind::Adjustment };
        self.books.flow(key, flow, &scene.settings.drift.in_flight);
        EventEffect::Books
    }

    fn take_reconciled(&mut self, reconciled: &Reconciled, scene: &Scene<'_, '_>) -> EventEffect {
        if let Some(key) = self.symbols.get(&reconciled.symbol) {
            self.books.reconciled(key, reconciled.directive_id.as_deref(), scene.now);
        }
        EventEffect::Books
    }

    /// The execution side and its context.
    fn execution_side<'a, 'b>(
        &'a mut self,
        scene: &'a mut Scene<'_, 'b>,
        flows: &'a mut OneOrMany<(SymbolKey, Flow)>,
    ) -> (&'a mut Execution, Context<'a, 'b>) {
        let context = Context {
            now: scene.now,
            settings: scene.settings,
            account: &self.name,
            may_grow: self.symbols.has_room(scene.settings.symbols.max),
            symbols: &mut self.symbols,
            outbox: scene.outbox,
            flows,
        };
        (&mut self.execution, context)
    }
}
