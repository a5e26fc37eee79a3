//! `replay`: prints the state at any moment of the past, from the journal. The flight recorder.
//!
//! Input: the directory of a journal, a position in it, and optionally another configuration. Output:
//! the state on stdout, its origin on stderr. Invariant: nothing is changed and no lock is taken, so
//! the journal may be in use. With another configuration, the output is the state that it would have
//! reached from the same events and the same decisions of people.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::args::{RecordPosition, ReplayArguments, ReplayOutput};
use super::{Failure, write_err, write_out};
use crate::app::chain;
use crate::clock;
use crate::config::{Config, Overrides};
use crate::domain::monitor::Monitor;
use crate::engine::{RecoverError, Replay, ReplaySettings, SnapshotStore, StartingPoint};
use crate::journal::{DiskStorage, JournalReader, LogError, SnapshotInfo, Snapshots, Storage};
use crate::metrics::{Format, encode, project};
use crate::wire::answer::Whole;

/// Prints the state to stdout, and to stderr how it was computed.
pub(super) fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let settings = match &arguments.config_file {
        None => ReplaySettings::AsRecorded,
        Some(file) => {
            let overrides = Overrides { insecure: true, ..Overrides::default() };
            ReplaySettings::Fixed(Config::load(Some(file), overrides)?.settings)
        }
    };
    let directory = DiskStorage::open(&arguments.journal).map_err(|source| {
        RecoverError::Log(LogError::Failed { doing: "opening the directory", source })
    })?;
    let storage: Arc<dyn Storage> = Arc::new(directory);
    let reader = JournalReader::open(Arc::clone(&storage)).map_err(RecoverError::Log)?;
    let replay = Replay::new(settings.clone());
    let replay = match arguments.until {
        Some(RecordPosition::Sequence(sequence)) => replay.until(sequence),
        Some(RecordPosition::Time(_)) | None => replay,
    };
    let began = clock::monotonic();
    let first = reader.first_sequence();
    let (mut state, snapshot) = start(arguments, &settings, &replay, first, storage)?;
    let folded = fold(&replay, &reader, arguments.until, &mut state)?;
    let seconds = clock::monotonic().saturating_duration_since(began).as_secs_f64();
    report(&state, snapshot, folded, seconds);
    print(&state, arguments.output)
}

/// The state to start from: that of a snapshot, or the empty state.
fn start(
    arguments: &ReplayArguments,
    settings: &ReplaySettings,
    replay: &Replay,
    first: u64,
    storage: Arc<dyn Storage>,
) -> Result<(Monitor, Option<SnapshotInfo>), Failure> {
    let whole = first == 1;
    let others = matches!(settings, ReplaySettings::Fixed(_));
    if whole && (arguments.full || others) {
        return Ok((replay.initial_state(), None));
    }
    if arguments.full {
        return Err(RecoverError::Log(LogError::Gone { first }).into());
    }
    let mut states = SnapshotStore::new(Snapshots::new(storage));
    let wanted = |info: &SnapshotInfo| match arguments.until {
        None => true,
        Some(RecordPosition::Sequence(sequence)) => info.sequence <= sequence,
        Some(RecordPosition::Time(time)) => info.received_at_nanos <= time.as_nanos(),
    };
    let StartingPoint { state, unreadable } = states.newest(&wanted).map_err(RecoverError::from)?;
    for error in unreadable {
        write_err(&format!("trading-exporter: skipped: {}\n", chain(&error)));
    }
    let Some((state, info)) = state else { return Ok((replay.initial_state(), None)) };
    let ReplaySettings::Fixed(settings) = settings else { return Ok((state, Some(info))) };
    write_err(&format!(
        "trading-exporter: records before {first} are no longer kept: up to record {} the state was \
         computed with the settings of that time\n",
        info.sequence
    ));
    Ok((state.resumed(Arc::clone(settings)), Some(info)))
}

/// Folds the records after the state, up to `until`. Returns the number of records.
fn fold(
    replay: &Replay,
    reader: &JournalReader,
    until: Option<RecordPosition>,
    state: &mut Monitor,
) -> Result<u64, Failure> {
    let last_nanos = match until {
        Some(RecordPosition::Time(time)) => time.as_nanos(),
        Some(RecordPosition::Sequence(_)) | None => i64::MAX,
    };
    let last = match until {
        Some(RecordPosition::Sequence(sequence)) => sequence,
        Some(RecordPosition::Time(_)) | None => u64::MAX,
    };
    let mut applied = 0;
    let from = state.sequence() + 1;
    let walked = reader.replay(from, &mut |batch| {
        if batch.received_at_nanos() > last_nanos || batch.first_sequence() > last {
            return ControlFlow::Break(Ok(()));
        }
        match replay.apply(batch, state) {
            Ok(more) => applied += more,
            Err(error) => return ControlFlow::Break(Err(error)),
        }
        ControlFlow::Continue(())
    });
    if let ControlFlow::Break(result) = walked.map_err(RecoverError::Log)? {
        result?;
    }
    Ok(applied)
}

/// Prints how the state was computed.
fn report(state: &Monitor, snapshot: Option<SnapshotInfo>, folded: u64, seconds: f64) {
    let at = crate::wire::time::rfc3339(state.now());
    let from = snapshot.map_or_else(
        || "the first record".to_owned(),
        |info| format!("the snapshot of record {}", info.sequence),
    );
    #[expect(clippy::cast_precision_loss, reason = "a statistic")]
    let rate = folded as f64 / seconds.max(1e-9);
    write_err(&format!(
        "trading-exporter: state at record {} ({at}), computed from {from} and {folded} records in \
         {seconds:.3} s, {rate:.0} records a second\n",
        state.sequence()
    ));
    if state.decisions_missed() > 0 {
        write_err(&format!(
            "trading-exporter: this version would not have made {} of the decisions in the journal; \
             they remain in force\n",
            state.decisions_missed()
        ));
    }
}

fn print(state: &Monitor, output: ReplayOutput) -> Result<(), Failure> {
    match output {
        ReplayOutput::Metrics => write_out(&encode(&project(state), None, Format::Text)),
        ReplayOutput::State => {
            let mut out = std::io::stdout().lock();
            let written = serde_json::to_writer_pretty(&mut out, &Whole::new(state));
            let written = written.map_err(std::io::Error::from).and_then(|()| writeln!(out));
            written.map_err(|source| Failure::Terminal { doing: "write to stdout", source })
        }
    }
}
