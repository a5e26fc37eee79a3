//! The audit trail that outlives the log: decisions, copied out of segments before those are deleted.
//!
//! Input: a journal, and the sequence before which it will be truncated. Output: a file of JSON lines,
//! one for each decision of a person and each decision of the fold, oldest first. Invariants: each line
//! is written once and is durable before its record may be deleted; a line that a crash left incomplete
//! is written again. Deliberately absent: reading it (any tool for JSON lines can), and any bound: it
//! grows only with decisions of people and critical drifts.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::time::Timestamp;
use crate::engine::codec;
use crate::journal::{Batch, JournalReader, LogError, Storage, StoredFile};
use crate::wire::time::rfc3339;

/// The name of the file in the directory of the journal.
pub const AUDIT_FILE: &str = "audit.ndjson";
/// Bytes written between two syncs: a crash can tear no more than this.
const CHUNK_BYTES: usize = 32 * 1024;
/// Bytes read from the end to find the last complete line: more than a crash can tear.
const TAIL_BYTES: u64 = 4 * CHUNK_BYTES as u64;

/// The audit trail beside a journal.
#[derive(Clone)]
pub struct Archive {
    storage: Arc<dyn Storage>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("at", &self.storage.place(AUDIT_FILE)).finish()
    }
}

#[derive(Serialize)]
struct ArchiveLine<'a> {
    sequence: u64,
    received_at: String,
    record: &'static str,
    content: &'a RawValue,
}

/// The end of the file.
#[derive(Default)]
struct ArchiveEnd {
    /// Where the next line is written.
    offset: u64,
    /// Sequence of the last complete line; 0: there is none.
    sequence: u64,
    /// Size of the file, with an incomplete last line.
    size_bytes: u64,
}

impl Archive {
    /// The audit trail in a directory.
    #[must_use]
    pub const fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// Copies the decisions before `sequence` that are not copied yet. Returns how many there were;
    /// when it returns they are durable.
    ///
    /// # Errors
    /// [`LogError`] of the journal or of the file; then no segment may be deleted.
    pub fn copy(&self, journal: &JournalReader, sequence: u64) -> Result<u64, LogError> {
        let failed = |doing| move |source| LogError::Failed { doing, source };
        let (file, end) = self.open().map_err(failed("opening the audit trail"))?;
        let from = journal.first_sequence().max(end.sequence + 1);
        if from >= sequence {
            return Ok(0);
        }
        let mut lines = Vec::new();
        let mut copied = 0;
        let walked = journal.replay(from, &mut |batch| {
            match add_lines(batch, from..sequence, &mut lines) {
                Ok(added) => copied += added,
                Err(error) => return ControlFlow::Break(Err(error)),
            }
            let is_last = batch.next_sequence() >= sequence;
            if is_last { ControlFlow::Break(Ok(())) } else { ControlFlow::Continue(()) }
        })?;
        if let ControlFlow::Break(result) = walked {
            result?;
        }
        if copied == 0 {
            return Ok(0);
        }
        // Overwrite an incomplete last line to its last byte: pad the new text with spaces.
        let covered = usize::try_from(end.size_bytes - end.offset).unwrap_or(usize::MAX);
        if lines.len() < covered {
            lines.pop();
            lines.resize(covered - 1, b' ');
            lines.push(b'\n');
        }
        let mut offset = end.offset;
        for chunk in chunks(&lines) {
            file.write_at(chunk, offset).map_err(failed("writing the audit trail"))?;
            file.sync().map_err(failed("syncing the audit trail"))?;
            offset += chunk.len() as u64;
        }
        self.storage.sync_names().map_err(failed("syncing the audit trail"))?;
        Ok(copied)
    }

    fn open(&self) -> io::Result<(Arc<dyn StoredFile>, ArchiveEnd)> {
        if !self.storage.names()?.iter().any(|name| name == AUDIT_FILE) {
            return Ok((self.storage.create(AUDIT_FILE, 0)?, ArchiveEnd::default()));
        }
        let file = self.storage.open(AUDIT_FILE)?;
        let end = find_end(file.as_ref())?;
        Ok((file, end))
    }
}

/// Splits into chunks of complete lines: as many as fit, or a single longer one.
fn chunks(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let is_end = |byte: &u8| *byte == b'\n';
        let within = rest.iter().take(CHUNK_BYTES).rposition(is_end);
        let end = within.or_else(|| rest.iter().position(is_end))? + 1;
        let (chunk, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(chunk)
    })
}

#[derive(Deserialize)]
struct LineSequence {
    sequence: u64,
}

/// Finds the end of the last complete line that is preceded by complete lines only.
fn find_end(file: &dyn StoredFile) -> io::Result<ArchiveEnd> {
    let size_bytes = file.size_bytes()?;
    let from = size_bytes.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; usize::try_from(size_bytes - from).map_err(io::Error::other)?];
    file.read_at(&mut tail, from)?;
    let mut end = ArchiveEnd { offset: from, sequence: 0, size_bytes };
    let mut is_cut = from > 0;
    for line in tail.split_inclusive(|byte| *byte == b'\n') {
        let whole = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok());
        match whole {
            Some(LineSequence { sequence }) => end.sequence = sequence,
            // The tail may begin within a line.
            None if is_cut => {}
            None => break,
        }
        is_cut = false;
        end.offset += line.len() as u64;
    }
    if end.sequence == 0 && from > 0 {
        return Err(io::Error::other("the end of the audit trail cannot be read"));
    }
    Ok(end)
}

/// Adds a line for each decision of a batch.
fn add_lines(batch: &Batch, wanted: Range<u64>, lines: &mut Vec<u8>) -> Result<u64, LogError> {
    let corrupt = |sequence: u64, what: &dyn ToString| LogError::Corrupt {
        place: format!("sequence {sequence}"),
        what: what.to_string(),
    };
    let received_at = Timestamp::from_nanos(batch.received_at_nanos()).unwrap_or(Timestamp::MIN);
    let mut added = 0;
    for (sequence, bytes) in (batch.first_sequence()..).zip(batch.records()) {
        let decision = codec::decision(bytes).filter(|_| wanted.contains(&sequence));
        let Some((record, content)) = decision else { continue };
        let content = serde_json::from_slice(content).map_err(|e| corrupt(sequence, &e))?;
        let received_at = rfc3339(received_at);
        let line = ArchiveLine { sequence, received_at, record, content };
        serde_json::to_writer(&mut *lines, &line).map_err(|e| corrupt(sequence, &e))?;
        lines.push(b'\n');
        added += 1;
    }
    Ok(added)
}
