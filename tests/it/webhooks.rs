//! Signed webhooks: behaviour of targets, retries and delivery.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use trading_exporter::clock::monotonic;

use crate::exporter::{Client, Exporter, SOON};
use crate::receiver::{Manner, Receiver, Request};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The secret in hexadecimal digits.
const SECRET_HEX: &str = "31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0";

/// An exporter with these webhooks, and its directory.
struct Site {
    directory: tempfile::TempDir,
    storage: &'static str,
    exporter: Exporter,
}

impl Site {
    /// `storage` is a mode; `webhooks` the list of targets.
    fn start(storage: &'static str, webhooks: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("secret"), SECRET).unwrap();
        configure(directory.path(), webhooks);
        let exporter = Self::begin(directory.path(), storage);
        Self { directory, storage, exporter }
    }

    fn begin(directory: &Path, storage: &str) -> Exporter {
        let config = format!("--config.file={}", directory.join("exporter.yml").display());
        Exporter::start(&[&config, &format!("--storage.mode={storage}")])
    }

    /// Ends the process at once, as a crash does, and starts it again.
    fn crash(&mut self) {
        self.exporter.signal("KILL");
        self.exporter.wait();
        self.exporter = Self::begin(self.directory.path(), self.storage);
    }

    fn metric(&self, series: &str) -> Option<String> {
        let text = self.exporter.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(str::to_owned)
    }

    fn wait_for_metric(&self, series: &str, holds: impl Fn(u32) -> bool) {
        let deadline = monotonic() + SOON;
        let count = |value: String| value.strip_suffix(".0").unwrap().parse().unwrap();
        while !self.metric(series).map(count).is_some_and(&holds) {
            assert!(monotonic() < deadline, "{series} {:?}", self.metric(series));
        }
    }

    fn halt(&self, account: &str, reason: &str) {
        let body = json!({"account": account, "reason": reason, "actor": "ann"});
        assert_eq!(self.exporter.post("/api/v1/halts", &body.to_string()).status, 201);
    }
}

fn configure(directory: &Path, webhooks: &str) {
    let path = directory.join("data");
    let text = format!("storage:\n  path: {}\nwebhooks:\n{webhooks}", path.display());
    fs::write(directory.join("exporter.yml"), text).unwrap();
}

fn target(name: &str, receiver: &Receiver, more: &str) -> String {
    format!(
        "  - name: {name}\n    url: http://{}/hook?key=canary\n    secret_file: secret\n    \
         allow_private: true\n{more}",
        receiver.address
    )
}

/// Verifies a signature by the specification, with an independent program.
fn verify(request: &Request) {
    let header = |name: &str| request.headers[name].as_str();
    let timestamp: i64 = header("webhook-timestamp").parse().unwrap();
    let now = trading_exporter::clock::now().as_nanos() / 1_000_000_000;
    assert!((now - timestamp).abs() < 300, "{request:?}");
    let signed = format!("{}.{timestamp}.{}", header("webhook-id"), request.body);
    let mut openssl = Command::new("sh")
        .args(["-c", "openssl dgst -sha256 -mac HMAC -macopt \"hexkey:$1\" -binary | base64", "sh"])
        .arg(SECRET_HEX)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
    let out = openssl.wait_with_output().unwrap();
    assert!(out.status.success());
    let expect = format!("v1,{}", String::from_utf8(out.stdout).unwrap().trim());
    assert!(header("webhook-signature").split(' ').any(|one| one == expect), "{request:?}");
}

#[test]
fn a_halt_is_delivered_signed() {
    let receiver = Receiver::start();
    let site = Site::start("memory", &target("engine", &receiver, ""));
    site.halt("paper", "by hand");
    let request = receiver.wait_for(1).remove(0);
    verify(&request);
    assert_eq!(request.path, "/hook?key=canary");
    assert_eq!(request.headers["content-type"], "application/json");
    let body = request.json();
    assert_eq!(body["type"], "halt");
    assert_eq!(body["timestamp"], body["data"]["at"]);
    assert_eq!(body["data"]["account"], "paper");
    assert_eq!(body["data"]["reason"], "by hand");
    assert_eq!(body["data"]["epoch"], 1);
    let id = &request.headers["webhook-id"];
    assert!(id.starts_with(&format!("{}_", body["data"]["id"].as_str().unwrap())), "{id}");
    let outcome = "trading_exporter_webhook_deliveries_total{sink=\"engine\",outcome=";
    site.wait_for_metric(&format!("{outcome}\"delivered\"}}"), |count| count == 1);
    assert_eq!(site.metric(&format!("{outcome}\"failed\"}}")).as_deref(), Some("0.0"));
    site.wait_for_metric("trading_exporter_webhook_pending{sink=\"engine\"}", |n| n == 0);
    let time = "trading_exporter_webhook_last_success_timestamp_seconds{sink=\"engine\"}";
    assert!(site.metric(time).is_some());
    for text in [site.exporter.log(), site.exporter.get("/metrics").body] {
        assert!(!text.contains("canary") && !text.contains("MfKQ9r8"), "{text}");
    }
}

#[test]
fn a_target_receives_only_the_configured_directives() {
    let (all, some) = (Receiver::start(), Receiver::start());
    let filtered = "    events: [release, halt]\n    accounts: [\"p*\"]\n";
    let webhooks = target("all", &all, "") + &target("some", &some, filtered);
    let site = Site::start("memory", &webhooks);
    let heartbeat = json!({"type": "heartbeat", "account": "paper", "component": "gateway",
        "status": "unhealthy"});
    assert_eq!(site.exporter.post("/api/v1/events", &heartbeat.to_string()).status, 200);
    site.halt("live", "first");
    site.halt("paper", "second");
    site.halt("*", "third");
    let kinds = |requests: &[Request]| -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let line = |r: &Request| {
            let body = r.json();
            format!("{} {}", text(&body["type"]), text(&body["data"]["account"]))
        };
        let mut lines: Vec<String> = requests.iter().map(line).collect();
        lines.sort();
        lines
    };
    assert_eq!(kinds(&some.wait_for(2)), ["halt *", "halt paper"]);
    assert_eq!(kinds(&all.wait_for(4)), ["halt *", "halt live", "halt paper", "health paper"]);
    assert_eq!(some.wait_for(2).len(), 2);
}

/// Bad targets, each next to a good one.
#[test]
fn bad_targets_are_retried_until_they_accept() {
    let follow = Receiver::start();
    let redirect = format!("location: http://{}/\r\n", follow.address);
    let manners = [
        ("hang", Manner::Hang),
        ("reset", Manner::Reset),
        ("trickle", Manner::Trickle),
        ("redirect", Manner::Answer(307, redirect)),
        ("error", Manner::Answer(500, String::new())),
        ("gone", Manner::Answer(410, String::new())),
    ];
    let bad: Vec<_> = manners.iter().map(|(name, _)| (*name, Receiver::start())).collect();
    let good = Receiver::start();
    let mut webhooks = target("good", &good, "");
    for ((name, manner), (_, receiver)) in manners.iter().zip(&bad) {
        receiver.behave(manner.clone());
        webhooks += &target(name, receiver, "    timeout: 500ms\n");
    }
    let site = Site::start("memory", &webhooks);
    let begin = monotonic();
    site.halt("paper", "by hand");
    good.wait_for(1);
    for (name, receiver) in &bad {
        let attempts = receiver.wait_for(2);
        assert!(attempts[1].at - attempts[0].at >= std::time::Duration::from_millis(500), "{name}");
        let series = |outcome: &str| {
            format!(
                "trading_exporter_webhook_deliveries_total{{sink=\"{name}\",outcome=\"{outcome}\"}}"
            )
        };
        site.wait_for_metric(&series("failed"), |count| count >= 1);
        receiver.behave(Manner::Answer(200, String::new()));
        site.wait_for_metric(&series("delivered"), |count| count == 1);
        let last = receiver.wait_for_body("by hand");
        verify(&last);
        let ids: std::collections::BTreeSet<_> = receiver
            .wait_for(2)
            .iter()
            .filter_map(|r| r.headers.get("webhook-id").cloned())
            .collect();
        assert_eq!(ids.len(), 1, "{name}: the same id each time");
    }
    assert!(monotonic() - begin < SOON);
    assert_eq!(good.wait_for(1).len(), 1);
}

#[test]
fn a_target_s_retry_after_is_honoured() {
    let receiver = Receiver::start();
    receiver.behave(Manner::Answer(429, "retry-after: 3\r\n".into()));
    let site = Site::start("memory", &target("busy", &receiver, ""));
    site.halt("paper", "first");
    let first = receiver.wait_for(1).remove(0);
    receiver.behave(Manner::Answer(204, String::new()));
    site.halt("paper", "second");
    let all = receiver.wait_for(3);
    for later in &all[1..] {
        let pause = later.at - first.at;
        assert!(pause >= std::time::Duration::from_millis(2_900), "{pause:?}");
    }
}

#[test]
fn undelivered_directives_survive_a_crash() {
    let receiver = Receiver::start();
    receiver.behave(Manner::Answer(503, String::new()));
    let mut site = Site::start("journal", &target("engine", &receiver, ""));
    site.halt("paper", "before the crash");
    receiver.wait_for_body("before the crash");
    let id = receiver.wait_for(1)[0].headers["webhook-id"].clone();
    site.crash();
    // After a start, waiting directives are sent first.
    receiver.behave(Manner::Answer(204, String::new()));
    let pending = "trading_exporter_webhook_pending{sink=\"engine\"}";
    site.wait_for_metric(
        "trading_exporter_webhook_deliveries_total{sink=\"engine\",outcome=\"delivered\"}",
        |count| count == 1,
    );
    site.wait_for_metric(pending, |count| count == 0);
    let last = receiver.wait_for(2).pop().unwrap();
    verify(&last);
    assert_eq!(last.headers["webhook-id"], id);
    assert!(last.body.contains("before the crash"));
    // Delivered directives are not sent again; later ones are.
    let count = receiver.wait_for(2).len();
    site.crash();
    site.halt("live", "after the crash");
    let next = receiver.wait_for(count + 1).pop().unwrap();
    assert!(next.body.contains("after the crash"), "{next:?}");
}

#[test]
fn a_crash_before_the_outbox_is_written_loses_nothing() {
    let receiver = Receiver::start();
    let mut site = Site::start("journal", &target("engine", &receiver, ""));
    site.halt("paper", "first");
    receiver.wait_for(1);
    site.wait_for_metric("trading_exporter_webhook_pending{sink=\"engine\"}", |n| n == 0);
    // As if the process had died between the commit of the second directive and the write of the outbox.
    let outbox = site.directory.path().join("data/outbox/engine.ndjson");
    let before = fs::read(&outbox).unwrap();
    site.halt("paper", "second");
    receiver.wait_for_body("second");
    site.exporter.signal("KILL");
    site.exporter.wait();
    fs::write(&outbox, before).unwrap();
    let count = receiver.wait_for(2).len();
    site.exporter = Site::begin(site.directory.path(), site.storage);
    let again = receiver.wait_for(count + 1).pop().unwrap();
    assert!(again.body.contains("second"), "{again:?}");
}

/// One account changes the health of 4,200 components in each request, while another one is halted: every
/// halt reaches the target, and the log.
#[test]
fn a_flood_of_one_account_loses_no_halt_of_another() {
    const HALTS: usize = 30;
    let receiver = Receiver::start();
    let site = Site::start("memory", &target("all", &receiver, ""));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..3 {
            let (site, stop) = (&site, &stop);
            scope.spawn(move || {
                let mut engine = Client::connect(site.exporter.address);
                while !stop.load(Ordering::Relaxed) {
                    let body = flapping(&format!("noisy-{client}"));
                    assert_eq!(engine.send("POST", "/api/v1/events", &body).status, 200);
                }
            });
        }
        for halt in 0..HALTS {
            site.halt("quiet", &format!("number {halt:02}"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    for halt in 0..HALTS {
        receiver.wait_for_body(&format!("number {halt:02}"));
        site.exporter.wait_for_log(&[" halt id=", &format!("number {halt:02}")]);
    }
}

/// Heartbeats that change the health of components 4,200 times.
fn flapping(account: &str) -> String {
    let beat = |n: usize| {
        let status = if (n / 100).is_multiple_of(2) { "unhealthy" } else { "healthy" };
        json!({"type": "heartbeat", "account": account, "component": format!("c{}", n % 100),
            "status": status})
    };
    Value::Array((0..4_200).map(beat).collect()).to_string()
}

#[test]
fn the_outbox_is_private() {
    let receiver = Receiver::start();
    let site = Site::start("journal", &target("engine", &receiver, ""));
    site.halt("paper", "by hand");
    receiver.wait_for(1);
    let mode = |path: &str| {
        let path = site.directory.path().join("data").join(path);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("outbox"), mode("outbox/engine.ndjson")), (0o700, 0o600));
}

#[test]
fn secrets_change_without_a_restart() {
    let receiver = Receiver::start();
    let site = Site::start("memory", &target("engine", &receiver, ""));
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    fs::write(site.directory.path().join("other"), other).unwrap();
    let both = target("engine", &receiver, "")
        .replace("secret_file: secret", "secret_files: [other, secret]");
    configure(site.directory.path(), &both);
    assert_eq!(site.exporter.post("/-/reload", "{}").status, 200);
    site.halt("paper", "by hand");
    let request = receiver.wait_for(1).remove(0);
    assert_eq!(request.headers["webhook-signature"].split(' ').count(), 2);
    verify(&request);
}

#[test]
fn forbidden_addresses_are_rejected() {
    let check = |url: &str, words: &str| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("secret"), SECRET).unwrap();
        let webhook = format!("  - {{name: a, url: \"{url}\", secret_file: secret}}\n");
        configure(directory.path(), &webhook);
        let file = directory.path().join("exporter.yml");
        let (code, out, err) = crate::exporter::run(&["check-config", file.to_str().unwrap()], "");
        assert_eq!(code, i32::from(!words.is_empty()), "{url}: {out}{err}");
        assert!(format!("{out}{err}").contains(words), "{url}: {out}{err}");
    };
    check("https://hooks.example/x", "");
    check("https://127.0.0.1/x", "allow_private");
    check("https://169.254.169.254/latest", "allow_private");
    check("https://2130706433/", "allow_private");
    check("https://0x7f.1/", "allow_private");
    check("https://[::1]/", "allow_private");
    check("https://[::ffff:10.0.0.1]/", "allow_private");
    check("http://hooks.example/x", "https");
    check("ftp://hooks.example/x", "URL");
    // A host name is checked when it is resolved.
    let webhook = "  - {name: a, url: \"https://localhost:9/x\", secret_file: secret}\n";
    let site = Site::start("memory", webhook);
    site.halt("paper", "by hand");
    site.wait_for_metric(
        "trading_exporter_webhook_deliveries_total{sink=\"a\",outcome=\"failed\"}",
        |count| count >= 1,
    );
}

/// Ingest with hanging targets, compared with ingest without, in one interleaved run.
#[test]
fn ingest_does_not_wait_for_targets() {
    let receivers: Vec<Receiver> = (0..8).map(|_| Receiver::start()).collect();
    let mut webhooks = String::new();
    for (n, receiver) in receivers.iter().enumerate() {
        receiver.behave(if n % 2 == 0 { Manner::Hang } else { Manner::Trickle });
        webhooks += &target(&format!("t{n}"), receiver, "");
    }
    let (with, without) = (Site::start("memory", &webhooks), Site::start("memory", "  []\n"));
    let mut clients = [&with, &without].map(|site| Client::connect(site.exporter.address));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..200 {
        // Each request changes the health of a component, which is sent to every target.
        let status = if round % 2 == 0 { "unhealthy" } else { "degraded" };
        let body = json!({"type": "heartbeat", "component": "gateway", "status": status});
        for (client, times) in clients.iter_mut().zip(&mut times) {
            let begin = monotonic();
            assert_eq!(client.send("POST", "/api/v1/events", &body.to_string()).status, 200);
            times.push(monotonic() - begin);
        }
    }
    let mut report = String::new();
    for times in &mut times {
        times.sort();
        write!(report, "p50 {:?} p99 {:?}; ", times[100], times[198]).unwrap();
    }
    let ratio = times[0][198].as_secs_f64() / times[1][198].as_secs_f64();
    println!("ingest with bad targets, without: {report}ratio of p99 {ratio:.2}");
    with.wait_for_metric("trading_exporter_webhook_pending{sink=\"t0\"}", |n| n >= 199);
}
