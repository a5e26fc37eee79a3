//! The journal on disk with the real process: restarts, damages and repairs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::exporter::{Exporter, run};

/// A directory for a journal, and the arguments that name it.
struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(home.config(), "storage:\n  segment_bytes: 1MiB\n").unwrap();
        home
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("exporter.yml")
    }

    fn journal(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    fn arguments(&self) -> [String; 3] {
        [
            "--web.listen-address=127.0.0.1:0".to_owned(),
            format!("--config.file={}", self.config().display()),
            format!("--storage.path={}", self.journal().display()),
        ]
    }

    fn start(&self) -> Exporter {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Exporter::start(&arguments)
    }

    /// Runs an exporter that fails to start. Returns its exit code and output.
    fn fail(&self) -> (i32, String) {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (code, _, err) = run(&arguments, "");
        (code, err)
    }

    /// The first segment.
    fn segment(&self) -> PathBuf {
        self.journal().join("seg-00000000000000000001")
    }
}

/// The series of the monitored state, without those of the process and those that change with time.
fn state(exporter: &Exporter) -> String {
    let metrics = exporter.get("/metrics").body;
    let own = |line: &str| line.contains("trading_exporter_") || line.contains("process_");
    metrics.lines().filter(|line| !own(line)).collect::<Vec<_>>().join("\n")
}

fn post_events(exporter: &Exporter) {
    let events = r#"[
        {"type":"order_submitted","account":"paper","order_id":"O-1","symbol":"AAPL","side":"buy",
         "quantity":100,"expected_price":187.40,"event_id":"e-1"},
        {"type":"order_filled","account":"paper","order_id":"O-1","fill_id":"F-1","quantity":100,
         "price":187.43,"event_id":"e-2"}]"#;
    let answer = exporter.post("/api/v1/events", events);
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn halt(exporter: &Exporter) {
    let body = r#"{"account":"paper","state":"halted","actor":"jo","reason":"a test"}"#;
    let answer = exporter.post("/api/v1/halts", body);
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

#[test]
fn a_restart_keeps_figures_halts_and_audit() {
    let home = Home::new();
    let mut first = home.start();
    post_events(&first);
    halt(&first);
    let before = state(&first);
    assert!(
        before.contains(r#"trading_fills_total{account="paper",symbol="AAPL"} 1.0"#),
        "{before}"
    );
    assert!(before.contains(r#"trading_state{account="paper"} 2.0"#), "{before}");
    assert!(first.get("/metrics").body.contains(r#"journal_durability{durability="synced"} 1.0"#));
    first.signal("TERM");
    assert_eq!(first.wait().code(), Some(0), "{}", first.log());

    let second = home.start();
    assert_eq!(state(&second), before);
    // Every running sum of a small state is derived again right after the replay.
    let sums = r"trading_exporter_sums_recounted_total 0.0";
    crate::recovery::wait_until("sums are derived again", || {
        !second.get("/metrics").body.contains(sums)
    });
    let metrics = second.get("/metrics").body;
    assert!(metrics.contains("trading_exporter_invariant_violations_total 0.0"), "{metrics}");
    let audit = second.get("/api/v1/audit?account=paper").body;
    assert!(audit.contains("a test"), "{audit}");
    post_events(&second);
    let metrics = second.get("/metrics").body;
    assert!(metrics.contains(r#"trading_fills_total{account="paper",symbol="AAPL"} 1.0"#));
    assert!(metrics.contains(r#"events_duplicate_total{type="order_filled"} 1.0"#), "{metrics}");
}

#[test]
fn a_journal_belongs_to_one_process() {
    let home = Home::new();
    let _first = home.start();
    let (code, err) = home.fail();
    assert_eq!(code, 1);
    assert!(err.contains("in use by another process"), "{err}");
}

/// A flipped bit in acknowledged data is reported with its position, and nothing is changed.
#[test]
fn a_damaged_journal_does_not_start() {
    let home = Home::new();
    let mut exporter = home.start();
    for _ in 0..3 {
        post_events(&exporter);
        halt(&exporter);
    }
    exporter.signal("TERM");
    assert_eq!(exporter.wait().code(), Some(0));
    let mut bytes = fs::read(home.segment()).unwrap();
    let place = bytes.windows(4).position(|window| window == b"AAPL").unwrap();
    bytes[place] ^= 1;
    fs::write(home.segment(), &bytes).unwrap();
    let names = |path: &Path| fs::read_dir(path).unwrap().count();
    let before = names(&home.journal());
    let (code, err) = home.fail();
    assert_eq!(code, 1, "{err}");
    assert!(
        err.contains("corrupt at") && err.contains("seg-00000000000000000001, offset"),
        "{err}"
    );
    assert_eq!(fs::read(home.segment()).unwrap(), bytes);
    assert_eq!(names(&home.journal()), before);
}

/// A journal can be inspected while the exporter runs.
#[test]
fn a_journal_can_be_inspected_while_it_is_written() {
    let home = Home::new();
    let exporter = home.start();
    post_events(&exporter);
    halt(&exporter);
    let directory = home.journal().display().to_string();
    let inspect = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let (code, out, err) = run(&[&["journal", "inspect", &directory], arguments].concat(), "");
        assert_eq!(code, 0, "{err}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let types = |lines: &[serde_json::Value]| -> Vec<String> {
        lines.iter().map(|line| line["type"].as_str().unwrap().to_owned()).collect()
    };
    let all = inspect(&[]);
    let sequences: Vec<u64> = all.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert!(sequences.iter().copied().eq(1..=sequences.len() as u64), "{sequences:?}");
    assert_eq!(types(&all)[0], "settings");
    let fill = &inspect(&["--type", "order_filled"])[..];
    assert_eq!(fill.len(), 1, "{fill:?}");
    assert_eq!(fill[0]["record"]["fill_id"], "F-1");
    let decisions = inspect(&["--account", "paper", "--type", "decision"]);
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0]["record"]["reason"], "a test");
    assert_eq!(inspect(&["--account", "other"]), [] as [serde_json::Value; 0]);
    let sequence = fill[0]["sequence"].to_string();
    assert_eq!(inspect(&["--from", &sequence, "--to", &sequence]), fill);
    let time = fill[0]["received_at"].as_str().unwrap();
    let at_that_time = inspect(&["--from", time, "--to", time]);
    assert!(at_that_time.contains(&fill[0]) && at_that_time.len() < all.len(), "{at_that_time:?}");
    let (code, out, err) = run(&["journal", "verify", &directory], "");
    assert_eq!((code, &err[..]), (0, ""));
    assert!(out.starts_with("ok: records 1 to "), "{out}");
    let (code, _, err) = run(&["journal", "repair", &directory], "");
    assert!(code == 1 && err.contains("in use"), "{err}");
}

#[test]
fn a_repaired_journal_keeps_the_records_before_the_damage() {
    let home = Home::new();
    let mut exporter = home.start();
    post_events(&exporter);
    exporter.signal("TERM");
    assert_eq!(exporter.wait().code(), Some(0));
    let kept = fs::read(home.segment()).unwrap();
    let mut exporter = home.start();
    halt(&exporter);
    let resting = state(&exporter);
    exporter.signal("TERM");
    assert_eq!(exporter.wait().code(), Some(0));
    assert!(resting.contains(r#"trading_state{account="paper"} 2.0"#));

    let mut bytes = fs::read(home.segment()).unwrap();
    let place = bytes.windows(6).position(|window| window == b"a test").unwrap();
    bytes[place] ^= 1;
    fs::write(home.segment(), &bytes).unwrap();
    let directory = home.journal().display().to_string();
    let (code, _, err) = run(&["journal", "verify", &directory], "");
    assert!(code == 1 && err.contains("corrupt at"), "{err}");
    let (code, out, err) = run(&["journal", "inspect", &directory], "");
    assert!(code == 1 && err.contains("corrupt at"), "{err}");
    assert!(out.contains("F-1"), "the records before the damage are shown: {out}");
    let (code, out, err) = run(&["journal", "repair", &directory], "");
    assert_eq!(code, 0, "{err}");
    let aside = out.lines().find_map(|line| line.split("is kept in ").nth(1)).unwrap();
    let aside = fs::read(aside).unwrap();
    let damaged = &bytes[place - 20..place + 6];
    assert!(aside.windows(26).any(|window| window == damaged), "no byte is lost");
    let mended = fs::read(home.segment()).unwrap();
    let used = kept.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(mended[..used], kept[..used]);
    assert_eq!(run(&["journal", "repair", &directory], "").1, "nothing is damaged\n");
    let exporter = home.start();
    let found = state(&exporter);
    assert!(found.contains(r#"trading_fills_total{account="paper",symbol="AAPL"} 1.0"#), "{found}");
    assert!(
        found.contains(r#"trading_state{account="paper"} 0.0"#),
        "the halt was dropped: {found}"
    );
}

#[test]
fn a_relaxed_journal_reports_its_durability() {
    let home = Home::new();
    fs::write(home.config(), "storage:\n  sync: interval\n  segment_bytes: 1MiB\n").unwrap();
    let mut exporter = home.start();
    post_events(&exporter);
    exporter.wait_for_log(&["WARN", "a power cut may lose the newest"]);
    let metrics = exporter.get("/metrics").body;
    assert!(metrics.contains(r#"journal_durability{durability="relaxed"} 1.0"#), "{metrics}");
    exporter.signal("TERM");
    assert_eq!(exporter.wait().code(), Some(0));
    let metrics = home.start().get("/metrics").body;
    assert!(metrics.contains(r#"trading_fills_total{account="paper",symbol="AAPL"} 1.0"#));
}
