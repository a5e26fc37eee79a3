//! Rows of the fold alone: the cost of an event must not depend on the size of the state.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::fold::Fold;
use crate::rounds::{median, median_ratio, take_turns};
use crate::table::{Goal, Row};
use crate::traffic::BATCH_EVENTS;

/// How long each side folds in a round.
const ROUND: Duration = Duration::from_millis(300);
/// Orders of each symbol before the measurement: as many as its window holds.
const LONG: usize = 100;
/// Symbols traded during the measurement: few, so that they stay in the cache.
const HOT: u64 = 16;

/// A state with `symbols` symbols, each with a full window of `window` orders. `traded` of them are
/// traded from then on.
fn full(symbols: u64, window: usize, traded: u64) -> Fold {
    let mut fold = Fold::new(symbols, window);
    fold.fill(symbols * u64::try_from(window).expect("a length"));
    fold.trade(1_000_000_000, traded);
    fold
}

/// Nanoseconds per event.
fn nanos_of_one(fold: &mut Fold) -> f64 {
    let (mut spent, mut events) = (Duration::ZERO, 0.0);
    while spent < ROUND {
        // Submissions, acceptances, fills: all kinds equally often.
        for _ in 0..3 {
            let records = fold.next();
            let started = Instant::now();
            fold.apply(&records);
            spent += started.elapsed();
            #[expect(clippy::cast_precision_loss, reason = "a thousand")]
            let batch = BATCH_EVENTS as f64;
            events += batch;
        }
    }
    spent.as_secs_f64() * 1e9 / events
}

/// `apply` of one event, by symbols and by length of the window.
pub(crate) fn apply() -> Vec<Row> {
    let mut one = full(1, LONG, 1);
    let mut thousand = full(1_000, LONG, HOT);
    let mut many = full(10_000, LONG, HOT);
    let mut cold = full(10_000, LONG, 10_000);
    let mut short = full(1, 1, 1);
    let mut long = full(1, 100_000, 1);
    let [one, thousand, many, cold, short, long] = take_turns([
        &mut || nanos_of_one(&mut one),
        &mut || nanos_of_one(&mut thousand),
        &mut || nanos_of_one(&mut many),
        &mut || nanos_of_one(&mut cold),
        &mut || nanos_of_one(&mut short),
        &mut || nanos_of_one(&mut long),
    ]);
    let nanos = |times: &[f64]| format!("{:.0} ns", median(times.iter().copied()));
    let row = |what: &str, ours: &[f64], against: &str, theirs: &[f64], goal| Row {
        what: format!("`apply` of one event, {what}"),
        ours: nanos(ours),
        against: against.to_owned(),
        theirs: nanos(theirs),
        ratio: median_ratio(ours, theirs),
        goal,
        note: String::new(),
    };
    vec![
        row("1,000 symbols, 16 of them traded", &thousand, "1 symbol", &one, Goal::AtMost(1.5)),
        row("10,000 symbols, 16 of them traded", &many, "1 symbol", &one, Goal::AtMost(1.5)),
        row("10,000 symbols, all traded in turn", &cold, "1 symbol", &one, Goal::None),
        row("window of 100,000 orders", &long, "window of 1 order", &short, Goal::AtMost(1.5)),
    ]
}

/// Fills of one order: as many amendments fit beside them.
const FILLS: u32 = 4_990;

/// A body with `line` for each fill of two orders.
fn of_each_fill(line: impl Fn(u32, u32) -> String) -> String {
    let mut body = String::new();
    for (order, fill) in (0..2).flat_map(|order| (0..FILLS).map(move |fill| (order, fill))) {
        writeln!(body, "{}", line(order, fill)).expect("a string");
    }
    body
}

/// `apply` of about 10,000 busts of two orders, against that of their fills.
pub(crate) fn busts() -> Vec<Row> {
    let fills = of_each_fill(|order, fill| {
        format!(
            r#"{{"type":"order_filled","order_id":"{order}","fill_id":"{fill}","symbol":"X","side":"buy","quantity":1,"price":10}}"#
        )
    });
    let busts = of_each_fill(|order, fill| {
        format!(r#"{{"type":"fill_busted","order_id":"{order}","fill_id":"{fill}"}}"#)
    });
    let (mut of_fills, mut of_busts) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        let mut fold = Fold::new(1, LONG);
        for (body, times) in [(&fills, &mut of_fills), (&busts, &mut of_busts)] {
            let records = fold.records(body.as_bytes());
            let started = Instant::now();
            fold.apply(&records);
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    let millis = |times: &[f64]| format!("{:.1} ms", median(times.iter().copied()));
    vec![Row {
        what: format!("`apply` of {} busts of 2 orders", 2 * FILLS),
        ours: millis(&of_busts),
        against: "their fills".to_owned(),
        theirs: millis(&of_fills),
        ratio: median_ratio(&of_busts, &of_fills),
        goal: Goal::AtMost(2.0),
        note: String::new(),
    }]
}
