//! Snapshots are read back as they were written, and every damage is reported.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::*;
use crate::journal::DiskStorage;

fn snapshots(path: &Path) -> Snapshots {
    Snapshots::new(Arc::new(DiskStorage::open(path).unwrap()))
}

/// A state that compresses a little, and is another for each sequence.
fn state(sequence: u64) -> Vec<u8> {
    let mut bits = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..40_000)
        .map(|n: u32| {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if n.is_multiple_of(3) { (bits >> 56) as u8 } else { b'x' }
        })
        .collect()
}

fn write(snapshots: &Snapshots, sequence: u64) -> SnapshotInfo {
    let state = state(sequence);
    snapshots.write(sequence, 77, &mut |out| out.write_all(&state)).unwrap()
}

fn read(snapshots: &Snapshots, sequence: u64) -> Result<Vec<u8>, SnapshotError> {
    let mut reader = snapshots.open(sequence)?;
    let mut bytes = Vec::new();
    match reader.read_to_end(&mut bytes) {
        Ok(_) => reader.finish().map(|_| bytes),
        Err(error) => Err(reader.read_error(error)),
    }
}

#[test]
fn snapshots_round_trip_and_two_generations_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = snapshots(directory.path());
    assert!(snapshots.sequences().unwrap().is_empty());
    for sequence in [5, 90, 1_234] {
        let info = write(&snapshots, sequence);
        assert_eq!((info.sequence, info.received_at_nanos), (sequence, 77));
        assert_eq!(info.state_bytes, 40_000);
        assert!(info.stored_bytes < info.state_bytes);
        assert_eq!(info.digest, <[u8; 32]>::from(Sha256::digest(state(sequence))));
    }
    assert_eq!(snapshots.sequences().unwrap(), [1_234, 90, 5]);
    snapshots.remove_older(&[1_234]).unwrap();
    assert_eq!(
        snapshots.sequences().unwrap(),
        [1_234, 90, 5],
        "one verified snapshot is not enough"
    );
    snapshots.remove_older(&[1_234, 90]).unwrap();
    assert_eq!(snapshots.sequences().unwrap(), [1_234, 90]);
    for sequence in [90, 1_234] {
        assert_eq!(read(&snapshots, sequence).unwrap(), state(sequence));
    }
    let files = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 2, "no other file is left");
}

#[test]
fn equal_states_give_equal_files() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let files = directories.each_ref().map(|directory| {
        write(&snapshots(directory.path()), 3);
        std::fs::read(directory.path().join(name(3))).unwrap()
    });
    assert_eq!(files[0], files[1]);
}

#[test]
fn a_failed_write_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = snapshots(directory.path());
    let failed = snapshots.write(1, 0, &mut |out| {
        out.write_all(&vec![7; 1_000_000])?;
        Err(io::Error::other("no"))
    });
    assert!(matches!(failed, Err(SnapshotError::Storage { doing: "write", .. })), "{failed:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn leftovers_and_foreign_names_are_not_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    for name in [TEMPORARY, "snap-1", "snap-0000000000000000000x", "seg-00000000000000000001"] {
        std::fs::write(directory.path().join(name), b"?").unwrap();
    }
    let snapshots = snapshots(directory.path());
    assert!(snapshots.sequences().unwrap().is_empty());
    snapshots.remove_leftovers().unwrap();
    snapshots.remove_leftovers().unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
fn every_flipped_bit_and_every_truncation_is_detected() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = snapshots(directory.path());
    let info = write(&snapshots, 8);
    let path = directory.path().join(name(8));
    let good = std::fs::read(&path).unwrap();
    let meaningful = |at: usize| !(112..HEADER_BYTES).contains(&at);
    let places = (0..112).chain((HEADER_BYTES..good.len()).step_by(97)).chain([good.len() - 1]);
    for at in places.filter(|at| meaningful(*at)) {
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[good[at] ^ (1 << (at % 8))], at as u64).unwrap();
        assert!(snapshots.verify(8).is_err(), "a flipped bit at {at}");
        assert!(read(&snapshots, 8).is_err(), "a flipped bit at {at}");
        file.write_all_at(&good[at..=at], at as u64).unwrap();
    }
    assert_eq!(snapshots.verify(8).unwrap(), info);
    for length in (0..good.len()).step_by(501) {
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(snapshots.verify(8).is_err(), "cut at {length}");
    }
    std::fs::write(&path, [good.as_slice(), b"x"].concat()).unwrap();
    assert!(snapshots.verify(8).is_err(), "one byte more");
    std::fs::rename(&path, directory.path().join(name(9))).unwrap();
    assert!(snapshots.verify(9).is_err(), "another name");
}

#[test]
fn a_later_version_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = snapshots(directory.path());
    write(&snapshots, 8);
    let path = directory.path().join(name(8));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..108]);
    bytes[108..112].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let refused = snapshots.verify(8);
    assert!(matches!(refused, Err(SnapshotError::Version { found: 2, .. })), "{refused:?}");
}
