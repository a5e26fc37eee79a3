//! The examples of the definitions, with their exact numbers.

use std::sync::Arc;
use std::time::Duration;

use trading_exporter::domain::account::AccountState;
use trading_exporter::domain::execution::anomaly::Figure;
use trading_exporter::domain::execution::counters::Outcome;
use trading_exporter::domain::execution::figures::Figures;
use trading_exporter::domain::ids::Symbol;
use trading_exporter::domain::record::{Entry, Refusal, Verdict};
use trading_exporter::domain::settings::{Rate, Settings};

use crate::flow::Fold;

fn account(fold: &Fold) -> &AccountState {
    fold.monitor.account("default").expect("the account")
}

fn figures(fold: &Fold) -> Figures {
    account(fold).execution.whole().figures()
}

fn submit(id: &str, side: &str, quantity: &str, more: &str) -> String {
    format!(
        r#"{{"type":"order_submitted","order_id":"{id}","symbol":"X","side":"{side}","quantity":{quantity},"time":1795357800{more}}}"#
    ) + "\n"
}

fn fill(id: &str, quantity: &str, price: &str) -> String {
    format!(
        r#"{{"type":"order_filled","order_id":"{id}","fill_id":"{id}-{quantity}-{price}","quantity":{quantity},"price":{price},"time":1795357801}}"#
    ) + "\n"
}

fn simple(kind: &str, id: &str) -> String {
    format!(r#"{{"type":"{kind}","order_id":"{id}","time":1795357802}}"#) + "\n"
}

#[test]
fn slippage_is_positive_when_worse() {
    let check = |side: &str, reference: &str, price: &str, expect: Option<f64>| {
        let mut fold = Fold::new(Settings::default());
        let more = format!(r#","expected_price":{reference}"#);
        fold.lines(&(submit("1", side, "100", &more) + &fill("1", "100", price)));
        let slippage = figures(&fold).slippage[0];
        assert_eq!(slippage.mean_bps, expect, "{side} {reference} {price}");
        assert_eq!(slippage.weighted_bps, expect, "{side} {reference} {price}");
    };
    check("buy", "100", "100.05", Some(5.0));
    check("buy", "100", "99.95", Some(-5.0));
    check("sell", "100", "99.95", Some(5.0));
    check("sell", "100", "100.05", Some(-5.0));
    // Spreads can have negative prices: paying -99.95 instead of -100 is worse for a buyer.
    check("buy", "-100", "-99.95", Some(5.0));
    check("sell", "-100", "-99.95", Some(-5.0));
    check("buy", "0", "1", None);
    check("buy", "null", "1", None);
}

#[test]
fn a_missing_reference_is_counted_and_never_zero_bps() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&(submit("1", "buy", "1", r#","expected_price":0"#) + &fill("1", "1", "1")));
    fold.lines(&(submit("2", "buy", "1", "") + &fill("2", "1", "1")));
    let missing = account(&fold).execution.whole().counters().missing_references[0];
    assert_eq!((missing.zero, missing.absent), (1, 1));
    assert_eq!(figures(&fold).slippage[0].samples, 0);
}

#[test]
fn a_symbol_is_weighed_in_its_own_currency_and_an_account_needs_the_rate() {
    let check = |rate: Rate, expect: (Option<f64>, Option<f64>)| {
        let mut settings = Settings::default();
        settings.instruments.default.rate = rate;
        let mut fold = Fold::new(settings);
        fold.lines(&(submit("1", "buy", "1", r#","expected_price":100"#) + &fill("1", "1", "101")));
        fold.lines(&(submit("2", "buy", "3", r#","expected_price":100"#) + &fill("2", "3", "100")));
        let key = account(&fold).symbols.get(&Symbol::new("X").expect("X")).expect("X");
        let symbol = account(&fold).execution.symbol(key).expect("its scope").figures();
        let weighted = (symbol.slippage[0].weighted_bps, figures(&fold).slippage[0].weighted_bps);
        assert_eq!(weighted, expect, "{rate:?}");
    };
    let weighted = Some(100.0 * 101.0 / 401.0);
    check(Rate::Same, (weighted, weighted));
    check(Rate::Fixed(2.into()), (weighted, weighted));
    check(Rate::Unknown, (weighted, None));
}

#[test]
fn ten_orders() {
    let mut fold = Fold::new(Settings::default());
    let mut lines = String::new();
    for id in 1..=10 {
        lines += &submit(&id.to_string(), "buy", "100", "");
    }
    lines += &simple("order_rejected", "1");
    for id in 2..=6 {
        lines += &fill(&id.to_string(), "100", "10");
    }
    lines += &(fill("7", "40", "10") + &simple("order_cancelled", "7"));
    lines += &(fill("8", "60", "10") + &simple("order_cancelled", "8"));
    lines += &simple("order_cancelled", "9");
    lines += &fill("10", "50", "10");
    fold.lines(&lines);
    let figures = figures(&fold);
    assert_eq!(figures.samples, 9);
    assert_eq!(figures.fill_ratio, Some(5.0 / 9.0));
    assert_eq!(figures.touch_ratio, Some(7.0 / 9.0));
    assert_eq!(figures.quantity_fill_ratio, Some(600.0 / 900.0));
    assert_eq!(figures.rejection_ratio, Some(1.0 / 9.0));
    assert_eq!(account(&fold).execution.open_orders_total(), 1);
}

#[test]
fn without_data_there_is_no_figure() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&submit("1", "buy", "1", ""));
    let figures = figures(&fold);
    assert_eq!(figures.samples, 0);
    assert_eq!(figures.fill_ratio, None);
    assert_eq!(figures.quantity_fill_ratio, None);
    assert_eq!(figures.slippage[0].mean_bps, None);
    assert_eq!(figures.fill_time.seconds, None);
}

/// Applies lines and compares (outcome now, Q, F) of order 1.
fn check_order(name: &str, lines: &str, expect: (Option<Outcome>, Option<&str>, &str)) {
    let mut fold = Fold::new(Settings::default());
    fold.lines(lines);
    let account = account(&fold);
    let order = account.execution.order(&account.symbols, None, "1").expect("order 1");
    let quantity = order.quantity.map(|q| q.normalize().to_string());
    let filled = order.filled_quantity.normalize().to_string();
    assert_eq!((order.outcome, quantity.as_deref(), filled.as_str()), expect, "{name}");
}

const BUST: &str = r#"{"type":"fill_busted","order_id":"1","fill_id":"1-100-10"}"#;
const CORRECTION: &str =
    r#"{"type":"fill_corrected","order_id":"1","fill_id":"1-100-10","quantity":70,"price":11}"#;
/// A fill without a quantity.
const REST: &str = r#"{"type":"order_filled","order_id":"1","price":10,"time":1795357803}"#;

fn replace(quantity: &str, at: &str) -> String {
    format!(r#"{{"type":"order_replaced","order_id":"1","quantity":{quantity},"time":{at}}}"#)
        + "\n"
}

#[test]
fn outcomes_are_ranked() {
    let one = submit("1", "buy", "100", "");
    let check = |name: &str, lines: &[&str], outcome: Outcome, filled: &str| {
        check_order(name, &(one.clone() + &lines.concat()), (Some(outcome), Some("100"), filled));
    };
    let (all, part) = (fill("1", "100", "10"), fill("1", "40", "10"));
    let [cancel, expire, reject, deny] =
        ["order_cancelled", "order_expired", "order_rejected", "order_denied"]
            .map(|kind| simple(kind, "1"));
    check("filled", &[&all], Outcome::Filled, "100");
    check("cancelled after a part", &[&part, &cancel], Outcome::Cancelled, "40");
    check("filled after the cancel", &[&cancel, &all], Outcome::Filled, "100");
    check("rejected beats cancelled", &[&cancel, &reject], Outcome::Rejected, "0");
    check("cancelled beats expired", &[&expire, &cancel], Outcome::Cancelled, "0");
    check("expired beats denied", &[&deny, &expire], Outcome::Expired, "0");
}

#[test]
fn quantities_follow_from_facts() {
    let check = |name: &str, lines: &[&str], quantity: &str, filled: &str| {
        let lines = submit("1", "buy", "100", "") + &lines.concat();
        let outcome = (quantity.len(), quantity) <= (filled.len(), filled);
        let outcome = outcome.then_some(Outcome::Filled);
        check_order(name, &lines, (outcome, Some(quantity), filled));
    };
    let (all, line) = (fill("1", "100", "10"), "\n");
    check("busted: open again", &[&all, BUST], "100", "0");
    check("busted before its fill", &[BUST, line, &all], "100", "0");
    check("corrected", &[&all, CORRECTION], "100", "70");
    let sixty = fill("1", "60", "10");
    let at_2 = |quantity: &str| replace(quantity, "1795357802");
    check("a replace lowers Q", &[&fill("1", "50", "10"), &at_2("50")], "50", "50");
    check("Q rises to the filled quantity", &[&sixty, &at_2("50")], "60", "60");
    check("later fills overfill", &[&replace("50", "1795357800.5"), &sixty], "50", "60");
    check("of replaces at one instant the larger", &[&at_2("80"), &at_2("70")], "80", "0");
    let thirty = fill("1", "30", "10");
    check("a fill without quantity fills what is left", &[&thirty, REST], "100", "100");
    check("and yields to an explicit fill", &[REST, line, &thirty], "100", "100");
    check_order("no submission", &thirty, (None, None, "30"));
}

#[test]
fn overfill_is_counted_once_and_capped() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&(submit("1", "buy", "100", "") + &fill("1", "150", "10") + &fill("1", "10", "10")));
    let execution = &account(&fold).execution;
    assert_eq!(execution.whole().counters().overfills, 1);
    assert_eq!(figures(&fold).quantity_fill_ratio, Some(1.0));
    let anomalies = execution.anomalies(&account(&fold).symbols);
    assert_eq!(anomalies.iter().map(|a| a.figure).collect::<Vec<_>>(), [Figure::Overfill]);
}

#[test]
fn reopened_orders_leave_the_window_and_enter_again() {
    let mut fold = Fold::new(Settings::default());
    let first = submit("1", "buy", "100", "") + &fill("1", "100", "10");
    fold.lines(&(first + &submit("2", "buy", "1", "") + &fill("2", "1", "10")));
    assert_eq!(figures(&fold).samples, 2);
    fold.lines(r#"{"type":"fill_busted","order_id":"1","fill_id":"1-100-10"}"#);
    assert_eq!((figures(&fold).samples, account(&fold).execution.open_orders_total()), (1, 1));
    fold.lines(&fill("1", "99", "10"));
    assert_eq!(figures(&fold).samples, 1);
    fold.lines(&fill("1", "1", "12"));
    assert_eq!((figures(&fold).samples, figures(&fold).filled), (2, 2));
    let counters = account(&fold).execution.whole().counters();
    assert_eq!((counters.outcomes[Outcome::Filled], counters.left[Outcome::Filled]), (2, 0));
    assert_eq!((counters.busted, counters.outcome_changes), (1, 1));
}

#[test]
fn orders_that_never_reached_the_venue_are_not_in_ratios() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(r#"{"type":"order_cancelled","order_id":"1","symbol":"X"}"#);
    fold.lines(r#"{"type":"order_denied","order_id":"2","symbol":"X","reason":"no"}"#);
    assert_eq!(figures(&fold).samples, 0);
    let counters = account(&fold).execution.whole().counters();
    assert_eq!((counters.outcomes[Outcome::Cancelled], counters.outcomes[Outcome::Denied]), (1, 1));
    // The submission was late: now the cancelled order has reached its venue.
    fold.lines(&submit("1", "buy", "1", ""));
    assert_eq!(figures(&fold).samples, 1);
}

#[test]
fn counters_wait_for_the_symbol() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&(simple("order_accepted", "1") + &simple("order_cancelled", "1")));
    assert_eq!(account(&fold).execution.whole().counters().accepted, 0);
    fold.lines(r#"{"type":"order_accepted","order_id":"1","symbol":"X","time":1795357802}"#);
    let counters = account(&fold).execution.whole().counters();
    assert_eq!((counters.accepted, counters.outcomes[Outcome::Cancelled]), (1, 1));
}

#[test]
fn conflicting_events_change_nothing() {
    let check = |name: &str, line: &str, expect: Verdict| {
        let mut fold = Fold::new(Settings::default());
        let more = r#","event_id":"e1","expected_price":10"#;
        fold.lines(&(submit("1", "buy", "100", more) + &fill("1", "40", "10")));
        let before = format!("{:?}", figures(&fold));
        let counters = account(&fold).execution.whole().counters().clone();
        assert_eq!(fold.lines(line), [expect], "{name}");
        assert_eq!(format!("{:?}", figures(&fold)), before, "{name}");
        assert_eq!(*account(&fold).execution.whole().counters(), counters, "{name}");
    };
    let conflict = Verdict::Refused(Refusal::Conflict);
    let again = submit("1", "buy", "100.0", r#","event_id":"e2","expected_price":"10.00""#);
    check("an equal submission under another id", &again, Verdict::Duplicate);
    let other = submit("1", "buy", "101", r#","event_id":"e2","expected_price":10"#);
    check("another submission", &other, conflict.clone());
    let same_id = submit("2", "buy", "1", r#","event_id":"e1""#);
    check("the same event id", &same_id, conflict.clone());
    check("the same fill", &fill("1", "40", "10"), Verdict::Duplicate);
    let price =
        r#"{"type":"order_filled","order_id":"1","fill_id":"1-40-10","quantity":40,"price":11}"#;
    check("the same fill at another price", price, conflict.clone());
    let symbol = r#"{"type":"order_accepted","order_id":"1","symbol":"Y"}"#;
    let why = "the order id 1 belongs to an order of X, and this event reports Y: where a venue \
               numbers the orders of each symbol separately, set orders.id_scope to symbol";
    check("another symbol", symbol, Verdict::Contradicts(why.into()));
    let side = r#"{"type":"order_accepted","order_id":"1","side":"sell"}"#;
    check("another side", side, conflict);
}

#[test]
fn a_replace_that_conflicts_with_the_order_of_its_new_id_changes_nothing() {
    let replaced = |said: &str| {
        format!(
            r#"{{"type":"order_replaced","order_id":"1","new_order_id":"2","quantity":5{said}}}"#
        )
    };
    let accepted = r#"{"type":"order_accepted","order_id":"1"}"#.to_owned() + "\n";
    for (before, said) in [
        ("", r#","symbol":"Y""#),
        ("", r#","side":"sell""#),
        (accepted.as_str(), r#","symbol":"Y""#),
        (accepted.as_str(), r#","side":"sell""#),
    ] {
        let mut fold = Fold::new(Settings::default());
        fold.lines(&(submit("2", "buy", "1", "") + before));
        let conflict = Verdict::Refused(Refusal::Conflict);
        assert_eq!(fold.lines(&replaced(said)), [conflict], "{before}{said}");
        let account = account(&fold);
        let view = account.execution.order(&account.symbols, None, "2").expect("the order");
        assert_eq!((view.order_id.as_str(), view.quantity), ("2", Some(1.into())));
        assert_eq!(account.symbols.len(), 1, "{said}");
    }
}

#[test]
fn a_replace_chain_is_one_order_in_any_order_of_arrival() {
    let replaced = r#"{"type":"order_replaced","order_id":"1","new_order_id":"2","quantity":50,"time":1795357800.5}"#;
    let facts = [
        submit("1", "buy", "100", r#","expected_price":10"#),
        replaced.to_owned() + "\n",
        fill("2", "50", "10.01"),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut fold = Fold::new(Settings::default());
        fold.lines(&order.map(|at| facts[at].as_str()).concat());
        let figures = figures(&fold);
        assert_eq!((figures.samples, figures.filled), (1, 1), "{order:?}");
        let bps = figures.slippage[0].mean_bps.expect("a sample");
        assert!((bps - 10.0).abs() < 1e-9, "{order:?}: {bps}");
        let execution = &account(&fold).execution;
        let view = execution.order(&account(&fold).symbols, None, "2").expect("by its new id");
        assert_eq!(view.order_id.as_str(), "1", "{order:?}");
        assert_eq!(execution.open_orders_total(), 0, "{order:?}");
    }
}

#[test]
fn sessions_distinguish_reused_ids() {
    let mut fold = Fold::new(Settings::default());
    for session in ["a", "b"] {
        let more = format!(r#","session":"{session}""#);
        fold.lines(&submit("1", "buy", "1", &more));
    }
    assert_eq!(account(&fold).execution.whole().counters().submitted, 2);
}

#[test]
fn synthetic_fills_do_not_count_for_quality() {
    let mut fold = Fold::new(Settings::default());
    let line =
        r#"{"type":"order_filled","order_id":"1","quantity":100,"price":10,"synthetic":true}"#;
    fold.lines(&(submit("1", "buy", "100", r#","expected_price":9"#) + line));
    let counters = account(&fold).execution.whole().counters();
    assert_eq!((counters.fills, figures(&fold).samples), (0, 0));
    assert_eq!(account(&fold).execution.open_orders_total(), 0);
}

#[test]
fn an_unanswered_submission_is_unacknowledged() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&submit("1", "buy", "1", ""));
    let unacknowledged = |fold: &Fold| {
        let key = account(fold).symbols.get(&Symbol::new("X").expect("X")).expect("X");
        account(fold).execution.unacknowledged(key)
    };
    fold.wait(5);
    assert_eq!(unacknowledged(&fold), 0);
    fold.wait(1);
    assert_eq!(unacknowledged(&fold), 1);
    let anomalies = account(&fold).execution.anomalies(&account(&fold).symbols);
    assert_eq!(anomalies.iter().map(|a| a.figure).collect::<Vec<_>>(), [Figure::Unacknowledged]);
    fold.lines(&simple("order_accepted", "1"));
    assert_eq!(unacknowledged(&fold), 0);
    fold.wait(1);
    assert_eq!(account(&fold).execution.anomalies(&account(&fold).symbols), []);
}

#[test]
fn the_arrival_price_is_the_latest_mid_within_five_seconds() {
    let check = |quote_at: &str, expect: Option<f64>| {
        let mut fold = Fold::new(Settings::default());
        let quote =
            format!(r#"{{"type":"quote","symbol":"X","bid":99,"ask":101,"time":{quote_at}}}"#);
        fold.lines(&quote);
        fold.lines(&(submit("1", "buy", "1", "") + &fill("1", "1", "100.05")));
        assert_eq!(figures(&fold).slippage[1].mean_bps, expect, "quote at {quote_at}");
    };
    check("1795357795", Some(5.0));
    check("1795357794.9", None);
    check("1795357800", Some(5.0));
    check("1795357800.1", None);
}

#[test]
fn negative_latencies_are_clock_skew_and_no_sample() {
    let mut fold = Fold::new(Settings::default());
    let early = r#"{"type":"order_accepted","order_id":"1","time":1795357799}"#;
    fold.lines(&(submit("1", "buy", "1", "") + early + "\n" + &fill("1", "1", "1")));
    assert_eq!((figures(&fold).ack_time.samples, figures(&fold).fill_time.samples), (0, 1));
    let anomalies = account(&fold).execution.anomalies(&account(&fold).symbols);
    assert_eq!(anomalies.iter().map(|a| a.figure).collect::<Vec<_>>(), [Figure::ClockSkew]);
}

#[test]
fn a_fill_before_its_acceptance_is_clock_skew_in_either_order_of_arrival() {
    let late = r#"{"type":"order_accepted","order_id":"1","time":1795357802.5}"#.to_owned() + "\n";
    for lines in [late.clone() + &fill("1", "1", "1"), fill("1", "1", "1") + &late] {
        let mut fold = Fold::new(Settings::default());
        fold.lines(&(submit("1", "buy", "1", "") + &lines));
        assert_eq!(figures(&fold).first_fill_time.samples, 0);
        let anomalies = account(&fold).execution.anomalies(&account(&fold).symbols);
        let counted = anomalies.iter().map(|a| (a.figure, a.value)).collect::<Vec<_>>();
        assert_eq!(counted, [(Figure::ClockSkew, 1.0)]);
    }
}

#[test]
fn a_fill_without_quantity_is_not_reversed_twice() {
    let rest = |at: &str| {
        format!(r#"{{"type":"order_filled","order_id":"1","price":10,"time":{at}}}"#) + "\n"
    };
    let facts = [rest("1795357802"), rest("1795357801.5"), fill("1", "30", "10")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut fold = Fold::new(Settings::default());
        fold.lines(&submit("1", "buy", "100", ""));
        for at in order {
            fold.lines(&facts[at]);
        }
        let counters = account(&fold).execution.whole().counters();
        let notional =
            counters.money.values().map(|m| m.notional.sum.to_string()).collect::<Vec<_>>();
        assert_eq!((counters.fills, counters.filled_quantity.sum), (3, 100.into()), "{order:?}");
        assert_eq!(notional, ["1000"], "{order:?}");
    }
}

#[test]
fn five_rejections_in_a_row_are_an_anomaly_of_the_symbol() {
    let mut fold = Fold::new(Settings::default());
    let in_row = |fold: &Fold| {
        let anomalies = account(fold).execution.anomalies(&account(fold).symbols);
        anomalies.iter().filter(|a| a.figure == Figure::ConsecutiveRejections).count()
    };
    fold.lines(&submit("0", "buy", "1", ""));
    for id in 1..=5 {
        assert_eq!(in_row(&fold), 0, "before rejection {id}");
        let id = id.to_string();
        fold.lines(&(submit(&id, "buy", "1", "") + &simple("order_rejected", &id)));
    }
    assert_eq!(in_row(&fold), 1);
    let anomalies = account(&fold).execution.anomalies(&account(&fold).symbols);
    let row = anomalies.iter().find(|a| a.figure == Figure::ConsecutiveRejections);
    assert_eq!(row.map(|a| (a.value, a.threshold)), Some((5.0, 5.0)));
    fold.lines(&(submit("6", "buy", "1", "") + &simple("order_accepted", "6")));
    assert_eq!(in_row(&fold), 0, "an acceptance ends the row");
}

#[test]
fn aged_windows_and_new_thresholds_are_evaluated_by_the_next_tick() {
    let open = |fold: &Fold| account(fold).execution.anomalies(&account(fold).symbols).len();
    let mut settings = Settings::default();
    settings.window.age_max = Some(Duration::from_mins(1));
    let mut fold = Fold::new(settings.clone());
    for id in 1..=20 {
        let id = id.to_string();
        fold.lines(&(submit(&id, "buy", "1", "") + &simple("order_cancelled", &id)));
    }
    assert_eq!(open(&fold), 2, "the fill ratio, of the symbol and of the account");
    fold.wait(60);
    assert_eq!(open(&fold), 2);
    fold.wait(1);
    assert_eq!((open(&fold), figures(&fold).samples), (0, 0), "no sample, no anomaly");

    settings.window.age_max = None;
    let mut fold = Fold::new(settings.clone());
    for id in 1..=20 {
        let id = id.to_string();
        fold.lines(&(submit(&id, "buy", "1", "") + &simple("order_cancelled", &id)));
    }
    settings.anomaly.default.min_samples = 21;
    fold.apply(Entry::Settings(Arc::new(settings)));
    fold.wait(1);
    assert_eq!(open(&fold), 0, "too few samples by the new rules");
}
