//! A snapshot that an earlier build wrote is read by this one, and says the same.
//!
//! `tests/fixtures/golden` holds one for each layout of the state. A field that was added without a
//! default makes this fail: give it `#[serde(default)]`, or raise `STATE_VERSION` and keep reading
//! the old layout. Before a layout was ever released its files may be removed: the test writes them
//! anew, and fails once.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use trading_exporter::engine::{STATE_VERSION, States};
use trading_exporter::journal::{DiskStorage, Snapshots, Storage};

use crate::flow::Fold;
use crate::snapshots::{CODEC, aside, metrics, settings};

fn directory() -> PathBuf {
    let layout = format!("state-v{STATE_VERSION}");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(layout)
}

fn states() -> States {
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage::open(&directory()).expect("a directory"));
    States::new(Snapshots::new(storage), CODEC)
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
fn the_golden_snapshot_says_what_it_said() {
    let Ok(expected) = fs::read_to_string(directory().join("metrics.txt")) else {
        write();
        panic!("the golden snapshot was written anew: commit it");
    };
    let beginning = states().newest(&|_| true).expect("the directory");
    assert!(beginning.unreadable.is_empty(), "{:?}", beginning.unreadable);
    let (state, _) = beginning.state.expect("a golden snapshot");
    assert_eq!(metrics(&state).concat(), expected);
}
