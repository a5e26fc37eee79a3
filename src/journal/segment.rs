//! A segment: one file of frames, read from its beginning.
//!
//! Input: a file, and what the first frame must follow. Output: batches in sequence, and the offset
//! after the last intact one. Invariants: a batch comes out only if its checksums, its sequence, its
//! file and the digest of the batch before it are right; memory is bounded by one frame.
//! Deliberately absent: what bytes after the last intact frame mean (see [`super::tail`]).

use std::fmt;
use std::io;
use std::sync::Arc;

use super::frame::{
    CRC_BYTES, Digest, FrameHeader, SECTOR_BYTES, crc_offset, decode, digest_of_header,
};
use super::storage::{Storage, StoredFile};
use super::{Batch, LogError, failed};

/// Bytes read at one time, where a frame is not larger.
const WINDOW_BYTES: u64 = 1 << 20;
const PREFIX: &str = "seg-";
const RESERVE_SUFFIX: &str = ".reserve";
/// Digits of a sequence in a name, so that names sort like sequences.
const DIGITS: usize = 20;

/// The name of a segment: the sequence of its first record, and whether it was the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    pub(super) first_sequence: u64,
    pub(super) reserve: bool,
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.reserve { RESERVE_SUFFIX } else { "" };
        write!(f, "{PREFIX}{:0DIGITS$}{suffix}", self.first_sequence)
    }
}

impl SegmentName {
    /// The segment of that file name; none if it is not one.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        let (digits, reserve) =
            rest.strip_suffix(RESERVE_SUFFIX).map_or((rest, false), |digits| (digits, true));
        let plain = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        let first_sequence = digits.parse().ok().filter(|_| plain)?;
        Some(Self { first_sequence, reserve })
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
        let names = storage.names().map_err(failed("reading the directory"))?;
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

    /// How its file is called in messages.
    pub(super) fn place(&self, storage: &dyn Storage) -> String {
        storage.place(&self.name.to_string())
    }
}

/// What a frame must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChainLink {
    /// The sequence that is due.
    pub(super) next_sequence: u64,
    /// Digest of the batch before; none when that batch is not known, and the frame is believed.
    pub(super) digest: Option<Digest>,
}

/// A file, seen through a buffer.
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

    /// Bytes of the file.
    pub(super) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Bytes of the file, which must reach that far.
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

    /// Reads the file anew from now on: somebody else may have written to it.
    pub(super) fn forget(&mut self) {
        self.buffer.clear();
    }
}

/// What stands at an offset.
pub(super) enum Found {
    /// A frame with right checksums, its digest, and how many bytes it takes up.
    Frame { header: FrameHeader, batch: Batch, digest: Digest, frame_bytes: u64 },
    /// Anything else.
    Other,
}

/// What stands at a sector.
pub(super) fn read_frame(window: &mut FileWindow, offset: u64) -> io::Result<Found> {
    let left = window.size_bytes().saturating_sub(offset);
    if left < SECTOR_BYTES {
        return Ok(Found::Other);
    }
    let Ok(header) = FrameHeader::parse(window.bytes(offset, SECTOR_BYTES)?) else {
        return Ok(Found::Other);
    };
    let Some(frame_bytes) = header.frame_bytes().filter(|bytes| *bytes <= left) else {
        return Ok(Found::Other);
    };
    Ok(match decode(&header, window.bytes(offset, frame_bytes)?) {
        Ok((batch, digest)) => Found::Frame { header, batch, digest, frame_bytes },
        Err(_) => Found::Other,
    })
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
    /// A scan of a segment whose first frame must follow `link`.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when the segment cannot follow it, or is cut.
    pub(super) fn new(
        storage: &dyn Storage,
        segment: &Segment,
        link: ChainLink,
    ) -> Result<Self, LogError> {
        let name = segment.name.to_string();
        let place = storage.place(&name);
        let (due, found) = (link.next_sequence, segment.name.first_sequence);
        if due != found {
            let what = format!("it begins at {found}, and the segment before it ends before {due}");
            return Err(LogError::Corrupt { place, what });
        }
        if segment.size_bytes == 0 || !segment.size_bytes.is_multiple_of(SECTOR_BYTES) {
            let what = format!("it was cut to {} bytes", segment.size_bytes);
            return Err(LogError::Corrupt { place, what });
        }
        let file = storage.open(&name).map_err(failed("opening a segment"))?;
        Ok(Self { window: FileWindow::new(file, segment.size_bytes), offset: 0, link, place })
    }

    /// The next batch; none after the last intact frame.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when an intact frame does not belong where it stands.
    pub(super) fn next(&mut self) -> Result<Option<(FrameHeader, Batch)>, LogError> {
        let found =
            read_frame(&mut self.window, self.offset).map_err(failed("reading a segment"))?;
        let Found::Frame { header, batch, digest, frame_bytes } = found else { return Ok(None) };
        let ChainLink { next_sequence, digest: previous } = self.link;
        if header.first_sequence != next_sequence {
            let found = header.first_sequence;
            return Err(self.corrupt(format!("it begins at {found}, not at {next_sequence}")));
        }
        if previous.is_some_and(|digest| digest != header.previous) {
            return Err(self.corrupt("it does not follow the batch before it".into()));
        }
        let (made, is) = (header.file_bytes, self.window.size_bytes());
        if made != is {
            return Err(self.corrupt(format!("the file had {made} bytes, and has {is}")));
        }
        self.link = ChainLink { next_sequence: header.next_sequence(), digest: Some(digest) };
        self.offset += frame_bytes;
        Ok(Some((header, batch)))
    }

    /// An error at the place where the scan stands.
    pub(super) fn corrupt(&self, what: String) -> LogError {
        LogError::Corrupt { place: self.here(), what }
    }

    /// The place where the scan stands.
    pub(super) fn here(&self) -> String {
        format!("{}, offset {}", self.place, self.offset)
    }
}

/// The digest of the frame that holds the record `sequence`; none where no segment holds it. Only
/// headers and checksums are read, and payloads are not checked: see [`replay`] for that.
pub(super) fn digest_at(storage: &dyn Storage, sequence: u64) -> Result<Option<Digest>, LogError> {
    let doing = "looking for the batch of a snapshot";
    let segments = Segment::list(storage)?;
    let later = segments.partition_point(|s| s.name.first_sequence <= sequence);
    let Some(segment) = later.checked_sub(1).and_then(|at| segments.get(at)) else {
        return Ok(None);
    };
    let file = storage.open(&segment.name.to_string()).map_err(failed(doing))?;
    let mut window = FileWindow::new(file, segment.size_bytes);
    let mut offset = 0;
    while offset + SECTOR_BYTES <= window.size_bytes() {
        let sector = window.bytes(offset, SECTOR_BYTES).map_err(failed(doing))?;
        let Ok(header) = FrameHeader::parse(sector) else { return Ok(None) };
        let left = window.size_bytes() - offset;
        let Some(frame_bytes) = header.frame_bytes().filter(|bytes| *bytes <= left) else {
            return Ok(None);
        };
        if (header.first_sequence..header.next_sequence()).contains(&sequence) {
            let crc = window.bytes(offset + crc_offset(&header), CRC_BYTES as u64);
            let crc = crc.map_err(failed(doing))?.first_chunk().copied().unwrap_or_default();
            let sector = window.bytes(offset, SECTOR_BYTES).map_err(failed(doing))?;
            return Ok(digest_of_header(sector, crc));
        }
        offset += frame_bytes;
    }
    Ok(None)
}

/// Visits the batches from sequence `from` on, of segments that end in `last_sequence`.
pub(super) fn replay(
    storage: &dyn Storage,
    segments: &[Segment],
    last_sequence: u64,
    from: u64,
    visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let first = segments.first().map_or(1, |s| s.name.first_sequence);
    if from < first {
        return Err(LogError::Gone { first });
    }
    if from > last_sequence {
        return Ok(());
    }
    let wanted = segments.partition_point(|s| s.name.first_sequence <= from).saturating_sub(1);
    let segments = segments.get(wanted..).unwrap_or_default();
    let next_sequence = segments.first().map_or(1, |s| s.name.first_sequence);
    let digest = (next_sequence == 1).then_some([0; 32]);
    let mut link = ChainLink { next_sequence, digest };
    for (n, segment) in segments.iter().enumerate() {
        if link.next_sequence > last_sequence {
            return Ok(());
        }
        let mut scan = SegmentScan::new(storage, segment, link)?;
        let end = segments.get(n + 1).map_or(last_sequence + 1, |next| next.name.first_sequence);
        while scan.link.next_sequence < end {
            let Some((_, batch)) = scan.next()? else {
                let due = scan.link.next_sequence;
                return Err(scan.corrupt(format!("batch {due} is missing or damaged")));
            };
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
    fn names_sort_like_sequences_and_nothing_else_is_one() {
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
