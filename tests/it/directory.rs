//! The directory of the journal, changed while the exporter is running or stopped.

use std::fs;
use std::path::{Path, PathBuf};

use crate::exporter::Exporter;

/// Starts an exporter over the journal in `directory`.
fn start(directory: &Path) -> Exporter {
    Exporter::start(&[&format!("--storage.path={}", directory.display())])
}

fn accept(exporter: &Exporter, ids: std::ops::Range<u32>) {
    for id in ids {
        let event = format!(
            r#"{{"type":"order_denied","account":"paper","order_id":"{id}","symbol":"A"}}"#
        );
        assert_eq!(exporter.post("/api/v1/events", &event).status, 200);
    }
}

fn snapshots(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_snapshot =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("snap-");
    let mut snapshots: Vec<PathBuf> = entries.filter(is_snapshot).collect();
    snapshots.sort();
    snapshots
}

/// If the journal is moved or replaced, the process ends: the next start would not find anything it
/// acknowledged from then on.
#[test]
fn a_journal_that_was_moved_accepts_nothing() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("removed", |journal| fs::remove_dir_all(journal).unwrap()),
        ("moved", |journal| fs::rename(journal, journal.with_extension("old")).unwrap()),
        ("another in its place", |journal| {
            fs::rename(journal, journal.with_extension("old")).unwrap();
            fs::create_dir(journal).unwrap();
        }),
        ("no lock", |journal| fs::remove_file(journal.join("lock")).unwrap()),
        ("no segment", |journal| {
            fs::remove_file(journal.join("seg-00000000000000000001")).unwrap();
        }),
    ];
    let check = |(what, change): (&str, Change)| {
        let home = tempfile::tempdir().unwrap();
        let journal = home.path().join("journal");
        let mut exporter = start(&journal);
        accept(&exporter, 0..3);
        change(&journal);
        assert_eq!(exporter.wait().code(), Some(1), "{what}: {}", exporter.log());
        // The preallocation of a segment may fail first.
        exporter.wait_for_log(&["ERROR", "the journal"]);
    };
    std::thread::scope(|scope| {
        for change in changes {
            scope.spawn(move || check(change));
        }
    });
}

/// A snapshot is used only with its own journal.
#[test]
fn a_snapshot_of_another_journal_is_skipped() {
    let home = tempfile::tempdir().unwrap();
    let [own, other] = ["own", "other"].map(|name| home.path().join(name));
    for (journal, ids) in [(&own, 0..60), (&other, 100..110)] {
        let mut exporter = start(journal);
        accept(&exporter, ids);
        exporter.signal("TERM");
        assert_eq!(exporter.wait().code(), Some(0));
    }
    for snapshot in snapshots(&own) {
        fs::remove_file(snapshot).unwrap();
    }
    for snapshot in snapshots(&other) {
        fs::copy(&snapshot, own.join(snapshot.file_name().unwrap())).unwrap();
    }
    let exporter = start(&own);
    exporter.wait_for_log(&["ERROR", "a snapshot is skipped", "belongs to another journal"]);
    exporter.wait_for_log(&["the state is recovered"]);
    let answer = exporter.get("/api/v1/execution?account=paper").json();
    assert_eq!(answer["counters"]["denied"], 60, "{answer}");
}
