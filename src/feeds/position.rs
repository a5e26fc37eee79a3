//! The position of a feed on disk: a small file, replaced as a whole.
//!
//! Input: the places in a source, after their messages were recorded. Output: after a start, these places,
//! or none if they are of another source or of another journal. Invariants: the file is the old one or
//! the new one, never a part; a position that is ahead of the journal is not used, so a journal that was
//! lost or restored is filled again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of the form of the file.
const FORMAT: u32 = 1;
/// The largest file that is read.
const BYTES_MAX: u64 = 8 << 20;

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct SavedPosition<P> {
    format: u32,
    /// The source, as the configuration names it.
    source: String,
    /// The journal that has the messages up to the position.
    journal: String,
    /// The last sequence of the journal when the position was saved.
    sequence: u64,
    places: P,
}

/// The file with the position of one feed.
#[derive(Clone, Debug)]
pub(super) struct PositionFile {
    directory: PathBuf,
    name: String,
    source: String,
    journal: String,
}

impl PositionFile {
    /// The file of the feed `name` that reads from `source`.
    pub(super) fn new(directory: &Path, name: &str, source: String, journal: &str) -> Self {
        let (directory, name) = (directory.to_owned(), name.to_owned());
        Self { directory, name, source, journal: journal.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(format!("{}.json", self.name))
    }

    /// The saved places. `None`: there are none for this source, and this journal up to `sequence`.
    pub(super) fn load<P: DeserializeOwned>(&self, sequence: u64) -> Option<P> {
        let discard = |why: &str| {
            let feed = &self.name;
            tracing::warn!(feed, why, "the position of the feed is not used: it begins anew");
            None
        };
        let path = self.path();
        let text = match fs::metadata(&path).and_then(|found| {
            if found.len() > BYTES_MAX {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            fs::read(&path)
        }) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return discard(&error.to_string()),
        };
        let saved: SavedPosition<P> = match serde_json::from_slice(&text) {
            Ok(saved) => saved,
            Err(error) => return discard(&error.to_string()),
        };
        if saved.format != FORMAT {
            return discard("it has another format");
        }
        if saved.source != self.source {
            return discard("it is of another source");
        }
        if saved.journal != self.journal {
            return discard("it is of another journal");
        }
        if saved.sequence > sequence {
            return discard("it is ahead of the journal");
        }
        Some(saved.places)
    }

    /// Replaces the file. `sequence` is that of a record that is on disk.
    pub(super) fn save(&self, places: &impl Serialize, sequence: u64) -> io::Result<()> {
        let (source, journal) = (self.source.clone(), self.journal.clone());
        let text = serde_json::to_vec(&SavedPosition {
            format: FORMAT,
            source,
            journal,
            sequence,
            places,
        })?;
        fs::create_dir_all(&self.directory)?;
        let fresh = self.directory.join(format!("{}.new", self.name));
        let mut file = File::create(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&fresh, self.path())?;
        File::open(&self.directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_used_for_its_source_and_its_journal() {
        let directory = tempfile::tempdir().unwrap();
        let of = |source: &str, journal: &str| {
            PositionFile::new(&directory.path().join("feeds"), "a", source.to_owned(), journal)
        };
        let check = |source: &str, journal: &str, sequence: u64, expect: Option<u64>| {
            let found: Option<u64> = of(source, journal).load(sequence);
            assert_eq!(found, expect, "{source} {journal} {sequence}");
        };
        check("s", "j", 10, None);
        of("s", "j").save(&7_u64, 10).unwrap();
        check("s", "j", 10, Some(7));
        check("s", "j", 11, Some(7));
        check("s", "j", 9, None);
        check("t", "j", 10, None);
        check("s", "k", 10, None);
        of("s", "j").save(&8_u64, 12).unwrap();
        check("s", "j", 12, Some(8));
        fs::write(of("s", "j").path(), "{").unwrap();
        check("s", "j", 12, None);
    }
}
