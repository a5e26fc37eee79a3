//! The kinds of position sources and their signatures, against servers that check each request.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use trading_exporter::clock::monotonic;

use crate::exporter::{Exporter, SOON, run};
use crate::list_server::{ListServer, Reply};
use crate::receiver::Request;

const ALPACA: &str = include_str!("../fixtures/adapters/alpaca-positions.json");
const KEY: &str = "canary-of-the-key";
const SECRET: &str = "canary-of-the-secret";

/// The output of `try-source` for the fields of a source with the account `paper`.
fn tried(server: &ListServer, fields: &str) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("key"), KEY).unwrap();
    fs::write(directory.path().join("secret"), SECRET).unwrap();
    fs::write(directory.path().join("secret64"), BASE64_STANDARD.encode(SECRET)).unwrap();
    let fields = fields.replace("SERVER", &format!("http://{}", server.address));
    let head = "position_sources:\n  - name: s\n    account: paper\n    allow_private: true\n";
    let file = directory.path().join("exporter.yml");
    fs::write(&file, format!("{head}{fields}")).unwrap();
    run(&["try-source", "s", &format!("--config.file={}", file.display())], "")
}

/// The header of a request, or nothing.
fn header<'r>(request: &'r Request, name: &str) -> &'r str {
    request.headers.get(name).map_or("", String::as_str)
}

fn hmac_sha256(message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A server with one answer for requests that pass a check, and 401 for others.
fn checked(
    answer: &'static str,
    is_right: impl Fn(&Request) -> bool + Send + Sync + 'static,
) -> ListServer {
    ListServer::scripted(move |request| {
        if is_right(request) { Reply::ok(answer) } else { Reply::status(401, "wrong") }
    })
}

#[test]
fn alpaca_is_asked_with_its_headers() {
    let server = checked(ALPACA, |request| {
        request.path == "/v2/positions"
            && header(request, "apca-api-key-id") == KEY
            && header(request, "apca-api-secret-key") == SECRET
    });
    let fields = "    alpaca: {url: SERVER, key_id_file: key, secret_key_file: secret}\n";
    let (code, out, err) = tried(&server, fields);
    assert_eq!((code, err.as_str()), (0, ""));
    let rows: Value = serde_json::from_str(ALPACA).unwrap();
    let count = rows.as_array().unwrap().len();
    assert!(out.starts_with(&format!("broker of paper: {count} positions\n")), "{out}");
    let swapped = "    alpaca: {url: SERVER, key_id_file: secret, secret_key_file: key}\n";
    let (code, _, err) = tried(&server, swapped);
    assert!(code == 1 && err.contains("answered 401"), "{err}");
    let error = ListServer::start(Reply::ok(r#"{"code": 40010001, "message": "no such account"}"#));
    let (code, _, err) = tried(&error, fields);
    assert!(code == 1 && err.contains("the answer is an error: no such account"), "{err}");
}

/// Freqtrade's answers, for the user `bot`.
fn freqtrade(status: &'static str, balance: &'static str) -> ListServer {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("bot:{SECRET}")));
    ListServer::scripted(move |request| match request.path.as_str() {
        _ if header(request, "authorization") != basic => Reply::status(401, "wrong"),
        "/api/v1/status" => Reply::ok(status),
        "/api/v1/balance" => Reply::ok(balance),
        _ => Reply::status(404, "wrong"),
    })
}

const STATUS: &str = r#"[{"trade_id": 1, "pair": "DOGE/USDT", "is_short": false, "amount": 9000.0,
    "open_rate": 0.10622, "current_rate": 0.107, "is_open": true, "orders": []}]"#;
const BALANCE: &str = r#"{"stake": "USDT", "currencies": [
    {"currency": "USDT", "balance": 600.0, "is_position": false, "is_bot_managed": true},
    {"currency": "DOGE", "balance": 9000.0, "bot_owned": 9000.0, "is_position": false,
     "is_bot_managed": true}]}"#;

#[test]
fn freqtrade_reports_both_sides() {
    let server = freqtrade(STATUS, BALANCE);
    let fields = "    freqtrade: {url: SERVER, username: bot, password_file: secret}\n";
    let (code, out, err) = tried(&server, fields);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<Vec<&str>> = out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["local", "of", "paper:", "1", "position"]);
    assert_eq!(lines[1], ["DOGE/USDT", "9000", "average", "0.10622", "market", "0.107"]);
    assert_eq!(lines[2], ["broker", "of", "paper:", "1", "position"]);
    assert_eq!(lines[3], ["DOGE/USDT", "9000"]);
    let (_, out, _) = tried(&server, &format!("    role: local\n{fields}"));
    assert!(out.contains("local of") && !out.contains("broker of"), "{out}");
    let wrong = "    freqtrade: {url: SERVER, username: me, password_file: secret}\n";
    let (code, _, err) = tried(&server, wrong);
    assert!(code == 1 && err.matches("answered 401").count() == 2, "{err}");
}

#[test]
fn freqtrade_s_two_lists_are_compared() {
    let server = freqtrade(STATUS, BALANCE);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("secret"), SECRET).unwrap();
    let file = directory.path().join("exporter.yml");
    let text = format!(
        "position_sources:\n  - name: bot\n    account: paper\n    interval: 1s\n    allow_private: true\n    \
         freqtrade: {{url: 'http://{}', username: bot, password_file: secret}}\n",
        server.address
    );
    fs::write(&file, text).unwrap();
    let exporter = Exporter::start(&[&format!("--config.file={}", file.display())]);
    let wait = |path: &str, holds: &dyn Fn(&Value) -> bool| {
        let deadline = monotonic() + SOON;
        loop {
            let answer = exporter.get(path);
            if answer.status == 200 && holds(&answer.json()) {
                return answer.json();
            }
            assert!(monotonic() < deadline, "{path}: {answer:?}\n{}", exporter.log());
        }
    };
    wait("/api/v1/positions?account=paper", &|rows| {
        rows[0]["local_quantity"] == json!("9000") && rows[0]["broker_quantity"] == json!("9000")
    });
    assert!(wait("/api/v1/permit?account=paper", &|_| true).to_string().contains("active"));
    // The exchange sold the coins, and the bot does not know.
    server.script(|request| match request.path.as_str() {
        "/api/v1/status" => Reply::ok(STATUS),
        _ => Reply::ok(r#"{"stake": "USDT", "currencies": []}"#),
    });
    wait("/api/v1/permit?account=paper", &|permit| permit.to_string().contains("halted"));
}

#[test]
fn texts_are_signed_as_servers_check_them() {
    let okx =
        r#"{"code": "0", "data": [{"instId": "BTC-USDT-SWAP", "posSide": "net", "pos": "-2"}]}"#;
    let server = checked(okx, |request| {
        let time = header(request, "ok-access-timestamp");
        let right = BASE64_STANDARD.encode(hmac_sha256(&format!("{time}GET{}", request.path)));
        time.len() == "2020-12-08T09:08:57.715Z".len()
            && header(request, "ok-access-sign") == right
            && header(request, "ok-access-key") == KEY
            && header(request, "ok-access-passphrase") == KEY
    });
    let fields = "    http:\n      url: SERVER/api/v5/account/positions?instType=SWAP\n      preset: okx\n      \
                  header_files: {OK-ACCESS-PASSPHRASE: key}\n      signature: {scheme: header, key_header: \
                  OK-ACCESS-KEY, key_file: key, secret_file: secret, timestamp: rfc3339, timestamp_header: \
                  OK-ACCESS-TIMESTAMP, signature_header: OK-ACCESS-SIGN, encoding: base64}\n";
    let (code, out, err) = tried(&server, fields);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("BTC-USDT-SWAP") && out.contains("-2"), "{out}");

    let bybit = r#"{"retCode": 0, "result": {"list": [], "nextPageCursor": ""}}"#;
    let server = checked(bybit, |request| {
        let (_, query) = request.path.split_once('?').unwrap();
        let time = header(request, "x-bapi-timestamp");
        let digest = hmac_sha256(&format!("{time}{KEY}5000{query}"));
        let right = digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        header(request, "x-bapi-sign") == right && header(request, "x-bapi-recv-window") == "5000"
    });
    let fields = "    http:\n      url: SERVER/v5/position/list?category=linear&limit=200\n      preset: bybit\n      \
                  headers: {X-BAPI-RECV-WINDOW: '5000'}\n      signature: {scheme: header, key_header: \
                  X-BAPI-API-KEY, key_file: key, secret_file: secret, message: \
                  '{timestamp}{key}5000{query}', timestamp: milliseconds, timestamp_header: \
                  X-BAPI-TIMESTAMP, signature_header: X-BAPI-SIGN}\n";
    let (code, out, err) = tried(&server, fields);
    assert_eq!((code, err.as_str(), out.as_str()), (0, "", "broker of paper: 0 positions\n"));
}

#[test]
fn a_body_is_signed_as_kraken_checks_it() {
    let answer = r#"{"error": [], "result": {"A": {"pair": "XXBTZUSD", "type": "sell", "vol": "2",
        "vol_closed": "0.5"}}}"#;
    let server = checked(answer, |request| {
        let nonce = request.body.strip_prefix("nonce=").unwrap().split('&').next().unwrap();
        let inner = Sha256::digest(format!("{nonce}{}", request.body).as_bytes());
        let mut mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(b"/0/private/OpenPositions");
        mac.update(&inner);
        let right = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        header(request, "api-sign") == right
            && header(request, "api-key") == KEY
            && request.body.ends_with("&docalcs=false")
            && header(request, "content-type") == "application/x-www-form-urlencoded"
    });
    let fields = "    http:\n      url: SERVER/0/private/OpenPositions\n      method: POST\n      body: \
                  docalcs=false\n      preset: kraken\n      signature: {scheme: kraken, key_file: key, \
                  secret_file: secret64}\n";
    let (code, out, err) = tried(&server, fields);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("XXBTZUSD") && out.contains("-1.5"), "{out}");
}
