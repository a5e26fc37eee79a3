//! Rows of the journal alone, against what the disk can do at best.
//!
//! The limit is a file whose room was taken and filled with zeros before: the same bytes in one write
//! and one `fdatasync`, one after the other, round and round in it. The journal also makes its next
//! segments meanwhile, on a thread of its own, as in the exporter.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use trading_exporter::journal::{Batch, DiskStorage, EventLog, LocalLog, LocalOptions, Room};

use crate::rounds::{median, median_ratio, rate, take_turns};
use crate::table::{Goal, Row, per_second};

/// How long each side writes in a round.
const ROUND: Duration = Duration::from_millis(1_500);
/// Bytes of the file of the limit, and of a segment.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes of a record: an event as the journal keeps it.
const RECORD_BYTES: usize = 250;
/// Bytes that a frame has beside its records, and those that each record costs beside its own.
const FRAME_BYTES: usize = 100;
const LENGTH_BYTES: usize = 4;

/// One event for each sync, and as many as 64 connections send meanwhile.
pub(crate) fn journal() -> Vec<Row> {
    // Beside the build: what lies below the system's folder may be memory.
    let folder = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target"));
    let folder = folder.expect("a folder");
    let plain = zeros(&folder.path().join("plain"));
    let mut log = open(&folder.path().join("journal"));
    [1, 64].map(|records| row(&plain, &mut log, records)).into()
}

fn row(plain: &File, log: &mut LocalLog, records: usize) -> Row {
    let bytes = (records * (RECORD_BYTES + LENGTH_BYTES) + FRAME_BYTES).next_multiple_of(512);
    let frame = vec![0x55; bytes];
    let mut offset = 0;
    let [ours, limit] = take_turns([
        &mut || {
            rate(ROUND, || {
                append(log, records);
                1
            })
        },
        &mut || {
            rate(ROUND, || {
                offset = if offset + bytes as u64 > FILE_BYTES { 0 } else { offset };
                plain.write_all_at(&frame, offset).expect("a write");
                plain.sync_data().expect("a sync");
                offset += bytes as u64;
                1
            })
        },
    ]);
    Row {
        what: format!("the journal alone, {records} records in a batch"),
        ours: per_second(median(ours.iter().copied())),
        against: format!("write and fdatasync of {bytes} bytes into a file made before"),
        theirs: per_second(median(limit.iter().copied())),
        ratio: median_ratio(&ours, &limit),
        goal: Goal::AtLeast(0.9),
        note: String::from("batches and syncs"),
    }
}

fn zeros(path: &Path) -> File {
    let mut file = File::create(path).expect("a file");
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE_BYTES >> 20 {
        file.write_all(&zeros).expect("a write");
    }
    file.sync_all().expect("a sync");
    file
}

fn open(folder: &Path) -> LocalLog {
    let storage = DiskStorage::open_or_create(folder).expect("a folder");
    let options = LocalOptions { segment_bytes: FILE_BYTES, ..LocalOptions::default() };
    let mut log = LocalLog::open(Arc::new(storage), options).expect("a journal");
    let preparer = log.preparer();
    // It ends with the log.
    thread::spawn(move || preparer.run());
    log
}

fn append(log: &mut LocalLog, records: usize) {
    let mut batch = Batch::new(log.last_sequence() + 1, 0, Room::Ordinary);
    for _ in 0..records {
        batch.push(|out| out.extend_from_slice(&[0x55; RECORD_BYTES]));
    }
    log.append(&batch).expect("a batch that is taken");
}
