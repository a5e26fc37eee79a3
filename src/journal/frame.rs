//! A batch as bytes on disk: one frame, whole sectors.
//!
//! All integers are little-endian. A frame is a header of 96 bytes, the payload, the payload's
//! CRC-32C, and zeros up to a whole sector:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 3 | `TXJ` |
//! | 3 | 1 | version of the format, 1 |
//! | 4 | 4 | flags: bit 0 the batch was not synced before it was acknowledged, bit 1 the reserve |
//! | 8 | 8 | sequence of the first record |
//! | 16 | 4 | number of records |
//! | 20 | 8 | bytes of the payload |
//! | 28 | 8 | receive time, nanoseconds since the Unix epoch, signed |
//! | 36 | 8 | sequence of the newest record that was synced when this frame was written |
//! | 44 | 8 | bytes of the file that the frame was written into |
//! | 52 | 32 | digest of the batch before it; zeros for the first one |
//! | 84 | 8 | zeros |
//! | 92 | 4 | CRC-32C of the 92 bytes before it |
//!
//! The payload is one length of 4 bytes for each record, then the records end to end. The digest of
//! a batch is the SHA-256 of its header and the payload's CRC: it chains the batches, so that none
//! can be missing, doubled or of another journal. It guards against accidents, not against forgery.

use sha2::{Digest as _, Sha256};

use super::{Batch, LogError, Room};

/// The unit that a disk writes whole or not at all.
pub const SECTOR_BYTES: u64 = SECTOR as u64;
/// The same, for buffers.
pub(super) const SECTOR: usize = 512;
/// The least that a frame takes up.
pub const FRAME_BYTES_MIN: u64 = SECTOR_BYTES;

const MAGIC: [u8; 3] = *b"TXJ";
/// The version that is written. Earlier ones stay readable.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 96;
/// Bytes of a CRC-32C.
pub(super) const CRC_BYTES: usize = 4;
const LENGTH_BYTES: usize = 4;
const FLAG_RELAXED: u32 = 1;
const FLAG_RESERVE: u32 = 2;

/// The digest of a batch.
pub(super) type Digest = [u8; 32];

/// What stands in front of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) first_sequence: u64,
    pub(super) count: u32,
    pub(super) payload_bytes: u64,
    pub(super) received_at_nanos: i64,
    pub(super) room: Room,
    /// Further batches may have been written before this one was synced.
    pub(super) relaxed: bool,
    /// Sequence of the newest record that was synced when this frame was written.
    pub(super) synced_sequence: u64,
    /// Bytes of the file that it was written into.
    pub(super) file_bytes: u64,
    /// Digest of the batch before it.
    pub(super) previous: Digest,
}

impl FrameHeader {
    /// Bytes of the whole frame; none when no file is that large.
    pub(super) fn frame_bytes(&self) -> Option<u64> {
        let padded = self.payload_bytes.checked_add((HEADER_BYTES + CRC_BYTES) as u64)?;
        padded.checked_next_multiple_of(SECTOR_BYTES)
    }

    /// Sequence of the record after the last one.
    pub(super) const fn next_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(self.count as u64)
    }

    fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let relaxed = if self.relaxed { FLAG_RELAXED } else { 0 };
        let reserve = if self.room == Room::Reserve { FLAG_RESERVE } else { 0 };
        let mut put = HeaderWriter { bytes: &mut bytes, offset: 0 };
        put.bytes(&MAGIC);
        put.bytes(&[VERSION]);
        put.bytes(&(relaxed | reserve).to_le_bytes());
        put.bytes(&self.first_sequence.to_le_bytes());
        put.bytes(&self.count.to_le_bytes());
        put.bytes(&self.payload_bytes.to_le_bytes());
        put.bytes(&self.received_at_nanos.to_le_bytes());
        put.bytes(&self.synced_sequence.to_le_bytes());
        put.bytes(&self.file_bytes.to_le_bytes());
        put.bytes(&self.previous);
        let (covered, crc) = bytes.split_at_mut(HEADER_BYTES - CRC_BYTES);
        crc.copy_from_slice(&crc32c::crc32c(covered).to_le_bytes());
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(sector: &[u8]) -> Result<Self, String> {
        let cut = || String::from("its header is cut short");
        let header = sector.first_chunk::<HEADER_BYTES>().ok_or_else(cut)?;
        let (covered, crc) = header.split_last_chunk::<CRC_BYTES>().ok_or_else(cut)?;
        let mut take = HeaderReader(covered);
        let magic = take.bytes::<3>();
        if magic != MAGIC {
            return Err("no batch begins here".into());
        }
        if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
            return Err("the checksum of its header is wrong".into());
        }
        let [version] = take.bytes();
        if version != VERSION {
            return Err(format!("it has version {version}, and only {VERSION} is known"));
        }
        let flags = u32::from_le_bytes(take.bytes());
        if flags & !(FLAG_RELAXED | FLAG_RESERVE) != 0 {
            return Err(format!("it has unknown flags: {flags:#x}"));
        }
        Ok(Self {
            first_sequence: u64::from_le_bytes(take.bytes()),
            count: u32::from_le_bytes(take.bytes()),
            payload_bytes: u64::from_le_bytes(take.bytes()),
            received_at_nanos: i64::from_le_bytes(take.bytes()),
            room: if flags & FLAG_RESERVE == 0 { Room::Ordinary } else { Room::Reserve },
            relaxed: flags & FLAG_RELAXED != 0,
            synced_sequence: u64::from_le_bytes(take.bytes()),
            file_bytes: u64::from_le_bytes(take.bytes()),
            previous: take.bytes(),
        })
    }
}

/// Writes field after field.
struct HeaderWriter<'b> {
    bytes: &'b mut [u8; HEADER_BYTES],
    offset: usize,
}

impl HeaderWriter<'_> {
    fn bytes(&mut self, value: &[u8]) {
        let end = self.offset + value.len();
        // The fields add up to less than the header.
        if let Some(target) = self.bytes.get_mut(self.offset..end) {
            target.copy_from_slice(value);
        }
        self.offset = end;
    }
}

/// Reads field after field; the fields add up to less than the header.
struct HeaderReader<'b>(&'b [u8]);

impl HeaderReader<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let Some((value, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *value
    }
}

/// What a frame says of the log around it.
#[derive(Clone, Debug)]
pub(super) struct FrameContext {
    pub(super) relaxed: bool,
    pub(super) synced_sequence: u64,
    pub(super) file_bytes: u64,
    pub(super) previous: Digest,
}

/// Bytes of the frame of a batch.
///
/// # Errors
/// [`LogError::Full`] when no file is that large.
pub(super) fn frame_bytes(batch: &Batch) -> Result<u64, LogError> {
    let table = batch.len().saturating_mul(LENGTH_BYTES);
    let bytes = table.saturating_add(batch.size_bytes()).saturating_add(HEADER_BYTES + CRC_BYTES);
    (bytes as u64).checked_next_multiple_of(SECTOR_BYTES).ok_or(LogError::Full)
}

/// Writes the frame of a batch into `out`, in place of what is there. The batch's digest.
///
/// # Errors
/// [`LogError::Full`] for a batch of more records, or a record of more bytes, than 32 bits count.
pub(super) fn encode(
    batch: &Batch,
    place: &FrameContext,
    out: &mut Vec<u8>,
) -> Result<Digest, LogError> {
    let count = u32::try_from(batch.len()).map_err(|_| LogError::Full)?;
    let header = FrameHeader {
        first_sequence: batch.first_sequence(),
        count,
        payload_bytes: (batch.len() * LENGTH_BYTES + batch.size_bytes()) as u64,
        received_at_nanos: batch.received_at_nanos(),
        room: batch.room(),
        relaxed: place.relaxed,
        synced_sequence: place.synced_sequence,
        file_bytes: place.file_bytes,
        previous: place.previous,
    };
    let header = header.to_bytes();
    out.clear();
    out.extend_from_slice(&header);
    for record in batch.records() {
        let length = u32::try_from(record.len()).map_err(|_| LogError::Full)?;
        out.extend_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(batch.bytes());
    let crc = crc32c::crc32c(out.get(HEADER_BYTES..).unwrap_or_default()).to_le_bytes();
    out.extend_from_slice(&crc);
    out.resize(out.len().next_multiple_of(SECTOR), 0);
    Ok(digest(&header, crc))
}

/// The digest of a frame whose records nobody needs: of its header, and of the CRC of its payload.
/// `crc` are the bytes at [`crc_offset`].
pub(super) fn digest_of_header(sector: &[u8], crc: [u8; CRC_BYTES]) -> Option<Digest> {
    sector.first_chunk::<HEADER_BYTES>().map(|header| digest(header, crc))
}

/// Where the CRC of the payload is, counted from the first byte of the frame.
pub(super) const fn crc_offset(header: &FrameHeader) -> u64 {
    (HEADER_BYTES as u64).saturating_add(header.payload_bytes)
}

/// Reads the payload of a frame, which begins after the header in `frame`. The batch, and its
/// digest.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decode(header: &FrameHeader, frame: &[u8]) -> Result<(Batch, Digest), String> {
    let cut = || String::from("it is cut short");
    let (head, rest) = frame.split_first_chunk::<HEADER_BYTES>().ok_or_else(cut)?;
    let payload_bytes = usize::try_from(header.payload_bytes).map_err(|_| cut())?;
    let (payload, rest) = rest.split_at_checked(payload_bytes).ok_or_else(cut)?;
    let crc = *rest.first_chunk::<CRC_BYTES>().ok_or_else(cut)?;
    if crc32c::crc32c(payload) != u32::from_le_bytes(crc) {
        return Err("the checksum of its records is wrong".into());
    }
    let wrong = || String::from("the lengths of its records are wrong");
    let table_bytes = (header.count as usize).checked_mul(LENGTH_BYTES).ok_or_else(wrong)?;
    let (table, bytes) = payload.split_at_checked(table_bytes).ok_or_else(wrong)?;
    let (lengths, _) = table.as_chunks::<LENGTH_BYTES>();
    let lengths = lengths.iter().map(|length| u32::from_le_bytes(*length) as usize);
    let batch = Batch::from_parts(
        header.first_sequence,
        header.received_at_nanos,
        header.room,
        lengths,
        bytes.to_vec(),
    );
    Ok((batch.ok_or_else(wrong)?, digest(head, crc)))
}

fn digest(header: &[u8; HEADER_BYTES], crc: [u8; CRC_BYTES]) -> Digest {
    Sha256::new().chain_update(header).chain_update(crc).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn place() -> FrameContext {
        FrameContext { relaxed: false, synced_sequence: 6, file_bytes: 1 << 20, previous: [7; 32] }
    }

    fn batch(records: &[Vec<u8>], room: Room) -> Batch {
        let mut batch = Batch::new(7, -5, room);
        for record in records {
            batch.push(|out| out.extend_from_slice(record));
        }
        batch
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_and_no_flipped_bit_goes_unseen(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            reserve: bool,
            relaxed: bool,
            bit: prop::sample::Index,
        ) {
            let room = if reserve { Room::Reserve } else { Room::Ordinary };
            let (batch, place) = (batch(&records, room), FrameContext { relaxed, ..place() });
            let mut bytes = Vec::new();
            let digest = encode(&batch, &place, &mut bytes).unwrap();
            prop_assert_eq!(bytes.len() as u64, frame_bytes(&batch).unwrap());
            let header = FrameHeader::parse(&bytes).unwrap();
            prop_assert_eq!(header.frame_bytes(), Some(bytes.len() as u64));
            prop_assert_eq!(header.relaxed, relaxed);
            prop_assert_eq!(decode(&header, &bytes).unwrap(), (batch.clone(), digest));

            let used = HEADER_BYTES + usize::try_from(header.payload_bytes).unwrap() + CRC_BYTES;
            let bit = bit.index(used * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = FrameHeader::parse(&bytes).and_then(|header| decode(&header, &bytes));
            prop_assert!(read.is_err(), "bit {} of {}", bit, used * 8);
        }
    }

    #[test]
    fn later_versions_and_flags_are_refused() {
        let mut bytes = Vec::new();
        encode(&batch(&[], Room::Ordinary), &place(), &mut bytes).unwrap();
        let check = |offset: usize, value: u8, expect: &str| {
            let mut bytes = bytes.clone();
            bytes[offset] = value;
            let covered = HEADER_BYTES - CRC_BYTES;
            let crc = crc32c::crc32c(&bytes[..covered]);
            bytes[covered..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
            let error = FrameHeader::parse(&bytes).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check(0, b'X', "no batch begins here");
        check(3, 2, "version 2");
        check(4, 4, "unknown flags: 0x4");
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let mut bytes = Vec::new();
        encode(&batch(&[vec![1, 2], vec![3]], Room::Ordinary), &place(), &mut bytes).unwrap();
        let header = FrameHeader::parse(&bytes).unwrap();
        let check = |lengths: [u32; 2]| {
            let mut bytes = bytes.clone();
            let payload = HEADER_BYTES..HEADER_BYTES + 11;
            for (n, length) in lengths.into_iter().enumerate() {
                let start = HEADER_BYTES + n * LENGTH_BYTES;
                bytes[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
            }
            let crc = crc32c::crc32c(&bytes[payload.clone()]).to_le_bytes();
            bytes[payload.end..payload.end + CRC_BYTES].copy_from_slice(&crc);
            decode(&header, &bytes)
        };
        assert!(check([2, 1]).is_ok());
        assert!(check([1, 1]).is_err());
        assert!(check([2, 2]).is_err());
        assert!(check([u32::MAX, u32::MAX]).is_err());
    }
}
