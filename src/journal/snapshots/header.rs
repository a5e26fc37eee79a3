//! The header of a snapshot: one sector before the compressed state.
//!
//! Its fields: magic, version, sequence, receive time, stored bytes, state bytes, digest of the state,
//! digest of the batch in the log that holds the record of that sequence (zeros if there was no log),
//! then the CRC-32C of all of these, and zeros to the end of the sector. Integers are little-endian.

use crate::journal::frame::{FieldReader, SECTOR};

/// The first bytes of every snapshot.
const MAGIC: [u8; 8] = *b"TEXSNAP\0";
/// The version that is written.
pub(super) const VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = SECTOR;
/// Bytes of all fields before the checksum.
const FIELDS_BYTES: usize = 108;

/// The facts about a snapshot that its header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Sequence of the newest record in the state.
    pub sequence: u64,
    /// Receive time of that record, in nanoseconds since the Unix epoch.
    pub received_at_nanos: i64,
    /// Bytes of the compressed state in the file.
    pub stored_bytes: u64,
    /// Bytes of the state.
    pub state_bytes: u64,
    /// SHA-256 of the state.
    pub digest: [u8; 32],
    /// Digest of the batch in the log that holds the record of that sequence: it ties the snapshot to
    /// this log and no other. `None` if there was no log in the directory.
    pub batch_digest: Option<[u8; 32]>,
}

/// Why a header cannot be used.
pub(super) enum HeaderError {
    Damaged(&'static str),
    /// A later version of the format.
    Version(u32),
}

pub(super) fn encode(info: &SnapshotInfo) -> [u8; HEADER_BYTES] {
    let mut fields = Vec::with_capacity(HEADER_BYTES);
    fields.extend_from_slice(&MAGIC);
    fields.extend_from_slice(&VERSION.to_le_bytes());
    fields.extend_from_slice(&info.sequence.to_le_bytes());
    fields.extend_from_slice(&info.received_at_nanos.to_le_bytes());
    fields.extend_from_slice(&info.stored_bytes.to_le_bytes());
    fields.extend_from_slice(&info.state_bytes.to_le_bytes());
    fields.extend_from_slice(&info.digest);
    fields.extend_from_slice(&info.batch_digest.unwrap_or_default());
    let checksum = crc32c::crc32c(&fields);
    fields.extend_from_slice(&checksum.to_le_bytes());
    let mut header = [0; HEADER_BYTES];
    header.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    header
}

pub(super) fn decode(header: &[u8; HEADER_BYTES]) -> Result<SnapshotInfo, HeaderError> {
    let (covered, rest) = header.split_at(FIELDS_BYTES);
    let checksum = u32::from_le_bytes(FieldReader(rest).bytes());
    let mut fields = FieldReader(covered);
    if fields.bytes() != MAGIC || checksum != crc32c::crc32c(covered) {
        return Err(HeaderError::Damaged("its header is not one"));
    }
    let version = u32::from_le_bytes(fields.bytes());
    if version != VERSION {
        return Err(HeaderError::Version(version));
    }
    Ok(SnapshotInfo {
        sequence: u64::from_le_bytes(fields.bytes()),
        received_at_nanos: i64::from_le_bytes(fields.bytes()),
        stored_bytes: u64::from_le_bytes(fields.bytes()),
        state_bytes: u64::from_le_bytes(fields.bytes()),
        digest: fields.bytes(),
        batch_digest: Some(fields.bytes()).filter(|digest| *digest != [0; 32]),
    })
}
