//! A segment: one file of frames, read from its beginning.
//!
//! Input: a file, and the link that its first frame must continue. Output: batches in sequence, and
//! the offset after the last intact frame. Invariants: a batch is returned only if its checksums, its
//! sequence, its file size and the digest of the previous batch are right; memory is bounded by one
//! frame. Deliberately absent: a verdict on the bytes after the last intact frame (see
//! [`super::tail`]).

use std::fmt;
use std::io;
use std::sync::Arc;

use super::frame::{
    CRC_BYTES, Digest, FrameHeader, SECTOR_BYTES, crc_offset, decode, digest_of_header,
};
use super::storage::{Storage, StoredFile};
use super::{Batch, LogError, SEQUENCE_DIGITS, failed, file_names, parse_sequence};

/// Bytes read at one time, unless a frame is larger.
const WINDOW_BYTES: u64 = 1 << 20;
const PREFIX: &str = "seg-";
const RESERVE_SUFFIX: &str = ".reserve";

/// File name of a segment: the sequence of its first record, and whether it was made of the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    pub(super) first_sequence: u64,
    pub(super) reserve: bool,
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.reserve { RESERVE_SUFFIX } else { "" };
        write!(f, "{PREFIX}{:0SEQUENCE_DIGITS$}{suffix}", self.first_sequence)
    }
}

impl SegmentName {
    /// The name in parts. `None` if the file is not a segment.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        let (digits, reserve) =
            rest.strip_suffix(RESERVE_SUFFIX).map_or((rest, false), |digits| (digits, true));
        Some(Self { first_sequence: parse_sequence(digits)?, reserve })
    }
}

/// A segment on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: SegmentName,
    pub(super) size_bytes: u64,
}

impl Segment {
    /// All segments of a directory, oldest first.
    pub(super) fn list(storage: &dyn Storage) -> Result<Vec<Self>, LogError> {
        let names = file_names(storage)?;
        let mut names: Vec<SegmentName> =
            names.iter().filter_map(|name| SegmentName::parse(name)).collect();
        names.sort_unstable();
        let segment = |name: SegmentName| {
            let file = storage.open(&name.to_string());
            let size = file.and_then(|file| file.size_bytes()).map_err(failed("opening a segment"));
            Ok(Self { name, size_bytes: size? })
        };
        names.into_iter().map(segment).collect()
    }

    /// Opens its file.
    pub(super) fn open(
        &self,
        storage: &dyn Storage,
        doing: &'static str,
    ) -> Result<Arc<dyn StoredFile>, LogError> {
        storage.open(&self.name.to_string()).map_err(failed(doing))
    }

    /// Path of its file, for messages.
    pub(super) fn place(&self, storage: &dyn Storage) -> String {
        storage.place(&self.name.to_string())
    }
}

/// The point in the chain of batches that a frame must continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChainLink {
    /// First sequence of the next batch.
    pub(super) next_sequence: u64,
    /// Digest of the batch before. `None` if that batch was not read: the next frame is then trusted.
    pub(super) digest: Option<Digest>,
}

impl ChainLink {
    /// The link before the first batch of a segment, where no earlier segment was read.
    pub(super) fn before(segment: &Segment) -> Self {
        let next_sequence = segment.name.first_sequence;
        Self { next_sequence, digest: (next_sequence == 1).then_some([0; 32]) }
    }
}

/// The segments of a log that hold the records from `from` on.
///
/// # Errors
/// [`LogError::Gone`] if records from `from` on were dropped.
pub(super) fn segments_from(segments: &[Segment], from: u64) -> Result<&[Segment], LogError> {
    let first = segments.first().map_or(1, |segment| segment.name.first_sequence);
    if from < first {
        return Err(LogError::Gone { first });
    }
    let wanted = segments.partition_point(|s| s.name.first_sequence <= from).saturating_sub(1);
    let (_, wanted) = segments.split_at(wanted);
    Ok(wanted)
}

/// A buffered view of a file.
pub(super) struct FileWindow {
    file: Arc<dyn StoredFile>,
    size_bytes: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl FileWindow {
    pub(super) fn new(file: Arc<dyn StoredFile>, size_bytes: u64) -> Self {
        Self { file, size_bytes, buffer: Vec::new(), start: 0 }
    }

    /// Bytes of the whole file.
    pub(super) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// `length` bytes of the file from `offset` on.
    ///
    /// # Errors
    /// The error of the operating system; [`io::ErrorKind::UnexpectedEof`] if the file is shorter.
    pub(super) fn bytes(&mut self, offset: u64, length: u64) -> io::Result<&[u8]> {
        let end = offset.checked_add(length).filter(|end| *end <= self.size_bytes);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if offset < self.start || end > self.start + self.buffer.len() as u64 {
            let wanted = length.max(WINDOW_BYTES).min(self.size_bytes - offset);
            let wanted = usize::try_from(wanted).map_err(io::Error::other)?;
            self.buffer.resize(wanted, 0);
            self.start = offset;
            if let Err(error) = self.file.read_at(&mut self.buffer, offset) {
                self.buffer.clear();
                return Err(error);
            }
        }
        let from = usize::try_from(offset - self.start).map_err(io::Error::other)?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.buffer.get(from..from + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Discards the buffer, because another process may have written to the file.
    pub(super) fn discard(&mut self) {
        self.buffer.clear();
    }
}

/// A frame whose checksums are right.
pub(super) struct IntactFrame {
    pub(super) header: FrameHeader,
    pub(super) batch: Batch,
    pub(super) digest: Digest,
    pub(super) frame_bytes: u64,
}

/// The intact frame that begins at `offset`, if one does.
pub(super) fn read_frame(window: &mut FileWindow, offset: u64) -> io::Result<Option<IntactFrame>> {
    let Some((header, frame_bytes)) = read_header(window, offset)? else { return Ok(None) };
    let decoded = decode(&header, window.bytes(offset, frame_bytes)?).ok();
    Ok(decoded.map(|(batch, digest)| IntactFrame { header, batch, digest, frame_bytes }))
}

/// The header of the frame that begins at `offset`, and the bytes of that frame. `None` if the header
/// is damaged, or the frame would not fit into the file.
fn read_header(window: &mut FileWindow, offset: u64) -> io::Result<Option<(FrameHeader, u64)>> {
    let left = window.size_bytes().saturating_sub(offset);
    if left < SECTOR_BYTES {
        return Ok(None);
    }
    let header = FrameHeader::parse(window.bytes(offset, SECTOR_BYTES)?).ok();
    Ok(header.and_then(|header| {
        let frame_bytes = header.frame_bytes().filter(|bytes| *bytes <= left)?;
        Some((header, frame_bytes))
    }))
}

/// Reads the intact frames of one segment.
pub(super) struct SegmentScan {
    pub(super) window: FileWindow,
    /// Where the next frame begins.
    pub(super) offset: u64,
    pub(super) link: ChainLink,
    place: String,
}

impl SegmentScan {
    /// A scan of a segment whose first frame must continue `link`.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if the segment cannot continue it, or was cut.
    pub(super) fn new(
        storage: &dyn Storage,
        segment: &Segment,
        link: ChainLink,
    ) -> Result<Self, LogError> {
        let place = segment.place(storage);
        let (due, found) = (link.next_sequence, segment.name.first_sequence);
        if due != found {
            let what = format!("it begins at {found}, and the segment before it ends before {due}");
            return Err(LogError::Corrupt { place, what });
        }
        if segment.size_bytes == 0 || !segment.size_bytes.is_multiple_of(SECTOR_BYTES) {
            let what = format!("it was cut to {} bytes", segment.size_bytes);
            return Err(LogError::Corrupt { place, what });
        }
        let file = segment.open(storage, "opening a segment")?;
        Ok(Self { window: FileWindow::new(file, segment.size_bytes), offset: 0, link, place })
    }

    /// The next batch. `None` after the last intact frame.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if an intact frame does not belong at this position.
    pub(super) fn next(&mut self) -> Result<Option<(FrameHeader, Batch)>, LogError> {
        let found =
            read_frame(&mut self.window, self.offset).map_err(failed("reading a segment"))?;
        let Some(IntactFrame { header, batch, digest, frame_bytes }) = found else {
            return Ok(None);
        };
        let ChainLink { next_sequence, digest: previous } = self.link;
        if header.first_sequence != next_sequence {
            let found = header.first_sequence;
            return Err(self.corrupt(format!("it begins at {found}, not at {next_sequence}")));
        }
        if previous.is_some_and(|digest| digest != header.previous) {
            return Err(self.corrupt("it does not follow the batch before it".into()));
        }
        let (written, actual) = (header.file_bytes, self.window.size_bytes());
        if written != actual {
            return Err(self.corrupt(format!("the file had {written} bytes, and has {actual}")));
        }
        self.link = ChainLink { next_sequence: header.next_sequence(), digest: Some(digest) };
        self.offset += frame_bytes;
        Ok(Some((header, batch)))
    }

    /// [`LogError::Corrupt`] at the current position.
    pub(super) fn corrupt(&self, what: String) -> LogError {
        LogError::Corrupt { place: self.position(), what }
    }

    /// [`LogError::Corrupt`] at the current position, where a batch should be.
    pub(super) fn missing_batch(&self) -> LogError {
        self.corrupt(format!("batch {} is missing or damaged", self.link.next_sequence))
    }

    /// The current position, for messages: file and offset.
    pub(super) fn position(&self) -> String {
        format!("{}, offset {}", self.place, self.offset)
    }
}

/// The digest of the batch that holds the record `sequence`. `None` if no segment holds it. Reads
/// only headers and the payload's CRC; payloads are not checked, as [`replay`] does.
pub(super) fn digest_at(storage: &dyn Storage, sequence: u64) -> Result<Option<Digest>, LogError> {
    let doing = "looking for the batch of a snapshot";
    let segments = Segment::list(storage)?;
    let later = segments.partition_point(|s| s.name.first_sequence <= sequence);
    let Some(segment) = later.checked_sub(1).and_then(|at| segments.get(at)) else {
        return Ok(None);
    };
    let mut window = FileWindow::new(segment.open(storage, doing)?, segment.size_bytes);
    let mut offset = 0;
    while let Some((header, frame_bytes)) =
        read_header(&mut window, offset).map_err(failed(doing))?
    {
        if (header.first_sequence..header.next_sequence()).contains(&sequence) {
            let crc = window.bytes(offset + crc_offset(&header), CRC_BYTES as u64);
            let Some(crc) = crc.map_err(failed(doing))?.first_chunk().copied() else {
                impossible!("a window returns as many bytes as requested");
                return Ok(None);
            };
            let sector = window.bytes(offset, SECTOR_BYTES).map_err(failed(doing))?;
            return Ok(digest_of_header(sector, crc));
        }
        offset += frame_bytes;
    }
    Ok(None)
}

/// Visits the batches that hold the records from sequence `from` on. The newest record of `segments`
/// is `last_sequence`.
pub(super) fn replay(
    storage: &dyn Storage,
    segments: &[Segment],
    last_sequence: u64,
    from: u64,
    visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let segments = segments_from(segments, from)?;
    let Some(mut link) = segments.first().map(ChainLink::before) else {
        impossible!("a log that is open has a segment");
        return Ok(());
    };
    if from > last_sequence {
        return Ok(());
    }
    for (n, segment) in segments.iter().enumerate() {
        if link.next_sequence > last_sequence {
            return Ok(());
        }
        let mut scan = SegmentScan::new(storage, segment, link)?;
        let end = segments.get(n + 1).map_or(last_sequence + 1, |next| next.name.first_sequence);
        while scan.link.next_sequence < end {
            let Some((_, batch)) = scan.next()? else { return Err(scan.missing_batch()) };
            if batch.next_sequence() > from {
                visit(&batch)?;
            }
        }
        link = scan.link;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_round_trip_and_other_names_are_rejected() {
        let check = |first_sequence: u64, reserve: bool, text: &str| {
            let name = SegmentName { first_sequence, reserve };
            assert_eq!(name.to_string(), text);
            assert_eq!(SegmentName::parse(text), Some(name));
        };
        check(1, false, "seg-00000000000000000001");
        check(20, true, "seg-00000000000000000020.reserve");
        check(u64::MAX, false, "seg-18446744073709551615");
        for other in [
            "seg-1",
            "seg-0000000000000000000x",
            "seg-99999999999999999999",
            "seg-00000000000000000001.torn",
            "seg-00000000000000000001.reserve.dropped",
            "seg-+0000000000000000001",
            "spare",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
