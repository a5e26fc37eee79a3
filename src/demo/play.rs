//! The play: what the simulated engine and the broker send next, and what they learn.
//!
//! Input: the time since the start, and the exporter's answers. Output: events to post, lines to
//! print. Invariants: the engine obeys: it submits no order once an answer said `halted`, and it
//! sets its book right when a reconcile directive says so. Each act begins when the exporter has
//! seen the one before, never at a guessed time. Deliberately absent: clocks and HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::demo::book::{Book, Holding};
use crate::demo::plan::{self, Fault, LARGE, SMALL};
use crate::demo::recording::{Pace, Recorded, Recording, retold};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, parse_decimal};

/// The account of the recording.
pub const ACCOUNT: &str = "paper";
/// How often each side sends its positions and its heartbeats.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Half of the spread of a made-up quote, as a fraction of the price.
const HALF_SPREAD: Decimal = Decimal::from_parts(1, 0, 0, false, 4);

/// Where the play is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// The recording is sent fast, until it has caught up with the present.
    CatchUp,
    /// The books differ in four small ways.
    Differ,
    /// The engine lost a large fill.
    Lose,
    /// The engine was told to stop.
    Halted,
}

/// One difference as the exporter shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Seen {
    /// The instrument.
    pub symbol: String,
    /// Its type, as on the wire.
    #[serde(rename = "type")]
    pub drift: String,
    /// Its severity, as on the wire.
    pub severity: Option<String>,
    /// Its state, as on the wire.
    pub state: String,
    /// What local holds, as the exporter aligned it.
    #[serde(deserialize_with = "decimal")]
    pub local_quantity: Decimal,
    /// What the broker holds.
    #[serde(deserialize_with = "decimal")]
    pub broker_quantity: Decimal,
    /// Which side is probably wrong.
    pub attribution: String,
    /// The directive, if one was sent.
    pub directive_id: Option<String>,
}

/// A JSON number or a decimal string, exactly.
fn decimal<'de, D: Deserializer<'de>>(input: D) -> Result<Decimal, D::Error> {
    let value = Value::deserialize(input)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    parse_decimal(&text).map_err(serde::de::Error::custom)
}

/// What is posted at one moment, by whom: two independent witnesses.
#[derive(Clone, Debug, Default)]
pub struct Posts {
    /// By the engine: orders, quotes, heartbeats, the local book.
    pub engine: Vec<Value>,
    /// By the broker's side: its book and its heartbeat.
    pub broker: Vec<Value>,
}

/// What the engine's book gets wrong about a symbol.
#[derive(Clone, Copy, Debug, Default)]
struct Slip {
    quantity: Decimal,
    average: Decimal,
}

/// The state of the play.
#[derive(Debug)]
pub struct Play {
    recording: Recording,
    pace: Pace,
    start: Timestamp,
    run: String,
    cursor: usize,
    next_report: Duration,
    act: Act,
    /// What the account really holds: the broker's book.
    truth: Book,
    slips: BTreeMap<&'static str, Slip>,
    /// Events that an answer called for.
    replies: Vec<Value>,
    orders_sent: u64,
    /// Symbol, type, severity and state of every difference ever shown.
    seen: BTreeSet<(String, String, String, String)>,
    /// Symbols that a directive set right and that no longer differ.
    cleared: BTreeSet<String>,
    last: BTreeMap<String, String>,
}

impl Play {
    /// The play of a recording, from `start` on.
    #[must_use]
    pub fn new(recording: Recording, pace: Pace, start: Timestamp) -> Self {
        let mut truth = Book::default();
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
            act: Act::CatchUp,
            truth,
            slips: BTreeMap::new(),
            replies: Vec::new(),
            orders_sent: 0,
            seen: BTreeSet::new(),
            cleared: BTreeSet::new(),
            last: BTreeMap::new(),
        }
    }

    /// Where the play is.
    #[must_use]
    pub const fn act(&self) -> Act {
        self.act
    }

    /// Orders submitted so far.
    #[must_use]
    pub const fn orders_sent(&self) -> u64 {
        self.orders_sent
    }

    /// Orders of the recording that were not submitted.
    #[must_use]
    pub fn orders_unsent(&self) -> usize {
        let rest = self.recording.events().get(self.cursor..).unwrap_or_default();
        rest.iter().filter(|e| e.text("type") == "order_submitted").count()
    }

    /// What is to be posted now, and what to tell about it.
    pub fn due(&mut self, elapsed: Duration) -> (Posts, Vec<String>) {
        let mut posts = Posts::default();
        let mut lines = Vec::new();
        let position = self.pace.position(elapsed);
        let time = self.pace.date(self.start, position);
        if self.cursor == 0 {
            self.report(&mut posts, time.minus(REPORT_EVERY));
        }
        if self.act < Act::Halted {
            self.trade(&mut posts.engine, position);
        }
        posts.engine.append(&mut self.replies);
        if self.act == Act::CatchUp && elapsed >= self.pace.catch_up {
            self.act = Act::Differ;
            lines.push("caught up with the present; now the books begin to differ:".to_owned());
            lines.extend(SMALL.iter().map(|fault| self.go_wrong(fault)));
        }
        if elapsed >= self.next_report {
            self.next_report = elapsed + REPORT_EVERY;
            self.report(&mut posts, time);
        }
        (posts, lines)
    }

    /// The order flow up to a position of the recording.
    fn trade(&mut self, out: &mut Vec<Value>, position: Duration) {
        while let Some(event) = self.recording.events().get(self.cursor) {
            if event.at > position {
                break;
            }
            let time = self.pace.date(self.start, event.at);
            out.extend(quote_before(event, time));
            out.push(retold(event, time, &self.run));
            self.truth.follow(event);
            self.orders_sent += u64::from(event.text("type") == "order_submitted");
            self.cursor += 1;
        }
    }

    /// Heartbeats, quotes of what is held, and both books.
    fn report(&self, posts: &mut Posts, time: Timestamp) {
        let nanos = time.as_nanos();
        let beat = |component: &str| {
            json!({"type": "heartbeat", "account": ACCOUNT, "component": component,
                "status": "healthy", "interval_seconds": 5, "time_ns": nanos})
        };
        let held = self.truth.holdings();
        posts.engine.push(beat("engine"));
        posts.engine.push(beat("data_feed"));
        posts.engine.extend(plan::all().map(|f| quote(f.symbol, f.price(), time)));
        let local = held.iter().map(|(symbol, holding)| self.believed(symbol, *holding));
        posts.engine.push(snapshot("local", local, nanos));
        posts.broker.push(beat("broker"));
        let broker = held.iter().map(|(symbol, holding)| (symbol.as_str(), *holding));
        posts.broker.push(snapshot("broker", broker, nanos));
    }

    /// A position as the engine's book has it.
    fn believed<'a>(&self, symbol: &'a str, truth: Holding) -> (&'a str, Holding) {
        let slip = self.slips.get(symbol).copied().unwrap_or_default();
        let quantity = truth.quantity + slip.quantity;
        // What the broker does not hold, the engine still values at the last price.
        let known = if truth.average.is_zero() { truth.price } else { truth.average };
        (symbol, Holding { quantity, average: known + slip.average, price: truth.price })
    }

    /// Lets one thing go wrong, and tells it.
    fn go_wrong(&mut self, fault: &Fault) -> String {
        if fault.broker_change != 0 {
            self.truth.fill(fault.symbol, fault.broker_change.into(), fault.price());
        }
        let average = Decimal::new(fault.average_offset_cents, 2);
        self.slips.insert(fault.symbol, Slip { quantity: fault.local_offset.into(), average });
        format!("  {}: {}", fault.symbol, fault.story)
    }

    /// Takes the trading state of an ingest answer; tells what the engine does about it.
    pub fn told(&mut self, state: &str, elapsed: Duration) -> Vec<String> {
        if state != "halted" || self.act == Act::Halted {
            return Vec::new();
        }
        self.act = Act::Halted;
        let time = self.pace.date(self.start, self.pace.position(elapsed)).as_nanos();
        let open = self.truth.take_open();
        let cancels = open.iter().map(|id| {
            json!({"type": "order_cancelled", "account": ACCOUNT, "initiator": "user",
                "order_id": format!("{}{id}", self.run), "time_ns": time})
        });
        self.replies.extend(cancels);
        vec![
            format!("HALTED: the answer to the engine's last request said {ACCOUNT} is halted"),
            format!(
                "  the engine sends no more orders ({} are left of the session) and cancels {}",
                self.orders_unsent(),
                open.len(),
            ),
        ]
    }

    /// Takes what the exporter shows of the differences; tells what is new, and moves on.
    pub fn observed(&mut self, shown: &[Seen], elapsed: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for seen in shown {
            lines.extend(self.noted(seen));
            if seen.state == "reconciling" {
                self.reconcile(seen);
            }
        }
        for fault in plan::all() {
            let gone = !shown.iter().any(|s| s.symbol == fault.symbol);
            if gone && self.last.remove(fault.symbol).is_some_and(|state| state == "reconciling") {
                self.cleared.insert(fault.symbol.to_owned());
                lines.push(format!("  {}: the books agree again", fault.symbol));
            }
        }
        if self.act == Act::Differ && SMALL.iter().all(|fault| self.is_settled(fault)) {
            self.act = Act::Lose;
            lines.push("one more thing goes wrong:".to_owned());
            let time = self.pace.date(self.start, self.pace.position(elapsed));
            self.replies.extend(self.lost_order(time));
            self.orders_sent += 1;
            lines.push(self.go_wrong(&LARGE));
        }
        lines
    }

    /// A line about a difference whose state has changed.
    fn noted(&mut self, seen: &Seen) -> Option<String> {
        let severity = seen.severity.clone().unwrap_or_default();
        let key = [&seen.symbol, &seen.drift, &severity, &seen.state];
        self.seen.insert(key.map(String::clone).into());
        let before = self.last.insert(seen.symbol.clone(), seen.state.clone());
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

    /// The engine takes the quantity that a directive names.
    fn reconcile(&mut self, seen: &Seen) {
        let symbol = plan::all().find(|f| f.symbol == seen.symbol).map(|f| f.symbol);
        let Some(symbol) = symbol.filter(|symbol| self.slips.contains_key(symbol)) else { return };
        self.slips.remove(symbol);
        self.replies.push(json!({"type": "reconciled", "account": ACCOUNT, "symbol": symbol,
            "directive_id": seen.directive_id}));
    }

    /// Whether a small fault has come to its end: reconciled, or open for a person.
    fn is_settled(&self, fault: &Fault) -> bool {
        let state = if fault.is_reconciled() { "reconciling" } else { "open" };
        self.was_seen(fault, state)
            && (!fault.is_reconciled() || self.cleared.contains(fault.symbol))
    }

    fn was_seen(&self, fault: &Fault, state: &str) -> bool {
        self.seen.iter().any(|(symbol, drift, severity, seen)| {
            symbol == fault.symbol
                && drift == fault.drift.as_str()
                && severity == fault.severity.as_str()
                && seen == state
        })
    }

    /// The order whose fill the engine does not book.
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

    /// What of the story did not come true; empty: all of it did.
    #[must_use]
    pub fn untold(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for fault in plan::all() {
            let state = if fault.is_reconciled() { "reconciling" } else { "open" };
            if !self.was_seen(fault, state) {
                missing.push(format!(
                    "{}: no {} {} drift was {state}",
                    fault.symbol,
                    fault.severity.as_str(),
                    fault.drift.as_str()
                ));
            } else if fault.is_reconciled() && !self.cleared.contains(fault.symbol) {
                missing.push(format!("{}: the drift was not reconciled", fault.symbol));
            }
        }
        if self.act != Act::Halted {
            missing.push("no answer told the engine to halt".to_owned());
        }
        missing
    }
}

/// A snapshot of positions.
fn snapshot<'a>(
    source: &str,
    rows: impl Iterator<Item = (&'a str, Holding)>,
    time_ns: i64,
) -> Value {
    let rows: Vec<Value> = rows
        .filter(|(_, holding)| !holding.quantity.is_zero())
        .map(|(symbol, holding)| holding.row(symbol))
        .collect();
    json!({"type": "positions", "account": ACCOUNT, "source": source, "complete": true,
        "positions": rows, "time_ns": time_ns})
}

/// A made-up quote around a price.
fn quote(symbol: &str, price: Decimal, time: Timestamp) -> Value {
    let half = (price.abs() * HALF_SPREAD).round_dp(8).normalize();
    json!({"type": "quote", "account": ACCOUNT, "symbol": symbol,
        "bid": (price - half).to_string(), "ask": (price + half).to_string(),
        "time_ns": time.as_nanos()})
}

/// The market just before a submission, as far as its expected price tells.
fn quote_before(event: &Recorded, time: Timestamp) -> Option<Value> {
    let price = parse_decimal(event.text("expected_price")).ok()?;
    Some(quote(event.text("symbol"), price, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATCH_UP: Duration = Duration::from_secs(10);

    fn play() -> Play {
        let recording = Recording::built_in().unwrap();
        let tail = Duration::from_mins(2);
        let pace = Pace { length: recording.length(), tail, catch_up: CATCH_UP };
        Play::new(recording, pace, Timestamp::MIN.plus(Duration::from_hours(100_000)))
    }

    fn shown(fault: &Fault, state: &str) -> Seen {
        Seen {
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

    /// Quantities by symbol of the last snapshot among some events.
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
    fn both_sides_agree_until_the_present_is_reached() {
        let mut play = play();
        for second in 0..10 {
            let (posts, lines) = play.due(Duration::from_secs(second));
            assert_eq!(quantities(&posts.engine), quantities(&posts.broker), "after {second} s");
            assert!(lines.is_empty());
        }
        let submitted = play.orders_sent();
        assert!(submitted > 1_000, "{submitted}");
        assert_eq!(play.act(), Act::CatchUp);
    }

    #[test]
    fn the_story_goes_on_when_the_exporter_has_seen_it_and_the_engine_obeys() {
        let mut play = play();
        play.due(Duration::ZERO);
        let (posts, _) = play.due(CATCH_UP);
        assert_eq!(play.act(), Act::Differ);
        let (local, broker) = (quantities(&posts.engine), quantities(&posts.broker));
        assert_eq!((local["F.XNYS"].as_str(), broker["F.XNYS"].as_str()), ("298", "300"));
        assert_eq!((local.get("T.XNYS").unwrap().as_str(), broker.get("T.XNYS")), ("3", None));
        assert_eq!((local.get("PFE.XNYS"), broker["PFE.XNYS"].as_str()), (None, "6"));

        let reconciled = |fault: &&Fault| fault.is_reconciled();
        let all: Vec<Seen> = SMALL.iter().map(|f| shown(f, "unconfirmed")).collect();
        play.observed(&all, CATCH_UP);
        let (minor, other): (Vec<&Fault>, Vec<&Fault>) = SMALL.iter().partition(reconciled);
        let mut all: Vec<Seen> = other.iter().map(|f| shown(f, "open")).collect();
        all.extend(minor.iter().map(|f| shown(f, "reconciling")));
        play.observed(&all, CATCH_UP);
        assert_eq!(play.act(), Act::Differ);
        let (posts, _) = play.due(CATCH_UP + REPORT_EVERY);
        assert_eq!(kinds(&posts.engine, "reconciled").len(), 2);
        let local = quantities(&posts.engine);
        assert_eq!((local["F.XNYS"].as_str(), local.get("T.XNYS")), ("300", None));

        play.observed(&all[..2], CATCH_UP);
        assert_eq!(play.act(), Act::Lose);
        let (posts, _) = play.due(CATCH_UP + 2 * REPORT_EVERY);
        assert_eq!(kinds(&posts.engine, "order_filled").last().unwrap()["symbol"], "MSFT.XNAS");
        assert_eq!(quantities(&posts.engine)["MSFT.XNAS"], "40");
        assert_eq!(quantities(&posts.broker)["MSFT.XNAS"], "52");

        assert!(play.told("active", CATCH_UP).is_empty());
        play.observed(&[shown(&LARGE, "open")], CATCH_UP);
        assert_eq!(play.untold(), ["no answer told the engine to halt"]);
        assert_eq!(play.told("halted", CATCH_UP).len(), 2);
        assert!(play.told("halted", CATCH_UP).is_empty());
        let (posts, _) = play.due(CATCH_UP + 60 * REPORT_EVERY);
        assert!(kinds(&posts.engine, "order_submitted").is_empty());
        assert!(!kinds(&posts.engine, "order_cancelled").is_empty());
        assert!(!kinds(&posts.engine, "heartbeat").is_empty());
        assert!(play.orders_unsent() > 0);
        assert!(play.untold().is_empty(), "{:?}", play.untold());
    }

    #[test]
    fn a_story_that_did_not_come_true_is_said() {
        assert_eq!(play().untold().len(), plan::all().count() + 1);
    }
}
