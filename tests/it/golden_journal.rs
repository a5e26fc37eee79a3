//! Golden journals: journals of earlier versions stay readable, and the writer still writes the same
//! bytes.
//!
//! `tests/fixtures/journal/vN` has segments of 8 KiB in version N of the format, and the output of
//! `journal inspect` for them. A new version of the format adds a folder and changes none. Before a
//! version is released its files may be removed: the first test records them again and fails once.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use trading_exporter::domain::event::Event;
use trading_exporter::domain::ids::{Account, Actor};
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::principal::Principal;
use trading_exporter::domain::record::{Decision, Entry, Verdict};
use trading_exporter::domain::state::TradingState;
use trading_exporter::domain::time::Timestamp;
use trading_exporter::engine::{EncodedRequest, Writer, decode_record};
use trading_exporter::journal::{
    Batch, DiskStorage, EventLog, JournalReader, LocalLog, LocalOptions, SimStorage, Storage,
    TailState,
};
use trading_exporter::wire::decode::{DecodeLimits, decode_ndjson};

use crate::exporter::{Exporter, run};

/// Size of a segment of the golden journals.
const SEGMENT_BYTES: u64 = 8 * 1024;

/// The version that is written.
const WRITTEN: &str = "v1";
/// All versions that are read.
const VERSIONS: &[&str] = &["v1"];

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal").join(version)
}

/// The names of the segments, oldest first.
fn segments(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("seg-"));
    names.sort();
    names
}

/// A writable copy.
fn copied(version: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in segments(&fixture(version)) {
        fs::copy(fixture(version).join(&name), directory.path().join(&name)).unwrap();
    }
    directory
}

/// Four orders of one account, its positions of both sides, and a halt of another account.
const BODIES: [&str; 4] = [
    r#"{"type":"order_submitted","account":"paper","event_id":"e-1","order_id":"O-1","symbol":"AAPL","side":"buy","quantity":"100","expected_price":"187.4"}
{"type":"order_accepted","account":"paper","event_id":"e-2","order_id":"O-1"}
{"type":"order_filled","account":"paper","event_id":"e-3","order_id":"O-1","price":"187.42","quantity":"60","fill_id":"F-1"}
{"type":"order_filled","account":"paper","event_id":"e-4","order_id":"O-1","price":"187.45","quantity":"40","fill_id":"F-2","fee":"0.3","fee_currency":"USD"}"#,
    r#"{"type":"order_submitted","account":"paper","order_id":"O-2","symbol":"BTC/USDT","side":"sell","quantity":"0.5","limit_price":"64000.5"}"#,
    r#"{"type":"order_rejected","account":"paper","order_id":"O-2","reason":"insufficient_funds"}"#,
    r#"{"type":"positions","account":"paper","source":"local","positions":[{"symbol":"AAPL","quantity":"100","average_price":"187.432"}]}
{"type":"positions","account":"paper","source":"broker","positions":[{"symbol":"AAPL","quantity":"88","average_price":"187.432","market_price":"187.5"}]}"#,
];

/// Records the fixture of the version that is written now.
fn record() {
    let directory = fixture(WRITTEN);
    fs::create_dir_all(&directory).unwrap();
    let storage = Arc::new(DiskStorage::open(&directory).unwrap());
    let options = LocalOptions { segment_bytes: SEGMENT_BYTES, ..LocalOptions::default() };
    let log = Box::new(LocalLog::open(storage, options).unwrap());
    let monitor = Arc::new(RwLock::new(Monitor::new(Arc::default())));
    let mut writer = Writer::new(monitor, log);
    // 2026-11-25T22:56:30Z.
    let mut now = Timestamp::from_nanos(1_795_647_390_000_000_000).unwrap();
    let mut commit = |entries: Vec<Entry>| {
        now = now.plus(Duration::from_millis(20));
        writer.commit(vec![EncodedRequest::new(entries, Vec::new())], now).unwrap();
    };
    commit(vec![Entry::Settings(Arc::default())]);
    commit(vec![Entry::Tick]);
    commit(vec![Entry::Tick]);
    for body in BODIES {
        let events = decode_ndjson(body.as_bytes(), &DecodeLimits::default()).unwrap().events;
        commit(events.into_iter().map(|(_, event)| Entry::Event(event)).collect());
    }
    let account = Account::new("other").unwrap();
    let by = Principal::with_token(Actor::new("jo").unwrap(), "desk");
    commit(vec![Entry::Decision(Decision::Halt {
        account: account.clone(),
        state: TradingState::Reducing,
        reason: "by hand".to_owned(),
        by: by.clone(),
    })]);
    commit(vec![Entry::Decision(Decision::Release {
        account,
        epoch: 1,
        causes: Vec::new(),
        force: false,
        reason: "again".to_owned(),
        by,
    })]);
    commit(vec![Entry::Tick]);
    commit(vec![Entry::Tick]);
    drop(writer);
    // The lock and the segment allocated ahead are no part of the format.
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().starts_with("seg-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let (_, out, _) = run(&["journal", "inspect", &directory.display().to_string()], "");
    fs::write(directory.join("inspect.ndjson"), out).unwrap();
}

#[test]
fn every_version_reads_as_recorded() {
    if !fixture(WRITTEN).join("inspect.ndjson").exists() {
        record();
        panic!("the journal of {WRITTEN} was recorded again: commit it");
    }
    for version in VERSIONS {
        let directory = fixture(version).display().to_string();
        let (code, out, err) = run(&["journal", "verify", &directory], "");
        assert_eq!(code, 0, "{version}: {err}");
        assert!(
            out.starts_with("ok: records 1 to 18 in 14 batches, 2 segments"),
            "{version}: {out}"
        );
        let (code, out, err) = run(&["journal", "inspect", &directory], "");
        assert_eq!((code, &*err), (0, ""), "{version}");
        let expect = fs::read_to_string(fixture(version).join("inspect.ndjson")).unwrap();
        assert_eq!(out, expect, "{version}");
    }
}

#[test]
fn every_version_is_folded_and_continued() {
    for version in VERSIONS {
        let directory = copied(version);
        let path = format!("--storage.path={}", directory.path().display());
        let exporter = Exporter::start(&[&path]);
        let metrics = exporter.get("/metrics").body;
        for sample in [
            r#"trading_orders_filled_total{account="paper",symbol="AAPL"} 1.0"#,
            r#"trading_orders_rejected_total{account="paper",symbol="BTC/USDT"} 1.0"#,
            r#"trading_position_quantity{account="paper",symbol="AAPL",book="broker"} 88.0"#,
            r#"trading_halts_total{account="other",cause="operator"} 1.0"#,
            r#"trading_state{account="other"} 0.0"#,
        ] {
            assert!(metrics.contains(sample), "{version}: {sample} in {metrics}");
        }
        let event = r#"{"type":"order_submitted","account":"paper","order_id":"O-9","symbol":"AAPL","side":"buy","quantity":1}"#;
        let answer = exporter.post("/api/v1/events", event).json();
        assert_eq!(answer["accepted"], 1, "{version}: {answer}");
    }
}

/// Ids expire after a day, so the event is sent again one second after the recording, by its clock.
#[test]
fn every_version_detects_duplicates_of_recorded_events() {
    for version in VERSIONS {
        let directory = copied(version);
        let storage = Arc::new(DiskStorage::open(directory.path()).unwrap());
        let mut batches: Vec<Batch> = Vec::new();
        let mut keep = |batch: &Batch| {
            batches.push(batch.clone());
            Ok(())
        };
        let options = LocalOptions { segment_bytes: SEGMENT_BYTES, ..LocalOptions::default() };
        let log = LocalLog::open(storage, options).unwrap();
        log.replay(1, &mut keep).unwrap();
        let last = Timestamp::from_nanos(batches.last().unwrap().received_at_nanos()).unwrap();
        let sent =
            batches.iter().flat_map(Batch::records).map(|bytes| decode_record(bytes).unwrap().1);
        let is_asked_for =
            |event: &Event| event.event_id.as_ref().is_some_and(|id| id.as_str() == "e-2");
        let event = sent
            .into_iter()
            .find(|entry| matches!(entry, Entry::Event(event) if is_asked_for(event)));

        let monitor = Arc::new(RwLock::new(Monitor::new(Arc::default())));
        let mut writer = Writer::new(monitor, Box::new(log));
        writer.recover(&mut |_, _| ()).unwrap();
        let again = EncodedRequest::new(vec![event.unwrap()], Vec::new());
        let committed = writer.commit(vec![again], last.plus(Duration::from_secs(1))).unwrap();
        assert_eq!(committed.receipts[0].verdicts, [Verdict::Duplicate], "{version}");
    }
}

/// Equal batches give equal bytes. A change of the bytes needs a new version of the format.
#[test]
fn the_writer_still_writes_the_same_bytes() {
    let directory = copied(WRITTEN);
    let storage = DiskStorage::open(directory.path()).unwrap();
    let mut batches: Vec<Batch> = Vec::new();
    let tail = JournalReader::open(Arc::new(storage)).unwrap().replay(1, &mut |batch| {
        batches.push(batch.clone());
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(tail.unwrap(), ControlFlow::Continue(TailState::Clean));

    let written = SimStorage::new(0);
    let options = LocalOptions { segment_bytes: SEGMENT_BYTES, ..LocalOptions::default() };
    let mut log = LocalLog::open(Arc::new(written.clone()), options).unwrap();
    for batch in &batches {
        log.append(batch).unwrap();
    }
    let names = segments(&fixture(WRITTEN));
    assert!(names.iter().all(|name| written.names().unwrap().contains(name)), "{names:?}");
    for name in names {
        let recorded = fs::read(fixture(WRITTEN).join(&name)).unwrap();
        assert!(written.read(&name) == recorded, "{name} is not written as it was");
    }
}
