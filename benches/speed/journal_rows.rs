//! Rows of the journal alone, against the limit of the disk.
//!
//! The first limit writes the same bytes into a preallocated file of zeros, with one write and one
//! `fdatasync` each, and starts again at its beginning when it is full. The journal also preallocates
//! its next segments in the background, as in the exporter, which at full speed doubles the bytes that
//! the disk gets. The second limit does that too: it writes into files that it fills with zeros as
//! fast as it needs them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use trading_exporter::journal::{
    Batch, DiskStorage, EventLog, LocalLog, Room, Storage, StoredFile, SyncMode,
};

use crate::folders::{disk_folder, open_journal};
use crate::rounds::{median, median_ratio, rate, take_turns};
use crate::table::{Goal, Row, per_second};

/// Duration of each side in a round.
const ROUND: Duration = Duration::from_millis(1_500);
/// Size of a file of the limits: that of a segment.
const FILE_BYTES: u64 = 64 << 20;
/// Size of a record: that of an event in the journal.
const RECORD_BYTES: usize = 250;
/// Overhead of a frame, and of each record in it.
const FRAME_BYTES: usize = 100;
const LENGTH_BYTES: usize = 4;

/// One event per sync, and 64, as many as 64 connections send during a sync.
pub(crate) fn journal() -> Vec<Row> {
    let folder = disk_folder();
    let storage = |name: &str| {
        Arc::new(DiskStorage::open_or_create(&folder.path().join(name)).expect("a folder"))
    };
    let mut plain = PlainLog::new(storage("plain"), FileRotation::SingleFile);
    let mut rolling = PlainLog::new(storage("rolling"), FileRotation::NewFiles);
    let mut log = open_journal(&folder.path().join("journal"), SyncMode::EveryBatch);
    [1, 64]
        .into_iter()
        .flat_map(|records| rows(&mut plain, &mut rolling, &mut log, records))
        .collect()
}

fn rows(
    plain: &mut PlainLog,
    rolling: &mut PlainLog,
    log: &mut LocalLog,
    records: usize,
) -> [Row; 2] {
    let bytes = (records * (RECORD_BYTES + LENGTH_BYTES) + FRAME_BYTES).next_multiple_of(512);
    let frame = vec![0x55; bytes];
    let once = |write: &mut dyn FnMut()| {
        rate(ROUND, || {
            write();
            1
        })
    };
    let [ours, limit, log_limit] = take_turns([
        &mut || once(&mut || append(log, records)),
        &mut || once(&mut || plain.write(&frame)),
        &mut || once(&mut || rolling.write(&frame)),
    ]);
    let row = |against: String, theirs: &[f64], goal| Row {
        what: format!("the journal alone, batches of {records} records"),
        ours: per_second(median(ours.iter().copied())),
        against,
        theirs: per_second(median(theirs.iter().copied())),
        ratio: median_ratio(&ours, theirs),
        goal,
        note: String::from("batches and syncs"),
    };
    let of_plain = format!("write and fdatasync of {bytes} bytes into a preallocated file");
    [
        row(of_plain, &limit, Goal::AtLeast(0.9)),
        row(
            "the same, preallocating the next file meanwhile".to_owned(),
            &log_limit,
            Goal::AtLeast(0.9),
        ),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileRotation {
    /// Always the same file; writing starts again at its beginning when it is full.
    SingleFile,
    /// A new file when one is full. The next one is preallocated in the background.
    NewFiles,
}

/// A log that only writes and syncs.
struct PlainLog {
    storage: Arc<DiskStorage>,
    rotation: FileRotation,
    file: Arc<dyn StoredFile>,
    offset: u64,
    /// Number of the current file.
    number: u64,
    next: Option<JoinHandle<Arc<dyn StoredFile>>>,
}

impl PlainLog {
    fn new(storage: Arc<DiskStorage>, rotation: FileRotation) -> Self {
        let file = storage.create("0", FILE_BYTES).expect("a file");
        file.sync().expect("a sync");
        let mut plain = Self { storage, rotation, file, offset: 0, number: 0, next: None };
        plain.make_next();
        plain
    }

    fn make_next(&mut self) {
        if self.rotation == FileRotation::SingleFile {
            return;
        }
        let (storage, name) = (Arc::clone(&self.storage), (self.number + 1).to_string());
        self.next = Some(thread::spawn(move || {
            let file = storage.create(&name, FILE_BYTES).expect("a file");
            file.sync().expect("a sync");
            file
        }));
    }

    fn write(&mut self, frame: &[u8]) {
        let bytes = u64::try_from(frame.len()).expect("a length");
        if self.offset + bytes > FILE_BYTES {
            self.offset = 0;
            if let Some(next) = self.next.take() {
                self.file = next.join().expect("a thread that ends");
                self.storage.remove(&self.number.to_string()).expect("a removed file");
                self.storage.sync_names().expect("a sync");
                self.number += 1;
                self.make_next();
            }
        }
        self.file.write_at(frame, self.offset).expect("a write");
        self.file.sync().expect("a sync");
        self.offset += bytes;
    }
}

fn append(log: &mut LocalLog, records: usize) {
    let mut batch = Batch::new(log.last_sequence() + 1, 0, Room::Ordinary);
    for _ in 0..records {
        batch.push(|out| out.extend_from_slice(&[0x55; RECORD_BYTES]));
    }
    log.append(&batch).expect("a batch that is accepted");
}
