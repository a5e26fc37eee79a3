//! `journal`: verifies, inspects and repairs a journal on disk.
//!
//! Input: the directory of a journal. Output: a report or NDJSON on stdout. Invariants: only `repair`
//! changes anything, and it keeps every byte that it removes; `inspect` prints the records before a
//! damage although it then fails. Deliberately absent: the state that the records lead to (see
//! `replay`).

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::args::{InspectArguments, JournalCommand, RecordPosition};
use super::{Failure, write_err, write_out};
use crate::domain::time::Timestamp;
use crate::engine::{CodecError, RecordParts};
use crate::journal::{
    self, Batch, DiskStorage, JournalReader, LogError, Repaired, Storage, TailState, Verified,
};
use crate::wire::time::rfc3339;

/// Runs one of the commands.
pub(super) fn run(command: &JournalCommand) -> Result<(), Failure> {
    match command {
        JournalCommand::Verify(arguments) => verify(&arguments.directory),
        JournalCommand::Inspect(arguments) => inspect(arguments),
        JournalCommand::Repair(arguments) => repair(&arguments.directory),
    }
}

fn open(directory: &Path) -> Result<Arc<dyn Storage>, Failure> {
    let storage = DiskStorage::open(directory)
        .map_err(|source| LogError::Failed { doing: "opening the directory", source })?;
    Ok(Arc::new(storage))
}

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
            "{place}: an incomplete batch: it is being written now, or a crash interrupted it"
        ));
    }
    if verified.torn_files > 0 {
        let count = verified.torn_files;
        lines.push(format!("{count} batches that crashes interrupted are kept in *.torn files"));
    }
    lines.join("\n") + "\n"
}

/// Repairs the journal, and prints which files hold the removed bytes.
fn repair(directory: &Path) -> Result<(), Failure> {
    let Some(Repaired { damage, last_sequence, dropped }) = journal::repair(&open(directory)?)?
    else {
        return write_out("nothing is damaged\n");
    };
    let mut lines = vec![
        format!("repaired: {damage}"),
        format!("the journal now ends with record {last_sequence}"),
    ];
    lines.extend(dropped.iter().map(|file| format!("removed data is kept in {file}")));
    write_out(&(lines.join("\n") + "\n"))
}

/// Writes a line of JSON for each record that matches the arguments.
fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let reader = JournalReader::open(open(&arguments.directory)?)?;
    let from = match arguments.from {
        Some(RecordPosition::Sequence(sequence)) => sequence.max(reader.first_sequence()),
        Some(RecordPosition::Time(_)) | None => reader.first_sequence(),
    };
    let mut printer = RecordPrinter { out: BufWriter::new(io::stdout().lock()), arguments };
    let walked = reader.replay(from, &mut |batch| match printer.records(batch) {
        Ok(()) => ControlFlow::Continue(()),
        Err(stop) => ControlFlow::Break(stop),
    });
    // Records before a damage are printed before the error.
    let flushed = printer.out.flush();
    let stop = match (walked, flushed) {
        (Ok(ControlFlow::Break(stop)), _) => stop,
        (_, Err(error)) => InspectStop::Terminal(error),
        (Err(error), Ok(())) => return Err(error.into()),
        (Ok(ControlFlow::Continue(tail)), Ok(())) => {
            report_tail(&tail);
            return Ok(());
        }
    };
    match stop {
        InspectStop::Done => Ok(()),
        // The reader of the pipe has seen enough.
        InspectStop::Terminal(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        InspectStop::Terminal(source) => {
            Err(Failure::Terminal { doing: "write to stdout", source })
        }
        InspectStop::Record { sequence, source } => Err(Failure::Record { sequence, source }),
    }
}

fn report_tail(tail: &TailState) {
    if let TailState::Torn { place } = tail {
        write_err(&format!("{place}: an incomplete batch follows, which is not shown\n"));
    }
}

/// Why the output ends before the journal does.
enum InspectStop {
    /// No later record matches the arguments.
    Done,
    Terminal(io::Error),
    Record {
        sequence: u64,
        source: CodecError,
    },
}

struct RecordPrinter<'a> {
    out: BufWriter<io::StdoutLock<'a>>,
    arguments: &'a InspectArguments,
}

impl RecordPrinter<'_> {
    fn records(&mut self, batch: &Batch) -> Result<(), InspectStop> {
        let received_at = batch.received_at_nanos();
        for (sequence, bytes) in (batch.first_sequence()..).zip(batch.records()) {
            if self.arguments.to.is_some_and(|to| is_before(to, sequence, received_at)) {
                return Err(InspectStop::Done);
            }
            if self.arguments.from.is_some_and(|from| !reached(from, sequence, received_at)) {
                continue;
            }
            let parts = RecordParts::of(bytes)
                .map_err(|source| InspectStop::Record { sequence, source })?;
            if self.is_wanted(&parts) {
                self.line(sequence, received_at, &parts).map_err(InspectStop::Terminal)?;
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

/// Whether a record is at the position or after it.
fn reached(position: RecordPosition, sequence: u64, received_at: i64) -> bool {
    match position {
        RecordPosition::Sequence(from) => sequence >= from,
        RecordPosition::Time(from) => received_at >= from.as_nanos(),
    }
}

/// Whether the position is before a record.
fn is_before(position: RecordPosition, sequence: u64, received_at: i64) -> bool {
    match position {
        RecordPosition::Sequence(to) => to < sequence,
        RecordPosition::Time(to) => to.as_nanos() < received_at,
    }
}

/// A time in RFC 3339. In nanoseconds if it is out of the range of [`Timestamp`].
fn time(nanos: i64) -> String {
    Timestamp::from_nanos(nanos).map_or_else(|_| nanos.to_string(), rfc3339)
}
