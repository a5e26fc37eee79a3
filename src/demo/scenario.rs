//! The scenario: the events that the simulated engine and the broker send, and how the engine reacts
//! to the exporter's answers.
//!
//! Input: the time since the start, and the exporter's answers. Output: events to post, lines to
//! print. Invariants: the engine obeys: it submits no order after an answer said `halted`, and it
//! corrects its book on a reconcile directive. A phase begins when the exporter has detected
//! everything of the phase before, never at a guessed time. Deliberately absent: clocks and HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::demo::book::{DemoBook, DemoPosition};
use crate::demo::plan::{self, DemoFault, LARGE, SMALL};
use crate::demo::recording::{RecordedEvent, RecordedSession, ReplayPace, rebased};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, parse_decimal};

/// The account of the recording.
pub(crate) const ACCOUNT: &str = "paper";
/// How often each side sends its positions and its heartbeats.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Half of the spread of a simulated quote, as a fraction of the price.
const HALF_SPREAD: Decimal = Decimal::from_parts(1, 0, 0, false, 4);

/// The phases of the demo, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DemoPhase {
    /// The recording is sent fast, until it has caught up with the present.
    CatchUp,
    /// The books have four small drifts.
    SmallDrifts,
    /// The engine lost a large fill.
    LargeDrift,
    /// An answer said that trading is halted.
    Halted,
}

/// A drift as the exporter shows it. Texts are as on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ShownDrift {
    pub(crate) symbol: String,
    #[serde(rename = "type")]
    pub(crate) drift: String,
    pub(crate) severity: Option<String>,
    pub(crate) state: String,
    /// The engine's position, as aligned by the exporter.
    #[serde(deserialize_with = "decimal")]
    pub(crate) local_quantity: Decimal,
    #[serde(deserialize_with = "decimal")]
    pub(crate) broker_quantity: Decimal,
    /// Which side is probably wrong.
    pub(crate) attribution: String,
    /// The reconcile directive, if one was sent.
    pub(crate) directive_id: Option<String>,
}

/// Reads a JSON number or a decimal string exactly.
fn decimal<'de, D: Deserializer<'de>>(input: D) -> Result<Decimal, D::Error> {
    let value = Value::deserialize(input)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    parse_decimal(&text).map_err(serde::de::Error::custom)
}

/// Events to post now, one request for each of two independent senders.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostedEvents {
    /// Orders, quotes, heartbeats, the local book.
    pub(crate) engine: Vec<Value>,
    /// The broker's book and heartbeat.
    pub(crate) broker: Vec<Value>,
}

/// The error of the engine's book in one symbol: its value minus the broker's.
#[derive(Clone, Copy, Debug, Default)]
struct BookError {
    quantity: Decimal,
    average: Decimal,
}

/// The state of the scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    recording: RecordedSession,
    pace: ReplayPace,
    start: Timestamp,
    run: String,
    cursor: usize,
    next_report: Duration,
    phase: DemoPhase,
    /// The true positions, which are the broker's book.
    truth: DemoBook,
    book_errors: BTreeMap<&'static str, BookError>,
    /// Events that the engine sends next, in reaction to an answer.
    replies: Vec<Value>,
    orders_sent: u64,
    /// Symbol, type, severity and state of every drift ever shown.
    seen: BTreeSet<(String, String, String, String)>,
    /// Symbols whose drift was reconciled by a directive and has cleared.
    cleared: BTreeSet<String>,
    /// The state last shown, by symbol.
    last_states: BTreeMap<String, String>,
}

impl Scenario {
    /// A scenario that replays a recording from `start` on.
    #[must_use]
    pub(crate) fn new(recording: RecordedSession, pace: ReplayPace, start: Timestamp) -> Self {
        let mut truth = DemoBook::default();
        for fault in plan::all() {
            truth.hold(fault.symbol, fault.holding());
        }
        let run = format!("R{}-", start.as_nanos() / 1_000_000);
        Self {
            recording,
            pace,
            start,
            run,
            cursor: 0,
            next_report: Duration::ZERO,
            phase: DemoPhase::CatchUp,
            truth,
            book_errors: BTreeMap::new(),
            replies: Vec::new(),
            orders_sent: 0,
            seen: BTreeSet::new(),
            cleared: BTreeSet::new(),
            last_states: BTreeMap::new(),
        }
    }

    #[must_use]
    pub(crate) const fn phase(&self) -> DemoPhase {
        self.phase
    }

    /// Orders submitted so far.
    #[must_use]
    pub(crate) const fn orders_sent(&self) -> u64 {
        self.orders_sent
    }

    /// Orders of the recording that were not submitted yet.
    #[must_use]
    pub(crate) fn orders_unsent(&self) -> usize {
        let rest = self.recording.events().get(self.cursor..).unwrap_or_default();
        rest.iter().filter(|e| e.text("type") == "order_submitted").count()
    }

    /// The events to post now, and lines to print about them.
    pub(crate) fn due(&mut self, elapsed: Duration) -> (PostedEvents, Vec<String>) {
        let mut posts = PostedEvents::default();
        let mut lines = Vec::new();
        let position = self.pace.position(elapsed);
        let time = self.pace.date(self.start, position);
        if self.cursor == 0 {
            self.report(&mut posts, time.minus(REPORT_EVERY));
        }
        if self.phase < DemoPhase::Halted {
            self.trade(&mut posts.engine, position);
        }
        posts.engine.append(&mut self.replies);
        if self.phase == DemoPhase::CatchUp && elapsed >= self.pace.catch_up {
            self.phase = DemoPhase::SmallDrifts;
            lines
                .push("caught up with the present; now the books begin to drift apart:".to_owned());
            lines.extend(SMALL.iter().map(|fault| self.inject(fault)));
        }
        if elapsed >= self.next_report {
            self.next_report = elapsed + REPORT_EVERY;
            self.report(&mut posts, time);
        }
        (posts, lines)
    }

    /// Adds the order flow up to a position of the recording.
    fn trade(&mut self, out: &mut Vec<Value>, position: Duration) {
        while let Some(event) = self.recording.events().get(self.cursor) {
            if event.at > position {
                break;
            }
            let time = self.pace.date(self.start, event.at);
            out.extend(quote_before(event, time));
            out.push(rebased(event, time, &self.run));
            self.truth.apply(event);
            self.orders_sent += u64::from(event.text("type") == "order_submitted");
            self.cursor += 1;
        }
    }

    /// Adds heartbeats, quotes of the faulty symbols, and both books.
    fn report(&self, posts: &mut PostedEvents, time: Timestamp) {
        let nanos = time.as_nanos();
        let beat = |component: &str| {
            json!({"type": "heartbeat", "account": ACCOUNT, "component": component,
                "status": "healthy", "interval_seconds": 5, "time_ns": nanos})
        };
        let held = self.truth.holdings();
        posts.engine.push(beat("engine"));
        posts.engine.push(beat("data_feed"));
        posts.engine.extend(plan::all().map(|f| quote(f.symbol, f.price(), time)));
        let local = held.iter().map(|(symbol, holding)| self.engine_position(symbol, *holding));
        posts.engine.push(snapshot("local", local, nanos));
        posts.broker.push(beat("broker"));
        let broker = held.iter().map(|(symbol, holding)| (symbol.as_str(), *holding));
        posts.broker.push(snapshot("broker", broker, nanos));
    }

    /// A position in the engine's book.
    fn engine_position<'a>(&self, symbol: &'a str, truth: DemoPosition) -> (&'a str, DemoPosition) {
        let error = self.book_errors.get(symbol).copied().unwrap_or_default();
        let quantity = truth.quantity + error.quantity;
        // If the broker has no position, the engine values its own at the last price.
        let known = if truth.average.is_zero() { truth.price } else { truth.average };
        (symbol, DemoPosition { quantity, average: known + error.average, price: truth.price })
    }

    /// Injects a fault. Returns the line about it.
    fn inject(&mut self, fault: &DemoFault) -> String {
        if fault.broker_change != 0 {
            self.truth.fill(fault.symbol, fault.broker_change.into(), fault.price());
        }
        let average = Decimal::new(fault.average_offset_cents, 2);
        self.book_errors
            .insert(fault.symbol, BookError { quantity: fault.local_offset.into(), average });
        format!("  {}: {}", fault.symbol, fault.story)
    }

    /// Handles the trading state of an ingest answer. Returns lines about the engine's reaction.
    pub(crate) fn on_trading_state(&mut self, state: &str, elapsed: Duration) -> Vec<String> {
        if state != "halted" || self.phase == DemoPhase::Halted {
            return Vec::new();
        }
        self.phase = DemoPhase::Halted;
        let time = self.pace.date(self.start, self.pace.position(elapsed)).as_nanos();
        let open = self.truth.take_open();
        let cancels = open.iter().map(|id| {
            json!({"type": "order_cancelled", "account": ACCOUNT, "initiator": "user",
                "order_id": format!("{}{id}", self.run), "time_ns": time})
        });
        self.replies.extend(cancels);
        vec![
            format!("HALTED: the answer to the last request said that {ACCOUNT} is halted"),
            format!(
                "  the engine stops submitting ({} orders of the session are left) and cancels {}",
                self.orders_unsent(),
                open.len(),
            ),
        ]
    }

    /// Handles the drifts that the exporter shows. Returns lines about changes, and enters the next
    /// phase if all small faults were detected.
    pub(crate) fn on_drifts(&mut self, shown: &[ShownDrift], elapsed: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for seen in shown {
            lines.extend(self.record(seen));
            if seen.state == "reconciling" {
                self.reconcile(seen);
            }
        }
        for fault in plan::all() {
            let gone = !shown.iter().any(|s| s.symbol == fault.symbol);
            if gone
                && self.last_states.remove(fault.symbol).is_some_and(|state| state == "reconciling")
            {
                self.cleared.insert(fault.symbol.to_owned());
                lines.push(format!("  {}: the books agree again", fault.symbol));
            }
        }
        if self.phase == DemoPhase::SmallDrifts
            && SMALL.iter().all(|fault| self.missing_step(fault).is_none())
        {
            self.phase = DemoPhase::LargeDrift;
            lines.push("now a large fault:".to_owned());
            let time = self.pace.date(self.start, self.pace.position(elapsed));
            self.replies.extend(self.lost_order(time));
            self.orders_sent += 1;
            lines.push(self.inject(&LARGE));
        }
        lines
    }

    /// Records a drift. Returns a line about it if its state has changed.
    fn record(&mut self, seen: &ShownDrift) -> Option<String> {
        let severity = seen.severity.clone().unwrap_or_default();
        let key = [&seen.symbol, &seen.drift, &severity, &seen.state];
        self.seen.insert(key.map(String::clone).into());
        let before = self.last_states.insert(seen.symbol.clone(), seen.state.clone());
        if before.as_ref() == Some(&seen.state) {
            return None;
        }
        let what = format!("  {}: {} {}", seen.symbol, seen.state, seen.drift);
        let books = format!("local {}, broker {}", seen.local_quantity, seen.broker_quantity);
        Some(match (seen.state.as_str(), &seen.directive_id) {
            ("pending", _) => format!("{what}, {books}: a fill in flight may explain it"),
            ("unconfirmed", _) => format!("{what}, {severity}, {books}"),
            ("reconciling", Some(id)) => format!("{what}, {severity}: directive {id}"),
            _ => format!("{what}, {severity}, {books}: {}", seen.attribution),
        })
    }

    /// The engine corrects its book as the directive says.
    fn reconcile(&mut self, seen: &ShownDrift) {
        let symbol = plan::all().find(|f| f.symbol == seen.symbol).map(|f| f.symbol);
        let Some(symbol) = symbol.filter(|symbol| self.book_errors.contains_key(symbol)) else {
            return;
        };
        self.book_errors.remove(symbol);
        self.replies.push(json!({"type": "reconciled", "account": ACCOUNT, "symbol": symbol,
            "directive_id": seen.directive_id}));
    }

    /// The step of a fault that did not happen yet: its drift must have been shown with the right type,
    /// severity and state, and if the engine reconciles it, it must have cleared.
    fn missing_step(&self, fault: &DemoFault) -> Option<String> {
        let (drift, severity) = (fault.drift.as_str(), fault.severity.as_str());
        let state = if fault.is_reconciled() { "reconciling" } else { "open" };
        let key = [fault.symbol, drift, severity, state].map(str::to_owned);
        if !self.seen.contains(&key.into()) {
            return Some(format!("{}: no {severity} {drift} drift was {state}", fault.symbol));
        }
        let is_done = !fault.is_reconciled() || self.cleared.contains(fault.symbol);
        (!is_done).then(|| format!("{}: the drift was not reconciled", fault.symbol))
    }

    /// Events of the order whose fill the engine reports but does not book.
    fn lost_order(&self, time: Timestamp) -> [Value; 3] {
        let price = LARGE.price().to_string();
        let event = |kind: &str, back_ms: u64, more: Value| {
            let time = time.minus(Duration::from_millis(back_ms)).as_nanos();
            let mut event = json!({"type": kind, "account": ACCOUNT, "time_ns": time,
                "order_id": format!("{}LOST-1", self.run), "symbol": LARGE.symbol, "side": "buy"});
            if let (Some(fields), Value::Object(more)) = (event.as_object_mut(), more) {
                fields.extend(more);
            }
            event
        };
        let quantity = LARGE.broker_change;
        [
            event("order_submitted", 900, json!({"quantity": quantity, "expected_price": price})),
            event("order_accepted", 850, json!({})),
            event("order_filled", 300, json!({"quantity": quantity, "price": price})),
        ]
    }

    /// The parts of the scenario that did not happen.
    #[must_use]
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing: Vec<String> =
            plan::all().filter_map(|fault| self.missing_step(fault)).collect();
        if self.phase != DemoPhase::Halted {
            missing.push("no answer said halted".to_owned());
        }
        missing
    }
}

fn snapshot<'a>(
    source: &str,
    rows: impl Iterator<Item = (&'a str, DemoPosition)>,
    time_ns: i64,
) -> Value {
    let rows: Vec<Value> = rows
        .filter(|(_, holding)| !holding.quantity.is_zero())
        .map(|(symbol, holding)| holding.row(symbol))
        .collect();
    json!({"type": "positions", "account": ACCOUNT, "source": source, "complete": true,
        "positions": rows, "time_ns": time_ns})
}

/// A simulated quote around a price.
fn quote(symbol: &str, price: Decimal, time: Timestamp) -> Value {
    let half = (price.abs() * HALF_SPREAD).round_dp(8).normalize();
    json!({"type": "quote", "account": ACCOUNT, "symbol": symbol,
        "bid": (price - half).to_string(), "ask": (price + half).to_string(),
        "time_ns": time.as_nanos()})
}

/// A quote before a submission, around its expected price. `None` for other events.
fn quote_before(event: &RecordedEvent, time: Timestamp) -> Option<Value> {
    let price = parse_decimal(event.text("expected_price")).ok()?;
    Some(quote(event.text("symbol"), price, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATCH_UP: Duration = Duration::from_secs(10);

    fn scenario() -> Scenario {
        let recording = RecordedSession::built_in().unwrap();
        let tail = Duration::from_mins(2);
        let pace = ReplayPace { length: recording.length(), tail, catch_up: CATCH_UP };
        Scenario::new(recording, pace, Timestamp::MIN.plus(Duration::from_hours(100_000)))
    }

    fn shown(fault: &DemoFault, state: &str) -> ShownDrift {
        ShownDrift {
            symbol: fault.symbol.to_owned(),
            drift: fault.drift.as_str().to_owned(),
            severity: Some(fault.severity.as_str().to_owned()),
            state: state.to_owned(),
            local_quantity: (fault.held + fault.broker_change + fault.local_offset).into(),
            broker_quantity: (fault.held + fault.broker_change).into(),
            attribution: "unexplained".to_owned(),
            directive_id: fault.is_reconciled().then(|| "7-0".to_owned()),
        }
    }

    /// Quantities by symbol in the last snapshot of some events.
    fn quantities(events: &[Value]) -> BTreeMap<String, String> {
        let snapshot = events.iter().rfind(|e| e["type"] == "positions").unwrap();
        let rows = snapshot["positions"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.map(|row| (text(&row["symbol"]), text(&row["quantity"]))).collect()
    }

    fn kinds<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
        events.iter().filter(|e| e["type"] == kind).collect()
    }

    #[test]
    fn both_books_agree_until_the_present_is_reached() {
        let mut scenario = scenario();
        for second in 0..10 {
            let (posts, lines) = scenario.due(Duration::from_secs(second));
            assert_eq!(quantities(&posts.engine), quantities(&posts.broker), "after {second} s");
            assert!(lines.is_empty());
        }
        let submitted = scenario.orders_sent();
        assert!(submitted > 1_000, "{submitted}");
        assert_eq!(scenario.phase(), DemoPhase::CatchUp);
    }

    #[test]
    fn phases_follow_what_the_exporter_shows_and_the_engine_obeys() {
        let mut scenario = scenario();
        scenario.due(Duration::ZERO);
        let (posts, _) = scenario.due(CATCH_UP);
        assert_eq!(scenario.phase(), DemoPhase::SmallDrifts);
        let (local, broker) = (quantities(&posts.engine), quantities(&posts.broker));
        assert_eq!((local["F.XNYS"].as_str(), broker["F.XNYS"].as_str()), ("298", "300"));
        assert_eq!((local.get("T.XNYS").unwrap().as_str(), broker.get("T.XNYS")), ("3", None));
        assert_eq!((local.get("PFE.XNYS"), broker["PFE.XNYS"].as_str()), (None, "6"));

        let reconciled = |fault: &&DemoFault| fault.is_reconciled();
        let all: Vec<ShownDrift> = SMALL.iter().map(|f| shown(f, "unconfirmed")).collect();
        scenario.on_drifts(&all, CATCH_UP);
        let (minor, other): (Vec<&DemoFault>, Vec<&DemoFault>) = SMALL.iter().partition(reconciled);
        let mut all: Vec<ShownDrift> = other.iter().map(|f| shown(f, "open")).collect();
        all.extend(minor.iter().map(|f| shown(f, "reconciling")));
        scenario.on_drifts(&all, CATCH_UP);
        assert_eq!(scenario.phase(), DemoPhase::SmallDrifts);
        let (posts, _) = scenario.due(CATCH_UP + REPORT_EVERY);
        assert_eq!(kinds(&posts.engine, "reconciled").len(), 2);
        let local = quantities(&posts.engine);
        assert_eq!((local["F.XNYS"].as_str(), local.get("T.XNYS")), ("300", None));

        scenario.on_drifts(&all[..2], CATCH_UP);
        assert_eq!(scenario.phase(), DemoPhase::LargeDrift);
        let (posts, _) = scenario.due(CATCH_UP + 2 * REPORT_EVERY);
        assert_eq!(kinds(&posts.engine, "order_filled").last().unwrap()["symbol"], "MSFT.XNAS");
        assert_eq!(quantities(&posts.engine)["MSFT.XNAS"], "40");
        assert_eq!(quantities(&posts.broker)["MSFT.XNAS"], "52");

        assert!(scenario.on_trading_state("active", CATCH_UP).is_empty());
        scenario.on_drifts(&[shown(&LARGE, "open")], CATCH_UP);
        assert_eq!(scenario.missing(), ["no answer said halted"]);
        assert_eq!(scenario.on_trading_state("halted", CATCH_UP).len(), 2);
        assert!(scenario.on_trading_state("halted", CATCH_UP).is_empty());
        let (posts, _) = scenario.due(CATCH_UP + 60 * REPORT_EVERY);
        assert!(kinds(&posts.engine, "order_submitted").is_empty());
        assert!(!kinds(&posts.engine, "order_cancelled").is_empty());
        assert!(!kinds(&posts.engine, "heartbeat").is_empty());
        assert!(scenario.orders_unsent() > 0);
        assert!(scenario.missing().is_empty(), "{:?}", scenario.missing());
    }

    #[test]
    fn everything_that_did_not_happen_is_reported() {
        assert_eq!(scenario().missing().len(), plan::all().count() + 1);
    }
}
