//! The series budget folds labels and nothing else: every symbol is still monitored.

#![expect(
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "counts as small as these are exact"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use trading_exporter::domain::record::Entry;
use trading_exporter::domain::settings::{SeriesSettings, Settings};
use trading_exporter::domain::state::TradingState;
use trading_exporter::metrics::{
    Build, Format, Runtime, ScrapeSnapshot, catalogue, count_account, count_control,
};

use crate::flow::Fold;

const SYMBOLS: usize = 2_000;

fn settings(max: usize) -> Settings {
    Settings { series: SeriesSettings { max }, ..Settings::default() }
}

/// Positions of both sides for one symbol alone, in one request.
fn drift(account: &str, symbol: &str, local: u32, broker: u32) -> String {
    let side = |source: &str, quantity: u32| {
        format!(
            r#"{{"type":"positions","account":"{account}","source":"{source}","complete":false,"positions":[{{"symbol":"{symbol}","quantity":{quantity},"average_price":10}}]}}"#
        )
    };
    side("local", local) + "\n" + &side("broker", broker) + "\n"
}

/// A filled order of a symbol.
fn filled(id: usize, account: &str, symbol: &str) -> String {
    format!(
        r#"{{"type":"order_submitted","account":"{account}","order_id":"{id}","symbol":"{symbol}","side":"buy","quantity":1}}
{{"type":"order_filled","account":"{account}","order_id":"{id}","fill_id":"{id}","price":10}}
"#
    )
}

/// All samples that a snapshot shows of a state: value by series.
fn scrape(snapshot: &mut ScrapeSnapshot, fold: &Fold) -> BTreeMap<String, f64> {
    while !snapshot.catch_up(&fold.monitor, |_| true).is_last {}
    snapshot.take(&fold.monitor, |_| true);
    while snapshot.compute() {}
    let mut text = String::new();
    let build = Build { version: "", revision: "", rustversion: "" };
    let runtime = Runtime::new(&build).expect("a registry");
    snapshot.exposition(Some(&runtime), Format::Text).write_some(&mut text, usize::MAX);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let mut all = BTreeMap::new();
    for sample in samples {
        let (series, value) = sample.rsplit_once(' ').expect("a value");
        let before = all.insert(series.to_owned(), value.parse().expect("a number"));
        assert_eq!(before, None, "{series} twice");
    }
    all
}

/// The samples of the state, without those of the exporter's own process.
fn of_state(samples: &BTreeMap<String, f64>) -> usize {
    let is_own = |series: &&String| {
        ["trading_exporter_", "process_"].iter().any(|name| series.starts_with(name))
    };
    samples.keys().filter(|series| !is_own(series)).count()
}

/// Whether a drift of the symbol is confirmed and not cleared.
fn is_drift_open(fold: &Fold, symbol: &str) -> bool {
    let account = fold.monitor.account("paper").expect("the account");
    let mut differences = account.books.differences(&account.symbols);
    differences.any(|drift| drift.symbol.as_str() == symbol && drift.state.is_open())
}

fn series(name: &str, symbol: &str) -> String {
    format!(r#"{name}{{account="paper",symbol="{symbol}"}}"#)
}

#[test]
fn two_thousand_symbols_are_monitored_within_the_series_budget() {
    for max in [Settings::default().series.max, 2_000] {
        let mut fold = Fold::new(settings(max));
        let mut lines = String::new();
        for n in 0..SYMBOLS {
            lines += &filled(n, "paper", &format!("S{n}"));
        }
        fold.lines(&lines);
        let mut snapshot = ScrapeSnapshot::default();
        let samples = scrape(&mut snapshot, &fold);
        assert!(of_state(&samples) <= max, "{max}: {}", of_state(&samples));
        assert!(of_state(&samples) > max / 2, "{max}: {}", of_state(&samples));
        let fills = samples.keys().filter(|series| series.starts_with("trading_fills_total{"));
        let whole = fills.filter(|series| !series.contains("__other__")).count();
        let folded = samples[r#"trading_exporter_series_folded_total{label="symbol"}"#];
        assert_eq!(whole as f64 + folded, SYMBOLS as f64, "{max}");
        let sum = samples.get(&series("trading_fills_total", "__other__"));
        assert_eq!(sum.copied().unwrap_or_default(), folded, "{max}");
        for n in 0..SYMBOLS {
            let symbol = format!("S{n}");
            fold.lines(&drift("paper", &symbol, 2_001, 1_001));
            assert!(is_drift_open(&fold, &symbol), "{symbol}");
            if n % 400 == 0 {
                assert_eq!(fold.monitor.permit("paper").state, TradingState::Halted);
                let samples = scrape(&mut snapshot, &fold);
                let severity = samples.get(&series("trading_position_drift_severity", &symbol));
                assert_eq!(severity, Some(&3.0), "{max}: {symbol}");
            }
            fold.lines(&drift("paper", &symbol, 1_001, 1_001));
        }
        assert!(of_state(&scrape(&mut snapshot, &fold)) <= max.max(100_000));
    }
}

#[test]
fn a_halt_by_a_folded_symbol_is_shown_and_its_counters_stay_in_the_sum() {
    let mut fold = Fold::new(settings(1_500));
    for n in 0..100 {
        fold.lines(&filled(n, "paper", &format!("S{n}")));
    }
    let mut snapshot = ScrapeSnapshot::default();
    let before = scrape(&mut snapshot, &fold);
    let fills = |symbol: &str| series("trading_fills_total", symbol);
    assert!(!before.contains_key(&fills("S99")), "the one first seen last is folded");
    assert!(before.contains_key(&fills("S0")));
    fold.lines(&drift("paper", "S99", 1_001, 1));
    assert_eq!(fold.monitor.permit("paper").state, TradingState::Halted);
    let halted = scrape(&mut snapshot, &fold);
    let severity = series("trading_position_drift_severity", "S99");
    assert_eq!(halted.get(&severity), Some(&3.0));
    assert!(!halted.contains_key(&fills("S99")));
    assert!(halted[&fills("__other__")] >= before[&fills("__other__")]);
    // The drift has cleared, and the cause of the halt still names it.
    fold.lines(&drift("paper", "S99", 1, 1));
    assert_eq!(scrape(&mut snapshot, &fold).get(&severity), Some(&0.0));
}

#[test]
fn nothing_is_folded_below_the_budget_and_the_largest_account_pays() {
    let mut fold = Fold::new(settings(8_000));
    for n in 0..200 {
        fold.lines(&filled(n, "large", &format!("S{n}")));
        if n < 20 {
            fold.lines(&filled(n, "small", &format!("S{n}")));
        }
        if n == 50 {
            let samples = scrape(&mut ScrapeSnapshot::default(), &fold);
            assert!(!samples.keys().any(|series| series.contains("__other__")));
        }
    }
    let samples = scrape(&mut ScrapeSnapshot::default(), &fold);
    let others = samples.keys().filter(|series| series.contains("__other__"));
    assert!(others.clone().count() > 0);
    assert!(others.clone().all(|series| series.contains("large")));
}

#[test]
fn counters_of_the_sum_never_decrease_and_active_symbols_return() {
    let mut fold = Fold::new(settings(3_000));
    let mut snapshot = ScrapeSnapshot::default();
    let mut before: BTreeMap<String, f64> = BTreeMap::new();
    let mut check = |fold: &Fold, snapshot: &mut ScrapeSnapshot| {
        let samples = scrape(snapshot, fold);
        for (series, value) in &samples {
            let is_sum = series.contains("__other__") && series.contains("_total");
            let was = before.get(series).copied().unwrap_or_default();
            assert!(!is_sum || *value >= was, "{series} {was} -> {value}");
        }
        before.extend(samples.iter().map(|(series, value)| (series.clone(), *value)));
        samples
    };
    for (n, local) in (0..400).zip(1_000..) {
        fold.lines(&filled(n, "paper", &format!("S{}", n % 120)));
        if n % 20 == 0 {
            check(&fold, &mut snapshot);
        }
        if n % 50 == 0 {
            fold.lines(&drift("paper", &format!("S{}", n % 120), local, 1));
            check(&fold, &mut snapshot);
        }
    }
    let symbols = |samples: &BTreeMap<String, f64>| {
        samples.keys().filter(|series| series.starts_with("trading_fills_total{")).count()
    };
    let few = symbols(&check(&fold, &mut snapshot));
    assert!(few < 120);
    // With a larger budget all symbols return, and their share of the sum stays in it.
    fold.apply(Entry::Settings(Arc::new(settings(100_000))));
    let all = check(&fold, &mut snapshot);
    assert_eq!(symbols(&all), 120 + 1);
    for n in 400..440 {
        fold.lines(&filled(n, "paper", &format!("S{}", n % 120)));
    }
    check(&fold, &mut snapshot);
    fold.apply(Entry::Settings(Arc::new(settings(2_000))));
    assert!(symbols(&check(&fold, &mut snapshot)) < few);
}

#[test]
fn strategies_and_venues_fold_after_all_symbols() {
    let mut settings = settings(1_500);
    settings.breakdowns.strategy = true;
    settings.breakdowns.venue = true;
    let mut fold = Fold::new(settings);
    let mut lines = String::new();
    for n in 0..90 {
        writeln!(
            lines,
            r#"{{"type":"order_submitted","account":"paper","order_id":"{n}","symbol":"X","side":"buy","quantity":1,"strategy":"s{n}","venue":"v{n}"}}"#
        )
        .expect("written");
    }
    fold.lines(&lines);
    let samples = scrape(&mut ScrapeSnapshot::default(), &fold);
    assert!(of_state(&samples) <= 1_500, "{}", of_state(&samples));
    let submitted = |by: &str| {
        let name = format!("trading_orders_submitted_by_{by}_total{{");
        samples.iter().filter(move |(s, _)| s.starts_with(&name)).map(|(_, v)| *v).sum::<f64>()
    };
    assert_eq!((submitted("strategy"), submitted("venue")), (90.0, 90.0));
    let folded = |label: &str| {
        samples[&format!(r#"trading_exporter_series_folded_total{{label="{label}"}}"#)]
    };
    assert!(folded("strategy") > 0.0);
    assert_eq!(folded("symbol"), 1.0);
}

#[test]
fn components_fold_last_and_unhealthy_ones_are_shown() {
    let heartbeats = |status: &str| {
        let line = |n: usize| {
            let account = format!("A{}", n / 90);
            let status = if n == 7 { status } else { "healthy" };
            format!(
                r#"{{"type":"heartbeat","account":"{account}","component":"c{n}","status":"{status}"}}"#
            ) + "\n"
        };
        (0..900).map(line).collect::<String>()
    };
    let mut fold = Fold::new(settings(3_500));
    fold.lines(&heartbeats("healthy"));
    let mut snapshot = ScrapeSnapshot::default();
    let samples = scrape(&mut snapshot, &fold);
    assert!(of_state(&samples) <= 3_500, "{}", of_state(&samples));
    let health = |component: &str| {
        format!(r#"trading_component_health{{account="A0",component="{component}"}}"#)
    };
    assert_eq!((samples.get(&health("__other__")), samples.get(&health("c7"))), (Some(&0.0), None));
    assert!(samples[r#"trading_exporter_series_folded_total{label="component"}"#] >= 90.0);
    fold.lines(&heartbeats("unhealthy"));
    let samples = scrape(&mut snapshot, &fold);
    assert_eq!(samples.get(&health("__other__")), Some(&0.0));
    assert_eq!(samples.get(&health("c7")), Some(&3.0));
}

#[test]
fn the_counted_series_are_those_written() {
    for max in [100_000, 2_000] {
        let mut fold = Fold::new(settings(max));
        for n in 0..100 {
            fold.lines(&filled(n, "paper", &format!("S{n}")));
        }
        fold.lines(&drift("paper", "S99", 1_001, 1));
        let mut snapshot = ScrapeSnapshot::default();
        let samples = scrape(&mut snapshot, &fold);
        let projection = snapshot.projection();
        let own = projection.accounts.iter().map(|account| {
            catalogue::all().map(|family| count_account(family, account)).sum::<u64>()
        });
        let common = catalogue::all().map(|family| count_control(family, &projection.common));
        let counted = own.sum::<u64>() + common.sum::<u64>();
        assert_eq!(counted, of_state(&samples) as u64, "{max}");
        assert_eq!(samples["trading_exporter_series"], counted as f64, "{max}");
    }
}
