//! Position sources: the real binary asks scripted servers.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use trading_exporter::clock::monotonic;

use crate::exporter::{Exporter, SOON, run};
use crate::list_server::{ListServer, Reply};

const LIST: &str =
    r#"[{"sym": "AAPL", "qty": 40, "avg": "187.2"}, {"sym": "TSLA", "qty": "-3.5"}]"#;
const SECRET: &str = "canary-of-the-key";
const JQ: &str = "'[.[] | {symbol: .sym, quantity: .qty, average_price: .avg}]'";

/// An exporter with position sources, and its directory.
struct Site {
    directory: tempfile::TempDir,
    exporter: Exporter,
}

impl Site {
    fn start(sources: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("key"), format!("{SECRET}\n")).unwrap();
        let path = directory.path().join("data");
        let text = format!("storage:\n  path: {}\n{sources}", path.display());
        fs::write(directory.path().join("exporter.yml"), text).unwrap();
        let exporter = Self::begin(directory.path());
        Self { directory, exporter }
    }

    fn begin(directory: &Path) -> Exporter {
        let config = format!("--config.file={}", directory.join("exporter.yml").display());
        Exporter::start(&[&config, "--storage.mode=journal"])
    }

    /// Waits until a GET answers what `holds` wants.
    fn wait_for(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = monotonic() + SOON;
        loop {
            let answer = self.exporter.get(path);
            let found = (answer.status == 200).then(|| answer.json());
            if let Some(found) = found.filter(&holds) {
                return found;
            }
            assert!(monotonic() < deadline, "{path}: {}\n{}", answer.body, self.exporter.log());
        }
    }

    /// The health of the broker of the account, with its message.
    fn wait_for_broker(&self, status: &str, words: &str) -> Value {
        self.wait_for("/api/v1/health?account=paper", |health| {
            let components = health["components"].as_array().unwrap();
            components.iter().any(|component| {
                component["component"] == "broker"
                    && component["status"] == status
                    && component["message"].as_str().unwrap().contains(words)
            })
        })
    }

    fn broker_quantities(&self) -> Vec<(String, String)> {
        let rows = self.exporter.get("/api/v1/positions?account=paper").json();
        quantities(&rows, "broker_quantity")
    }
}

fn quantities(rows: &Value, book: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (text(&row["symbol"]), text(&row[book]))).collect()
}

fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(symbol, quantity)| ((*symbol).to_owned(), (*quantity).to_owned())).collect()
}

/// The source `broker-api` of the account `paper`.
fn source(server: &ListServer, jq: &str) -> String {
    format!(
        "position_sources:\n  - name: broker-api\n    account: paper\n    interval: 150ms\n    timeout: \
         150ms\n    answer_bytes_max: 64KiB\n    allow_private: true\n    http:\n      url: \
         http://{}/positions?key=canary-of-the-url\n      header_files: {{X-Key: key}}\n      jq: {jq}\n",
        server.address
    )
}

#[test]
fn a_list_becomes_the_book_and_a_failed_pull_changes_nothing() {
    let server = ListServer::start(Reply::ok(LIST));
    let site = Site::start(&source(&server, JQ).replace("150ms", "2s"));
    site.wait_for("/api/v1/positions?account=paper", |rows| rows.as_array().unwrap().len() == 2);
    let held = pairs(&[("AAPL", "40"), ("TSLA", "-3.5")]);
    assert_eq!(site.broker_quantities(), held);
    let request = server.wait_for(1).remove(0);
    assert_eq!(request.headers["x-key"], SECRET);
    site.wait_for_broker("healthy", "");
}

#[test]
fn failed_pulls_are_failed_checks_of_the_broker() {
    let server = ListServer::start(Reply::ok(LIST));
    let site = Site::start(&source(&server, JQ).replace("150ms", "700ms"));
    site.wait_for("/api/v1/positions?account=paper", |rows| rows.as_array().unwrap().len() == 2);
    let held = pairs(&[("AAPL", "40"), ("TSLA", "-3.5")]);
    let huge = format!("[{}]", vec![r#"{"sym": "A", "qty": 1}"#; 4_000].join(","));
    for (reply, words) in [
        (Reply::status(500, "oops"), "answered 500, which begins \"oops\""),
        (Reply::ok("<html>sign in</html>"), "the answer begins \"<html>"),
        (Reply::ok(&LIST[..30]), "not JSON"),
        (Reply::Broken(LIST.to_owned()), "the answer broke off"),
        (Reply::Silent, "no answer within 0.7 s"),
        (Reply::status(401, &format!("no {SECRET}")), "answered 401, which begins \"no <secret>\""),
        (Reply::status(302, ""), "answered 302"),
        (Reply::ok(&huge), "larger than 65536 bytes"),
        (Reply::ok(r#"{"code": 1}"#), "the expression fails"),
        (Reply::ok(r#"[{"sym": "AAPL"}]"#), "null is no number"),
        (Reply::ok(r#"[{"sym": "AAPL", "qty": "1e99"}]"#), "quantity"),
    ] {
        server.say(reply.clone());
        site.wait_for("/api/v1/health?account=paper", |health| {
            health["components"][0]["message"].as_str().unwrap().contains(words)
        });
        assert_eq!(site.broker_quantities(), held, "{reply:?}");
        server.say(Reply::ok(LIST));
        site.wait_for("/api/v1/health?account=paper", |h| h["components"][0]["message"] == "");
    }
    server.say(Reply::status(401, "no"));
    site.wait_for_broker("unhealthy", "answered 401");
    assert_eq!(site.broker_quantities(), held);
    server.say(Reply::ok(LIST));
    site.wait_for_broker("healthy", "");
    // An empty list is a list: the account is flat.
    server.say(Reply::ok("[]"));
    site.wait_for("/api/v1/positions?account=paper", |rows| {
        quantities(rows, "broker_quantity").iter().all(|(_, quantity)| quantity == "0")
    });
    let metrics = site.exporter.get("/metrics").body;
    assert!(metrics.contains(
        "trading_exporter_position_pulls_total{position_source=\"broker-api\",outcome=\"failed\"}"
    ));
    let everything = [
        metrics,
        site.exporter.log(),
        site.exporter.get("/api/v1/health").body,
        site.exporter.get("/").body,
    ];
    assert!(!everything.concat().contains("canary"), "{everything:?}");
}

#[test]
fn an_expression_without_an_end_hangs_nothing() {
    for (jq, words) in [
        ("'def f: f; f'", "the expression has not ended within"),
        ("'def f: 1 + f; f'", "calls itself without an end"),
        ("'[range(1e18)]'", "the expression has not ended within"),
        ("'\"x\" * 10000000000'", "too much memory"),
        ("'def f: try f catch f; f'", "calls itself without an end"),
    ] {
        let server = ListServer::start(Reply::ok(LIST));
        let site = Site::start(&source(&server, jq).replace("150ms", "1s"));
        site.wait_for_broker("unhealthy", words);
        assert_eq!(site.exporter.get("/-/ready").status, 200);
        let pulls = server.wait_for(1).len();
        assert!(pulls < 60, "{pulls} pulls");
    }
}

#[test]
fn a_restart_continues_with_the_list() {
    let server = ListServer::start(Reply::ok(LIST));
    let mut site = Site::start(&source(&server, JQ).replace("150ms", "1s"));
    site.wait_for("/api/v1/positions?account=paper", |rows| rows.as_array().unwrap().len() == 2);
    site.exporter.signal("KILL");
    site.exporter.wait();
    let before = server.say(Reply::status(503, ""));
    site.exporter = Site::begin(site.directory.path());
    server.wait_for(before + 1);
    let held = pairs(&[("AAPL", "40"), ("TSLA", "-3.5")]);
    assert_eq!(site.broker_quantities(), held);
    server.say(Reply::ok(r#"[{"sym": "AAPL", "qty": 41}]"#));
    site.wait_for("/api/v1/positions?account=paper", |rows| {
        quantities(rows, "broker_quantity") == pairs(&[("AAPL", "41"), ("TSLA", "0")])
    });
}

#[test]
fn a_busy_server_is_asked_less_often() {
    let busy = Reply::Whole(429, String::from("retry-after: 2\r\n"), String::new());
    let server = ListServer::start(busy);
    let site = Site::start(&source(&server, JQ).replace("150ms", "500ms"));
    // The pause that the server asks for is the interval of the component, too.
    site.wait_for("/api/v1/health?account=paper", |health| {
        health["components"][0]["interval_seconds"].as_f64() == Some(2.0)
    });
    server.say(Reply::ok(LIST));
    site.wait_for_broker("healthy", "");
}

#[test]
fn a_reload_replaces_the_sources() {
    let server = ListServer::start(Reply::ok(LIST));
    let site = Site::start(&source(&server, JQ).replace("150ms", "1s"));
    site.wait_for("/api/v1/health?account=paper", |health| {
        health["components"].as_array().is_some_and(|all| all.len() == 1)
    });
    let file = site.directory.path().join("exporter.yml");
    let data = site.directory.path().join("data");
    fs::write(file, format!("storage:\n  path: {}\n", data.display())).unwrap();
    assert_eq!(site.exporter.post("/-/reload", "").status, 200);
    let metrics = site.exporter.get("/metrics").body;
    assert!(!metrics.contains("position_source=\"broker-api\""), "{metrics}");
    // A source that is gone is not silent.
    site.wait_for("/api/v1/health?account=paper", |health| {
        health["components"].as_array().is_some_and(Vec::is_empty)
    });
}

#[test]
fn try_source_shows_what_was_understood() {
    let server = ListServer::start(Reply::ok(LIST));
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("key"), SECRET).unwrap();
    let file = directory.path().join("exporter.yml");
    fs::write(&file, source(&server, JQ).replace("150ms", "10s")).unwrap();
    let config = format!("--config.file={}", file.display());
    let tried = |name: &str| run(&["try-source", name, &config], "");
    let (code, out, err) = tried("broker-api");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("broker of paper: 2 positions\n"), "{out}");
    assert!(out.contains("AAPL") && out.contains("-3.5") && out.contains("average 187.2"), "{out}");
    let check = |reply: Reply, words: &str| {
        server.say(reply);
        let (code, out, err) = tried("broker-api");
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(words) && !err.contains("canary"), "{err}");
    };
    check(Reply::status(403, SECRET), "answered 403, which begins \"<secret>\"");
    check(Reply::ok("sign in"), "not JSON");
    check(Reply::ok(r#"[{"sym": "A", "qty": "x"}]"#), "row 0: quantity: \"x\" is no number");
    let (code, _, err) = tried("nosuch");
    assert_eq!(code, 1);
    assert!(err.contains("known: broker-api"), "{err}");
}

#[test]
fn mistakes_are_found_by_check_config() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("key"), SECRET).unwrap();
    let file = directory.path().join("exporter.yml");
    let check = |fields: &str, words: &str| {
        let text = format!("position_sources:\n  - name: a\n    account: x\n{fields}");
        fs::write(&file, text).unwrap();
        let (code, _, err) = run(&["check-config", &file.display().to_string()], "");
        assert_eq!(code, 1, "{fields}");
        assert!(err.contains(words) && !err.contains(SECRET), "{fields}: {err}");
    };
    let http = |fields: &str| format!("    http:\n      url: https://broker.example/\n{fields}");
    check("", "must have exactly one of http, alpaca, freqtrade (line 2)");
    check(&http(""), "must have either jq or preset");
    check(
        &http("      jq: '.[] | nosuch'\n"),
        "unknown filter `nosuch` at line 1, column 7 of the expression (line 6)",
    );
    check(&http("      jq: '[.[] | {symbol'\n"), "must have");
    check(&http("      preset: nosuch\n"), "must be alpaca or binance-usdm or");
    check(&http("      preset: okx\n      header_files: {X-Key: none}\n"), "cannot read");
    check(&http("      preset: okx\n      headers: {Host: x}\n"), "is set by the exporter");
    check(&http("      preset: okx\n      body: x\n"), "needs method: POST");
    check(
        "    ca_file: key\n    http: {url: 'https://a.example', preset: okx}\n",
        "certificates in PEM",
    );
    check("    http: {url: 'http://a.example', preset: okx}\n", "must begin with https://");
    check("    http: {url: 'https://127.0.0.1', preset: okx}\n", "set allow_private: true");
    check("    role: both\n    http: {url: 'https://a.example', preset: okx}\n", "only freqtrade");
    check(
        "    timeout: 2m\n    http: {url: 'https://a.example', preset: okx}\n",
        "longer than the interval",
    );
    check("    alpaca: {key_id_file: key, secret_key_file: none}\n", "cannot read");
    let signed =
        |fields: &str| http(&format!("      preset: okx\n      signature: {{{fields}}}\n"));
    check(&signed("scheme: header, secret_file: key"), "timestamp_header: is missing");
    check(&signed("scheme: kraken, secret_file: key, key_file: key"), "must be base64");
    check(
        &signed(
            "scheme: header, secret_file: key, timestamp_header: A, signature_header: B, message: '{timestamp}{nosuch}'",
        ),
        "has {nosuch}; known here",
    );
    let twice = "    http: {url: 'https://a.example', preset: okx}\n  - name: a\n    account: x\n    http: {url: \
                 'https://a.example', preset: okx}\n";
    check(twice, "has the name of another source");
    check(twice, "a reports the broker side of this account");
}

#[test]
fn a_source_of_the_other_side_is_a_witness_of_its_own() {
    let server = ListServer::start(Reply::ok(LIST));
    let config = source(&server, JQ)
        .replace("150ms", "1s")
        .replace("account: paper", "account: paper\n    role: local");
    let site = Site::start(&config);
    site.wait_for("/api/v1/positions?account=paper", |rows| {
        quantities(rows, "local_quantity") == pairs(&[("AAPL", "40"), ("TSLA", "-3.5")])
    });
    server.say(Reply::status(500, ""));
    let health = site.wait_for("/api/v1/health?account=paper", |health| {
        health["components"][0]["status"] == "degraded"
            || health["components"][0]["status"] == "unhealthy"
    });
    // It is the API that fails, not the engine that trades.
    assert_eq!(health["components"][0]["component"], "broker-api");
    assert_eq!(health["components"].as_array().unwrap().len(), 1);
    assert_eq!(health["books"][0]["fetch_failures_total"], json!(0));
}
