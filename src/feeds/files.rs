//! The files of a feed: which there are, what they have that was not taken, and how far it was.
//!
//! Input: a path, and the places up to which the messages were taken. Output: batches of messages, and the
//! places after them. Invariants: a file is known by its device and inode, so it is not read again under
//! another name, and its rest is read after it was renamed; a file that begins with other bytes than before,
//! or became shorter, is a new one; nothing but [`FileFollower::advance`] moves a place. Blocks: runs on a
//! thread of its own.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, File, Metadata};
use std::io;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lines::split;
use super::whole::{TakenPart, WholeFile};
use super::{BATCH_MESSAGES_MAX, FeedEvent, FeedMessage};
use crate::config::{FeedStart, FileContent};
use crate::domain::pattern::Pattern;
use crate::wire::hex::hex;

/// Files of one feed, at most.
const FILES_MAX: usize = 1_024;
/// Files of one feed that stay open, at most.
const OPEN_MAX: usize = 32;
/// Bytes that are read at once, unless a line is longer.
const PIECE_BYTES: usize = 256 << 10;
/// The bytes at the beginning of a file by which it is known.
const HEAD_BYTES: u64 = 1_024;
/// The largest file that is read as a whole.
const WHOLE_BYTES_MAX: u64 = 64 << 20;
/// After this many looks without news, a file is closed, and forgotten if it is no longer at the path.
const IDLE_LOOKS: u32 = 30;
/// A file that is no JSON for this many looks, and does not change, is refused.
const TORN_LOOKS: u32 = 10;

/// Where the files are, and how they grow.
#[derive(Clone, Debug)]
pub(super) struct FileSource {
    path: PathBuf,
    content: FileContent,
    start: FeedStart,
}

impl FileSource {
    pub(super) const fn new(path: PathBuf, content: FileContent, start: FeedStart) -> Self {
        Self { path, content, start }
    }

    /// The source, for its position.
    pub(super) fn describe(&self) -> String {
        format!("{} {}", self.content.as_str(), self.path.display())
    }

    /// The files, oldest change first.
    fn list(&self) -> Result<Vec<(PathBuf, Metadata)>, String> {
        let failed = |error: io::Error| format!("{}: {error}", self.path.display());
        let name = self.path.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let (directory, pattern) = if name.contains(['*', '?']) {
            (parent(&self.path), Pattern::new(&name))
        } else {
            let metadata = fs::metadata(&self.path).map_err(failed)?;
            if metadata.is_file() {
                return Ok(vec![(self.path.clone(), metadata)]);
            }
            if !metadata.is_dir() {
                let path = self.path.display();
                return Err(format!("{path}: is neither a file nor a directory"));
            }
            (self.path.clone(), Pattern::any())
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || !pattern.matches(&name) {
                continue;
            }
            // It may be gone meanwhile.
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            if metadata.is_file() {
                found.push((entry.path(), metadata));
            }
        }
        if found.len() > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files match {}", self.path.display()));
        }
        found.sort_by_key(|(path, metadata)| {
            (metadata.mtime(), metadata.mtime_nsec(), path.clone())
        });
        // A link is another name of a file, not another file.
        let mut ids = BTreeSet::new();
        found.retain(|(_, metadata)| ids.insert((metadata.dev(), metadata.ino())));
        Ok(found)
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// How far the lines of a file were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LinePlace {
    device: u64,
    inode: u64,
    path: PathBuf,
    offset: u64,
    /// How often the file began anew.
    generation: u32,
    /// Whether the offset is inside of a line that is left out.
    is_skipping: bool,
    head_bytes: u64,
    head_digest: String,
}

/// How far a file that is written again was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct WholePlace {
    /// Size and time of the change that was taken completely.
    version: FileVersion,
    taken: TakenPart,
}

/// Size in bytes, and time of the last change in seconds and nanoseconds.
type FileVersion = (u64, i64, i64);

fn version(metadata: &Metadata) -> FileVersion {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

/// How far all files were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FilePlaces {
    lines: Vec<LinePlace>,
    whole: BTreeMap<String, WholePlace>,
}

/// Messages, and the place after them.
#[derive(Debug)]
pub(super) struct FileBatch {
    pub(super) messages: Vec<FeedMessage>,
    step: PlaceStep,
}

#[derive(Debug)]
enum PlaceStep {
    Line(LinePlace),
    Whole(String, WholePlace),
}

/// Why a file has no messages now.
enum WholeFlaw {
    /// It is no JSON: perhaps it is being written.
    Torn(String),
    /// It cannot be read.
    Unread(io::Error),
}

/// The findings of one look at the files.
#[derive(Debug, Default)]
pub(super) struct FileLook {
    pub(super) batch: Option<FileBatch>,
    /// Whether a file was taken up: its place must be saved before it is renamed.
    pub(super) has_new_file: bool,
    pub(super) events: Vec<FeedEvent>,
}

/// A file of lines.
#[derive(Debug)]
struct FollowedFile {
    place: LinePlace,
    handle: Option<File>,
    /// Its size at the last look.
    size: u64,
    idle_looks: u32,
    /// Whether it is no longer at the path.
    is_moved: bool,
}

/// Follows the files of one feed.
#[derive(Debug)]
pub(super) struct FileFollower {
    source: FileSource,
    /// Oldest change first; those that were moved away before all others.
    followed: Vec<FollowedFile>,
    whole: BTreeMap<String, WholePlace>,
    /// Files that were there when a feed without a position began with new messages only.
    passed_over: BTreeSet<String>,
    /// The file that is being taken.
    current: Option<(String, FileVersion, WholeFile)>,
    /// A version that is no JSON, and how often it was looked at.
    torn: BTreeMap<String, (FileVersion, u32)>,
    is_first: bool,
}

impl FileFollower {
    /// Begins at the places, if there are any.
    pub(super) fn new(source: FileSource, places: Option<FilePlaces>) -> Self {
        let is_first = places.is_none();
        let places = places.unwrap_or_default();
        let followed = places.lines.into_iter().map(FollowedFile::at).collect();
        Self {
            source,
            followed,
            whole: places.whole,
            passed_over: BTreeSet::new(),
            current: None,
            torn: BTreeMap::new(),
            is_first,
        }
    }

    /// How far the files were taken.
    pub(super) fn places(&self) -> FilePlaces {
        let lines = self.followed.iter().map(|file| file.place.clone()).collect();
        FilePlaces { lines, whole: self.whole.clone() }
    }

    /// The messages of a batch were taken.
    pub(super) fn advance(&mut self, batch: FileBatch) {
        match batch.step {
            PlaceStep::Line(place) => {
                let id = (place.device, place.inode);
                if let Some(file) = self.followed.iter_mut().find(|file| file.id() == id) {
                    file.place = place;
                }
            }
            PlaceStep::Whole(name, place) => drop(self.whole.insert(name, place)),
        }
    }

    /// Looks for files and for messages that were not taken. A message has at most `bytes_max` bytes.
    pub(super) fn look(&mut self, bytes_max: usize) -> FileLook {
        let mut look = FileLook::default();
        let listed = self.source.list();
        let files = listed.as_deref().unwrap_or_default();
        if let Err(why) = &listed {
            look.events.push(FeedEvent::Failing(why.clone()));
        }
        let lag = match self.source.content {
            FileContent::Lines => {
                // What was not listed is not gone.
                if listed.is_ok() {
                    self.discover(files, &mut look);
                }
                self.next_lines(bytes_max, &mut look);
                let rest = |file: &FollowedFile| file.size.saturating_sub(file.place.offset);
                self.followed.iter().map(rest).sum()
            }
            FileContent::Whole => self.next_whole(files, bytes_max, &mut look),
        };
        // What appears later is new.
        self.is_first = false;
        if !look.events.iter().any(|event| matches!(event, FeedEvent::Failing(_))) {
            let count = files.len();
            let what = if count == 1 { "file" } else { "files" };
            look.events.push(FeedEvent::Reading(format!("{count} {what}, {lag} bytes to read")));
        }
        look.events.push(FeedEvent::Lag(lag));
        look
    }

    /// Takes up files that are new, and finds those that were moved.
    fn discover(&mut self, files: &[(PathBuf, Metadata)], look: &mut FileLook) {
        let mut known = std::mem::take(&mut self.followed);
        let mut here = Vec::new();
        for (path, metadata) in files {
            let id = (metadata.dev(), metadata.ino());
            if let Some(place) = known.iter().position(|file| file.id() == id) {
                let mut file = known.remove(place);
                file.place.path.clone_from(path);
                file.is_moved = false;
                file.size = metadata.len();
                here.push(file);
                continue;
            }
            let mut place =
                LinePlace { device: id.0, inode: id.1, path: path.clone(), ..LinePlace::default() };
            if self.is_first && self.source.start == FeedStart::New {
                place.offset = metadata.len();
                place.is_skipping = !ends_a_line(path, metadata.len());
            }
            here.push(FollowedFile { size: metadata.len(), ..FollowedFile::at(place) });
            look.has_new_file = true;
        }
        known.retain_mut(|file| {
            if !file.is_moved {
                file.is_moved = true;
                // It was quiet at its old name. What was written last is read at the new one.
                file.idle_looks = 0;
            }
            if file.idle_looks == 0 || file.handle.is_none() {
                match moved_to(&file.place) {
                    Some(path) => file.place.path = path,
                    // What was not read of it is lost, unless it is open.
                    None if file.handle.is_none() => {
                        let path = file.place.path.display();
                        if file.size > file.place.offset {
                            let what = format!("the end of {path}, which is gone");
                            look.events.push(FeedEvent::Missed(1, what));
                        }
                        tracing::info!(%path, "a file of a feed is gone");
                        return false;
                    }
                    None => {}
                }
            }
            if file.idle_looks < IDLE_LOOKS {
                return true;
            }
            if file.size > file.place.offset && !file.place.is_skipping {
                let path = file.place.path.display();
                let what = format!("the end of {path}, a line without its end");
                look.events.push(FeedEvent::Missed(1, what));
            }
            false
        });
        self.followed = known;
        self.followed.append(&mut here);
    }

    fn next_lines(&mut self, bytes_max: usize, look: &mut FileLook) {
        let open = self.followed.iter().filter(|file| file.handle.is_some()).count();
        for file in &mut self.followed {
            let read = file.read(bytes_max);
            if open >= OPEN_MAX {
                file.handle = None;
            }
            match read {
                Ok(None) => {}
                Ok(Some((batch, too_long))) => {
                    for _ in 0..too_long {
                        let path = file.place.path.display();
                        let why = format!("a line of {path} is longer than {bytes_max} bytes");
                        look.events.push(FeedEvent::Unreadable(why));
                    }
                    look.batch = Some(batch);
                    return;
                }
                Err(error) => {
                    file.handle = None;
                    let path = file.place.path.display();
                    look.events.push(FeedEvent::Failing(format!("{path}: {error}")));
                }
            }
        }
    }

    /// Returns the bytes of files whose last change is not taken.
    fn next_whole(
        &mut self,
        files: &[(PathBuf, Metadata)],
        bytes_max: usize,
        look: &mut FileLook,
    ) -> u64 {
        let names: BTreeSet<String> = files.iter().map(|(path, _)| name_of(path)).collect();
        if !names.is_empty() {
            self.whole.retain(|name, _| names.contains(name));
            self.torn.retain(|name, _| names.contains(name));
        }
        if self.is_first && self.source.start == FeedStart::New {
            self.passed_over = names;
        }
        let mut lag = 0;
        for (path, metadata) in files {
            let (name, now) = (name_of(path), version(metadata));
            if self.whole.get(&name).is_some_and(|place| place.version == now) {
                continue;
            }
            if look.batch.is_none() {
                match self.take_whole(&name, (path, now), bytes_max, look) {
                    Ok(batch) => look.batch = batch,
                    Err(WholeFlaw::Torn(why)) => self.refuse_torn(&name, now, &why, look),
                    Err(WholeFlaw::Unread(error)) => {
                        look.events.push(FeedEvent::Failing(format!("{name}: {error}")));
                    }
                }
            }
            lag += metadata.len();
        }
        lag
    }

    fn take_whole(
        &mut self,
        name: &str,
        (path, now): (&Path, FileVersion),
        bytes_max: usize,
        look: &mut FileLook,
    ) -> Result<Option<FileBatch>, WholeFlaw> {
        let place = self.whole.get(name).cloned().unwrap_or_default();
        let file = match self.current.take() {
            Some((known, version, file)) if known == name && version == now => file,
            Some(_) | None => {
                let bytes = read_bounded(path, now.0)?;
                WholeFile::read(&bytes, name).map_err(WholeFlaw::Torn)?
            }
        };
        self.torn.remove(name);
        let from =
            if self.passed_over.remove(name) { file.len() } else { file.known(&place.taken) };
        let mut messages = file.after(from, BATCH_MESSAGES_MAX);
        let until = from + messages.len();
        messages.retain(|message| {
            if message.text.len() > bytes_max {
                let why = format!("a message of {name} is longer than {bytes_max} bytes");
                look.events.push(FeedEvent::Unreadable(why));
                return false;
            }
            !message.is_blank()
        });
        let version = if until == file.len() { now } else { place.version };
        let next = WholePlace { version, taken: file.taken(until) };
        if until < file.len() {
            self.current = Some((name.to_owned(), now, file));
        }
        Ok(Some(FileBatch { messages, step: PlaceStep::Whole(name.to_owned(), next) }))
    }

    /// Perhaps the file is being written. If it stays as it is, it is refused.
    fn refuse_torn(&mut self, name: &str, now: FileVersion, why: &str, look: &mut FileLook) {
        let looks = match self.torn.get(name) {
            Some((version, looks)) if *version == now => looks + 1,
            Some(_) | None => 1,
        };
        self.torn.insert(name.to_owned(), (now, looks));
        if looks < TORN_LOOKS {
            return;
        }
        look.events.push(FeedEvent::Unreadable(format!("{name}: {why}")));
        self.torn.remove(name);
        self.whole.entry(name.to_owned()).or_default().version = now;
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_bounded(path: &Path, bytes: u64) -> Result<Vec<u8>, WholeFlaw> {
    if bytes > WHOLE_BYTES_MAX {
        return Err(WholeFlaw::Torn(format!("it is larger than {WHOLE_BYTES_MAX} bytes")));
    }
    fs::read(path).map_err(WholeFlaw::Unread)
}

/// Whether the byte before the end of a file ends a line.
fn ends_a_line(path: &Path, size: u64) -> bool {
    let Some(last) = size.checked_sub(1) else { return true };
    let mut byte = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, last));
    read.is_ok() && byte == *b"\n"
}

/// The name that a file has now in its directory.
fn moved_to(place: &LinePlace) -> Option<PathBuf> {
    let entries = fs::read_dir(parent(&place.path)).ok()?;
    let same = |entry: &DirEntry| entry.ino() == place.inode;
    let found = entries.flatten().find(same)?.path();
    let metadata = fs::metadata(&found).ok()?;
    (metadata.is_file() && metadata.dev() == place.device).then_some(found)
}

impl FollowedFile {
    const fn at(place: LinePlace) -> Self {
        Self { place, handle: None, size: 0, idle_looks: 0, is_moved: false }
    }

    /// Device and inode.
    const fn id(&self) -> (u64, u64) {
        (self.place.device, self.place.inode)
    }

    /// The next lines, and how many were too long.
    fn read(&mut self, bytes_max: usize) -> io::Result<Option<(FileBatch, usize)>> {
        if self.handle.is_none() && self.size == self.place.offset && !self.is_moved {
            return Ok(None);
        }
        let file = match self.handle.take() {
            Some(file) => file,
            None => File::open(&self.place.path)?,
        };
        let metadata = file.metadata()?;
        if (metadata.dev(), metadata.ino()) != self.id() {
            // It was replaced meanwhile: the next look finds it.
            return Ok(None);
        }
        let size = metadata.len();
        let is_same = size >= self.place.offset && has_head(&file, &self.place)?;
        if !is_same {
            let path = self.place.path.display();
            tracing::info!(%path, "a file of a feed begins anew");
            let LinePlace { device, inode, path, generation, .. } = self.place.clone();
            let generation = generation.wrapping_add(1);
            self.place = LinePlace { device, inode, path, generation, ..LinePlace::default() };
        }
        self.size = size;
        let found = next_batch(&file, &self.place, bytes_max)?;
        self.idle_looks = if found.is_none() { self.idle_looks.saturating_add(1) } else { 0 };
        if self.idle_looks < IDLE_LOOKS {
            self.handle = Some(file);
        }
        Ok(found)
    }
}

/// Whether the file still begins with the bytes by which it is known.
fn has_head(file: &File, place: &LinePlace) -> io::Result<bool> {
    Ok(head(file, place.head_bytes)? == place.head_digest)
}

/// A digest of the first bytes. Empty for none.
fn head(file: &File, bytes: u64) -> io::Result<String> {
    let length = usize::try_from(bytes.min(HEAD_BYTES)).unwrap_or_default();
    if length == 0 {
        return Ok(String::new());
    }
    let text = read_at(file, 0, length)?;
    Ok(hex(&Sha256::digest(text)))
}

/// At most `length` bytes.
fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The lines after a place. `None`: there is no complete one.
fn next_batch(
    file: &File,
    place: &LinePlace,
    bytes_max: usize,
) -> io::Result<Option<(FileBatch, usize)>> {
    let limits = (bytes_max, BATCH_MESSAGES_MAX);
    let mut length = PIECE_BYTES;
    let (piece, found) = loop {
        let piece = read_at(file, place.offset, length)?;
        let found = split(&piece, place.is_skipping, limits);
        let is_cut = found.consumed == 0 && piece.len() == length && length <= bytes_max;
        if !is_cut {
            break (piece, found);
        }
        length = bytes_max.saturating_add(1);
    };
    if found.consumed == 0 {
        return Ok(None);
    }
    let message = |line: std::ops::Range<usize>| {
        let LinePlace { device, inode, generation, .. } = place;
        let offset = place.offset + line.start as u64;
        let text = piece.get(line).unwrap_or_default();
        FeedMessage::new(text, format!("{device}:{inode}:{generation}:{offset}"))
    };
    let messages = found.lines.iter().cloned().map(message).collect();
    let offset = place.offset + found.consumed as u64;
    let head_bytes = offset.min(HEAD_BYTES);
    let head_digest = if head_bytes == place.head_bytes {
        place.head_digest.clone()
    } else {
        head(file, head_bytes)?
    };
    let is_skipping = found.is_skipping;
    let next = LinePlace { offset, is_skipping, head_bytes, head_digest, ..place.clone() };
    Ok(Some((FileBatch { messages, step: PlaceStep::Line(next) }, found.too_long)))
}
