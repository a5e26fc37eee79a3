//! A real Prometheus scrapes over TLS, with a client certificate or as a user.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use trading_exporter::clock::monotonic;

use crate::exporter::{Exporter, SOON};
use crate::pki::{Validity, WebDirectory};
use crate::web_file::{bcrypt, exchange, get, plain};

/// A server that ends with the test.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Prometheus {
    /// Scrapes the exporter with these lines of a scrape configuration.
    fn start(directory: &Path, exporter: &Exporter, lines: &str) -> Self {
        let port = free_port();
        let config = directory.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\nscrape_configs:\n  \
             - job_name: exporter\n    scheme: https\n{lines}    static_configs:\n    \
             - targets: ['{}']\n",
            exporter.address
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(directory.join("prometheus.log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self { child: child.unwrap_or_else(|error| panic!("prometheus: {error}")), port }
    }

    /// Waits for an answer of `/api/v1/targets` with these words.
    fn wait_for_target(&self, words: &[&str]) {
        let deadline = monotonic() + SOON;
        let mut seen = String::new();
        while !words.iter().all(|word| seen.contains(word)) {
            assert!(monotonic() < deadline, "no target with {words:?}: {seen}");
            std::thread::park_timeout(Duration::from_millis(50));
            let address = ([127, 0, 0, 1], self.port).into();
            if std::net::TcpStream::connect(address).is_ok() {
                seen = exchange(plain(address), &get("/api/v1/targets", ""));
            }
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Prometheus cannot choose a free port itself.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn prometheus_scrapes_with_a_client_certificate() {
    let directory = WebDirectory::new(
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n",
        "",
    );
    let pair = directory.authority.client("prometheus.example", Validity::Current);
    directory.put("client.pem", &pair.certificate);
    directory.put("client.key", &pair.key);
    let exporter = Exporter::start(&[&directory.argument()]);
    let here = directory.path("");
    let with = "    tls_config: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key}\n";
    let prometheus = Prometheus::start(&here, &exporter, with);
    prometheus.wait_for_target(&["\"health\":\"up\""]);
    drop(prometheus);
    let without = "    tls_config: {ca_file: ca.pem}\n";
    let prometheus = Prometheus::start(&here, &exporter, without);
    prometheus.wait_for_target(&["\"health\":\"down\"", "certificate required"]);
}

#[test]
fn prometheus_scrapes_as_a_user() {
    let users = format!("basic_auth_users:\n  prometheus: {}\n", bcrypt("secret"));
    let directory = WebDirectory::new("", &users);
    let exporter = Exporter::start(&[&directory.argument()]);
    let here = directory.path("");
    let with = |password: &str| {
        format!(
            "    tls_config: {{ca_file: ca.pem}}\n    \
             basic_auth: {{username: prometheus, password: {password}}}\n"
        )
    };
    let prometheus = Prometheus::start(&here, &exporter, &with("secret"));
    prometheus.wait_for_target(&["\"health\":\"up\""]);
    drop(prometheus);
    let prometheus = Prometheus::start(&here, &exporter, &with("wrong"));
    prometheus.wait_for_target(&["\"health\":\"down\"", "401 Unauthorized"]);
}
