//! The contract of the exposition, checked with a projection in which every family has samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use enum_map::{EnumMap, enum_map};

use crate::domain::drift::{
    Attribution, DriftAction, DriftState, DriftType, DriftView, LedgerBasis, PositionView,
};
use crate::domain::execution::LATENCY_BOUNDS;
use crate::domain::execution::RejectReason;
use crate::domain::execution::SLIPPAGE_BOUNDS;
use crate::domain::execution::counters::{Counters, Money, Total};
use crate::domain::execution::figures::{Figures, MeanFigure, Quantiles, SlippageFigures};
use crate::domain::execution::histogram::{Exemplar, Histogram};
use crate::domain::health::{ComponentView, Health};
use crate::domain::ids::{Account, Component, Currency, OrderId, Symbol};
use crate::domain::pattern::Pattern;
use crate::domain::settings::{
    AnomalyRules, DriftRules, Override, PerSeverity, Settings, Severity,
};
use crate::domain::state::{CauseKind, TradingState};
use crate::domain::time::Timestamp;
use crate::domain::units::Decimal;
use crate::metrics::catalogue;
use crate::metrics::descriptor::{Descriptor, MetricKind};
use crate::metrics::label_values::{DurabilityLabel, PullOutcome, StreamEnd};
use crate::metrics::rows::{
    AccountFold, AccountRow, BreakdownRow, ControlRow, ExporterRow, Projection, SymbolRow,
};
use crate::metrics::runtime::{Build, Runtime};
use crate::metrics::selection::SeriesWeight;
use crate::metrics::{Format, encode};

/// A name with every character that needs escaping.
const HOSTILE: &str = "a\"b\\c{d=\"e\",f} # {g=\"h\"} 1\\n";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000 + 250_000_000).expect("a time")
}

/// Defaults, with overrides of all symbols that change no threshold.
fn settings() -> Settings {
    fn everything<T>(rule: T) -> Override<T> {
        Override { account: Pattern::any(), symbol: Pattern::any(), rule }
    }
    let mut settings = Settings::default();
    let confirm = PerSeverity { minor: 9, moderate: 9, critical: 9 };
    let drift = DriftRules { confirm, ..DriftRules::default() };
    let anomaly = AnomalyRules { event_hold: Duration::ZERO, ..AnomalyRules::default() };
    settings.drift_rules.overrides.push(everything(drift));
    settings.anomaly.overrides.push(everything(anomaly));
    settings
}

fn counters() -> Counters {
    let notional = Total { sum: Decimal::new(187_432, 1), reversed: Decimal::ONE };
    let money = Money { notional, ..Money::default() };
    Counters {
        submitted: 3,
        money: BTreeMap::from([(Currency::usd(), money)]),
        ..Counters::default()
    }
}

fn figures() -> Figures {
    let slippage = SlippageFigures { samples: 2, mean_bps: Some(-1.5), weighted_bps: Some(0.25) };
    let mean = MeanFigure { samples: 2, seconds: Some(0.4) };
    Figures {
        samples: 3,
        filled: 2,
        fills: 4,
        untouched_user_cancels: 1,
        fill_ratio: Some(2.0 / 3.0),
        fill_ratio_ex_user_cancels: Some(1.0),
        touch_ratio: Some(1.0),
        quantity_fill_ratio: Some(0.5),
        quantity_samples: 3,
        rejection_ratio: Some(0.0),
        slippage: [slippage; 3],
        fill_time: mean,
        ack_time: mean,
        ..Figures::default()
    }
}

fn histogram(bounds: &'static [f64], values: &[f64]) -> Histogram {
    let order = OrderId::new("O-1").expect("an id");
    let mut histogram = Histogram::new(bounds);
    for value in values {
        histogram.observe(*value, Some(&order), at(1_763_821_800));
    }
    histogram
}

fn symbol(name: &str) -> SymbolRow {
    let symbol = Symbol::new(name).expect("a symbol");
    let drift = DriftView {
        id: 1,
        symbol: symbol.clone(),
        drift_type: DriftType::QuantityMismatch,
        severity: Some(Severity::Critical),
        decided_by: None,
        worst: Some(Severity::Critical),
        state: DriftState::Open,
        quantity_drift: Decimal::from(12),
        value_drift: Some(Decimal::from(2250)),
        local_quantity: Decimal::from(100),
        broker_quantity: Decimal::from(88),
        ledger_quantity: Decimal::from(100),
        ledger_basis: LedgerBasis::Anchored,
        local_price: None,
        broker_price: None,
        price: None,
        price_unknown: false,
        currency_unknown: false,
        ledger_stands_in: false,
        attribution: Attribution::Unexplained,
        hint: None,
        action: DriftAction::Halt,
        confirmations: 1,
        first_seen_at: at(1_763_821_800),
        opened_at: None,
        cleared_at: None,
        directive_id: None,
        attempts: 0,
        acknowledged: false,
        resolution: None,
    };
    let position = PositionView {
        symbol: symbol.clone(),
        local: Some(Decimal::from(100)),
        broker: Some(Decimal::from(88)),
        ledger: Decimal::from(100),
        ledger_basis: LedgerBasis::Anchored,
        local_price: None,
        broker_price: None,
        local_at: None,
        broker_at: None,
        pending: Decimal::ZERO,
        offset: Decimal::ZERO,
    };
    SymbolRow {
        symbol,
        counters: counters(),
        figures: figures(),
        open: 1,
        unacknowledged: 0,
        anomalies: EnumMap::default(),
        position: Some(position),
        drift: Some(drift),
        weight: SeriesWeight::default(),
    }
}

fn control(account: Account) -> ControlRow {
    let component = ComponentView {
        component: Component::new("broker").expect("a component"),
        health: Health::Healthy,
        critical: true,
        message: String::new(),
        last_check_at: Some(at(1_763_821_800)),
        latency: Some(Duration::from_millis(20)),
        interval: Duration::from_secs(30),
        consecutive_failures: 0,
        failures_total: 0,
        since: at(1_763_821_800),
        silent: false,
        witnesses: Vec::new(),
    };
    ControlRow {
        account,
        state: TradingState::Halted,
        changed_at: Some(at(1_763_821_800)),
        halts: enum_map! { CauseKind::Drift => 1, _ => 0 },
        releases: 0,
        components: vec![component],
        system: Some(Health::Healthy),
        settings: Arc::new(settings()),
    }
}

fn account(name: &str) -> AccountRow {
    let breakdown = BreakdownRow {
        name: HOSTILE.to_owned(),
        counters: counters(),
        figures: figures(),
        weight: SeriesWeight::default(),
    };
    let exemplar = Exemplar {
        order_id: OrderId::new("O-2").expect("an id"),
        value: 1.0,
        at: at(1_763_821_800),
    };
    AccountRow {
        control: control(Account::new(name).expect("an account")),
        symbols: vec![symbol("AAPL"), symbol(HOSTILE)],
        strategies: vec![breakdown.clone()],
        venues: vec![breakdown],
        counters: counters(),
        figures: figures(),
        quantiles: [Some(Quantiles { p50: 0.0, p95: 1.0, p99: 2.5, worst: 3.0 }), None, None],
        dropped: (0, 1),
        oldest_open_at: Some(at(1_763_821_800)),
        rejections: (0..).zip(RejectReason::ALL).map(|(count, reason)| (reason, count)).collect(),
        latest_rejections: EnumMap::from_fn(|_| Some(exemplar.clone())),
        ack: histogram(&LATENCY_BOUNDS, &[]),
        fill: histogram(&LATENCY_BOUNDS, &[0.4, 0.4, 90.0]),
        slippage: [(); 3].map(|()| histogram(&SLIPPAGE_BOUNDS, &[-1.5, 1.5, 99.0])),
        anomalies: EnumMap::from_fn(|_| 1),
        drifts_open: EnumMap::default(),
        drifts_total: EnumMap::from_fn(|_| EnumMap::from_fn(|_| 1)),
        reconciliations: EnumMap::default(),
        snapshots: [Some(at(1_763_821_806)), Some(at(1_763_821_807))],
        lags: [Some(0), Some(600_000_000)],
        flows_dropped: 0,
        not_monitored: 0,
        fetch_failures: [0, 1],
        missing: EnumMap::default(),
        fold: AccountFold::default(),
        last_event_at: Some(at(1_763_821_807)),
    }
}

/// A projection in which every family of the state has samples.
fn projection() -> Projection {
    Projection {
        common: control(Account::all()),
        accounts: vec![account("paper"), account(HOSTILE)],
        exporter: ExporterRow {
            sequence: 6,
            series_limit: 100_000,
            folded: enum_map::EnumMap::default(),
            out_of_order: 1,
            clock_behind: std::time::Duration::from_millis(600_250),
            decisions_missed: 0,
        },
    }
}

fn runtime() -> Runtime {
    let build = Build { version: "0.1.0", revision: "unknown", rustversion: "unknown" };
    let runtime = Runtime::new(&build).expect("a registry");
    runtime.declare_codes(&["conflict"]);
    runtime.declare_adapters(&["alpaca"]);
    runtime.feeds.declare("lean");
    runtime.feeds.received("lean", at(1_795_357_800));
    runtime.feeds.set_lag("lean", 0);
    runtime.webhooks.declare("engine");
    runtime.position_sources.declare("alpaca");
    let outcome = PullOutcome::Recorded;
    runtime.position_sources.pulled("alpaca", outcome, at(1_795_357_800), 0.25);
    runtime.webhooks.delivered("engine", at(1_795_357_800));
    runtime.watchdog_arrived(at(1_795_357_800).into());
    runtime.snapshots.set_newest(at(1_795_357_800), 7, 512);
    runtime.snapshots.set_duration(Duration::from_millis(3), Duration::from_millis(40));
    runtime.journal.durability.of(DurabilityLabel::Memory).set(1);
    runtime
}

/// One sample line: name, labels in order, value, and whether an exemplar follows.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: String,
    exemplar: Option<String>,
}

impl Sample {
    /// Parses a line, with its escapes.
    fn parse(line: &str) -> Self {
        let name_end = line.find(['{', ' ']).expect("a name");
        let (name, mut rest) = line.split_at(name_end);
        let mut labels = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            while !rest.starts_with('}') {
                let (key, tail) = rest.split_once("=\"").expect("a label");
                let end = closing_quote(tail);
                let value = tail[..end].replace("\\\\", "\0").replace("\\\"", "\"");
                let value = value.replace("\\n", "\n").replace('\0', "\\");
                labels.push((key.to_owned(), value));
                rest = &tail[end + 1..];
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            rest = &rest[1..];
        }
        let rest = rest.strip_prefix(' ').expect("a space before the value");
        let (value, exemplar) = match rest.split_once(" # ") {
            None => (rest, None),
            Some((value, exemplar)) => (value, Some(exemplar.to_owned())),
        };
        Self { name: name.to_owned(), labels, value: value.to_owned(), exemplar }
    }

    /// The value of a label.
    fn value_of(&self, label: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| name == label).map(|(_, value)| value.as_str())
    }
}

/// The index of the first quote that is not escaped.
fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    text.bytes()
        .position(|b| {
            let closes = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            closes
        })
        .expect("a closing quote")
}

/// The exposition by family: the descriptor of its header, and its samples.
fn groups(text: &str) -> Vec<(&'static Descriptor, Vec<Sample>)> {
    let mut groups: Vec<(&Descriptor, Vec<Sample>)> = Vec::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(header) = line.strip_prefix("# HELP ") {
            let (name, help) = header.split_once(' ').expect("a help text");
            let family = catalogue::all()
                .map(|family| &family.descriptor)
                .find(|family| family.name == name || family.base_name() == name)
                .unwrap_or_else(|| panic!("{name} is not in the catalogue"));
            assert_eq!(help, family.help);
            groups.push((family, Vec::new()));
        } else if !line.starts_with('#') {
            let (_, samples) = groups.last_mut().expect("a header before the first sample");
            samples.push(Sample::parse(line));
        }
    }
    groups
}

fn samples(text: &str) -> Vec<Sample> {
    groups(text).into_iter().flat_map(|(_, samples)| samples).collect()
}

#[test]
fn every_family_is_exposed_once_and_in_order() {
    let runtime = runtime();
    let expect: Vec<&str> = catalogue::all().map(|family| family.descriptor.name).collect();
    for format in [Format::Text, Format::OpenMetrics] {
        let text = encode(&projection(), Some(&runtime), format);
        let got: Vec<&str> = groups(&text).iter().map(|(family, _)| family.name).collect();
        assert_eq!(got, expect);
    }
}

#[test]
fn samples_carry_the_labels_of_the_catalogue() {
    let text = encode(&projection(), Some(&runtime()), Format::Text);
    for (family, samples) in groups(&text) {
        let mut seen = BTreeSet::new();
        for sample in samples {
            let mut names: Vec<&str> = sample.labels.iter().map(|(name, _)| &**name).collect();
            if sample.name.ends_with("_bucket") {
                assert_eq!(names.pop(), Some("le"), "{sample:?}");
            }
            assert_eq!(names, family.labels, "{sample:?}");
            let suffix = sample.name.strip_prefix(family.name).expect("the family's name");
            let allowed: &[&str] = match family.kind {
                MetricKind::Counter | MetricKind::Gauge => &[""],
                MetricKind::Histogram => &["_bucket", "_sum", "_count"],
                MetricKind::Buckets => &["_bucket"],
            };
            assert!(allowed.contains(&suffix), "{sample:?}");
            assert!(
                seen.insert(format!("{}{:?}", sample.name, sample.labels)),
                "twice: {sample:?}"
            );
        }
    }
}

#[test]
fn hostile_names_read_back() {
    let text = encode(&projection(), None, Format::Text);
    let values: BTreeSet<String> =
        samples(&text).into_iter().flat_map(|s| s.labels).map(|(_, value)| value).collect();
    assert!(values.contains(HOSTILE), "{values:?}");
}

#[test]
fn both_formats_carry_the_same_samples() {
    let text = samples(&encode(&projection(), None, Format::Text));
    let mut open = samples(&encode(&projection(), None, Format::OpenMetrics));
    let exemplars = open.iter_mut().filter_map(|sample| sample.exemplar.take()).count();
    assert!(exemplars > 0, "no exemplar");
    assert_eq!(text, open);
}

#[test]
fn all_numbers_have_the_same_format() {
    for format in [Format::Text, Format::OpenMetrics] {
        for sample in samples(&encode(&projection(), Some(&runtime()), format)) {
            for number in [Some(&*sample.value), sample.value_of("le")].into_iter().flatten() {
                let float: f64 = number.parse().expect("a float");
                assert!(!float.is_nan(), "{sample:?}");
                assert!(number == "+Inf" || number.contains(['.', 'e']), "{number}: {sample:?}");
            }
        }
    }
}

#[test]
fn openmetrics_has_its_own_headers_and_end() {
    let projection = projection();
    let text = encode(&projection, Some(&runtime()), Format::Text);
    let open = encode(&projection, Some(&runtime()), Format::OpenMetrics);
    let has = |text: &str, line: &str| text.lines().any(|l| l == line);
    assert!(has(&text, "# TYPE trading_orders_submitted_total counter"));
    assert!(has(&open, "# TYPE trading_orders_submitted counter"));
    assert!(has(&open, "# UNIT trading_order_fill_duration_seconds seconds"));
    assert!(has(&open, "# TYPE trading_fill_slippage_bps histogram"));
    assert!(open.ends_with("\n# EOF\n") && open.matches("# EOF").count() == 1);
    assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
    assert!(samples(&text).iter().all(|sample| sample.exemplar.is_none()));
    assert!(!open.contains("_created"));
}

#[test]
fn exemplars_name_the_order() {
    let check = |line: &str| {
        let open = encode(&projection(), None, Format::OpenMetrics);
        assert!(open.lines().any(|l| l == line), "{line}\n{open}");
    };
    check(
        "trading_order_fill_duration_seconds_bucket{account=\"paper\",le=\"0.5\"} 2.0 \
         # {order_id=\"O-1\"} 0.4 1763821800.25",
    );
    check(
        "trading_rejections_by_reason_total{account=\"paper\",reason=\"rate_limit\"} 5.0 \
         # {order_id=\"O-2\"} 1.0 1763821800.25",
    );
}

#[test]
fn exemplars_that_a_parser_would_refuse_are_omitted() {
    let check = |order_id: &str, expect: bool| {
        let mut projection = projection();
        let order_id = OrderId::new(order_id).expect("an id");
        for row in &mut projection.accounts {
            row.fill = Histogram::new(&LATENCY_BOUNDS);
            row.fill.observe(0.4, Some(&order_id), at(1_763_821_800));
            row.latest_rejections = EnumMap::default();
            row.slippage = [(); 3].map(|()| Histogram::new(&SLIPPAGE_BOUNDS));
        }
        let open = encode(&projection, None, Format::OpenMetrics);
        assert_eq!(open.contains(" # {order_id="), expect, "{order_id}");
    };
    check("O-1", true);
    check("back\\slash", true);
    check("quote\"", false);
    check(&"x".repeat(120), true);
    check(&"x".repeat(121), false);
    check(&"日".repeat(42), true);
}

#[test]
fn absent_figures_are_absent() {
    let mut projection = projection();
    for row in &mut projection.accounts {
        row.figures = Figures { fill_ratio: Some(f64::NAN), ..Figures::default() };
        for symbol in &mut row.symbols {
            symbol.figures = Figures::default();
            symbol.drift = None;
            symbol.position = None;
        }
    }
    let text = encode(&projection, None, Format::Text);
    for name in ["trading_fill_ratio", "trading_slippage_bps", "trading_account_fill_ratio"] {
        assert!(!text.contains(&format!("# TYPE {name} ")), "{name}: a header without samples");
        assert!(!text.contains(&format!("\n{name}{{")), "{name}");
    }
    assert!(!text.contains("trading_position_drift_severity"), "never compared is not agreement");
    // Sample counts are 0, not absent.
    let zero = "trading_window_samples{account=\"paper\",symbol=\"AAPL\",\
                figure=\"slippage_bps\",reference=\"limit\"} 0.0";
    assert!(text.lines().any(|l| l == zero), "{text}");
}

#[test]
fn a_confined_scraper_sees_nothing_of_the_exporter() {
    let confined = encode(&projection(), None, Format::Text);
    assert!(!confined.contains("trading_exporter_") && !confined.contains("process_"));
}

#[test]
fn the_exporter_counts_the_series_of_the_state() {
    let counted = |text: &str| {
        let own =
            |s: &Sample| s.name.starts_with("trading_exporter_") || s.name.starts_with("process_");
        samples(text).into_iter().filter(|s| !own(s)).count()
    };
    let text = encode(&projection(), Some(&runtime()), Format::Text);
    let line = format!("trading_exporter_series {}.0", counted(&text));
    assert!(text.lines().any(|l| l == line), "{line}\n{text}");
}

#[test]
fn an_account_and_a_symbol_cost_no_more_than_documented() {
    let text = encode(&projection(), None, Format::Text);
    let check = |label: Option<(&str, &str)>, at_most: usize| {
        let of_row = samples(&text).into_iter().filter(|sample| {
            let account = sample.value_of("account") == Some("paper");
            let rows = ["symbol", "strategy", "venue"].map(|name| sample.value_of(name));
            let own = rows.iter().all(|value| value.is_none_or(str::is_empty));
            account && label.map_or(own, |(name, value)| sample.value_of(name) == Some(value))
        });
        let series = of_row.count();
        assert!((50..=at_most).contains(&series), "{label:?}: {series}");
    };
    check(None, 512);
    check(Some(("symbol", "AAPL")), 72);
}

#[test]
fn the_runtime_has_no_family_of_its_own() {
    let runtime = runtime();
    let gathered = runtime.gather();
    for name in gathered.names() {
        assert!(
            catalogue::all().any(|family| family.descriptor.name == name),
            "{name} is not in the catalogue"
        );
    }
}

#[test]
fn the_runtime_counts() {
    let runtime = runtime();
    let ingest = &runtime.ingest;
    ingest.events_received.with_label_values(&["quote"]).inc_by(2);
    ingest.events_rejected.with_label_values(&["invalid_quantity"]).inc();
    ingest.events_duplicate.with_label_values(&["order_filled"]).inc();
    ingest.observe_delay(at(1_763_821_800), at(1_763_821_802));
    ingest.observe_delay(at(1_763_821_802), at(1_763_821_800));
    ingest.ingest_duration.observe(0.003);
    runtime.listeners.streams_ended.of(StreamEnd::Slow).inc();
    runtime.service.queue_limit.set(1024_usize);
    runtime.service.scrape_duration.set(0.005);
    runtime.service.config_loaded(at(1_763_821_800));
    let text = encode(&projection(), Some(&runtime), Format::Text);
    let check = |line: &str| assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    check("trading_exporter_events_received_total{type=\"quote\"} 2.0");
    check("trading_exporter_events_received_total{type=\"heartbeat\"} 0.0");
    check("trading_exporter_events_rejected_total{code=\"conflict\"} 0.0");
    check("trading_exporter_events_rejected_total{code=\"invalid_quantity\"} 1.0");
    check("trading_exporter_events_duplicate_total{type=\"order_filled\"} 1.0");
    check("trading_exporter_events_conflict_total{type=\"order_submitted\"} 0.0");
    check("trading_exporter_event_delay_seconds_bucket{le=\"0.001\"} 1.0");
    check("trading_exporter_event_delay_seconds_bucket{le=\"+Inf\"} 2.0");
    check("trading_exporter_event_delay_seconds_sum 2.0");
    check("trading_exporter_ingest_duration_seconds_bucket{le=\"0.005\"} 1.0");
    check("trading_exporter_ingest_duration_seconds_count 1.0");
    check("trading_exporter_streams_ended_total{reason=\"slow\"} 1.0");
    check("trading_exporter_streams_ended_total{reason=\"token\"} 0.0");
    check("trading_exporter_queue_depth 0.0");
    check("trading_exporter_queue_limit 1024.0");
    check("trading_exporter_scrape_duration_seconds 0.005");
    check("trading_exporter_config_last_reload_successful 1.0");
    check("trading_exporter_config_last_reload_success_timestamp_seconds 1763821800.25");
    check(
        "trading_exporter_build_info{version=\"0.1.0\",revision=\"unknown\",rustversion=\"unknown\"} \
         1.0",
    );
}
