//! Simulated delivery of an engine's and a broker's data to the exporter: position lists of both sides
//! with different phases, the broker's older than their dates, and late reports.
//!
//! Input: events as JSON with `time_ns`, the timing of lists and reports, and faults. Output:
//! [`Delivery`]s in the order of receipt. The same seed gives the same deliveries.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trading_exporter::domain::units::{Decimal, parse_decimal};

/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000_000;
/// Time of the first, empty lists of both sides, before the first event.
pub(crate) const LEAD: i64 = 30 * SECOND;

/// Timing of lists and reports, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways {
    /// Intervals of the local lists and of the broker's lists.
    pub(crate) periods: [i64; 2],
    /// Greatest age of a broker's list at its date.
    pub(crate) lag_max: i64,
    /// Greatest delay of the engine's events and lists.
    pub(crate) delay_max: i64,
    /// Whether all use one connection, in order. Otherwise each has its own delay.
    pub(crate) in_order: bool,
    pub(crate) seed: u64,
}

/// A fault in a symbol, from a time on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Somebody trades manually at the broker.
    External(Decimal),
    /// The engine never receives a fill.
    MissingFill,
    /// The engine reports a fill and does not book it.
    ForgottenFill,
    /// The engine loses the symbol.
    LostSymbol,
}

/// A fault with its symbol and time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrong<'a> {
    pub(crate) fault: Fault,
    pub(crate) symbol: &'a str,
    pub(crate) at: i64,
}

/// The content of one request.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Time of receipt, on the clock of the events.
    pub(crate) at: i64,
    pub(crate) event: Value,
    pub(crate) is_list: bool,
}

/// A change of a position, with its price.
#[derive(Clone, Copy, Debug)]
struct Move {
    at: i64,
    change: Decimal,
    price: Option<Decimal>,
}

/// The positions of one side, by symbol.
type Course = BTreeMap<String, Vec<Move>>;

/// Events and lists in order of receipt, until `tail` after the last event.
pub(crate) fn deliver(
    events: &[Value],
    ways: &Ways,
    wrong: Option<&Wrong<'_>>,
    tail: i64,
) -> Vec<Delivery> {
    let mut random = Random(ways.seed);
    let missed = wrong.and_then(|wrong| missed_fill(events, wrong));
    let is_reported = |place: usize| {
        Some(place) != missed || !matches!(wrong.map(|w| w.fault), Some(Fault::MissingFill))
    };
    let broker = course(events.iter());
    let booked = events.iter().enumerate().filter(|(place, _)| Some(*place) != missed);
    let local = course(booked.map(|(_, event)| event));
    let (first, last) = (time_of(&events[0]), time_of(&events[events.len() - 1]) + tail);

    let mut queue: Vec<(i64, Value, bool)> = Vec::new();
    let reported = events.iter().enumerate().filter(|(place, _)| is_reported(*place));
    queue.extend(reported.map(|(_, event)| (time_of(event), event.clone(), false)));
    let phase = random.below(ways.periods[0]);
    for time in (first + phase..last).step_by(usize::try_from(ways.periods[0]).unwrap()) {
        queue.push((time, local_list(&local, time, wrong), true));
    }
    // At equal times, events come first.
    queue.sort_by_key(|(time, _, is_list)| (*time, *is_list));
    let mut all = vec![
        Delivery { at: first - LEAD, event: list("local", first - LEAD, []), is_list: true },
        Delivery { at: first - LEAD, event: list("broker", first - LEAD, []), is_list: true },
    ];
    let mut newest = first - LEAD;
    for (time, event, is_list) in queue {
        let late = time + random.below(ways.delay_max);
        newest = newest.max(late);
        all.push(Delivery { at: if ways.in_order { newest } else { late }, event, is_list });
    }
    let phase = random.below(ways.periods[1]);
    for time in (first + phase..last).step_by(usize::try_from(ways.periods[1]).unwrap()) {
        let lag = random.below(ways.lag_max);
        let event = broker_list(&broker, time, lag, wrong);
        all.push(Delivery { at: time + SECOND / 10, event, is_list: true });
    }
    all.sort_by_key(|delivery| delivery.at);
    all
}

/// Time from which the books differ.
pub(crate) fn begins(events: &[Value], wrong: &Wrong<'_>) -> i64 {
    missed_fill(events, wrong).map_or(wrong.at, |place| time_of(&events[place]))
}

fn local_list(course: &Course, at: i64, wrong: Option<&Wrong<'_>>) -> Value {
    let is_lost = |symbol: &str| {
        wrong.is_some_and(|w| {
            matches!(w.fault, Fault::LostSymbol) && w.symbol == symbol && at >= w.at
        })
    };
    let kept = course.iter().filter(|(symbol, _)| !is_lost(symbol));
    list("local", at, kept.map(|(symbol, changes)| row(symbol, changes, at, Decimal::ZERO)))
}

fn broker_list(course: &Course, at: i64, lag: i64, wrong: Option<&Wrong<'_>>) -> Value {
    let rows = course.iter().map(|(symbol, changes)| {
        let more = match wrong {
            Some(Wrong { fault: Fault::External(more), symbol: of, at: from })
                if of == symbol && at >= *from =>
            {
                *more
            }
            _ => Decimal::ZERO,
        };
        row(symbol, changes, at - lag, more)
    });
    list("broker", at, rows)
}

fn list(source: &str, at: i64, rows: impl IntoIterator<Item = Value>) -> Value {
    let rows: Vec<Value> = rows.into_iter().collect();
    json!({"type": "positions", "account": "paper", "source": source, "time_ns": at,
        "positions": rows})
}

fn row(symbol: &str, changes: &[Move], at: i64, more: Decimal) -> Value {
    let quantity = (sum(changes, at) + more).normalize().to_string();
    let price = changes.iter().take_while(|c| c.at <= at).filter_map(|c| c.price).last();
    match price {
        Some(price) => {
            let price = price.to_string();
            json!({"symbol": symbol, "quantity": quantity, "market_price": price})
        }
        None => json!({"symbol": symbol, "quantity": quantity}),
    }
}

fn sum(changes: &[Move], at: i64) -> Decimal {
    changes.iter().take_while(|change| change.at <= at).map(|change| change.change).sum()
}

/// The faulty fill: the first one from that time on.
fn missed_fill(events: &[Value], wrong: &Wrong<'_>) -> Option<usize> {
    let goes_wrong = matches!(wrong.fault, Fault::MissingFill | Fault::ForgottenFill);
    let is_it = |event: &Value| {
        event["type"] == "order_filled"
            && event["symbol"] == wrong.symbol
            && time_of(event) >= wrong.at
    };
    events.iter().position(is_it).filter(|_| goes_wrong)
}

fn course<'a>(events: impl Iterator<Item = &'a Value>) -> Course {
    let mut course = Course::new();
    for event in events {
        let number = |field: &str| event[field].as_str().and_then(|text| parse_decimal(text).ok());
        let quantity = number("quantity").unwrap_or_default();
        let change = match (event["type"].as_str(), event["side"].as_str()) {
            (Some("order_filled"), Some("sell")) => -quantity,
            (Some("order_filled" | "position_adjusted"), _) => quantity,
            _ => continue,
        };
        let change = Move { at: time_of(event), change, price: number("price") };
        let symbol = event["symbol"].as_str().unwrap().to_owned();
        course.entry(symbol).or_default().push(change);
    }
    course
}

pub(crate) fn time_of(event: &Value) -> i64 {
    event["time_ns"].as_i64().unwrap()
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// At least 0 and below `end`; 0 where that is 0.
    pub(crate) fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        i64::try_from(mixed >> 1).unwrap().checked_rem(end).unwrap_or(0)
    }
}
