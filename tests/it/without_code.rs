//! The page about an engine without code: its configuration and commands, with the recorded messages of
//! Freqtrade and a server that answers like Binance.

use std::fs;
use std::path::Path;
use std::process::Command;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use trading_exporter::clock::monotonic;

use crate::exporter::{BINARY, Client, Exporter, SOON};
use crate::list_server::{ListServer, Reply};
use crate::procedures::{Section, sections};
use crate::receiver::Request;

const PAGE: &str = include_str!("../../docs/engines/without-code.md");
const RECORDING: &str = include_str!("../fixtures/adapters/freqtrade.ndjson");
const KEY: &str = "canary-of-the-key";
const SECRET: &str = "canary-of-the-secret";

/// Binance's answer with these coins, to a request with a right signature.
fn account(coins: &[(String, String)]) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let mut balances = vec![json!({"asset": "USDT", "free": "123.4", "locked": "0"})];
    for (symbol, quantity) in coins {
        let asset = symbol.strip_suffix("/USDT").unwrap();
        balances.push(json!({"asset": asset, "free": quantity, "locked": "0.00"}));
    }
    let body = json!({"makerCommission": 15, "canTrade": true, "balances": balances}).to_string();
    move |request| {
        let (signed, signature) = request.path.split_once("&signature=").unwrap();
        let (path, query) = signed.split_once('?').unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(query.as_bytes());
        let digest = mac.finalize().into_bytes();
        let right = digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert!(query.starts_with("omitZeroBalances=true&timestamp="), "{query}");
        let is_right = signature == right && path == "/api/v3/account";
        if is_right && request.headers["x-mbx-apikey"] == KEY {
            Reply::ok(&body)
        } else {
            Reply::status(400, r#"{"code": -1022, "msg": "Signature is not valid."}"#)
        }
    }
}

/// The commands of a section.
fn section(title: &str) -> Section {
    sections(PAGE).into_iter().find(|section| section.title == title).unwrap()
}

/// Runs a command of the page in a directory. Returns what it prints.
fn run(command: &str, directory: &Path, address: &str) -> String {
    let folder = Path::new(BINARY).parent().unwrap().display();
    let command = command.replace("127.0.0.1:10471", address);
    let script = format!("PATH={folder}:$PATH\n{command}");
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(directory).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {printed}{errors}");
    printed
}

/// Runs a command until its output is as wanted.
fn run_until(command: &str, at: (&Path, &str), holds: impl Fn(&str) -> bool) -> String {
    let deadline = monotonic() + SOON;
    loop {
        let printed = run(command, at.0, at.1);
        if holds(&printed) {
            return printed;
        }
        assert!(monotonic() < deadline, "{command}: {printed}");
    }
}

/// Symbols and quantities of a book.
fn book(positions: &str, name: &str) -> Vec<(String, String)> {
    let rows: Value = serde_json::from_str(positions).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let rows = rows.as_array().unwrap().iter();
    let pairs = rows.map(|row| (text(&row["symbol"]), text(&row[name])));
    pairs.filter(|(_, quantity)| quantity != "0").collect()
}

/// The file of the page, for a server on this host and with a shorter interval.
fn configuration(server: &ListServer) -> String {
    let file = PAGE.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let local = format!("http://{}/api", server.address);
    file.replace("https://api.binance.com/api", &local)
        .replace("interval: 30s", "interval: 4s\n    allow_private: true")
}

#[test]
fn figures_drift_and_a_halt_appear_without_code() {
    let server = ListServer::scripted(account(&[]));
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs::create_dir(here.join("secrets")).unwrap();
    fs::write(here.join("secrets/binance.key"), KEY).unwrap();
    fs::write(here.join("secrets/binance.secret"), SECRET).unwrap();
    let config = configuration(&server);
    fs::write(here.join("trading-exporter.yml"), &config).unwrap();
    let steps = section("Configure the exporter").steps;
    for step in &steps[..2] {
        assert_eq!(run(&step.command, here, "").trim(), step.shown.trim(), "{}", step.command);
    }
    assert_eq!(steps[2].command, "trading-exporter --config.file trading-exporter.yml");
    let file = format!("--config.file={}", here.join("trading-exporter.yml").display());
    let exporter = Exporter::start(&[&file]);
    let address = exporter.address.to_string();
    let at = (here, address.as_str());

    // Freqtrade starts after the first list, and posts to the URL of the page.
    let path = "/api/v1/adapters/freqtrade?account=bot";
    assert!(PAGE.contains(&format!("    http://127.0.0.1:10471{path}\n")));
    let before = server.wait_for(1).len();
    server.wait_for(before + 2);
    let mut client = Client::connect(exporter.address);
    for line in RECORDING.lines() {
        assert_eq!(client.send("POST", path, line).status, 200, "{line}");
    }
    let figures = section("See the figures").steps;
    for step in &figures[..2] {
        let printed = run(&step.command, here, &address);
        assert!(printed.contains("account=\"bot\""), "{printed}");
    }
    let ledger = book(&run(&figures[2].command, here, &address), "ledger_quantity");
    assert!(!ledger.is_empty(), "the recording ends with an open trade");

    // The exchange agrees with the fills.
    server.script(account(&ledger));
    run_until(&figures[2].command, at, |printed| book(printed, "broker_quantity") == ledger);
    let drift = section("When the books differ").steps;
    let state = run(&drift[1].command, here, &address);
    assert!(state.contains("trading_state{account=\"bot\"} 0"), "{state}");

    // Then something is traded that no message announced.
    let mut other = ledger.clone();
    other[0].1 = String::from("1234567");
    server.script(account(&other));
    run_until(&drift[2].command, at, |printed| printed.contains("halted"));
    let shown = run(&drift[0].command, here, &address);
    assert!(shown.contains(&other[0].0) && shown.contains("quantity_mismatch"), "{shown}");
    let state = run(&drift[1].command, here, &address);
    assert!(state.contains("trading_state{account=\"bot\"} 2"), "{state}");

    let all = [exporter.log(), exporter.get("/metrics").body, exporter.get("/api/v1/health").body];
    assert!(!all.concat().contains("canary"), "{all:?}");
}
