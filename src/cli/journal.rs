//! `journal`: what stands on the disk, checked, shown, repaired.
//!
//! Input: the directory of a journal. Output: a report or NDJSON on stdout. Invariants: only
//! `repair` changes anything, and it keeps every byte that it drops; what stands before a damage is
//! shown although the command then fails. Deliberately absent: the state that the records add up to
//! (see `replay`).

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::args::{InspectArguments, JournalCommand, RecordPlace};
use super::{Failure, write_err, write_out};
use crate::domain::time::Timestamp;
use crate::engine::{CodecError, RecordCodec, RecordParts};
use crate::journal::{
    Batch, DiskStorage, JournalReader, LogError, Repaired, Storage, TailState, Verified, repair,
};
use crate::wire::contract::time::rfc3339;

/// Runs one of the commands.
pub(super) fn run(command: &JournalCommand) -> Result<(), Failure> {
    match command {
        JournalCommand::Verify(arguments) => verify(&arguments.directory),
        JournalCommand::Inspect(arguments) => inspect(arguments),
        JournalCommand::Repair(arguments) => mend(&arguments.directory),
    }
}

fn open(directory: &Path) -> Result<Arc<dyn Storage>, Failure> {
    let storage = DiskStorage::open(directory)
        .map_err(|source| LogError::Failed { doing: "opening the directory", source })?;
    Ok(Arc::new(storage))
}

/// Reads every byte, and says what there is.
fn verify(directory: &Path) -> Result<(), Failure> {
    let verified = JournalReader::open(open(directory)?)?.verify()?;
    write_out(&describe(&verified))
}

fn describe(verified: &Verified) -> String {
    let Verified { segments, size_bytes, batches, first_sequence, last_sequence, .. } = verified;
    let mut lines = vec![format!(
        "ok: records {first_sequence} to {last_sequence} in {batches} batches, {segments} segments, \
         {size_bytes} bytes"
    )];
    if let Some((oldest, newest)) = verified.received_at_nanos {
        lines.push(format!("received from {} to {}", time(oldest), time(newest)));
    }
    if let TailState::Torn { place } = &verified.tail {
        lines.push(format!(
            "{place}: a batch that is not whole: it is being written now, or a crash cut it short"
        ));
    }
    if verified.torn_files > 0 {
        let count = verified.torn_files;
        lines.push(format!("{count} batches that crashes cut short are kept as *.torn"));
    }
    lines.join("\n") + "\n"
}

/// What is dropped stands in files; the report names them.
fn mend(directory: &Path) -> Result<(), Failure> {
    let Some(Repaired { damage, last_sequence, dropped }) = repair(&open(directory)?)? else {
        return write_out("nothing is damaged\n");
    };
    let mut lines = vec![
        format!("repaired: {damage}"),
        format!("the journal now ends with record {last_sequence}"),
    ];
    lines.extend(dropped.iter().map(|file| format!("what stood after it is kept in {file}")));
    write_out(&(lines.join("\n") + "\n"))
}

/// Writes a line of JSON for each record that is asked for.
fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let reader = JournalReader::open(open(&arguments.directory)?)?;
    let from = match arguments.from {
        Some(RecordPlace::Sequence(sequence)) => sequence.max(reader.first_sequence()),
        Some(RecordPlace::Time(_)) | None => reader.first_sequence(),
    };
    let mut lines = Lines { out: BufWriter::new(io::stdout().lock()), arguments, stopped: None };
    let result = reader.replay(from, &mut |batch| lines.batch(batch));
    let flushed = lines.out.flush().map_err(Stop::Terminal);
    match lines.stopped.map_or(flushed, Err) {
        Err(Stop::Done) => return Ok(()),
        // Whoever read has read enough.
        Err(Stop::Terminal(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(Stop::Terminal(source)) => {
            return Err(Failure::Terminal { doing: "write to stdout", source });
        }
        Err(Stop::Record { sequence, source }) => {
            return Err(Failure::Record { sequence, source });
        }
        Ok(()) => {}
    }
    if let TailState::Torn { place } = result? {
        write_err(&format!("{place}: what follows is not a whole batch, and not shown\n"));
    }
    Ok(())
}

/// Why the lines end before the journal does.
enum Stop {
    /// Nothing that follows is asked for.
    Done,
    Terminal(io::Error),
    Record {
        sequence: u64,
        source: CodecError,
    },
}

struct Lines<'a> {
    out: BufWriter<io::StdoutLock<'a>>,
    arguments: &'a InspectArguments,
    stopped: Option<Stop>,
}

impl Lines<'_> {
    fn batch(&mut self, batch: &Batch) -> Result<(), LogError> {
        self.records(batch).map_err(|stop| {
            self.stopped = Some(stop);
            // It ends the replay, and is not shown.
            LogError::Full
        })
    }

    fn records(&mut self, batch: &Batch) -> Result<(), Stop> {
        let received_at = batch.received_at_nanos();
        for (sequence, bytes) in (batch.first_sequence()..).zip(batch.records()) {
            if self.arguments.to.is_some_and(|to| is_before(to, sequence, received_at)) {
                return Err(Stop::Done);
            }
            if self.arguments.from.is_some_and(|from| !reached(from, sequence, received_at)) {
                continue;
            }
            let parts =
                RecordCodec::parts(bytes).map_err(|source| Stop::Record { sequence, source })?;
            if self.is_wanted(&parts) {
                self.line(sequence, received_at, &parts).map_err(Stop::Terminal)?;
            }
        }
        Ok(())
    }

    fn is_wanted(&self, parts: &RecordParts<'_>) -> bool {
        let named = |asked: &Option<String>, found: Option<&str>| {
            asked.as_deref().is_none_or(|asked| found == Some(asked))
        };
        named(&self.arguments.account, parts.account.as_deref())
            && named(&self.arguments.kind, Some(&parts.kind))
    }

    fn line(&mut self, sequence: u64, received_at: i64, parts: &RecordParts<'_>) -> io::Result<()> {
        let (at, kind) = (time(received_at), serde_json::Value::from(&*parts.kind));
        write!(self.out, r#"{{"sequence":{sequence},"received_at":"{at}","type":{kind}"#)?;
        if !parts.json.is_empty() {
            self.out.write_all(br#","record":"#)?;
            self.out.write_all(parts.json)?;
        }
        self.out.write_all(b"}\n")
    }
}

/// Whether a record stands at that place or after it.
fn reached(place: RecordPlace, sequence: u64, received_at: i64) -> bool {
    match place {
        RecordPlace::Sequence(from) => sequence >= from,
        RecordPlace::Time(from) => received_at >= from.as_nanos(),
    }
}

/// Whether that place is before a record.
fn is_before(place: RecordPlace, sequence: u64, received_at: i64) -> bool {
    match place {
        RecordPlace::Sequence(to) => to < sequence,
        RecordPlace::Time(to) => to.as_nanos() < received_at,
    }
}

/// A time for people; one that this version cannot write is told in nanoseconds.
fn time(nanos: i64) -> String {
    Timestamp::from_nanos(nanos).map_or_else(|_| nanos.to_string(), rfc3339)
}
