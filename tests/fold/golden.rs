//! Golden snapshots: this build reads the snapshots of earlier builds, and shows the same state.
//!
//! `tests/fixtures/golden` has one for each layout of the state. The test fails if a field was added
//! without a default: give it `#[serde(default)]`, or increment `STATE_VERSION` and keep reading the old
//! layout. If a layout was never released, you may delete its files: the test writes new ones, and fails
//! once.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use trading_exporter::engine::{STATE_VERSION, SnapshotStore};
use trading_exporter::journal::{DiskStorage, Snapshots, Storage};

use crate::flow::Fold;
use crate::snapshots::{aside, metrics, settings};

fn directory() -> PathBuf {
    let layout = format!("state-v{STATE_VERSION}");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(layout)
}

fn states() -> SnapshotStore {
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage::open(&directory()).expect("a directory"));
    SnapshotStore::new(Snapshots::new(storage))
}

fn write() {
    fs::create_dir_all(directory()).expect("a directory");
    let mut fold = Fold::new(settings());
    for n in 0..60 {
        aside(n).happen(&mut fold);
    }
    states().keep(&fold.monitor).expect("a snapshot");
    fs::write(directory().join("metrics.txt"), metrics(&fold.monitor).concat()).expect("a file");
}

#[test]
fn golden_snapshots_still_show_the_same_state() {
    let Ok(expected) = fs::read_to_string(directory().join("metrics.txt")) else {
        write();
        panic!("a new golden snapshot was written: commit it");
    };
    let beginning = states().newest(&|_| true).expect("the directory");
    assert!(beginning.unreadable.is_empty(), "{:?}", beginning.unreadable);
    let (state, _) = beginning.state.expect("a golden snapshot");
    assert_eq!(metrics(&state).concat(), expected);
}
