//! Quarantine: damaged bytes of a segment are copied into a file of their own, then zeroed.
//!
//! Invariants: bytes are zeroed only after their copy is durable; a copy never replaces an earlier
//! one; if it is interrupted at any step, it can be run again. The number of copies kept is
//! bounded, their total size is not.

use super::end::full_or_failed;
use super::segment::{Segment, SegmentName};
use super::storage::{Storage, StoredFile};
use super::{LogError, failed, file_names};

/// Suffix of a torn tail's file name.
const TORN_SUFFIX: &str = ".torn";
/// Torn tails that are kept; the oldest are removed first.
const TORN_FILES_MAX: usize = 100;
/// Bytes copied at one time.
const CHUNK_BYTES: u64 = 1 << 20;

/// A range of bytes in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByteSpan {
    pub(super) from: u64,
    /// Exclusive.
    pub(super) until: u64,
}

/// A batch that was being written when the process or the machine stopped. It was never
/// acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Path of the segment.
    pub segment: String,
    /// Where the batch began in the segment.
    pub offset: u64,
    /// Bytes up to the end of the last sector that was written.
    pub size_bytes: u64,
    /// Path of the file that holds these bytes now.
    pub kept_as: String,
}

/// Quarantines a torn tail, and removes the oldest ones that are too many.
pub(super) fn quarantine_torn_tail(
    storage: &dyn Storage,
    segment: &Segment,
    span: ByteSpan,
) -> Result<TornTail, LogError> {
    let kept_as = quarantine(storage, segment.name, span, TORN_SUFFIX)?;
    let torn = torn_tail_files(storage)?;
    for old in torn.iter().take(torn.len().saturating_sub(TORN_FILES_MAX)) {
        storage.remove(old).map_err(failed("removing the oldest torn tail"))?;
    }
    Ok(TornTail {
        segment: segment.place(storage),
        offset: span.from,
        size_bytes: span.until - span.from,
        kept_as: storage.place(&kept_as),
    })
}

/// The files of torn tails, oldest first.
pub(super) fn torn_tail_files(storage: &dyn Storage) -> Result<Vec<String>, LogError> {
    let mut names = file_names(storage)?;
    names.retain(|name| name.ends_with(TORN_SUFFIX));
    names.sort_unstable();
    Ok(names)
}

/// Copies a part of a segment into a file whose name ends with `suffix`, and zeroes it in the
/// segment. Returns the name of the copy.
pub(super) fn quarantine(
    storage: &dyn Storage,
    segment: SegmentName,
    span: ByteSpan,
    suffix: &str,
) -> Result<String, LogError> {
    let keeping = "keeping a damaged tail";
    let file = storage.open(&segment.to_string()).map_err(failed("opening a segment"))?;
    let names = file_names(storage)?;
    let stem = format!("{segment}-{:012}", span.from);
    let name = (1_u32..1_000)
        .map(|n| if n == 1 { format!("{stem}{suffix}") } else { format!("{stem}.{n}{suffix}") })
        .find(|name| !names.contains(name))
        .unwrap_or(stem);
    let temporary = format!("{name}.tmp");
    if let Err(error) = copy(storage, &*file, span, &temporary) {
        storage.remove(&temporary).ok();
        return Err(full_or_failed(keeping)(error));
    }
    // The copy must be durable under its name before the original is zeroed.
    storage.rename(&temporary, &name).map_err(failed(keeping))?;
    storage.sync_names().map_err(failed(keeping))?;
    zero(&*file, span).map_err(failed("zeroing a damaged tail"))?;
    Ok(name)
}

/// Reads a part of a file and writes the same bytes again, so that the next sync brings them to the
/// disk. After a failed sync the kernel serves pages that the disk does not have, and counts them as
/// clean, so a sync alone would skip them.
pub(super) fn rewrite(file: &dyn StoredFile, span: ByteSpan) -> std::io::Result<()> {
    each_chunk(span, |offset, chunk| {
        file.read_at(chunk, offset)?;
        file.write_at(chunk, offset)
    })
}

fn copy(
    storage: &dyn Storage,
    from: &dyn StoredFile,
    span: ByteSpan,
    name: &str,
) -> std::io::Result<()> {
    let to = storage.create(name, span.until - span.from)?;
    each_chunk(span, |offset, chunk| {
        from.read_at(chunk, offset)?;
        to.write_at(chunk, offset - span.from)
    })?;
    to.sync()
}

fn zero(file: &dyn StoredFile, span: ByteSpan) -> std::io::Result<()> {
    each_chunk(span, |offset, chunk| {
        chunk.fill(0);
        file.write_at(chunk, offset)
    })?;
    file.sync()
}

fn each_chunk(
    span: ByteSpan,
    mut visit: impl FnMut(u64, &mut [u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut chunk = Vec::new();
    let mut offset = span.from;
    while offset < span.until {
        let length = CHUNK_BYTES.min(span.until - offset);
        chunk.resize(usize::try_from(length).map_err(std::io::Error::other)?, 0);
        visit(offset, &mut chunk)?;
        offset += length;
    }
    Ok(())
}
