//! Golden journals: journals of earlier versions stay readable, and the writer still writes the same
//! bytes.
//!
//! `tests/fixtures/journal/vN` has segments of 8 KiB in version N of the format, and the output of
//! `journal inspect` for them. A new version of the format adds a folder and changes none.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use trading_exporter::config::settings_codec;
use trading_exporter::domain::event::Event;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Entry, Verdict};
use trading_exporter::domain::time::Timestamp;
use trading_exporter::engine::{RecordCodec, SettingsCodec, Submission, Writer};
use trading_exporter::journal::{
    Batch, DiskStorage, EventLog, JournalReader, LocalLog, LocalOptions, SimStorage, Storage,
    TailState,
};

use crate::exporter::{Exporter, run};

/// Size of a segment of the golden journals.
const SEGMENT_BYTES: u64 = 8 * 1024;

/// The version that is written.
const WRITTEN: &str = "v1";
/// All versions that are read.
const VERSIONS: &[&str] = &["v1"];

const CODEC: RecordCodec = RecordCodec::new(SettingsCodec {
    encode: settings_codec::encode,
    decode: |bytes| settings_codec::decode(bytes).map_err(|error| error.to_string()),
});

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

#[test]
fn every_version_reads_as_recorded() {
    for version in VERSIONS {
        let directory = fixture(version).display().to_string();
        let (code, out, err) = run(&["journal", "verify", &directory], "");
        assert_eq!(code, 0, "{version}: {err}");
        assert!(
            out.starts_with("ok: records 1 to 17 in 13 batches, 2 segments"),
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
            batches.iter().flat_map(Batch::records).map(|bytes| CODEC.decode(bytes).unwrap().1);
        let is_asked_for =
            |event: &Event| event.event_id.as_ref().is_some_and(|id| id.as_str() == "e-2");
        let event = sent
            .into_iter()
            .find(|entry| matches!(entry, Entry::Event(event) if is_asked_for(event)));

        let monitor = Arc::new(RwLock::new(Monitor::new(Arc::default())));
        let mut writer = Writer::new(monitor, Box::new(log), CODEC);
        writer.recover(&mut |_, _| ()).unwrap();
        let again = Submission::new(vec![event.unwrap()], Vec::new(), &CODEC);
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
        Ok(())
    });
    assert_eq!(tail.unwrap(), TailState::Clean);

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
