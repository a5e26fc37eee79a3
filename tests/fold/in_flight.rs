//! No drift is reported while the books agree, for any timing of lists and reports, and every fault is
//! found while the engine trades. Tested with a recorded hour, and with arbitrary streams of fills.

use std::io::Read;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use trading_exporter::domain::drift::{Attribution, DriftType, DriftView};
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Entry, Record};
use trading_exporter::domain::settings::{Settings, SettleMode};
use trading_exporter::domain::state::TradingState;
use trading_exporter::domain::time::Timestamp;

use crate::delivery::{Delivery, Fault, Random, SECOND, Ways, Wrong, begins, deliver, time_of};
use crate::flow::decode;

/// The exporter's results during a run.
#[derive(Debug, Default)]
struct Said {
    /// Confirmed drifts, with the time at which each first had its severity.
    drifts: Vec<(i64, DriftView)>,
    /// Time of the halt.
    halted: Option<i64>,
}

/// Applies deliveries to a monitor, with a tick every second.
fn run(settings: Settings, deliveries: &[Delivery]) -> Said {
    let mut monitor = Monitor::new(Arc::new(settings));
    let (mut said, mut sequence, mut tick) = (Said::default(), 0, deliveries[0].at + SECOND);
    let mut apply = |at: i64, entry: Entry, must_look: bool, said: &mut Said| {
        sequence += 1;
        let received_at = Timestamp::from_nanos(at).expect("a time in range");
        monitor.apply(&Record { sequence, received_at, more: false, entry }, &mut Vec::new());
        if must_look {
            look(&monitor, at, said);
        }
    };
    for Delivery { at, event, is_list } in deliveries {
        while tick <= *at {
            apply(tick, Entry::Tick, true, &mut said);
            tick += SECOND;
        }
        let event = decode(&event.to_string()).remove(0);
        apply(*at, Entry::Event(event), *is_list, &mut said);
    }
    said
}

fn look(monitor: &Monitor, at: i64, said: &mut Said) {
    let Some(account) = monitor.account("paper") else { return };
    for drift in account.books.differences(&account.symbols) {
        let is_known = |(_, known): &(i64, DriftView)| {
            known.id == drift.id && known.severity == drift.severity
        };
        if drift.severity.is_some() && !said.drifts.iter().any(is_known) {
            said.drifts.push((at, drift));
        }
    }
    if monitor.permit("paper").state == TradingState::Halted {
        said.halted.get_or_insert(at);
    }
}

fn recorded() -> Vec<Value> {
    let bytes = include_bytes!("../fixtures/session/events.ndjson.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("a gzip file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Lists at these intervals that are 0, 2 and 8 s old, with reports 0, 1 and 3 s late.
fn check_no_drift(periods: [i64; 2], settle_mode: SettleMode) {
    let events = recorded();
    let mut settings = Settings::default();
    settings.drift.in_flight.settle_mode = settle_mode;
    for lag in [0, 2, 8] {
        for delay in [0, 1, 3] {
            let ways = Ways {
                periods: periods.map(|seconds| seconds * SECOND),
                lag_max: lag * SECOND,
                delay_max: delay * SECOND,
                in_order: settle_mode == SettleMode::Heard,
                seed: u64::try_from(100 * periods[1] + 10 * lag + delay).unwrap(),
            };
            let said = run(settings.clone(), &deliver(&events, &ways, None, 0));
            assert!(said.drifts.is_empty() && said.halted.is_none(), "{ways:?}: {said:#?}");
        }
    }
}

#[test]
fn a_recorded_hour_with_lists_every_5_s_has_no_drift() {
    check_no_drift([5, 5], SettleMode::Heard);
}

#[test]
fn a_recorded_hour_with_lists_every_20_s_has_no_drift() {
    check_no_drift([20, 20], SettleMode::Heard);
}

#[test]
fn a_recorded_hour_with_lists_every_60_s_has_no_drift() {
    check_no_drift([60, 60], SettleMode::Heard);
}

#[test]
fn a_recorded_hour_with_lists_every_10_and_60_s_has_no_drift() {
    check_no_drift([10, 60], SettleMode::Heard);
}

#[test]
fn a_recorded_hour_with_reordered_reports_has_no_drift() {
    check_no_drift([20, 20], SettleMode::Always);
}

/// A fault in the middle of the hour is found within two list intervals plus the time allowed for
/// reports and for open orders, because orders are open all through the hour. It halts as soon as four
/// lists cannot be explained by a slow broker.
fn check_found(fault: Fault, drift_type: DriftType, attribution: Attribution) {
    let events = recorded();
    let mut random = Random(7);
    for (seconds, symbol) in [5, 20, 60].into_iter().flat_map(|s| STOCKS.map(|stock| (s, stock))) {
        let at = time_of(&events[0]) + (900 + random.below(900)) * SECOND;
        let wrong = Wrong { fault, symbol, at };
        let begins = begins(&events, &wrong);
        let until = events.partition_point(|event| time_of(event) < begins + 500 * SECOND);
        let ways = Ways {
            periods: [seconds * SECOND, seconds * SECOND],
            lag_max: 2 * SECOND,
            delay_max: SECOND,
            in_order: true,
            seed: u64::try_from(seconds).unwrap(),
        };
        let said = run(Settings::default(), &deliver(&events[..until], &ways, Some(&wrong), 0));
        let name = format!("{fault:?} of {symbol}, lists every {seconds} s: {said:#?}");
        let (found, first) = said.drifts.first().expect(&name);
        let (periods, report, leaves) = (2 * seconds, 6, 30);
        let took = (found - begins) / SECOND;
        assert!((0..=periods + report + leaves).contains(&took), "{name}");
        assert_eq!((first.drift_type, first.attribution), (drift_type, attribution), "{name}");
        let halted = said.halted.expect(&name);
        assert!((halted - found) / SECOND <= 4 * seconds + 6, "{name}");
        assert!(said.drifts.iter().all(|(_, drift)| drift.symbol.as_str() == symbol), "{name}");
    }
}

/// The most traded symbol, bought and sold all through the hour.
const STOCKS: [&str; 2] = ["AAPL.XNAS", "BRK.B.XNAS"];

#[test]
fn an_external_trade_is_found_while_the_engine_trades() {
    for quantity in [12, 37] {
        let fault = Fault::External(quantity.into());
        check_found(fault, DriftType::QuantityMismatch, Attribution::ExternalOrUnreportedTrade);
    }
}

#[test]
fn a_fill_that_the_engine_never_received_is_found_while_it_trades() {
    let attribution = Attribution::ExternalOrUnreportedTrade;
    check_found(Fault::MissingFill, DriftType::QuantityMismatch, attribution);
}

#[test]
fn a_fill_that_the_engine_did_not_book_is_found_while_it_trades() {
    let attribution = Attribution::EngineMissedFill;
    check_found(Fault::ForgottenFill, DriftType::QuantityMismatch, attribution);
}

#[test]
fn a_symbol_that_the_engine_lost_is_found_while_it_trades() {
    check_found(Fault::LostSymbol, DriftType::UnknownPosition, Attribution::EngineMissedFill);
}

/// Fills of one symbol within 90 s, some of them splits or transfers.
fn fills() -> impl Strategy<Value = Vec<Value>> {
    let fill = (0_i64..90_000, 1_i64..30, any::<bool>(), 0_u8..8);
    prop::collection::vec(fill, 2..60).prop_map(|mut fills| {
        fills.sort_by_key(|fill| fill.0);
        let fills = fills.into_iter().enumerate();
        let fills = fills.map(|(id, (ms, quantity, is_buy, kind))| {
            let time_ns = START + ms * 1_000_000;
            if kind == 0 {
                let quantity = if is_buy { quantity } else { -quantity };
                return json!({"type": "position_adjusted", "account": "paper", "symbol": "X",
                    "quantity": quantity.to_string(), "reason": "transfer", "time_ns": time_ns});
            }
            json!({"type": "order_filled", "account": "paper", "order_id": format!("o{id}"),
                "symbol": "X", "side": if is_buy { "buy" } else { "sell" },
                "quantity": quantity.to_string(), "price": "10", "time_ns": time_ns})
        });
        fills.collect()
    })
}

/// Any intervals, lags within the tolerance, reports up to 3 s late, in order or not.
fn ways() -> impl Strategy<Value = Ways> {
    let periods = (3_i64..=60, 3_i64..=60);
    (periods, 0_i64..=10_000, 0_i64..=3_000, any::<bool>(), any::<u64>()).prop_map(
        |((local, broker), lag_ms, delay_ms, in_order, seed)| Ways {
            periods: [local * SECOND, broker * SECOND],
            lag_max: lag_ms * 1_000_000,
            delay_max: delay_ms * 1_000_000,
            in_order,
            seed,
        },
    )
}

fn settings_for(ways: &Ways) -> Settings {
    let mut settings = Settings::default();
    settings.drift.in_flight.settle_mode =
        if ways.in_order { SettleMode::Heard } else { SettleMode::Always };
    settings
}

/// 2026-11-22T14:30:00Z.
const START: i64 = 1_795_357_800 * SECOND;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_stream_of_fills_causes_a_drift(fills in fills(), ways in ways()) {
        let said = run(settings_for(&ways), &deliver(&fills, &ways, None, 90 * SECOND));
        prop_assert!(said.drifts.is_empty(), "{said:#?}");
    }

    #[test]
    fn a_constant_difference_is_a_drift_during_any_stream_of_fills(
        fills in fills(),
        ways in ways(),
        off in prop_oneof![-50_i64..=-1, 1_i64..=50],
    ) {
        let wrong = Wrong { fault: Fault::External(off.into()), symbol: "X", at: START };
        let tail = 60 * SECOND + 3 * ways.periods[0].max(ways.periods[1]);
        let said = run(settings_for(&ways), &deliver(&fills, &ways, Some(&wrong), tail));
        prop_assert!(!said.drifts.is_empty());
    }
}
