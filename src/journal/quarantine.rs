//! Setting aside what is not part of the log: copied into a file of its own, then zeroed.
//!
//! Invariants: nothing is zeroed before its copy is durable; a copy never replaces another; cut
//! short at any step, it can be done again. What is kept is bounded in files, not in bytes.

use super::segment::{Segment, SegmentName};
use super::storage::{Storage, StoredFile};
use super::{LogError, failed};

/// What a torn tail's file name ends with.
const TORN_SUFFIX: &str = ".torn";
/// Torn tails that are kept; the oldest go.
const TORN_FILES_MAX: usize = 100;
/// Bytes copied at one time.
const CHUNK_BYTES: u64 = 1 << 20;

/// Bytes of a file: from an offset up to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByteSpan {
    pub(super) from: u64,
    pub(super) until: u64,
}

/// A batch that was being written when the process or the machine stopped. It was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub segment: String,
    /// Where it began.
    pub offset: u64,
    /// How many bytes there were of it.
    pub size_bytes: u64,
    /// The file that holds them now.
    pub kept_as: String,
}

/// Sets a torn tail aside.
pub(super) fn quarantine_torn_tail(
    storage: &dyn Storage,
    segment: &Segment,
    span: ByteSpan,
) -> Result<TornTail, LogError> {
    let kept_as = quarantine(storage, segment.name, span, TORN_SUFFIX)?;
    for old in too_many(&torn_tail_files(storage)?) {
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
    let mut names = storage.names().map_err(failed("reading the directory"))?;
    names.retain(|name| name.ends_with(TORN_SUFFIX));
    names.sort_unstable();
    Ok(names)
}

fn too_many(torn: &[String]) -> impl Iterator<Item = &String> {
    torn.iter().take(torn.len().saturating_sub(TORN_FILES_MAX))
}

/// Copies a part of a segment into a file whose name ends with `suffix`, and zeroes it. The name.
pub(super) fn quarantine(
    storage: &dyn Storage,
    segment: SegmentName,
    span: ByteSpan,
    suffix: &str,
) -> Result<String, LogError> {
    let file = storage.open(&segment.to_string()).map_err(failed("opening a segment"))?;
    let names = storage.names().map_err(failed("reading the directory"))?;
    let stem = format!("{segment}-{:012}", span.from);
    let name = (1_u32..1_000)
        .map(|n| if n == 1 { format!("{stem}{suffix}") } else { format!("{stem}.{n}{suffix}") })
        .find(|name| !names.contains(name))
        .unwrap_or(stem);
    let temporary = format!("{name}.tmp");
    let copied = copy(storage, &*file, span, &temporary);
    if let Err(error) = copied {
        storage.remove(&temporary).ok();
        return Err(super::end::full_or_failed("keeping a damaged tail")(error));
    }
    storage.rename(&temporary, &name).map_err(failed("keeping a damaged tail"))?;
    storage.sync_names().map_err(failed("keeping a damaged tail"))?;
    zero(&*file, span).map_err(failed("zeroing a damaged tail"))?;
    Ok(name)
}

/// Writes what can be read there once more, so that a sync brings it to the disk. After a sync that
/// failed the system shows pages that the disk does not have, and takes them for clean.
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
