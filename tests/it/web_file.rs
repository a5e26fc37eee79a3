//! The web configuration file: users, headers, rate limit, prefix of paths, and files that promtool accepts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::exporter::{Exporter, SOON, run};
use crate::pki::{WebDirectory, argument};

/// A bcrypt hash that is quick to check.
pub(crate) fn bcrypt(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// The whole answer to a request on a connection of its own, as text.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A peer that closes without a notice is an end too.
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn plain(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// A GET with these lines in its head, on a connection that the server closes.
pub(crate) fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n")
}

pub(crate) fn basic(pair: &str) -> String {
    format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair))
}

pub(crate) fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// A file with this content, and an exporter that uses it.
fn start(text: &str, arguments: &[&str]) -> (tempfile::TempDir, Exporter) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    std::fs::write(&path, text).unwrap();
    let file = argument(&path);
    let exporter = Exporter::start(&[&[file.as_str()], arguments].concat());
    (directory, exporter)
}

#[test]
fn users_scrape_and_read_and_do_nothing_else() {
    let text = format!("basic_auth_users:\n  alice: {}\n", bcrypt("wonder:land"));
    let (directory, exporter) = start(&text, &[]);
    let check = |path: &str, lines: &str, expect: u16| {
        let answer = exchange(plain(exporter.address), &get(path, lines));
        assert_eq!(status(&answer), expect, "{path} {lines}: {answer}");
        answer
    };
    let alice = basic("alice:wonder:land");
    for path in ["/metrics", "/api/v1/accounts", "/", "/runbooks", "/-/ready"] {
        check(path, &alice, 200);
        check(path, &alice, 200);
    }
    let refused = check("/metrics", "", 401);
    assert!(refused.contains("www-authenticate: Basic realm=\"trading-exporter\""), "{refused}");
    check("/metrics", &basic("alice:wonder"), 401);
    check("/metrics", &basic("bob:wonder:land"), 401);
    check("/metrics", &format!("{alice}{alice}"), 401);
    check("/-/healthy", "", 200);
    for path in ["/api/v1/halts", "/api/v1/events", "/-/reload", "/api/v1/alertmanager"] {
        let body = "{}";
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{alice}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(plain(exporter.address), &head);
        assert_eq!(status(&answer), 401, "{path}: {answer}");
    }
    // A new password is in force without a restart, and the old one is not.
    let text = format!("basic_auth_users:\n  alice: {}\n", bcrypt("other"));
    std::fs::write(directory.path().join("web.yml"), text).unwrap();
    exporter.wait_for_log(&["web configuration file", "were reloaded"]);
    check("/metrics", &alice, 401);
    check("/metrics", &basic("alice:other"), 200);
    std::fs::write(directory.path().join("web.yml"), "basic_auth_users: [alice]\n").unwrap();
    exporter.wait_for_log(&["ERROR", "refused", "basic_auth_users: must be a map"]);
    let metrics = check("/metrics", &basic("alice:other"), 200);
    assert!(metrics.contains("\ntrading_exporter_web_config_last_reload_successful 0.0\n"));
    assert!(metrics.contains("\ntrading_exporter_web_config_reload_failures_total 1.0\n"));
}

#[test]
fn headers_of_the_file_replace_those_of_the_exporter() {
    let text = "http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n    \
                Strict-Transport-Security: max-age=60\n";
    let (_directory, exporter) = start(text, &[]);
    for path in ["/", "/metrics", "/nothing"] {
        let answer = exchange(plain(exporter.address), &get(path, ""));
        assert!(answer.contains("\r\nx-frame-options: sameorigin\r\n"), "{answer}");
        assert!(answer.contains("\r\nstrict-transport-security: max-age=60\r\n"), "{answer}");
        assert!(answer.contains("\r\nx-content-type-options: nosniff\r\n"), "{answer}");
        assert_eq!(answer.matches("x-frame-options").count(), 1, "{answer}");
    }
}

#[test]
fn the_rate_limit_spares_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("exporter.yml");
    // The SHA-256 of 123456.
    let token = "tokens:\n  - {name: desk, scopes: [metrics], \
        sha256: 8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92}\n";
    std::fs::write(&config, token).unwrap();
    let config = format!("--config.file={}", config.display());
    let (_web, exporter) = start("rate_limit: {interval: 1h, burst: 2}\n", &[&config]);
    let check = |lines: &str, expect: u16| {
        let answer = exchange(plain(exporter.address), &get("/metrics", lines));
        assert_eq!(status(&answer), expect, "{answer}");
        answer
    };
    check("", 401);
    check("authorization: Bearer wrong\r\n", 401);
    let limited = check("", 429);
    assert!(limited.contains("\r\nretry-after: "), "{limited}");
    assert!(limited.contains("\"rate_limited\""), "{limited}");
    assert!(limited.contains("\r\nx-request-id: "), "{limited}");
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(status(&exchange(plain(exporter.address), &get(path, ""))), 200, "{path}");
    }
    for _ in 0..5 {
        check("authorization: Bearer 123456\r\n", 200);
    }
    let metrics = check("authorization: Bearer 123456\r\n", 200);
    assert!(metrics.contains("\ntrading_exporter_rate_limited_requests_total 1.0\n"), "{metrics}");
}

#[test]
fn a_rate_limit_needs_tokens_or_users() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    std::fs::write(&path, "rate_limit: {interval: 1h, burst: 2}\n").unwrap();
    let (code, _, err) = run(&["--storage.mode=memory", &argument(&path)], "");
    assert!(code == 1 && err.contains("rate_limit: needs tokens or users"), "{err}");
}

#[test]
fn no_reload_opens_a_server_that_only_users_may_use() {
    let text = format!("basic_auth_users:\n  alice: {}\n", bcrypt("right"));
    let (directory, exporter) = start(&text, &[]);
    let check = |lines: &str, expect: u16| {
        let answer = exchange(plain(exporter.address), &get("/metrics", lines));
        assert_eq!(status(&answer), expect, "{answer}");
        answer
    };
    let alice = basic("alice:right");
    check(&alice, 200);
    std::fs::write(directory.path().join("web.yml"), "").unwrap();
    exporter.wait_for_log(&[
        "ERROR",
        "web configuration file was refused",
        "the last token and user",
    ]);
    exporter.signal("HUP");
    exporter.wait_for_log(&["ERROR", "the configuration was refused", "the last token and user"]);
    check("", 401);
    let metrics = check(&alice, 200);
    assert!(metrics.contains("\ntrading_exporter_web_config_last_reload_successful 0.0\n"));
    // Reloads of the file are in the audit trail, by the names of users.
    let more = format!("{text}  bob: {}\n", bcrypt("p"));
    std::fs::write(directory.path().join("web.yml"), more).unwrap();
    exporter.wait_for_log(&["INFO", "web configuration file", "were reloaded"]);
    let answer = exchange(plain(exporter.address), &get("/api/v1/audit", &alice));
    assert!(answer.contains("web configuration file; user bob added"), "{answer}");
    assert!(answer.contains("invalid_config"), "{answer}");
}

/// A key that is named before it exists is used once it is there.
#[test]
fn files_of_a_refused_web_file_are_followed() {
    let directory = WebDirectory::new("", "");
    let exporter = Exporter::start(&[&directory.argument()]);
    let text = std::fs::read_to_string(directory.path("web.yml")).unwrap();
    directory.put("web.yml", &text.replace("key.pem", "next.pem"));
    exporter.wait_for_log(&["ERROR", "key_file: cannot read"]);
    directory.put("next.pem", &std::fs::read_to_string(directory.path("key.pem")).unwrap());
    exporter.wait_for_log(&["INFO", "web configuration file", "were reloaded"]);
}

#[test]
fn everything_is_below_the_prefix() {
    let (_directory, exporter) = start("", &["--web.route-prefix=/desk/te/"]);
    let check = |path: &str, expect: u16| {
        let answer = exchange(plain(exporter.address), &get(path, ""));
        assert_eq!(status(&answer), expect, "{path}: {answer}");
        answer
    };
    for path in ["/desk/te/", "/desk/te/metrics", "/desk/te/-/ready", "/desk/te/api/v1/docs"] {
        check(path, 200);
    }
    for path in ["/metrics", "/desk/temetrics", "/desk/", "/-/healthy"] {
        let answer = check(path, 404);
        assert!(answer.contains("everything is served below /desk/te/"), "{answer}");
        assert!(answer.contains("\r\nx-content-type-options: nosniff\r\n"), "{answer}");
        assert!(answer.contains("\r\nx-request-id: "), "{answer}");
    }
    for path in ["/", "/desk/te"] {
        assert!(check(path, 307).contains("\r\nlocation: /desk/te/\r\n"));
    }
    let event = r#"{"type":"heartbeat","component":"engine"}"#;
    assert_eq!(exporter.post("/desk/te/api/v1/events", event).status, 200);
    assert_eq!(exporter.post("/api/v1/events", event).status, 404);
    let document = exporter.get("/desk/te/api/v1/openapi.json").json();
    assert_eq!(document["servers"][0]["url"], "/desk/te");
    assert!(document["paths"]["/metrics"].is_object());
    // Links of pages are relative, so they lead below the prefix from the address of the page.
    let page = check("/desk/te/", 200);
    assert!(page.contains("href=\"metrics\"") && !page.contains("href=\"/"), "{page}");
    let docs = check("/desk/te/api/v1/docs", 200);
    assert!(docs.contains("href=\"../../\"") && !docs.contains("href=\"/"), "{docs}");
    let runbooks = check("/desk/te/runbooks", 200);
    assert!(!runbooks.contains("href=\"/"), "{runbooks}");
}

#[test]
fn links_to_runbooks_have_the_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("exporter.yml");
    let output = directory.path().to_str().unwrap();
    let check = |text: &str, expect: &str| {
        std::fs::write(&config, text).unwrap();
        let file = config.to_str().unwrap();
        let arguments = ["rules", "--config.file", file, "--output.dir", output];
        let (code, _, err) = run(&arguments, "");
        assert_eq!(code, 0, "{err}");
        let rules = std::fs::read_to_string(directory.path().join("exporter.rules.yml")).unwrap();
        assert!(rules.contains(&format!("runbook_url: '{expect}#exporterdown'")), "{text}");
    };
    check("", "http://127.0.0.1:10471/runbooks");
    check("web: {route_prefix: /x}", "http://127.0.0.1:10471/x/runbooks");
    let url = "web: {route_prefix: /x, external_url: 'https://e.example/y/'}";
    check(url, "https://e.example/y/runbooks");
}

#[test]
fn several_addresses_are_served() {
    let exporter = Exporter::start(&[
        "--web.listen-address=localhost:0",
        "--web.listen-address=127.0.0.1:0",
        "--web.listen-address=[::1]:0",
    ]);
    // That of the last one.
    exporter.wait_for_log(&["listening address=[::1]:"]);
    let log = exporter.log();
    let addresses: Vec<SocketAddr> = log
        .lines()
        .filter_map(|line| line.split("listening address=").nth(1)?.trim().parse().ok())
        .collect();
    for address in &addresses {
        assert_eq!(status(&exchange(plain(*address), &get("/-/ready", ""))), 200, "{address}");
    }
    assert_eq!(addresses.len(), 3, "{log}");
}

#[test]
fn promtool_accepts_what_the_exporter_accepts() {
    let check = |directory: &WebDirectory, expect: bool| {
        let path = directory.path("web.yml");
        let (code, out, err) = run(&["check-config", &argument(&path)], "");
        assert_eq!(code == 0, expect, "{out}{err}");
        let found = Command::new("promtool").args(["check", "web-config"]).arg(&path).output();
        let found = found.unwrap_or_else(|error| panic!("promtool: {error}"));
        let said = String::from_utf8_lossy(&found.stderr);
        assert_eq!(found.status.success(), expect, "{said}{err}");
    };
    let hash = bcrypt("p");
    check(&WebDirectory::new("", ""), true);
    let everything = WebDirectory::new(
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
         min_version: TLS12\n  max_version: TLS13\n  prefer_server_cipher_suites: false\n  \
         cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, \
         TLS_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, \
         TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]\n  \
         curve_preferences: [X25519, CurveP256, CurveP384]\n",
        &format!(
            "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    \
             X-Content-Type-Options: nosniff\n    X-XSS-Protection: '0'\n    \
             Content-Security-Policy: default-src 'none'\n    \
             Strict-Transport-Security: max-age=60\nbasic_auth_users:\n  alice: {hash}\n"
        ),
    );
    check(&everything, true);
    let example = include_str!("../../deploy/web.yml");
    everything.put("web.yml", example);
    everything.put("client-ca.pem", &everything.authority.pem());
    check(&everything, true);
    let users = example.replace("# basic_auth_users:", "basic_auth_users:");
    let users = users.replace("#   prometheus: HASH", &format!("  prometheus: {hash}"));
    assert!(users.contains(&hash));
    everything.put("web.yml", &users);
    everything.put("client-ca.pem", &everything.authority.pem());
    check(&everything, true);
    let broken = WebDirectory::new("", "");
    broken.put("key.pem", &broken.authority.server().key);
    check(&broken, false);
    check(&WebDirectory::new("  min_version: TLS9\n", ""), false);
    check(&WebDirectory::new("", "basic_auth_users: {alice: secret}\n"), false);
    check(&WebDirectory::new("", "http_server_config: {headers: {X-Other: a}}\n"), false);
}
