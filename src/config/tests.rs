//! Tables of accepted and refused configurations.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::settings::{
    Figure, FillRatioBasis, Levels, OnExpiry, PerSeverity, Rate, Reference, Settings, Severity,
};
use crate::domain::units::{Decimal, parse_decimal};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, &Environment::default())
}

/// The settings of a valid text.
fn settings(text: &str) -> Arc<Settings> {
    parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).settings
}

/// The paths of the mistakes of an invalid text.
fn paths(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.mistakes().iter().map(|m| m.path.clone()).collect(),
    }
}

fn decimal(text: &str) -> Decimal {
    parse_decimal(text).expect("a number")
}

const HASH_A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HASH_B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
fn an_empty_text_gives_every_default() {
    for text in
        ["", "# a comment\n", "web:\nwindow:\ntokens:\nprobes: []\n", "window: {orders: null}"]
    {
        assert_eq!(parse(text).expect(text), Config::default(), "{text:?}");
    }
}

#[test]
fn values_are_read() {
    let text = "
web: {listen_address: '127.0.0.1:0', external_url: https://x.example/t, body_bytes_max: 1MiB}
storage: {mode: memory, path: /var/lib/t, sync: interval, sync_interval: 50ms, segment_bytes: 1MiB, retention_bytes: off, retention_age: 30d, snapshot_records: 5000, snapshot_interval: 10m}
window: {orders: 50, age_max: 1h30m}
ingest: {event_age_max: 7d}
series: {max: 5000}
permit: {valid_for: 3s, on_expiry: halt}
breakdowns: {strategy: true}
health: {critical: [engine], halt_on_unhealthy: [broker]}
";
    let config = parse(text).expect("right");
    assert_eq!(config.web.listen_addresses, [SocketAddr::from(([127, 0, 0, 1], 0))]);
    assert_eq!(config.web.external_url.as_deref(), Some("https://x.example/t"));
    assert_eq!(config.web.body_bytes_max, 1 << 20);
    let storage = StorageConfig {
        mode: StorageMode::Memory,
        path: PathBuf::from("/var/lib/t"),
        sync: StorageSync::Interval,
        sync_interval: Duration::from_millis(50),
        segment_bytes: 1 << 20,
        retention_bytes: None,
        retention_age: Some(Duration::from_hours(720)),
        snapshot_records: 5_000,
        snapshot_interval: Duration::from_mins(10),
    };
    assert_eq!(config.storage, storage);
    let settings = config.settings;
    assert_eq!(settings.window.orders, 50);
    assert_eq!(settings.window.age_max, Some(Duration::from_mins(90)));
    assert_eq!(settings.ingest.event_age_max, Some(Duration::from_hours(168)));
    assert_eq!(settings.series.max, 5_000);
    assert_eq!(settings.permit.valid_for, Duration::from_secs(3));
    assert_eq!(settings.permit.on_expiry, OnExpiry::Halt);
    assert!(settings.breakdowns.strategy && !settings.breakdowns.venue);
    assert_eq!(settings.health.critical, ["engine"]);
    assert_eq!(settings.health.halt_on_unhealthy, ["broker"]);
}

#[test]
fn all_mistakes_are_reported_at_once_in_order() {
    let text = "\
window:
  orders: 0
  orderz: 5
  age_max: 5
drift:
  quantity: {minor: 5, moderate: 2, critical: abc}
  overrides:
    - account: a
      value: {critical: 1}
    - quantity: {minor: 1}
    - oops
anomaly:
  fill_ratio: {warning: 0.5, critical: 0.6, basis: most}
window: {}
web: [1]
";
    let error = parse(text).expect_err("wrong");
    let got: Vec<(&str, Option<u64>)> =
        error.mistakes().iter().map(|m| (m.path.as_str(), m.line)).collect();
    let expect = [
        ("window.orders", Some(2)),
        ("window.orderz", Some(3)),
        ("window.age_max", Some(4)),
        ("drift.quantity.critical", Some(6)),
        ("drift.quantity.moderate", Some(6)),
        ("drift.overrides[0].value.critical", Some(9)),
        ("drift.overrides[1]", Some(10)),
        ("drift.overrides[2]", Some(11)),
        ("anomaly.fill_ratio.basis", Some(13)),
        ("anomaly.fill_ratio.critical", Some(13)),
        ("window", Some(14)),
        ("web", Some(15)),
    ];
    assert_eq!(got, expect, "{error}");
    let shown = error.to_string();
    assert!(shown.starts_with("the configuration has 12 mistakes:\n"), "{shown}");
    assert!(shown.contains("\n  window.orders: must be a whole number from 1 to 100000 (line 2)"));
    assert!(shown.contains("window.orderz: unknown field; known here: orders, fills, age_max"));
    assert!(shown.contains("must be a duration from 1s to 10y, like 500ms, 5s or 1m30s, or off"));
}

#[test]
fn bounds_and_orders_are_checked() {
    let check = |text: &str, path: &str| assert_eq!(paths(text), [path], "{text}");
    check("web: {listen_address: localhost}", "web.listen_address");
    check("web: {listen_address: '0.0.0.0:80'}", "web.listen_address");
    check("web: {listen_address: ':80'}", "web.listen_address");
    check("web: {listen_address: ['127.0.0.1:80', '127.0.0.1:80']}", "web.listen_address");
    check("web: {listen_address: []}", "web.listen_address");
    check("web: {listen_address: 'example.org:80'}", "web.listen_address");
    check("web: {route_prefix: /a//b}", "web.route_prefix");
    check("web: {route_prefix: '/a?b'}", "web.route_prefix");
    check("web: {external_url: 'ftp://x'}", "web.external_url");
    check("web: {body_bytes_max: 8MB}", "web.body_bytes_max");
    check("web: {depth_max: 1000}", "web.depth_max");
    check("storage: {mode: disk}", "storage.mode");
    check("storage: {sync: never}", "storage.sync");
    check("storage: {segment_bytes: 2KiB}", "storage.segment_bytes");
    check("window: {orders: 100001}", "window.orders");
    check("window: {fills: -1}", "window.fills");
    check("window: {orders: [1]}", "window.orders");
    check("window: 5", "window");
    check("ingest: {horizon: 0}", "ingest.horizon");
    check("anomaly: {clear_fraction: 1.5}", "anomaly.clear_fraction");
    check("anomaly: {slippage_bps: {warning: 30}}", "anomaly.slippage_bps.critical");
    check("anomaly: {fill_ratio: {warning: 0.7}}", "anomaly.fill_ratio.critical");
    check("anomaly: {min_samples: 0}", "anomaly.min_samples");
    check(
        "anomaly: {overrides: [{symbol: A, min_samples: 0}]}",
        "anomaly.overrides[0].min_samples",
    );
    check("drift: {quantity: {minor: 0}}", "drift.quantity.minor");
    check("drift: {value: {minor: -1}}", "drift.value.minor");
    check("drift: {value: {minor: 1e-19}}", "drift.value.minor");
    check("drift: {confirm: {minor: 0}}", "drift.confirm.minor");
    check("drift: {relative: {minor: 1, moderate: 0.5, critical: 2}}", "drift.relative.moderate");
    check("drift: {relative: {minor: 1, moderate: 2}}", "drift.relative.critical");
    check("drift: {price_mismatch: {severity_max: bad}}", "drift.price_mismatch.severity_max");
    check("drift: {overrides: [{account: ''}]}", "drift.overrides[0].account");
    check("drift: {overrides: {}}", "drift.overrides");
    check("health: {critical: [a, a]}", "health.critical");
    check("health: {critical: [\"a\\nb\"]}", "health.critical");
    check("series: {max: 0}", "series.max");
    check("breakdowns: {strategy: yes}", "breakdowns.strategy");
    check("permit: {on_expiry: go}", "permit.on_expiry");
    check("accounts: [{currency: EUR}]", "accounts[0].account");
    check("instruments: [{currency: USD}]", "instruments[0].symbol");
    check("instruments: [{symbol: ES, multiplier: 0}]", "instruments[0].multiplier");
    check("instruments: [{symbol: ES, rate: 1}]", "instruments[0].rate");
    check("nonsense: 1", "nonsense");
    check("a: [", "");
    check("- 1", "");
}

#[test]
fn thresholds_are_exact_and_can_be_off() {
    let text = "
anomaly:
  consecutive_rejections: off
  fill_ratio: {warning: off, basis: all}
  slippage_bps: {reference: arrival, critical: null}
drift:
  quantity: {minor: 0.000000000000000001, moderate: '0.1', critical: 1e3}
  price_mismatch: {severity_max: moderate, tolerance_bps: 0}
";
    let settings = settings(text);
    let anomaly = &settings.anomaly.default;
    assert_eq!(anomaly.levels[Figure::ConsecutiveRejections].warning, None);
    assert_eq!(anomaly.levels[Figure::FillRatio], Levels { warning: None, critical: Some(0.75) });
    assert_eq!(anomaly.fill_ratio_basis, FillRatioBasis::All);
    assert_eq!(anomaly.levels[Figure::SlippageBps], Levels { warning: Some(10.0), critical: None });
    assert_eq!(anomaly.slippage_reference, Reference::Arrival);
    let drift = &settings.drift_rules.default;
    let (minor, moderate) = (decimal("0.000000000000000001"), decimal("0.1"));
    assert_eq!(drift.quantity, PerSeverity { minor, moderate, critical: decimal("1000") });
    assert_eq!(drift.price_mismatch_max, Severity::Moderate);
    assert_eq!(drift.price_tolerance_bps, Decimal::ZERO);
}

#[test]
fn overrides_patch_the_section() {
    let text = "
drift:
  quantity: {critical: 20}
  relative: {minor: 0.01, moderate: 0.02, critical: 0.05}
  overrides:
    - account: btc-*
      quantity: {minor: 0.001, moderate: 0.01, critical: 0.1}
      relative: off
    - account: btc-*
      symbol: ETH*
      value: {critical: 900}
      relative: {critical: 0.5}
";
    let settings = settings(text);
    let rules = &settings.drift_rules;
    assert_eq!(rules.get("paper", "AAPL").quantity.critical, decimal("20"));
    assert_eq!(rules.get("btc-1", "BTC").quantity.minor, decimal("0.001"));
    assert_eq!(rules.get("btc-1", "BTC").value.critical, decimal("500"));
    assert_eq!(rules.get("btc-1", "BTC").relative, None);
    let last = rules.get("btc-1", "ETHUSD");
    assert_eq!(last.quantity.critical, decimal("20"), "patches do not add up");
    assert_eq!(last.value.critical, decimal("900"));
    assert_eq!(
        last.relative.map(|r| (r.minor, r.critical)),
        Some((decimal("0.01"), decimal("0.5")))
    );
}

#[test]
fn rates_follow_from_currencies() {
    let text = "
accounts:
  - {account: 'eu-*', currency: EUR}
instruments:
  - {symbol: 'ES*', multiplier: 50}
  - {symbol: 'SAP', currency: EUR}
  - {symbol: 'NQ', currency: USD, account: 'eu-1', rate: '0.9'}
  - {symbol: 'BTC', currency: USDT, base: XBT}
";
    let settings = settings(text);
    let base = |symbol: &str| {
        settings.instruments.get("us-1", symbol).base.as_ref().map(ToString::to_string)
    };
    assert_eq!((base("BTC"), base("SAP")), (Some("XBT".to_owned()), None));
    let check = |account: &str, symbol: &str, currency: &str, multiplier: i64, rate: Rate| {
        let got = settings.instruments.get(account, symbol);
        assert_eq!(got.currency.as_str(), currency, "{account} {symbol}");
        assert_eq!(got.multiplier, Decimal::from(multiplier), "{account} {symbol}");
        assert_eq!(got.rate, rate, "{account} {symbol}");
    };
    check("us-1", "AAPL", "USD", 1, Rate::Same);
    check("eu-1", "AAPL", "EUR", 1, Rate::Same);
    check("us-1", "ESZ6", "USD", 50, Rate::Same);
    check("eu-1", "ESZ6", "EUR", 50, Rate::Same);
    check("us-1", "SAP", "EUR", 1, Rate::Unknown);
    check("eu-1", "SAP", "EUR", 1, Rate::Same);
    check("eu-1", "NQ", "USD", 1, Rate::Fixed(decimal("0.9")));
    check("eu-2", "NQ", "EUR", 1, Rate::Same);
    check("us-1", "BTC", "USDT", 1, Rate::Unknown);
    assert_eq!(
        paths(
            "{accounts: [{account: a, currency: EUR}], instruments: [{symbol: X, currency: GBP, rate: 2}]}"
        ),
        ["instruments[0].rate"],
        "one rate cannot lead to two currencies"
    );
    assert_eq!(
        paths(
            "{accounts: [{account: 'a*', currency: EUR}], instruments: [{symbol: X, account: '*b'}]}"
        ),
        ["instruments[0].account"],
        "the overlap is no pattern"
    );
}

#[test]
fn tokens_cannot_combine_conflicting_scopes() {
    let check = |scopes: &str, expect: &[&str]| {
        let text = format!("tokens: [{{name: a, sha256: {HASH_A}, scopes: [{scopes}]}}]");
        assert_eq!(paths(&text), expect, "{scopes}");
    };
    check("ingest", &[]);
    check("'ingest:broker', read, metrics, halt", &[]);
    check("read, metrics, halt, release", &[]);
    check("ingest, release", &["tokens[0].scopes"]);
    check("'ingest:broker', release", &["tokens[0].scopes"]);
    check("ingest, 'ingest:broker'", &["tokens[0].scopes"]);
    check("", &["tokens[0].scopes"]);
    check("read, read", &["tokens[0].scopes"]);
    check("admin", &["tokens[0].scopes"]);
    let two = |name: &str, hash: &str| {
        paths(&format!(
            "tokens:\n  - {{name: a, sha256: {HASH_A}, scopes: [read]}}\n  - {{name: {name}, sha256: {hash}, scopes: [read]}}"
        ))
    };
    assert!(two("b", HASH_B).is_empty());
    assert_eq!(two("a", HASH_B), ["tokens[1]"]);
    assert_eq!(two("b", &HASH_A.to_uppercase()), ["tokens[1]"]);
}

#[test]
fn a_token_in_place_of_its_hash_is_not_repeated() {
    let text = "tokens: [{name: a, sha256: my-s3cret, scopes: [read]}]\nprobes: [{component: a, http: {url: 'http://u:s3cret@h/'}}]";
    let error = parse(text).expect_err("no hash");
    assert_eq!(error.mistakes().len(), 2);
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(
        paths(&format!("tokens: [{{name: a, sha256: {empty}, scopes: [read]}}]")),
        ["tokens[0]"]
    );
}

#[test]
fn files_named_in_the_configuration_are_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).expect("written");
    };
    write("hash", &format!("{HASH_A}\n"));
    write("tokens.yml", &format!("- {{name: b, sha256: {HASH_B}, scopes: [metrics]}}\n"));
    write(
        "main.yml",
        "tokens: [{name: a, sha256_file: hash, scopes: [read], accounts: ['eu-*']}]\ntokens_file: tokens.yml\n",
    );
    let main = directory.path().join("main.yml");
    let tokens = Config::load(Some(&main), Overrides::default()).expect("right").tokens;
    let expect = [
        Token {
            name: "a".into(),
            sha256: [0xaa; 32],
            scopes: vec![Scope::Read],
            accounts: vec![Pattern::new("eu-*")],
        },
        Token {
            name: "b".into(),
            sha256: [0xbb; 32],
            scopes: vec![Scope::Metrics],
            accounts: vec![],
        },
    ];
    assert_eq!(tokens, expect);

    write("tokens.yml", &format!("- {{name: a, sha256: {HASH_A}, scopes: []}}\n- {{nam: c}}\n"));
    let error = Config::load(Some(&main), Overrides::default()).expect_err("wrong");
    let got: Vec<&str> = error.mistakes().iter().map(|m| m.path.as_str()).collect();
    let expect = [
        "tokens_file[0].scopes",
        "tokens_file[0]",
        "tokens_file[0]",
        "tokens_file[1].name",
        "tokens_file[1]",
        "tokens_file[1].scopes",
        "tokens_file[1].nam",
    ];
    assert_eq!(got, expect, "{error}");

    write(
        "main.yml",
        "tokens: [{name: a, sha256_file: gone, scopes: [read]}]\ntokens_file: gone.yml\n",
    );
    let error = Config::load(Some(&main), Overrides::default()).expect_err("wrong");
    let got: Vec<&str> = error.mistakes().iter().map(|m| m.path.as_str()).collect();
    assert_eq!(got, ["tokens[0].sha256_file", "tokens_file"], "{error}");

    let gone = Config::load(Some(&directory.path().join("gone")), Overrides::default());
    assert!(matches!(gone, Err(ConfigError::Read { .. })));
}

#[test]
fn the_command_line_takes_precedence_over_the_text() {
    let overrides = Overrides {
        listen_addresses: vec![SocketAddr::from(([127, 0, 0, 1], 1))],
        decision_listen: Some(SocketAddr::from(([127, 0, 0, 1], 2))),
        route_prefix: Some("/x".to_owned()),
        web_config_file: None,
        external_url: Some("https://x.example".to_owned()),
        storage_mode: Some(StorageMode::Memory),
        storage_path: Some(PathBuf::from("/d")),
        insecure: false,
    };
    let environment = Environment { directory: PathBuf::new(), overrides };
    let config = Config::parse("web: {listen_address: '0.0.0.0:80'}", &environment).expect("right");
    assert_eq!(config.web.listen_addresses, [SocketAddr::from(([127, 0, 0, 1], 1))]);
    assert_eq!(config.web.decision_listen.map(|address| address.port()), Some(2));
    assert_eq!(config.web.route_prefix, "/x");
    assert_eq!(config.web.external_url.as_deref(), Some("https://x.example"));
    assert_eq!((config.storage.mode, config.storage.path), (StorageMode::Memory, "/d".into()));
}

#[test]
fn addresses_to_listen_on_have_the_forms_of_exporters() {
    let check = |text: &str, expect: &str| {
        assert_eq!(parse_listen_address(text).map(|a| a.to_string()).as_deref(), Ok(expect));
        let config = format!("web: {{listen_address: ['{text}', '127.0.0.1:9']}}");
        let overrides = Overrides { insecure: true, ..Overrides::default() };
        let environment = Environment { directory: PathBuf::new(), overrides };
        let found = Config::parse(&config, &environment).expect("right").web.listen_addresses;
        assert_eq!(found.len(), 2, "{text}");
        assert_eq!(found[0].to_string(), expect);
    };
    check("127.0.0.1:80", "127.0.0.1:80");
    check("localhost:80", "127.0.0.1:80");
    check("[::1]:80", "[::1]:80");
    check(":80", "[::]:80");
    check("[::]:0", "[::]:0");
}

#[test]
fn a_public_address_needs_both_tls_and_tokens() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("web.yml");
    let hash = "$2y$04$7wSYOeHfEWrGxkDKfPNzLetm7mfmd1mOTU5Dq0SYV0HOI5ozBFSge";
    std::fs::write(&file, format!("basic_auth_users: {{a: {hash}}}")).expect("written");
    let overrides = Overrides { web_config_file: Some(file), ..Overrides::default() };
    let environment = Environment { directory: PathBuf::new(), overrides };
    let error = Config::parse("web: {listen_address: ':80'}", &environment).expect_err("open");
    assert!(error.to_string().contains("which needs TLS: "), "{error}");
    let error = Config::parse("web: {listen_address: ':80'}", &Environment::default());
    assert!(error.expect_err("open").to_string().contains("which needs tokens and TLS: "));
}

#[test]
fn addresses_other_than_loopback_need_protection() {
    let check = |address: &str, tokens: &str, insecure: bool, fits: bool| {
        let overrides = Overrides { insecure, ..Overrides::default() };
        let environment = Environment { directory: PathBuf::new(), overrides };
        let text = format!("web: {{listen_address: '{address}'}}\ntokens: {tokens}");
        assert_eq!(Config::parse(&text, &environment).is_ok(), fits, "{text}");
    };
    let token = format!("[{{name: a, sha256: {HASH_A}, scopes: [read]}}]");
    check("127.0.0.1:80", "[]", false, true);
    check("[::1]:80", "[]", false, true);
    check("0.0.0.0:80", "[]", false, false);
    check("[::]:80", "[]", false, false);
    check("10.0.0.1:80", &token, false, false);
    check("10.0.0.1:80", &token, true, true);
}

#[test]
fn probes_have_one_kind_each() {
    let text = "
health: {interval: 5s}
probes:
  - {component: broker, http: {url: 'https://b.example/?key=s3cret', statuses: [200, 401]}, timeout: 2s}
  - {component: gateway, tcp: {address: 'localhost:4002'}, interval: 1m}
  - {component: disk, disk: {path: /, free_bytes_min: 1GiB}}
  - component: memory
    memory:
  - {component: data_feed, feed: {account: eu-1, age_max: 10s}}
";
    let probes = parse(text).expect("right").probes;
    assert!(!format!("{probes:?}").contains("s3cret"));
    let got: Vec<(&str, u64, u64)> = probes
        .iter()
        .map(|p| (p.component.as_str(), p.interval.as_secs(), p.timeout.as_secs()))
        .collect();
    let expect = [
        ("broker", 5, 2),
        ("gateway", 60, 10),
        ("disk", 5, 5),
        ("memory", 5, 5),
        ("data_feed", 5, 5),
    ];
    assert_eq!(got, expect);
    assert_eq!(probes[3].kind, ProbeKind::Memory { available_ratio_min: 0.1 });

    let check = |probe: &str, path: &str| {
        assert_eq!(paths(&format!("probes: [{probe}]")), [path], "{probe}");
    };
    check("{component: a}", "probes[0]");
    check("{component: a, memory: {}, tcp: {address: 'a:1'}}", "probes[0]");
    check("{memory: {}}", "probes[0].component");
    check("{component: a, memory: {}, interval: 5s, timeout: 6s}", "probes[0].timeout");
    check("{component: a, http: {}}", "probes[0].http.url");
    check("{component: a, http: {url: 'file:///x'}}", "probes[0].http.url");
    check("{component: a, http: {url: 'http://x', statuses: [99]}}", "probes[0].http.statuses");
    check("{component: a, tcp: {address: a}}", "probes[0].tcp.address");
    check("{component: a, disk: {}}", "probes[0].disk.path");
    check(
        "{component: a, memory: {available_ratio_min: 2}}",
        "probes[0].memory.available_ratio_min",
    );
    check("{component: a, memory: {}}, {component: a, memory: {}}", "probes[1].component");
}

/// Text that is almost a configuration.
fn almost_valid() -> impl Strategy<Value = String> {
    let words = [
        "web",
        "drift",
        "tokens",
        "probes",
        "anomaly",
        "overrides",
        "quantity",
        "minor",
        "name",
        "component",
        "http",
        "url",
        "account",
        "symbol",
        "off",
        "null",
        "1e400",
        "0.1",
        "5s",
        "*",
        "&a",
        "*a",
        "<<",
        "!!int",
        "'",
        "\"",
        "é",
        ": ",
        ":\n",
        "\n  ",
        "\n- ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "#",
        "|\n",
        "---\n",
        "\t",
        "? ",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..40).prop_map(|w| w.concat())
}

proptest! {
    #[test]
    fn any_text_is_accepted_or_refused(text in prop_oneof![almost_valid(), any::<String>()]) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.mistakes().is_empty());
        }
    }
}
