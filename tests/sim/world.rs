//! A simulated world: one exporter over one disk, and a reference with the expected records.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use trading_exporter::domain::clock::ClockReading;
use trading_exporter::domain::limits;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Entry, Verdict};
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::time::Timestamp;
use trading_exporter::engine::{
    EncodedRequest, SnapshotStore, StateDigest, Writer, digest_state, recover,
};
use trading_exporter::journal::{
    EventLog, LocalLog, LocalOptions, MemoryLog, SimStorage, Snapshots, Storage,
};

use crate::clocks::Clocks;
use crate::engines::Engine;
use crate::neighbour::{self, Neighbour, engines_seen};
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

/// Requests that are committed together, and their time. The neighbour's comes last, if it has one.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) entries: Vec<Vec<Entry>>,
    pub(crate) neighbour: Vec<Entry>,
    pub(crate) now: ClockReading,
}

impl Requests {
    pub(crate) fn submissions(&self) -> Vec<EncodedRequest> {
        let mut submissions = self.without_neighbour();
        if !self.neighbour.is_empty() {
            let accounts = neighbour::accounts(&self.neighbour);
            let request = EncodedRequest::new(self.neighbour.clone(), accounts);
            submissions.push(request.from_token(Some(neighbour::TOKEN.into())));
        }
        submissions
    }

    fn without_neighbour(&self) -> Vec<EncodedRequest> {
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
    /// Events of the neighbour that reached a bound.
    pub(crate) neighbour_refused: u64,
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
        self.neighbour_refused += more.neighbour_refused;
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
            self.neighbour_refused,
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
             over; {} times segments dropped; {} batches kept that were not acknowledged; {} events of the neighbour refused",
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
            self.kept_unanswered,
            self.neighbour_refused
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
    /// Gets the acknowledged requests but those of the neighbour.
    pub(crate) alone: Exporter,
    /// Requests whose outcome is unknown after a failure.
    pub(crate) unknown: Option<Requests>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) neighbour: Neighbour,
    pub(crate) clocks: Clocks,
    pub(crate) lost: Lost,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = SimStorage::new(seed);
        let mut lost = Lost::default();
        let (exporter, states) = recovered(&disk, &mut lost);
        let in_memory = || Exporter::over(Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX)));
        let mut world = Self {
            seed,
            random: Random(seed),
            disk,
            exporter,
            states,
            reference: in_memory(),
            alone: in_memory(),
            unknown: None,
            engines: (0..3).map(Engine::new).collect(),
            neighbour: Neighbour::new(seed),
            clocks: Clocks::new(Timestamp::from_nanos(START_NANOS).expect("a time"), seed),
            lost,
        };
        assert!(world.commit(vec![vec![Entry::Settings(Arc::new(settings()))]]));
        world
    }

    pub(crate) fn lost(self) -> Lost {
        Lost { acknowledged: self.reference.sequence(), ..self.lost }
    }

    /// Commits requests, and commits acknowledged ones to the references. Returns whether they were
    /// acknowledged.
    pub(crate) fn commit(&mut self, entries: Vec<Vec<Entry>>) -> bool {
        self.commit_beside(entries, Vec::new())
    }

    /// Commits requests beside one of the neighbour.
    pub(crate) fn commit_beside(
        &mut self,
        entries: Vec<Vec<Entry>>,
        neighbour: Vec<Entry>,
    ) -> bool {
        let requests = Requests { entries, neighbour, now: self.clocks.reading() };
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
        let before = self.reference.sequence();
        let committed = self.reference.writer.commit(requests.submissions(), requests.now);
        let receipts = committed.expect("the reference accepts everything").receipts;
        if !requests.neighbour.is_empty() {
            let verdicts = receipts.last().into_iter().flat_map(|receipt| &receipt.verdicts);
            let refused = verdicts.filter(|verdict| matches!(verdict, Verdict::Refused(_)));
            self.lost.neighbour_refused += refused.count() as u64;
        }
        let alone = self.alone.sequence();
        let others = self.alone.writer.commit(requests.without_neighbour(), requests.now);
        others.expect("the reference accepts everything");
        if self.reference.sequence() > before {
            self.clocks.committed(requests.now);
            if self.alone.sequence() == alone {
                // Takes the time of the batch, and changes nothing.
                let behind = self.alone.monitor.read().clock_behind();
                let pause = EncodedRequest::new(vec![Entry::Clock { behind }], Vec::new());
                let pause = self.alone.writer.commit(vec![pause], requests.now);
                pause.expect("the reference accepts everything");
            }
        }
        receipts
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
        self.clocks.restarted();
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
        let beside = engines_seen(&self.reference.monitor.read());
        let alone = engines_seen(&self.alone.monitor.read());
        let change = beside.lines().zip(alone.lines()).find(|(beside, alone)| beside != alone);
        assert_eq!(change, None, "the neighbour changed something, seed {}", self.seed);
        assert_eq!(
            beside.len(),
            alone.len(),
            "the neighbour changed something, seed {}",
            self.seed
        );
        let (differences, _) = recount(&self.exporter.monitor.read());
        assert_eq!(differences, [], "running sums are wrong, seed {}", self.seed);
        let copy = self.disk.copy(self.seed);
        let (copied, _) = recovered(&copy, &mut self.lost);
        let found = (copied.sequence(), copied.digest());
        assert_eq!(found, expected, "the recovered state is another, seed {}", self.seed);
    }
}

/// Small bounds, so that the neighbour reaches them. They are large enough for the engines.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.window.orders = 20;
    settings.orders.open_max = 200;
    settings.orders.ended_max = 200;
    settings.orders.unknown_max = 100;
    settings.ingest.horizon_ids = 1_000;
    settings.symbols.max = 10;
    settings.accounts.per_token = 3;
    settings
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
