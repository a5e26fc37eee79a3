//! The header of a snapshot: one sector that says what stands behind it.
//!
//! Magic, version, sequence, receive time, bytes stored, bytes held, digest, digest of the batch in the
//! log that holds the record of that sequence (zeros where there was no log), then a CRC-32C of those and
//! zeros to the end of the sector. Integers are little endian.

use super::SnapshotInfo;

/// The first bytes of every snapshot.
const MAGIC: [u8; 8] = *b"TEXSNAP\0";
/// The layout that is written.
pub(super) const VERSION: u32 = 1;
/// Bytes of the header, a sector.
pub(super) const HEADER_BYTES: usize = 512;
/// Bytes of the header that mean something, their checksum left out.
const FIELDS_BYTES: usize = 108;

/// Why a header says nothing.
pub(super) enum HeaderError {
    Damaged(&'static str),
    Version(u32),
}

/// The header of a snapshot.
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
    let damaged = HeaderError::Damaged("its header is not one");
    let Some((fields, mut rest)) = header.split_at_checked(FIELDS_BYTES) else {
        return Err(damaged);
    };
    let checksum = take(&mut rest).map(u32::from_le_bytes);
    if !fields.starts_with(&MAGIC) || checksum != Some(crc32c::crc32c(fields)) {
        return Err(damaged);
    }
    let mut rest = fields.get(MAGIC.len()..).unwrap_or_default();
    let mut read = || -> Option<(u32, SnapshotInfo)> {
        let version = u32::from_le_bytes(take(&mut rest)?);
        let info = SnapshotInfo {
            sequence: u64::from_le_bytes(take(&mut rest)?),
            received_at_nanos: i64::from_le_bytes(take(&mut rest)?),
            stored_bytes: u64::from_le_bytes(take(&mut rest)?),
            state_bytes: u64::from_le_bytes(take(&mut rest)?),
            digest: take(&mut rest)?,
            batch_digest: Some(take(&mut rest)?).filter(|digest| *digest != [0; 32]),
        };
        Some((version, info))
    };
    match read() {
        Some((VERSION, info)) => Ok(info),
        Some((version, _)) => Err(HeaderError::Version(version)),
        None => Err(damaged),
    }
}

/// The next bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}
