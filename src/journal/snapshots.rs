//! Snapshots of the state, kept in the directory of the log, so that a restart need not read the
//! whole log.
//!
//! Input: bytes, and the sequence of the newest record in them. Output: the same bytes, or an error if
//! they have changed. A snapshot is written under a temporary name, synced, renamed, the directory is
//! synced, and the file is read back. Invariants: a file with the name of a snapshot is complete, or
//! the disk damaged it and reading it reports that; the two newest verified snapshots are kept.
//! Deliberately absent: the meaning of the bytes, the schedule, and threads. `docs/snapshots.md`
//! describes the format on disk.

mod header;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use self::header::SnapshotInfo;
use self::header::{HEADER_BYTES, HeaderError, VERSION};
use super::segment::digest_at;
use super::storage::{Storage, StoredFile};
use super::{LogError, SEQUENCE_DIGITS, parse_sequence};

/// Bytes written to and read from a file at one time.
const CHUNK_BYTES: usize = 256 * 1024;
/// The fastest level. Most of the redundancy is field names, which any level removes.
const COMPRESSION_LEVEL: i32 = 1;
/// Snapshots that are kept.
pub const GENERATIONS: usize = 2;

const PREFIX: &str = "snap-";
const TEMPORARY: &str = "snapshot.tmp";

/// The snapshots of a directory.
#[derive(Clone)]
pub struct Snapshots {
    storage: Arc<dyn Storage>,
}

/// Why a snapshot cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// An operation of the storage failed.
    #[error("cannot {doing} the snapshot {place}")]
    Storage {
        /// The operation, as an infinitive: "read".
        doing: &'static str,
        /// The file.
        place: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file does not hold what was written.
    #[error("the snapshot {place} is damaged: {what}")]
    Damaged {
        /// The file.
        place: String,
        /// The defect.
        what: &'static str,
    },
    /// The log has another batch at the sequence of the snapshot.
    #[error("the snapshot {place} belongs to another journal")]
    Foreign {
        /// The file.
        place: String,
    },
    /// The log in the same directory cannot be read.
    #[error("cannot compare the snapshot {place} with the journal")]
    Log {
        /// The file of the snapshot.
        place: String,
        /// The error of the log.
        #[source]
        source: LogError,
    },
    /// A later version of this program wrote it.
    #[error("the snapshot {place} has version {found}, and only {VERSION} is known")]
    Version {
        /// The file.
        place: String,
        /// Its version.
        found: u32,
    },
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("at", &self.storage.place(PREFIX)).finish()
    }
}

impl Snapshots {
    /// The snapshots in `storage`.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// Sequences of all snapshots, newest first. Their contents are not checked.
    ///
    /// # Errors
    /// [`SnapshotError::Storage`].
    pub fn sequences(&self) -> Result<Vec<u64>, SnapshotError> {
        let names = self.storage.names().map_err(|e| self.failed("list", PREFIX, e))?;
        let mut sequences: Vec<u64> = names.iter().filter_map(|name| parse(name)).collect();
        sequences.sort_unstable_by(|a, b| b.cmp(a));
        Ok(sequences)
    }

    /// Writes a snapshot durably and reads it back. `state` writes the state as of the record
    /// `sequence`, which was received at `received_at_nanos` since the Unix epoch.
    ///
    /// # Errors
    /// See [`SnapshotError`]. Older snapshots are untouched, and no unfinished file has the name of a
    /// snapshot.
    pub fn write(
        &self,
        sequence: u64,
        received_at_nanos: i64,
        state: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<SnapshotInfo, SnapshotError> {
        let storage = self.storage.as_ref();
        let name = name(sequence);
        let batch_digest = self.batch_digest(sequence)?;
        let written = self.write_temporary((sequence, received_at_nanos), batch_digest, state);
        if let Err(error) = written {
            // If this fails too, the next snapshot overwrites the file.
            storage.remove(TEMPORARY).ok();
            return Err(self.failed("write", TEMPORARY, error));
        }
        storage.rename(TEMPORARY, &name).map_err(|e| self.failed("name", &name, e))?;
        storage.sync_names().map_err(|e| self.failed("sync the name of", &name, e))?;
        self.verify(sequence)
    }

    fn write_temporary(
        &self,
        (sequence, received_at_nanos): (u64, i64),
        batch_digest: Option<[u8; 32]>,
        state: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = self.storage.create(TEMPORARY, 0)?;
        let body = SnapshotBodyWriter { file: file.as_ref(), bytes: Vec::new(), stored_bytes: 0 };
        let encoder = zstd::stream::write::Encoder::new(body, COMPRESSION_LEVEL)?;
        let mut hashing = HashingWriter { inner: encoder, hasher: Sha256::new(), bytes: 0 };
        state(&mut hashing)?;
        let HashingWriter { inner, hasher, bytes: state_bytes } = hashing;
        let mut body = inner.finish()?;
        body.write_chunk()?;
        let info = SnapshotInfo {
            sequence,
            received_at_nanos,
            stored_bytes: body.stored_bytes,
            state_bytes,
            digest: hasher.finalize().into(),
            batch_digest,
        };
        file.write_at(&header::encode(&info), 0)?;
        file.sync()
    }

    /// Reads a snapshot to its end and checks every byte.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn verify(&self, sequence: u64) -> Result<SnapshotInfo, SnapshotError> {
        let mut reader = self.open(sequence)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => return reader.finish(),
                Ok(_) => {}
                Err(error) => return Err(reader.read_error(error)),
            }
        }
    }

    /// Opens a snapshot. Do not trust the bytes read before [`SnapshotReader::finish`] returned `Ok`.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn open(&self, sequence: u64) -> Result<SnapshotReader, SnapshotError> {
        let name = name(sequence);
        let place = self.storage.place(&name);
        let failed = |e| self.failed("read", &name, e);
        let file = self.storage.open(&name).map_err(failed)?;
        let size_bytes = file.size_bytes().map_err(failed)?;
        let damaged = |what| SnapshotError::Damaged { place: place.clone(), what };
        if size_bytes < HEADER_BYTES as u64 {
            return Err(damaged("it is shorter than its header"));
        }
        let mut sector = [0; HEADER_BYTES];
        file.read_at(&mut sector, 0).map_err(failed)?;
        let info = match header::decode(&sector) {
            Ok(info) => info,
            Err(HeaderError::Damaged(what)) => return Err(damaged(what)),
            Err(HeaderError::Version(found)) => {
                return Err(SnapshotError::Version { place, found });
            }
        };
        let expected_bytes = (HEADER_BYTES as u64).checked_add(info.stored_bytes);
        if info.sequence != sequence || expected_bytes != Some(size_bytes) {
            return Err(damaged("its name or its length is not that of its header"));
        }
        // If the log no longer has that record, there is nothing to compare with.
        let in_log = self.batch_digest(sequence)?;
        if info.batch_digest.zip(in_log).is_some_and(|(own, log)| own != log) {
            return Err(SnapshotError::Foreign { place });
        }
        let body =
            SnapshotBodyReader { file, offset: HEADER_BYTES as u64, left: info.stored_bytes };
        let body = io::BufReader::with_capacity(CHUNK_BYTES, body);
        let decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(failed)?;
        Ok(SnapshotReader { decoder, hasher: Sha256::new(), bytes: 0, info, place })
    }

    /// Removes the temporary file of a snapshot that a crash interrupted.
    ///
    /// # Errors
    /// [`SnapshotError::Storage`].
    pub fn remove_leftovers(&self) -> Result<(), SnapshotError> {
        let names = self.storage.names().map_err(|e| self.failed("list", PREFIX, e))?;
        if names.iter().any(|name| name == TEMPORARY) {
            self.remove_named(TEMPORARY)?;
        }
        Ok(())
    }

    /// Removes every snapshot that is older than all of `kept`. Does nothing if `kept` has fewer than
    /// [`GENERATIONS`] sequences.
    ///
    /// # Errors
    /// [`SnapshotError::Storage`].
    pub fn remove_older(&self, kept: &[u64]) -> Result<(), SnapshotError> {
        let Some(oldest) = kept.iter().min().filter(|_| kept.len() >= GENERATIONS) else {
            return Ok(());
        };
        for sequence in self.sequences()?.into_iter().filter(|sequence| sequence < oldest) {
            self.remove_named(&name(sequence))?;
        }
        Ok(())
    }

    /// Digest of the batch that holds the record, in the log of the same directory. `None` if the log
    /// does not have the record.
    fn batch_digest(&self, sequence: u64) -> Result<Option<[u8; 32]>, SnapshotError> {
        digest_at(&*self.storage, sequence)
            .map_err(|source| SnapshotError::Log { place: self.place(sequence), source })
    }

    /// Path of a snapshot, for messages.
    #[must_use]
    pub fn place(&self, sequence: u64) -> String {
        self.storage.place(&name(sequence))
    }

    fn remove_named(&self, name: &str) -> Result<(), SnapshotError> {
        self.storage.remove(name).map_err(|e| self.failed("remove", name, e))
    }

    fn failed(&self, doing: &'static str, name: &str, source: io::Error) -> SnapshotError {
        SnapshotError::Storage { doing, place: self.storage.place(name), source }
    }
}

/// Reads the state of a snapshot.
pub struct SnapshotReader {
    decoder: zstd::stream::read::Decoder<'static, io::BufReader<SnapshotBodyReader>>,
    hasher: Sha256,
    bytes: u64,
    info: SnapshotInfo,
    place: String,
}

impl fmt::Debug for SnapshotReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotReader").field("info", &self.info).finish_non_exhaustive()
    }
}

impl SnapshotReader {
    /// The facts in the header.
    #[must_use]
    pub const fn info(&self) -> SnapshotInfo {
        self.info
    }

    /// Checks that the whole state was read, and that it is what was written.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`]; [`SnapshotError::Storage`] if the file cannot be read.
    pub fn finish(mut self) -> Result<SnapshotInfo, SnapshotError> {
        let mut rest = [0; 1];
        let damaged = |place, what| Err(SnapshotError::Damaged { place, what });
        match self.read(&mut rest) {
            Ok(0) => {}
            Ok(_) => return damaged(self.place, "it holds more than was read"),
            Err(error) => return Err(self.read_error(error)),
        }
        if self.bytes != self.info.state_bytes {
            return damaged(self.place, "it holds less than its header says");
        }
        if <[u8; 32]>::from(self.hasher.finalize()) != self.info.digest {
            return damaged(self.place, "its digest is another");
        }
        Ok(self.info)
    }

    /// An error of reading: the storage failed if the system reports a number, otherwise the
    /// decompression did, and the snapshot is damaged.
    fn read_error(self, source: io::Error) -> SnapshotError {
        match source.raw_os_error() {
            Some(_) => SnapshotError::Storage { doing: "read", place: self.place, source },
            None => SnapshotError::Damaged { place: self.place, what: "it cannot be unpacked" },
        }
    }
}

impl Read for SnapshotReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // Read no more than the header promised: a damaged file may decompress to any size.
        let left = usize::try_from(self.info.state_bytes - self.bytes).unwrap_or(usize::MAX);
        let room = if left == 0 { bytes.len().min(1) } else { bytes.len().min(left) };
        let (part, _) = bytes.split_at_mut(room);
        let read = self.decoder.read(part)?;
        if left == 0 && read > 0 {
            return Err(io::Error::other("more than the header says"));
        }
        let (part, _) = part.split_at(read);
        self.hasher.update(part);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Hashes and counts the bytes that are written through it.
struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let (bytes, _) = bytes.split_at(written);
        self.hasher.update(bytes);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a file after its header, in chunks.
struct SnapshotBodyWriter<'a> {
    file: &'a dyn StoredFile,
    bytes: Vec<u8>,
    stored_bytes: u64,
}

impl SnapshotBodyWriter<'_> {
    fn write_chunk(&mut self) -> io::Result<()> {
        self.file.write_at(&self.bytes, HEADER_BYTES as u64 + self.stored_bytes)?;
        self.stored_bytes += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

impl Write for SnapshotBodyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= CHUNK_BYTES {
            self.write_chunk()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file after its header.
struct SnapshotBodyReader {
    file: Arc<dyn StoredFile>,
    offset: u64,
    left: u64,
}

impl Read for SnapshotBodyReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let room = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (part, _) = bytes.split_at_mut(room);
        if !part.is_empty() {
            self.file.read_at(part, self.offset)?;
        }
        self.offset += room as u64;
        self.left -= room as u64;
        Ok(room)
    }
}

/// Appends `suffix` to the names of snapshots that are newer than `last_sequence`, the newest record of
/// the log: they include records that the log does not have. Returns the new names.
pub(super) fn rename_newer(
    storage: &dyn Storage,
    last_sequence: u64,
    suffix: &str,
) -> io::Result<Vec<String>> {
    let mut renamed = Vec::new();
    for name in storage.names()? {
        if parse(&name).is_some_and(|sequence| sequence > last_sequence) {
            let to = format!("{name}{suffix}");
            storage.rename(&name, &to)?;
            renamed.push(to);
        }
    }
    storage.sync_names()?;
    renamed.sort_unstable();
    Ok(renamed)
}

fn name(sequence: u64) -> String {
    format!("{PREFIX}{sequence:0SEQUENCE_DIGITS$}")
}

/// The sequence in the name of a snapshot. `None` for other files.
fn parse(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX).and_then(parse_sequence)
}
