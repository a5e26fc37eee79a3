//! A simulated world: one exporter over one disk, and a reference with the expected records.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use trading_exporter::domain::limits;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::Entry;
use trading_exporter::domain::settings::{Settings, WindowSettings};
use trading_exporter::domain::time::Timestamp;
use trading_exporter::engine::{
    EncodedRequest, SnapshotStore, StateDigest, Writer, digest_state, recover,
};
use trading_exporter::journal::{
    EventLog, LocalLog, LocalOptions, MemoryLog, SimStorage, Snapshots, Storage,
};

use crate::engines::Engine;
use crate::random::Random;
use crate::recount_all::recount;

/// 2026-11-22T14:30:00Z.
const START_NANOS: i64 = 1_795_357_800_000_000_000;
/// Small segments, so that many are made and dropped.
const SEGMENT_BYTES: u64 = 16 * 1024;

/// A writer and its state.
pub(crate) struct Exporter {
    pub(crate) monitor: Arc<RwLock<Monitor>>,
    pub(crate) writer: Writer,
}

impl Exporter {
    fn over(log: Box<dyn EventLog>) -> Self {
        let monitor = Arc::new(RwLock::new(Monitor::new(Arc::default())));
        let writer = Writer::new(Arc::clone(&monitor), log);
        Self { monitor, writer }
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.monitor.read().sequence()
    }

    pub(crate) fn digest(&self) -> StateDigest {
        digest_state(&self.monitor.read())
    }
}

/// Requests that are committed together, and their time.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) entries: Vec<Vec<Entry>>,
    pub(crate) now: Timestamp,
}

impl Requests {
    pub(crate) fn submissions(&self) -> Vec<EncodedRequest> {
        let submission = |entries: &Vec<Entry>| EncodedRequest::new(entries.clone(), Vec::new());
        self.entries.iter().map(submission).collect()
    }
}

/// Counts of the faults in a run.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub(crate) acknowledged: u64,
    pub(crate) recoveries: u64,
    pub(crate) deaths: u64,
    pub(crate) power_cuts: u64,
    pub(crate) failures: u64,
    pub(crate) full: u64,
    pub(crate) snapshots: u64,
    pub(crate) rotten: u64,
    pub(crate) passed_over: u64,
    pub(crate) segments_dropped: u64,
    pub(crate) kept_unanswered: u64,
}

impl Lost {
    pub(crate) fn add(&mut self, more: &Self) {
        self.acknowledged += more.acknowledged;
        self.recoveries += more.recoveries;
        self.deaths += more.deaths;
        self.power_cuts += more.power_cuts;
        self.failures += more.failures;
        self.full += more.full;
        self.snapshots += more.snapshots;
        self.rotten += more.rotten;
        self.passed_over += more.passed_over;
        self.segments_dropped += more.segments_dropped;
        self.kept_unanswered += more.kept_unanswered;
    }

    /// Whether every kind of fault occurred.
    pub(crate) fn happened(&self) -> bool {
        [
            self.deaths,
            self.power_cuts,
            self.failures,
            self.full,
            self.snapshots,
            self.rotten,
            self.passed_over,
            self.segments_dropped,
            self.kept_unanswered,
        ]
        .iter()
        .all(|count| *count > 0)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records acknowledged, none lost, none twice; {} recoveries after {} deaths, {} power \
             cuts, {} failures; {} times a full disk; {} snapshots, {} of them damaged, {} passed \
             over; {} times segments dropped; {} batches kept that were not acknowledged",
            self.acknowledged,
            self.recoveries,
            self.deaths,
            self.power_cuts,
            self.failures,
            self.full,
            self.snapshots,
            self.rotten,
            self.passed_over,
            self.segments_dropped,
            self.kept_unanswered
        )
    }
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) disk: SimStorage,
    pub(crate) exporter: Exporter,
    pub(crate) states: SnapshotStore,
    /// Gets the acknowledged requests, and nothing else.
    pub(crate) reference: Exporter,
    /// Requests whose outcome is unknown after a failure.
    pub(crate) unknown: Option<Requests>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) now: Timestamp,
    pub(crate) lost: Lost,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = SimStorage::new(seed);
        let mut lost = Lost::default();
        let (exporter, states) = recovered(&disk, &mut lost);
        let reference = Exporter::over(Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX)));
        let mut world = Self {
            seed,
            random: Random(seed),
            disk,
            exporter,
            states,
            reference,
            unknown: None,
            engines: (0..3).map(Engine::new).collect(),
            now: Timestamp::from_nanos(START_NANOS).expect("a time"),
            lost,
        };
        let window = WindowSettings { orders: 20, ..WindowSettings::default() };
        let settings = Settings { window, ..Settings::default() };
        assert!(world.commit(vec![vec![Entry::Settings(Arc::new(settings))]]));
        world
    }

    pub(crate) fn lost(self) -> Lost {
        Lost { acknowledged: self.reference.sequence(), ..self.lost }
    }

    /// Commits requests, and commits acknowledged ones to the reference. Returns whether they were
    /// acknowledged.
    pub(crate) fn commit(&mut self, entries: Vec<Vec<Entry>>) -> bool {
        let requests = Requests { entries, now: self.now };
        match self.exporter.writer.commit(requests.submissions(), requests.now) {
            Ok(committed) => {
                let wanted = self.refer(&requests);
                assert_eq!(committed.receipts, wanted, "other answers, seed {}", self.seed);
                true
            }
            Err(trading_exporter::engine::EngineError::DiskFull) => {
                self.lost.full += 1;
                false
            }
            Err(error) => {
                if crate::asked_for("SIM_TRACE").is_some() {
                    let history = self.disk.history();
                    println!("  {error}: {:?}", history.iter().rev().take(6).collect::<Vec<_>>());
                }
                self.unknown = Some(requests);
                self.lost.failures += 1;
                self.restart();
                false
            }
        }
    }

    fn refer(&mut self, requests: &Requests) -> Vec<trading_exporter::engine::Receipt> {
        let committed = self.reference.writer.commit(requests.submissions(), requests.now);
        committed.expect("the reference accepts everything").receipts
    }

    /// Restarts the process after it died or the power was cut.
    pub(crate) fn restart(&mut self) {
        self.disk.reboot();
        self.disk.set_capacity(None);
        (self.exporter, self.states) = recovered(&self.disk, &mut self.lost);
        // An unacknowledged batch is complete, or absent.
        if let Some(requests) = self.unknown.take()
            && self.exporter.sequence() > self.reference.sequence()
        {
            self.refer(&requests);
            self.lost.kept_unanswered += 1;
        }
    }

    /// Checks that the state, and the state recovered from a copy of the disk, are those of the acknowledged
    /// records.
    pub(crate) fn check(&mut self) {
        let waits = self.exporter.monitor.read().unrecorded().len() > 0;
        let expected = (self.reference.sequence(), self.reference.digest());
        if !waits {
            let found = (self.exporter.sequence(), self.exporter.digest());
            assert_eq!(found, expected, "the state is another, seed {}", self.seed);
        }
        let (differences, _) = recount(&self.exporter.monitor.read());
        assert_eq!(differences, [], "running sums are wrong, seed {}", self.seed);
        let copy = self.disk.copy(self.seed);
        let (copied, _) = recovered(&copy, &mut self.lost);
        let found = (copied.sequence(), copied.digest());
        assert_eq!(found, expected, "the recovered state is another, seed {}", self.seed);
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }
}

/// The state that a process recovers from a disk.
fn recovered(disk: &SimStorage, lost: &mut Lost) -> (Exporter, SnapshotStore) {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let options = LocalOptions { segment_bytes: SEGMENT_BYTES, ..LocalOptions::default() };
    let log = LocalLog::open(Arc::clone(&storage), options).expect("the log opens");
    let mut exporter = Exporter::over(Box::new(log));
    let mut states = SnapshotStore::new(Snapshots::new(storage));
    let recovered = recover(&mut exporter.writer, &mut states, &mut |_, _| ());
    let recovered = recovered.expect("the state is recovered");
    lost.recoveries += 1;
    lost.passed_over += recovered.unreadable.len() as u64;
    // Decisions that a crash left unwritten are written now.
    let now = {
        let monitor = exporter.monitor.read();
        monitor.now().minus(monitor.clock_behind())
    };
    exporter.writer.commit(Vec::new(), now).expect("there is room");
    (exporter, states)
}
