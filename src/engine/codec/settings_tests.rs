//! Arbitrary settings are read back equal, from the JSON of a record and from a snapshot.

use std::time::Duration;

use enum_map::EnumMap;
use proptest::prelude::*;

use super::*;
use crate::domain::event::Source;
use crate::domain::ids::Currency;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{
    AccountSettings, Alias, Aliases, AnomalyRules, BreakdownSettings, ClockSettings, DriftRules,
    DriftSettings, EvidenceResponse, EvidenceSettings, FillRatioBasis, HealthSettings, IdScope,
    InFlightSettings, IngestSettings, Instrument, Levels, OnExpiry, OnNotMonitored, OrderSettings,
    Override, PerSeverity, PermitSettings, QuantityTest, Rate, ReconcileBudget, Reference, Scoped,
    SeriesSettings, Settings, SettleMode, Severity, SymbolSettings, Unit, WindowSettings,
};
use crate::domain::units::Decimal;

fn durations() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn decimals() -> impl Strategy<Value = Decimal> {
    (any::<i64>(), 0..=18_u32).prop_map(|(n, places)| Decimal::new(n, places))
}

fn floats() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("equal to itself", |f| f.is_finite())
}

fn levels() -> impl Strategy<Value = Levels> {
    (prop::option::of(floats()), prop::option::of(floats()))
        .prop_map(|(warning, critical)| Levels { warning, critical })
}

fn per_severity() -> impl Strategy<Value = PerSeverity<Decimal>> {
    (decimals(), decimals(), decimals()).prop_map(|(minor, moderate, critical)| PerSeverity {
        minor,
        moderate,
        critical,
    })
}

fn scoped<T: std::fmt::Debug + Clone>(
    rule: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Scoped<T>> {
    let one = (".{1,9}", ".{1,9}", rule.clone()).prop_map(|(account, symbol, rule)| Override {
        account: Pattern::new(&account),
        symbol: Pattern::new(&symbol),
        rule,
    });
    (rule, prop::collection::vec(one, 0..3))
        .prop_map(|(default, overrides)| Scoped { default, overrides })
}

fn anomaly() -> impl Strategy<Value = AnomalyRules> + Clone {
    let all = prop::array::uniform10(levels());
    let rest = (any::<usize>(), floats(), durations(), 0..3_usize);
    (all, rest)
        .prop_map(|(levels, (min_samples, clear_fraction, hold, pick))| AnomalyRules {
            min_samples,
            clear_fraction,
            levels: EnumMap::from_array(levels),
            fill_ratio_basis: [FillRatioBasis::All, FillRatioBasis::ExUserCancels][pick % 2],
            slippage_reference: Reference::ALL[pick],
            event_hold: hold,
        })
        .boxed()
}

fn drift_rules() -> impl Strategy<Value = DriftRules> + Clone {
    let tests = (per_severity(), per_severity(), prop::option::of(per_severity()));
    (tests, any::<[u32; 3]>(), decimals(), 0..3_usize)
        .prop_map(|((quantity, value, relative), [minor, moderate, critical], tolerance, pick)| {
            DriftRules {
                quantity,
                value,
                relative,
                confirm: PerSeverity { minor, moderate, critical },
                price_mismatch_max: Severity::ALL[pick],
                price_tolerance_bps: tolerance,
            }
        })
        .boxed()
}

fn instruments() -> impl Strategy<Value = Instrument> + Clone {
    let rate =
        prop_oneof![Just(Rate::Same), Just(Rate::Unknown), decimals().prop_map(Rate::Fixed),];
    let currency = || "[A-Z]{3,5}".prop_map(|code| Currency::new(&code).expect("a currency"));
    let unit = prop_oneof![Just(None), Just(Some(Unit::Coin)), Just(Some(Unit::Contract))];
    (currency(), decimals(), rate, prop::option::of(currency()), unit)
        .prop_map(|(currency, multiplier, rate, base, unit)| Instrument {
            currency,
            multiplier,
            rate,
            base,
            unit,
        })
        .boxed()
}

fn evidence(engine_silent_after: Option<Duration>, pick: usize) -> EvidenceSettings {
    EvidenceSettings {
        book_never_came: EvidenceResponse::ALL[pick],
        book_stale: EvidenceResponse::ALL[(pick + 1) % 3],
        engine_silent_after,
        engine_silent: EvidenceResponse::ALL[(pick + 2) % 3],
    }
}

fn drift(n: [u32; 2], d: &[Duration], b: [bool; 2], pick: usize) -> DriftSettings {
    DriftSettings {
        compare_every: d[7],
        stale_after: d[8],
        in_flight: InFlightSettings {
            grace: d[9],
            lag_max: d[10],
            ahead: d[16],
            settle: d[17],
            settle_mode: if b[0] { SettleMode::Heard } else { SettleMode::Always },
            pending_max: d[18],
        },
        apart_max: d[11],
        auto_reconcile: b[1],
        reconcile_timeout: d[12],
        reconcile_tries: n[0],
        reconcile_budget: ReconcileBudget { times: n[1], window: d[23] },
        quote_age_max: d[24],
        quantity_test: [QuantityTest::ByUnit, QuantityTest::Always][pick % 2],
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let scopes = (scoped(anomaly()), scoped(drift_rules()), scoped(instruments()));
    let names = prop::collection::vec(".{0,9}", 0..4);
    let raw = (
        any::<[usize; 7]>(),
        prop::collection::vec(durations(), 25),
        any::<[bool; 7]>(),
        any::<[u32; 5]>(),
        (names.clone(), names),
    );
    (scopes, raw, 0..3_usize).prop_map(
        |((anomaly, drift_rules, instruments), (n, d, b, t, (critical, halt)), pick)| Settings {
            window: WindowSettings { orders: n[0], fills: n[1], age_max: b[0].then_some(d[0]) },
            orders: OrderSettings {
                open_max: n[2],
                ended_max: n[3],
                unknown_max: n[4],
                unknown_age_max: d[1],
                unacknowledged_after: d[2],
                arrival_age_max: d[3],
                id_scope: Scoped { default: IdScope::ALL[usize::from(b[0])], overrides: vec![] },
            },
            ingest: IngestSettings {
                horizon: d[4],
                horizon_ids: n[5],
                event_age_max: b[1].then_some(d[5]),
                clock_skew_max: d[6],
            },
            anomaly,
            drift: drift([t[0], t[4]], &d, [b[0], b[2]], pick),
            drift_rules,
            health: HealthSettings {
                interval: d[13],
                failures: t[1],
                successes: t[2],
                silent_intervals: t[3],
                silent_min: d[14],
                critical,
                halt_on_unhealthy: halt,
                halt_on_silence: b[5],
            },
            missing_evidence: evidence(b[6].then_some(d[19]), pick),
            instruments,
            breakdowns: BreakdownSettings { strategy: b[3], venue: b[4] },
            series: SeriesSettings { max: n[6] },
            accounts: AccountSettings {
                named: n.iter().map(ToString::to_string).collect(),
                strict: b[4],
                per_token: n[5],
            },
            symbols: SymbolSettings { max: n[6], on_not_monitored: OnNotMonitored::ALL[n[6] % 3] },
            permit: PermitSettings {
                valid_for: d[15],
                on_expiry: [OnExpiry::ReduceOnly, OnExpiry::Halt, OnExpiry::Continue][pick],
            },
            clock: ClockSettings { behind_after: d[20], behind_max: d[21], ahead_after: d[22] },
            aliases: Aliases::new(vec![Alias {
                account: Pattern::any(),
                source: [None, Some(Source::Local), Some(Source::Broker)][pick],
                from: "*USDT".into(),
                to: "$1/USDT".into(),
            }]),
        },
    )
}

fn json(settings: &Settings) -> String {
    serde_json::to_string(settings).expect("JSON")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn settings_are_read_back_equal(settings in settings()) {
        let text = json(&settings);
        let back: Settings = serde_json::from_str(&text).expect("settings");
        prop_assert_eq!(&back, &settings);
        prop_assert_eq!(json(&back), text, "the same bytes again");
        let bytes = rmp_serde::to_vec_named(&settings).expect("MessagePack");
        let back: Settings = rmp_serde::from_slice(&bytes).expect("settings");
        prop_assert_eq!(&back, &settings);
    }
}

#[test]
fn the_defaults_keep_their_bytes() {
    // A format on disk: after a release a change here makes older journals unreadable.
    insta::assert_snapshot!(json(&Settings::default()));
}

#[test]
fn settings_with_other_fields_are_refused() {
    let read = |text: &str| decode_record(format!("\u{1}\0S{text}").as_bytes());
    let text = json(&Settings::default());
    assert!(read(&text).is_ok());
    assert!(read("").is_err());
    assert!(read(&text.replacen("\"orders\":1000", "\"orders\":1000,\"other\":1", 1)).is_err());
    assert!(read(&text.replacen("\"orders\":1000,", "", 1)).is_err());
}
