//! The readers of bytes from outside, each as a function of bytes: it must not panic, and what it accepts
//! must satisfy a property.
//!
//! Two drivers share these targets: the tests in `main.rs`, which edit the corpus at random, and
//! libFuzzer (`libfuzzer/`), which searches by coverage.

use std::sync::Arc;

use trading_exporter::adapters::{AdapterName, AdapterOptions, ForeignForm, NothingKnown, adapt};
use trading_exporter::config::{Config, ConfigError, Environment};
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Entry, Record, Verdict};
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::time::Timestamp;
use trading_exporter::engine::{decode_record, decode_state, encode_state};
use trading_exporter::journal::{
    EventLog, JournalReader, LocalLog, LocalOptions, SimStorage, Snapshots, Storage,
};
use trading_exporter::wire::decode::{DecodeLimits, Decoded, decode_json, decode_ndjson};
use trading_exporter::wire::encode::encode_into;
use trading_exporter::wire::request::{decisions, notification};

/// A reader of bytes.
pub(crate) type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("ingest", ingest),
    ("adapter", adapter),
    ("notification", notifications),
    ("decision", decision),
    ("config", config),
    ("record", record),
    ("frame", frame),
    ("snapshot", snapshot),
    ("state", state),
];

/// 2026-11-22T14:30:00Z.
const NOW_NANOS: i64 = 1_795_357_800_000_000_000;

fn apply(monitor: &mut Monitor, sequence: u64, entry: Entry) -> Verdict {
    let received_at = Timestamp::from_nanos(NOW_NANOS).expect("a time in range");
    let record = Record { sequence, received_at, more: false, entry };
    monitor.apply(&record, &mut Vec::new())
}

/// Whether the grammar of JSON allows these bytes. Strings that nobody reads may have any escapes.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// Bodies of events. What is accepted is JSON, is encoded as an equal event, and can be folded.
pub(crate) fn ingest(bytes: &[u8]) {
    let limits = DecodeLimits::default();
    if let Ok(decoded) = decode_json(bytes, &limits) {
        assert!(is_json(bytes), "accepted, but not JSON");
        fold(decoded);
    }
    if let Ok(decoded) = decode_ndjson(bytes, &limits) {
        fold(decoded);
    }
}

fn fold(decoded: Decoded) {
    assert_eq!(decoded.events.len() + decoded.refused.len(), decoded.total);
    let mut monitor = Monitor::new(Arc::new(Settings::default()));
    for (sequence, (_, event)) in (1..).zip(decoded.events) {
        let mut encoded = Vec::new();
        encode_into(&event, &mut encoded);
        let again = decode_json(&encoded, &DecodeLimits::default()).expect("an encoded event");
        assert_eq!(again.refused, Vec::new(), "{}", String::from_utf8_lossy(&encoded));
        let [(0, again)] = &*again.events else { panic!("one event becomes one event") };
        assert_eq!(*again, event);
        apply(&mut monitor, sequence, Entry::Event(event));
    }
    apply(&mut monitor, u64::MAX, Entry::Tick);
}

/// Bodies in the formats of other systems, each read by every adapter. What is accepted can be folded.
pub(crate) fn adapter(bytes: &[u8]) {
    let options = AdapterOptions::default();
    for name in AdapterName::ALL {
        for form in [ForeignForm::Text, ForeignForm::Fields] {
            let adapted =
                adapt(name, (bytes, form), &options, &NothingKnown, &DecodeLimits::default());
            let Ok(adapted) = adapted else { continue };
            let of_a_message = |index: usize| index < adapted.messages;
            assert!(adapted.decoded.events.iter().all(|(index, _)| of_a_message(*index)));
            assert!(adapted.ignored.iter().all(|message| of_a_message(message.index)));
            fold(adapted.decoded);
        }
    }
}

/// Notifications of Alertmanager and Grafana. What is accepted is JSON, and asks for what it counts.
pub(crate) fn notifications(bytes: &[u8]) {
    if let Ok(read) = notification::decode(bytes) {
        assert!(is_json(bytes), "accepted, but not JSON");
        assert!(read.unknown_actions.len() <= read.unknown);
        for halt in read.halts {
            assert!(!halt.id.is_empty() && !halt.reason.is_empty());
        }
    }
}

/// Bodies of halts, releases and reconciliations.
pub(crate) fn decision(bytes: &[u8]) {
    let limits = DecodeLimits::default();
    let mut monitor = Monitor::new(Arc::new(Settings::default()));
    if let Ok(halt) = decisions::decode_halt(bytes, &limits) {
        apply(&mut monitor, 1, Entry::Decision(halt.decided_with("a token")));
    }
    if let Ok(release) = decisions::decode_release(bytes, &limits) {
        apply(&mut monitor, 2, Entry::Decision(release.decided_with("a token")));
    }
    if let Ok(request) = decisions::decode_reconcile(bytes, &limits) {
        assert!(request.account.as_str() != "*", "a reconciliation is about one account");
    }
}

/// Configuration files. A refused one says why.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = Config::parse(text, &Environment::default()) {
        let ConfigError::Mistakes(mistakes) = &error else {
            panic!("not read from a file: {error}")
        };
        assert!(!mistakes.is_empty());
    }
}

/// Records of a journal whose frame was intact. What is accepted can be folded.
pub(crate) fn record(bytes: &[u8]) {
    if let Ok((_, entry)) = decode_record(bytes) {
        let mut monitor = Monitor::new(Arc::new(Settings::default()));
        apply(&mut monitor, 1, entry);
        apply(&mut monitor, 2, Entry::Tick);
    }
}

/// A directory with one file of these bytes.
fn directory(name: &str, bytes: Vec<u8>) -> Arc<SimStorage> {
    let storage = SimStorage::new(0);
    storage.create(name, 0).expect("a file");
    storage.damage(name, |content| *content = bytes);
    Arc::new(storage)
}

/// Puts the checksum of `covered` after it, so that what is behind the checksum is reached.
fn seal(bytes: &mut [u8], covered: std::ops::Range<usize>) {
    let Some(checksum) = bytes.get(covered.clone()).map(crc32c::crc32c) else { return };
    if let Some(place) = bytes.get_mut(covered.end..covered.end + 4) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
}

/// The first segment of a journal, with right checksums. All readers find the same records in it.
pub(crate) fn frame(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if let Some(payload) = bytes.get(20..28).and_then(|b| <[u8; 8]>::try_from(b).ok())
        && let Ok(payload) = usize::try_from(u64::from_le_bytes(payload))
        && let Some(end) = payload.checked_add(96)
    {
        seal(&mut bytes, 96..end);
    }
    seal(&mut bytes, 0..92);
    bytes.resize(bytes.len().next_multiple_of(512).max(1024), 0);
    let storage = directory("seg-00000000000000000001", bytes);
    let verified = JournalReader::open(storage.clone()).and_then(|reader| reader.verify());
    let mut records = 0;
    let opened = LocalLog::open(storage, LocalOptions::default()).and_then(|log| {
        log.replay(1, &mut |batch| {
            records += batch.records().count() as u64;
            Ok(())
        })?;
        Ok(log.last_sequence())
    });
    if let (Ok(verified), Ok(last)) = (&verified, &opened) {
        assert_eq!((verified.last_sequence, records), (*last, *last));
    }
}

/// A snapshot with a right checksum of its header.
pub(crate) fn snapshot(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    seal(&mut bytes, 0..108);
    let snapshots = Snapshots::new(directory("snap-00000000000000000090", bytes));
    if let Ok(info) = snapshots.verify(90) {
        assert_eq!(info.sequence, 90);
    }
}

/// The content of a snapshot. What is accepted is written again as a state that is read as an equal one,
/// and continues.
pub(crate) fn state(bytes: &[u8]) {
    let Ok(mut monitor) = decode_state(&mut &*bytes) else { return };
    let encoded = |monitor: &Monitor| {
        let mut encoded = Vec::new();
        encode_state(monitor, &mut encoded).expect("writing to memory");
        encoded
    };
    let first = encoded(&monitor);
    let again = decode_state(&mut &*first).expect("what was written");
    assert_eq!(encoded(&again), first);
    apply(&mut monitor, 1, Entry::Tick);
}
