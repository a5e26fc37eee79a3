//! The steps of a simulated world.

use std::sync::Arc;
use std::time::Duration;

use trading_exporter::domain::ids::{Account, Actor, Component};
use trading_exporter::domain::record::{CheckResult, Decision, Entry};
use trading_exporter::domain::state::TradingState;
use trading_exporter::engine::Archive;
use trading_exporter::journal::{JournalReader, LogError, Retention, Storage, StorageFault};

use crate::engines::entries;
use crate::world::World;

/// The default of `clock.behind_after`.
const BEHIND_AFTER: Duration = Duration::from_secs(5);

impl World {
    /// Runs one random step.
    pub(crate) fn step(&mut self) {
        let step = self.random.below(24);
        if crate::asked_for("SIM_TRACE").is_some() {
            let (at, operations) = (self.exporter.sequence(), self.disk.operations());
            println!("step {step} at record {at}, operation {operations}");
        }
        match step {
            0..=9 => self.engines_send(),
            10..=12 => self.seconds_pass(),
            13 => self.somebody_decides(),
            14 => self.a_probe_ends(),
            15..=16 => self.snapshot(),
            17 => self.damage_a_snapshot(),
            18 => self.the_process_dies(),
            19 => self.the_power_goes(),
            20..=21 => self.something_will_fail(),
            22 => self.the_disk_fills_up(),
            _ => self.the_clock_jumps(),
        }
    }

    /// Runs some steps of engines and time only.
    pub(crate) fn fill(&mut self, steps: usize) {
        for _ in 0..steps {
            self.engines_send();
            self.seconds_pass();
        }
    }

    fn engines_send(&mut self) {
        let seconds = self.clocks.wall().as_nanos() / 1_000_000_000;
        let seconds = u64::try_from(seconds).expect("after 1970");
        let count = 1 + self.random.index(self.engines.len());
        let mut sent = Vec::new();
        for engine in self.engines.iter_mut().take(count) {
            sent.push(engine.lines(&mut self.random, seconds));
        }
        let neighbour = self.neighbour.request(seconds);
        let sent_entries = sent.iter().map(|lines| entries(lines)).collect();
        let ok = self.commit_beside(sent_entries, neighbour);
        for (engine, lines) in self.engines.iter_mut().zip(sent) {
            // The answer may be lost too.
            let answered = ok && !self.random.chance(6);
            engine.answered(lines, answered);
        }
    }

    fn seconds_pass(&mut self) {
        for _ in 0..=self.random.below(4) {
            self.clocks.pass(1);
            self.tick();
        }
    }

    /// Receive time never goes back, and never stops while the wall clock is behind it.
    fn tick(&mut self) {
        let before = self.exporter.monitor.read().now();
        let sequence = self.exporter.sequence();
        let passed = self.clocks.since_committed();
        let is_committed = self.commit(vec![vec![Entry::Tick]]);
        let monitor = self.exporter.monitor.read();
        let (after, wall) = (monitor.now(), self.clocks.wall());
        assert!(after >= before, "time went back, seed {}", self.seed);
        if !is_committed || sequence == 0 {
            return;
        }
        assert!(after >= wall, "receive time is behind the wall clock, seed {}", self.seed);
        let behind = Duration::from_nanos(u64::try_from(after.since(wall)).unwrap_or(u64::MAX));
        if before.is_past(wall, BEHIND_AFTER) {
            assert_eq!(after, before.plus(passed), "receive time stopped, seed {}", self.seed);
            let said = monitor.clock_behind();
            let differs = said.abs_diff(behind) > Duration::from_secs(1);
            assert!(!differs, "said {said:?}, is {behind:?}, seed {}", self.seed);
        }
    }

    fn the_clock_jumps(&mut self) {
        let by = Duration::from_secs(self.random.below(600));
        let is_forward = self.random.chance(2);
        self.clocks.jump(by, is_forward);
        self.tick();
    }

    fn somebody_decides(&mut self) {
        let account = match self.random.below(3) {
            0 => Account::all(),
            n => Account::new(&format!("engine-{n}")).expect("an account"),
        };
        let (reason, by) = ("seen".to_owned(), Actor::new("ops").expect("an actor").into());
        let epoch = self.exporter.monitor.read().permit(account.as_str()).epoch;
        let decision = if self.random.chance(2) {
            let state = TradingState::Halted;
            Decision::Halt { account, state, reason, by }
        } else {
            let force = self.random.chance(2);
            Decision::Release { account, epoch, causes: Vec::new(), force, reason, by }
        };
        self.commit(vec![vec![Entry::Decision(decision)]]);
    }

    fn a_probe_ends(&mut self) {
        let check = CheckResult {
            component: Component::new("disk").expect("a component"),
            passed: self.random.chance(2),
            message: "17 % free".to_owned(),
            latency: Duration::from_micros(self.random.below(1_000)),
            interval: std::time::Duration::from_secs(30),
        };
        self.commit(vec![vec![Entry::Check(check)]]);
    }

    /// Takes a snapshot and applies the retention. If it fails, everything earlier remains.
    fn snapshot(&mut self) {
        let state = self.exporter.monitor.read().clone();
        if let Err(error) = self.snapshot_of(&state) {
            self.lost.failures += 1;
            assert!(!error.is_empty());
            // A failed log is detected at the next batch; after a power cut the disk needs a reboot.
            self.restart();
        }
    }

    fn snapshot_of(
        &mut self,
        state: &trading_exporter::domain::monitor::Monitor,
    ) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        self.exporter.writer.log().sync().map_err(|e| text(&e))?;
        self.states.keep(state).map_err(|e| text(&e))?;
        self.lost.snapshots += 1;
        let (needless, _) = self.states.prune().map_err(|e| text(&e))?;
        let Some(needless) = needless else { return Ok(()) };
        let retention = Retention { bytes_max: Some(1), received_after_nanos: None };
        let due = self.exporter.writer.log().due_before(&retention).map_err(|e| text(&e))?;
        let below = due.min(needless + 1);
        if below <= self.exporter.writer.log().first_sequence() {
            return Ok(());
        }
        let storage: Arc<dyn Storage> = Arc::new(self.disk.clone());
        let reader = JournalReader::open(Arc::clone(&storage)).map_err(|e| text(&e))?;
        Archive::new(storage).copy(&reader, below).map_err(|e: LogError| text(&e))?;
        let before = self.exporter.writer.log().first_sequence();
        self.exporter.writer.log().drop_before(below).map_err(|e| text(&e))?;
        let after = self.exporter.writer.log().first_sequence();
        self.lost.segments_dropped += u64::from(after > before);
        Ok(())
    }

    /// Takes a snapshot and applies the retention, with a power cut at an operation. Returns false if there
    /// were fewer operations.
    pub(crate) fn snapshot_with_a_cut_after(&mut self, operations: u64) -> bool {
        for _ in 0..2 {
            let state = self.exporter.monitor.read().clone();
            self.snapshot_of(&state).expect("nothing fails yet");
            self.fill(10);
        }
        let state = self.exporter.monitor.read().clone();
        self.disk.fail_at(self.disk.operations() + operations, StorageFault::PowerCut);
        self.snapshot_of(&state).is_err()
    }

    /// Damages the newest snapshot.
    fn damage_a_snapshot(&mut self) {
        // A planned power cut may have hit an operation whose failure nobody waits for.
        let Ok(names) = self.disk.names() else { return self.the_process_dies() };
        let newest = names.iter().filter(|name| name.starts_with("snap-")).max().cloned();
        // Only if the older generation is intact, or the log is complete.
        let others = names.iter().filter(|name| name.starts_with("snap-")).count();
        let whole = self.exporter.writer.log().first_sequence() == 1;
        let Some(newest) = newest.filter(|_| others > 1 || whole) else { return };
        let bit = self.random.next();
        self.disk.damage(&newest, |bytes| {
            // The padding of the header is not checked.
            let places = 80 + bytes.len().saturating_sub(512);
            let place = usize::try_from(bit % places as u64).expect("a place");
            let at = if place < 80 { place } else { place - 80 + 512 };
            bytes[at] ^= 1 << (bit >> 60 & 7);
        });
        self.lost.rotten += 1;
        self.the_process_dies();
        // Take two snapshots before another one is damaged.
        for _ in 0..2 {
            self.seconds_pass();
            self.snapshot();
        }
    }

    fn the_process_dies(&mut self) {
        self.lost.deaths += 1;
        self.restart();
    }

    fn the_power_goes(&mut self) {
        self.lost.power_cuts += 1;
        self.disk.cut_power();
        self.restart();
    }

    /// Plans an error or a power cut at one of the next operations.
    fn something_will_fail(&mut self) {
        let fault =
            if self.random.chance(3) { StorageFault::Error } else { StorageFault::PowerCut };
        let at = self.disk.operations() + self.random.below(12);
        self.disk.fail_at(at, fault);
        self.engines_send();
    }

    fn the_disk_fills_up(&mut self) {
        self.disk.set_capacity(Some(self.disk.used_bytes() + self.random.below(20_000)));
        for _ in 0..4 {
            self.engines_send();
            self.somebody_decides();
        }
        self.disk.set_capacity(None);
        self.engines_send();
    }
}
