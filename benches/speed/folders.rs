//! Temporary folders on the disk of this repository, and journals in them.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use tempfile::TempDir;
use trading_exporter::journal::{DiskStorage, LocalLog, LocalOptions, SyncMode};

/// A folder next to the build: the system's temporary folder may be in memory.
pub(crate) fn disk_folder() -> TempDir {
    tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target")).expect("a folder")
}

/// Opens a journal in a folder, and starts the thread that preallocates its segments.
pub(crate) fn open_journal(folder: &Path, sync: SyncMode) -> LocalLog {
    let storage = DiskStorage::open_or_create(folder).expect("a folder");
    let options = LocalOptions { sync, ..LocalOptions::default() };
    let mut log = LocalLog::open(Arc::new(storage), options).expect("a journal");
    let preallocator = log.preallocator();
    // The thread ends when the log is dropped.
    thread::spawn(move || preallocator.run());
    log
}
