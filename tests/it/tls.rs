//! TLS from outside: who gets in, certificates that are replaced, and handshakes that go wrong.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use rustls::ClientConfig;
use trading_exporter::clock::monotonic;

use crate::exporter::{Client, Exporter, SOON, run};
use crate::pki::{self, Authority, Pair, Validity, WebDirectory, connect};
use crate::web_file::{exchange, get, plain, status};

const MUTUAL: &str = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";

fn start(directory: &WebDirectory) -> Exporter {
    Exporter::start(&[&directory.argument()])
}

/// The status of a GET over TLS; None if the connection fails.
fn scrape(exporter: &Exporter, client: &Arc<ClientConfig>) -> Option<u16> {
    let mut stream = connect(exporter.address, client).ok()?;
    stream.write_all(get("/-/ready", "").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok();
    (!answer.is_empty()).then(|| status(&answer))
}

/// Waits until a condition holds.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = monotonic() + SOON;
    while !condition() {
        assert!(monotonic() < deadline, "it never came true: {what}");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}

/// The value of `trading_exporter_tls_handshake_failures_total` for a reason.
fn failures(exporter: &Exporter, client: &Arc<ClientConfig>, reason: &str) -> f64 {
    let stream = connect(exporter.address, client).unwrap();
    let metrics = Client::over(stream).send("GET", "/metrics", "").body;
    let name = format!("trading_exporter_tls_handshake_failures_total{{reason=\"{reason}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

#[test]
fn https_is_served_to_clients_that_trust_the_authority() {
    let directory = WebDirectory::new("", "");
    let exporter = start(&directory);
    let client = directory.client(None);
    assert_eq!(scrape(&exporter, &client), Some(200));
    // Many requests on one connection, and a body in each direction.
    let mut kept = Client::over(connect(exporter.address, &client).unwrap());
    for n in 0..20 {
        let event = format!(r#"{{"type":"heartbeat","component":"engine","event_id":"{n}"}}"#);
        assert_eq!(kept.send("POST", "/api/v1/events", &event).status, 200);
        assert_eq!(kept.send("GET", "/api/v1/openapi.json", "").status, 200);
    }
    let stranger = pki::client(&Authority::new("another").pem(), None);
    assert!(connect(exporter.address, &stranger).is_err());
    until("the refusal is counted", || failures(&exporter, &client, "refused") > 0.0);
}

#[test]
fn only_http_1_1_is_offered() {
    let directory = WebDirectory::new("", "");
    let exporter = start(&directory);
    let with = |names: &[&[u8]]| {
        let mut client = (*directory.client(None)).clone();
        client.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
        connect(exporter.address, &Arc::new(client))
    };
    let both = with(&[b"h2", b"http/1.1"]).unwrap();
    assert_eq!(both.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(with(&[b"h2"]).is_err());
}

#[test]
fn clients_need_a_certificate_of_the_authority() {
    let directory = WebDirectory::new(
        &format!("{MUTUAL}  client_allowed_sans: [prometheus.example, '10.0.0.1']\n"),
        "",
    );
    let exporter = start(&directory);
    let known = |pair: &Pair| directory.client(Some(pair));
    let right = known(&directory.authority.client("prometheus.example", Validity::Current));
    assert_eq!(scrape(&exporter, &right), Some(200));
    let by_address = known(&directory.authority.client("10.0.0.1", Validity::Current));
    assert_eq!(scrape(&exporter, &by_address), Some(200));

    let authority = Authority::new("another");
    let refused = [
        directory.client(None),
        known(&authority.client("prometheus.example", Validity::Current)),
        known(&directory.authority.client("prometheus.example", Validity::Expired)),
        known(&directory.authority.client("other.example", Validity::Current)),
        // A certificate for servers.
        known(&directory.authority.server()),
    ];
    for client in &refused {
        assert_eq!(scrape(&exporter, client), None);
    }
    until("the refusals are counted", || failures(&exporter, &right, "certificate") >= 5.0);
}

#[test]
fn a_certificate_is_optional_where_the_file_says_so() {
    let lines = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    let directory = WebDirectory::new(&lines, "");
    let exporter = start(&directory);
    assert_eq!(scrape(&exporter, &directory.client(None)), Some(200));
    let expired = directory.authority.client("a.example", Validity::Expired);
    assert_eq!(scrape(&exporter, &directory.client(Some(&expired))), None);
}

#[test]
fn certificates_are_replaced_without_a_restart() {
    let directory = WebDirectory::new("", "");
    let exporter = start(&directory);
    let old = directory.client(None);
    let mut kept = Client::over(connect(exporter.address, &old).unwrap());
    assert_eq!(kept.send("GET", "/-/ready", "").status, 200);

    // A broken file: the old certificate stays.
    directory.put("cert.pem", "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n");
    exporter.wait_for_log(&["ERROR", "stay in force", "cert_file: has a certificate"]);
    assert_eq!(scrape(&exporter, &old), Some(200));
    let metrics = kept.send("GET", "/metrics", "").body;
    assert!(metrics.contains("\ntrading_exporter_web_config_last_reload_successful 0.0\n"));
    assert!(metrics.contains("\ntrading_exporter_web_config_reload_failures_total 1.0\n"));

    // Another authority: new connections see its certificate, the old one lives on.
    let authority = Authority::new("the next authority");
    directory.put_server(&authority.server());
    exporter.wait_for_log(&["INFO", "were reloaded"]);
    let next = pki::client(&authority.pem(), None);
    assert_eq!(scrape(&exporter, &next), Some(200));
    assert_eq!(scrape(&exporter, &old), None);
    assert_eq!(kept.send("GET", "/-/ready", "").status, 200);
    let metrics = kept.send("GET", "/metrics", "").body;
    assert!(metrics.contains("\ntrading_exporter_web_config_last_reload_successful 1.0\n"));

    // A reload reads them too, at once.
    let last = Authority::new("the last authority");
    directory.put_server(&last.server());
    exporter.signal("HUP");
    exporter.wait_for_log(&["the configuration was reloaded"]);
    assert_eq!(scrape(&exporter, &pki::client(&last.pem(), None)), Some(200));
}

#[test]
fn tls_is_not_switched_off_while_it_runs() {
    let directory = WebDirectory::new("", "");
    let exporter = start(&directory);
    directory.put("web.yml", "http_server_config: {http2: false}\n");
    exporter.wait_for_log(&["ERROR", "tls_server_config: needs a restart"]);
    exporter.signal("HUP");
    exporter.wait_for_log(&["ERROR", "the configuration was refused", "tls_server_config"]);
    let client = directory.client(None);
    assert_eq!(scrape(&exporter, &client), Some(200));
    let mut kept = Client::over(connect(exporter.address, &client).unwrap());
    assert_eq!(kept.send("POST", "/-/reload", "").status, 422);
    let metrics = kept.send("GET", "/metrics", "").body;
    assert!(metrics.contains("\ntrading_exporter_web_config_last_reload_successful 0.0\n"));
    assert!(metrics.contains("\ntrading_exporter_web_config_reload_failures_total 1.0\n"));
}

#[test]
fn http_on_the_port_of_https_is_answered_in_plain_text() {
    let directory = WebDirectory::new("", "");
    let exporter = start(&directory);
    let answer = exchange(plain(exporter.address), &get("/metrics", ""));
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.ends_with("\r\n\r\nThis port speaks HTTPS: use https:// URLs\n"), "{answer}");
    let client = directory.client(None);
    until("it is counted", || failures(&exporter, &client, "plaintext") > 0.0);
    assert_eq!(exchange(plain(exporter.address), "\0\x01 not TLS"), "");
    until("it is counted", || failures(&exporter, &client, "invalid") > 0.0);
}

#[test]
fn a_slow_handshake_is_cut_and_delays_nobody() {
    let directory = WebDirectory::new("", "");
    let config = directory.path("exporter.yml");
    fs::write(&config, "web: {header_timeout: 1s, connections_max: 4}\n").unwrap();
    let config = format!("--config.file={}", config.display());
    let exporter = Exporter::start(&[&directory.argument(), &config]);
    let client = directory.client(None);
    let mut slow: Vec<TcpStream> = (0..3).map(|_| plain(exporter.address)).collect();
    // One says nothing, one sends half a record, one the head of a record that never comes.
    slow[1].write_all(&[22, 3]).unwrap();
    slow[2].write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    assert_eq!(scrape(&exporter, &client), Some(200));
    // Handshakes count as connections: some give way to later ones, the others are cut.
    let more: Vec<TcpStream> = (0..2).map(|_| plain(exporter.address)).collect();
    assert_eq!(scrape(&exporter, &client), Some(200));
    for mut stream in slow.into_iter().chain(more) {
        stream.read_to_end(&mut Vec::new()).ok();
    }
    until("they are counted", || failures(&exporter, &client, "timeout") >= 1.0);
}

#[test]
fn a_peer_that_reads_nothing_is_cut_off_over_tls_too() {
    let directory = WebDirectory::new("", "");
    let config = directory.path("exporter.yml");
    fs::write(&config, "web: {idle_timeout: 500ms}\n").unwrap();
    let config = format!("--config.file={}", config.display());
    let mut exporter = Exporter::start(&[&directory.argument(), &config]);
    let mut stream = connect(exporter.address, &directory.client(None)).unwrap();
    // Answers that fill the buffers of the kernel, and nobody reads them.
    let requests = "GET /api/v1/docs HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(400);
    stream.write_all(requests.as_bytes()).unwrap();
    exporter.signal("TERM");
    assert_eq!(exporter.wait().code(), Some(0));
    assert!(!exporter.log().contains("dropped after"), "{}", exporter.log());
}

#[test]
fn a_public_address_is_served_with_tls_and_tokens() {
    let directory = WebDirectory::new("", "");
    let config = directory.path("exporter.yml");
    let token = "tokens:\n  - {name: desk, scopes: [read], \
        sha256: 8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92}\n";
    fs::write(&config, token).unwrap();
    let config = format!("--config.file={}", config.display());
    let refused = |arguments: &[&str], words: &str| {
        let common = ["--web.listen-address=:0", "--storage.mode=memory"];
        let (code, _, err) = run(&[&common[..], arguments].concat(), "");
        assert!(code == 1 && err.contains(words), "{err}");
    };
    refused(&[], "needs tokens and TLS");
    refused(&[&config], "needs TLS");
    refused(&[&directory.argument()], "needs tokens");
    let arguments = ["--web.listen-address=:0", &config, &directory.argument()];
    let mut exporter = Exporter::start(&arguments);
    assert!(exporter.address.ip().is_unspecified());
    exporter.address.set_ip([127, 0, 0, 1].into());
    assert_eq!(scrape(&exporter, &directory.client(None)), Some(200));
}

/// Older clients: TLS 1.2 is served and TLS 1.1 is not, to openssl as the client.
#[test]
fn versions_are_those_of_the_file() {
    let check = |lines: &str, version: &str, expect: bool| {
        let directory = WebDirectory::new(lines, "");
        let exporter = start(&directory);
        let found = Command::new("openssl")
            .args(["s_client", "-connect", &exporter.address.to_string(), version])
            // Without this openssl itself refuses to offer TLS 1.1.
            .args(["-cipher", "DEFAULT@SECLEVEL=0"])
            .args(["-CAfile", directory.path("ca.pem").to_str().unwrap(), "-verify_return_error"])
            .stdin(std::process::Stdio::null())
            .output();
        let found = found.unwrap_or_else(|error| panic!("openssl: {error}"));
        let said = String::from_utf8_lossy(&found.stderr);
        assert_eq!(found.status.success(), expect, "{lines} {version}: {said}");
    };
    check("", "-tls1_2", true);
    check("", "-tls1_3", true);
    check("", "-tls1_1", false);
    check("  min_version: TLS13\n", "-tls1_2", false);
    check("  max_version: TLS12\n", "-tls1_3", false);
}
