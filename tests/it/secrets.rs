//! Secrets stay secret: what a caller or the configuration says in confidence is written nowhere.

use std::fmt::Write as _;
use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::exporter::Exporter;
use crate::pki::{WebDirectory, argument};
use crate::web_file::{basic, bcrypt, exchange, get, plain, status};

/// The SHA-256 of a token, as the configuration has it.
pub(crate) fn hex_digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Every word that must not appear, and its forms.
fn forbidden() -> Vec<String> {
    let words = ["canary-token", "canary-guess", "canary-password", "canary-wrong", "canary-query"];
    let users = ["a:canary-token", "alice:canary-password", "alice:canary-wrong", "x:canary-guess"];
    let encoded = users.map(|pair| BASE64_STANDARD.encode(pair));
    let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    all.extend(words.iter().map(|word| hex_digest(word)));
    all.extend(encoded);
    all.push("canary-key".to_owned());
    all
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[test]
fn no_secret_is_written_anywhere() {
    let directory = WebDirectory::new("", "");
    let hash = bcrypt("canary-password");
    directory.put("plain.yml", &format!("basic_auth_users:\n  alice: {hash}\n"));
    directory.put("secret", "whsec_Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeQ==");
    let digest = hex_digest("canary-token");
    let config = directory.path("exporter.yml");
    let text = format!(
        "tokens:\n- {{name: ops, sha256: '{digest}', scopes: [read, metrics, halt, release]}}\n\
         webhooks:\n- name: engine\n  url: http://127.0.0.1:9/canary-key?key=canary-key\n  \
         secret_file: secret\n  allow_private: true\n"
    );
    fs::write(&config, text).unwrap();
    let exporter = Exporter::start(&[
        &format!("--config.file={}", config.display()),
        &argument(&directory.path("plain.yml")),
        "--log.level=trace",
    ]);
    let mut seen = String::new();
    let mut ask = |path: &str, lines: &str| {
        let answer = exchange(plain(exporter.address), &get(path, lines));
        seen += &answer;
        status(&answer)
    };
    assert_eq!(ask("/metrics", &bearer("canary-token")), 200);
    assert_eq!(ask("/metrics", &bearer("canary-guess")), 401);
    assert_eq!(ask("/metrics", &basic("a:canary-token")), 200);
    assert_eq!(ask("/metrics", &basic("alice:canary-password")), 200);
    assert_eq!(ask("/metrics", &basic("alice:canary-wrong")), 401);
    assert_eq!(ask("/", &basic("x:canary-guess")), 401);
    assert_eq!(ask("/metrics?token=canary-query", ""), 401);
    assert_eq!(ask("/api/v1/accounts?token=canary-query", &bearer("canary-token")), 400);
    assert_eq!(ask("/api/v1/audit", &bearer("canary-token")), 200);
    let halt = r#"{"account":"*","state":"halted","reason":"r","actor":"ann"}"#;
    let mut client = crate::exporter::Client::connect(exporter.address).with_token("canary-token");
    assert_eq!(client.send("POST", "/api/v1/halts", halt).status, 201);
    // A refused reload writes about the configuration.
    fs::write(&config, "tokens:\n- {name: ops, sha256: canary-token}\n").unwrap();
    exporter.signal("HUP");
    exporter.wait_for_log(&["ERROR", "was refused"]);
    exporter.wait_for_log(&["webhook"]);
    seen += &client.send("GET", "/api/v1/audit", "").body;
    seen += &client.send("GET", "/metrics", "").body;
    let log = exporter.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log has every level");
    for word in forbidden() {
        assert!(!seen.contains(&word), "{word} is in an answer:\n{seen}");
        assert!(!log.contains(&word), "{word} is in the log:\n{log}");
    }
    assert!(!log.contains(&hash) && !seen.contains(&hash), "the hash of a password is written");
}
