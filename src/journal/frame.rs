//! Frame: the form of a batch on disk. It begins and ends at sector boundaries.
//!
//! All integers are little-endian. A frame is a header of 96 bytes, the payload, the payload's
//! CRC-32C, and zeros up to a whole sector. The header:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 3 | `TXJ` |
//! | 3 | 1 | version of the format, 1 |
//! | 4 | 4 | flags: bit 0 acknowledged before it was synced, bit 1 batch of the reserve |
//! | 8 | 8 | sequence of the first record |
//! | 16 | 4 | number of records |
//! | 20 | 8 | bytes of the payload |
//! | 28 | 8 | receive time, nanoseconds since the Unix epoch, signed |
//! | 36 | 8 | sequence of the newest record that was synced when this frame was written |
//! | 44 | 8 | bytes of the file that the frame was written into |
//! | 52 | 32 | digest of the previous batch; zeros for the first one |
//! | 84 | 8 | zeros |
//! | 92 | 4 | CRC-32C of the 92 bytes before it |
//!
//! The payload is one length of 4 bytes for each record, then the records end to end. The digest of
//! a batch is the SHA-256 of its header and the payload's CRC. Each header holds the digest of the
//! batch before it, so a batch that is missing, doubled or from another journal is detected. The
//! digest guards against accidents, not against forgery.

use sha2::{Digest as _, Sha256};

use super::{Batch, LogError, Room};

/// Bytes of a sector: a disk writes a sector whole or not at all.
pub const SECTOR_BYTES: u64 = SECTOR as u64;
/// [`SECTOR_BYTES`] as the length of a buffer.
pub(super) const SECTOR: usize = 512;
/// Bytes of the smallest frame.
pub const FRAME_BYTES_MIN: u64 = SECTOR_BYTES;

const MAGIC: [u8; 3] = *b"TXJ";
/// The version that is written. Earlier versions stay readable.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 96;
pub(super) const CRC_BYTES: usize = 4;
const LENGTH_BYTES: usize = 4;
const FLAG_RELAXED: u32 = 1;
const FLAG_RESERVE: u32 = 2;

/// SHA-256 of a batch's header and its payload's CRC.
pub(super) type Digest = [u8; 32];

/// The first 96 bytes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) first_sequence: u64,
    pub(super) count: u32,
    pub(super) payload_bytes: u64,
    pub(super) received_at_nanos: i64,
    pub(super) room: Room,
    /// Whether the batch was acknowledged before it was synced, so that later frames may be on the
    /// disk without it.
    pub(super) relaxed: bool,
    /// Sequence of the newest record that was synced when this frame was written.
    pub(super) synced_sequence: u64,
    /// Bytes of the file that the frame was written into.
    pub(super) file_bytes: u64,
    /// Digest of the previous batch.
    pub(super) previous: Digest,
}

impl FrameHeader {
    /// Bytes of the whole frame. `None` if they do not fit in 64 bits.
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
        let mut fields = HeaderWriter { bytes: &mut bytes, offset: 0 };
        fields.bytes(&MAGIC);
        fields.bytes(&[VERSION]);
        fields.bytes(&(relaxed | reserve).to_le_bytes());
        fields.bytes(&self.first_sequence.to_le_bytes());
        fields.bytes(&self.count.to_le_bytes());
        fields.bytes(&self.payload_bytes.to_le_bytes());
        fields.bytes(&self.received_at_nanos.to_le_bytes());
        fields.bytes(&self.synced_sequence.to_le_bytes());
        fields.bytes(&self.file_bytes.to_le_bytes());
        fields.bytes(&self.previous);
        let (covered, crc) = bytes.split_at_mut(HEADER_BYTES - CRC_BYTES);
        crc.copy_from_slice(&crc32c::crc32c(covered).to_le_bytes());
        bytes
    }

    /// Reads and checks a header.
    ///
    /// # Errors
    /// The defect, as part of a sentence about the batch.
    pub(super) fn parse(sector: &[u8]) -> Result<Self, String> {
        let cut = || String::from("its header is cut short");
        let header = sector.first_chunk::<HEADER_BYTES>().ok_or_else(cut)?;
        let (covered, crc) = header.split_last_chunk::<CRC_BYTES>().ok_or_else(cut)?;
        let mut fields = FieldReader(covered);
        let magic = fields.bytes::<3>();
        if magic != MAGIC {
            return Err("no batch begins here".into());
        }
        if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
            return Err("the checksum of its header is wrong".into());
        }
        let [version] = fields.bytes();
        if version != VERSION {
            return Err(format!("it has version {version}, and only {VERSION} is known"));
        }
        let flags = u32::from_le_bytes(fields.bytes());
        if flags & !(FLAG_RELAXED | FLAG_RESERVE) != 0 {
            return Err(format!("it has unknown flags: {flags:#x}"));
        }
        Ok(Self {
            first_sequence: u64::from_le_bytes(fields.bytes()),
            count: u32::from_le_bytes(fields.bytes()),
            payload_bytes: u64::from_le_bytes(fields.bytes()),
            received_at_nanos: i64::from_le_bytes(fields.bytes()),
            room: if flags & FLAG_RESERVE == 0 { Room::Ordinary } else { Room::Reserve },
            relaxed: flags & FLAG_RELAXED != 0,
            synced_sequence: u64::from_le_bytes(fields.bytes()),
            file_bytes: u64::from_le_bytes(fields.bytes()),
            previous: fields.bytes(),
        })
    }
}

/// Writes the fields of a header one after the other.
struct HeaderWriter<'b> {
    bytes: &'b mut [u8; HEADER_BYTES],
    offset: usize,
}

impl HeaderWriter<'_> {
    fn bytes(&mut self, value: &[u8]) {
        let end = self.offset + value.len();
        if let Some(target) = self.bytes.get_mut(self.offset..end) {
            target.copy_from_slice(value);
        } else {
            impossible!("the fields add up to less than the header");
        }
        self.offset = end;
    }
}

/// Reads the fields of a header one after the other. They must add up to no more than the header.
pub(super) struct FieldReader<'b>(pub(super) &'b [u8]);

impl FieldReader<'_> {
    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let Some((value, rest)) = self.0.split_first_chunk::<N>() else {
            impossible!("the fields of a header add up to no more than the header");
            return [0; N];
        };
        self.0 = rest;
        *value
    }
}

/// The fields of a header that depend on the log, not on the batch. See [`FrameHeader`].
#[derive(Clone, Debug)]
pub(super) struct FrameContext {
    pub(super) relaxed: bool,
    pub(super) synced_sequence: u64,
    pub(super) file_bytes: u64,
    pub(super) previous: Digest,
}

/// Bytes that the frame of a batch will have.
///
/// # Errors
/// [`LogError::Full`] if they do not fit in 64 bits.
pub(super) fn frame_bytes(batch: &Batch) -> Result<u64, LogError> {
    let table = batch.len().saturating_mul(LENGTH_BYTES);
    let bytes = table.saturating_add(batch.size_bytes()).saturating_add(HEADER_BYTES + CRC_BYTES);
    (bytes as u64).checked_next_multiple_of(SECTOR_BYTES).ok_or(LogError::Full)
}

/// Replaces the content of `out` with the frame of a batch. Returns the batch's digest.
///
/// # Errors
/// [`LogError::Full`] if the number of records or the length of a record exceeds 32 bits.
pub(super) fn encode(
    batch: &Batch,
    context: &FrameContext,
    out: &mut Vec<u8>,
) -> Result<Digest, LogError> {
    let count = u32::try_from(batch.len()).map_err(|_| LogError::Full)?;
    let header = FrameHeader {
        first_sequence: batch.first_sequence(),
        count,
        payload_bytes: (batch.len() * LENGTH_BYTES + batch.size_bytes()) as u64,
        received_at_nanos: batch.received_at_nanos(),
        room: batch.room(),
        relaxed: context.relaxed,
        synced_sequence: context.synced_sequence,
        file_bytes: context.file_bytes,
        previous: context.previous,
    };
    let header = header.to_bytes();
    out.clear();
    out.extend_from_slice(&header);
    for record in batch.records() {
        let length = u32::try_from(record.len()).map_err(|_| LogError::Full)?;
        out.extend_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(batch.bytes());
    let (_, payload) = out.split_at(header.len());
    let crc = crc32c::crc32c(payload).to_le_bytes();
    out.extend_from_slice(&crc);
    out.resize(out.len().next_multiple_of(SECTOR), 0);
    Ok(digest(&header, crc))
}

/// The digest of a frame whose payload was not read. `sector` begins with the header, `crc` are the
/// bytes at [`crc_offset`].
pub(super) fn digest_of_header(sector: &[u8], crc: [u8; CRC_BYTES]) -> Option<Digest> {
    sector.first_chunk::<HEADER_BYTES>().map(|header| digest(header, crc))
}

/// Offset of the payload's CRC from the first byte of the frame.
pub(super) const fn crc_offset(header: &FrameHeader) -> u64 {
    (HEADER_BYTES as u64).saturating_add(header.payload_bytes)
}

/// Reads and checks the payload of a frame. `frame` begins with the header that was parsed. Returns
/// the batch and its digest.
///
/// # Errors
/// The defect, as part of a sentence about the batch.
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

    fn context() -> FrameContext {
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
        fn a_frame_round_trips_and_every_flipped_bit_is_detected(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            reserve: bool,
            relaxed: bool,
            bit: prop::sample::Index,
        ) {
            let room = if reserve { Room::Reserve } else { Room::Ordinary };
            let (batch, context) = (batch(&records, room), FrameContext { relaxed, ..context() });
            let mut bytes = Vec::new();
            let digest = encode(&batch, &context, &mut bytes).unwrap();
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
        encode(&batch(&[], Room::Ordinary), &context(), &mut bytes).unwrap();
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
        encode(&batch(&[vec![1, 2], vec![3]], Room::Ordinary), &context(), &mut bytes).unwrap();
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
