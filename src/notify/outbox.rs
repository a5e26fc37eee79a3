//! The file of one target: what was taken, and what of it was delivered, a line each.
//!
//! Input: messages, and ids of those delivered or given up. Output: after a start, what waits, and
//! the newest id that was taken. Invariants: a line is appended before its message is tried; a torn
//! last line is cut off; the file is written anew at a start, and when most of it is done with.
//! Nothing is synced: after a crash of the machine lines at the end may be missing, and what they
//! held is told again, for the fold tells what came after the newest id that is there.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::backlog::{BYTES_MAX, MESSAGES_MAX};
use super::message::Message;
use crate::domain::directive::DirectiveId;

/// A file is written anew when it is this large, and mostly done with.
const REWRITE_BYTES: u64 = 4 << 20;
/// A file that is larger than all that can wait, twice over with its escapes, is none of ours.
const FILE_BYTES_MAX: u64 = 4 * BYTES_MAX as u64;

/// The outbox of a target cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the outbox {path} cannot be opened")]
pub struct OutboxError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The file of one target, open for appending.
#[derive(Debug)]
pub(super) struct Outbox {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The newest id taken.
    newest: Option<DirectiveId>,
    /// A write failed: the file is written anew before anything else.
    broken: bool,
}

/// A line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Everything up to this id was taken.
    Taken(DirectiveId),
    /// A message waits.
    Waits(Message),
    /// It waits no longer.
    Done(DirectiveId),
}

/// What a file says.
#[derive(Debug, Default)]
struct Content {
    waiting: BTreeMap<DirectiveId, Message>,
    newest: Option<DirectiveId>,
    torn: bool,
}

impl Outbox {
    /// Opens the file of a target below `directory`, which is made if need be: with what waits.
    pub(super) async fn open(
        directory: &Path,
        name: &str,
    ) -> Result<(Self, Vec<Message>), OutboxError> {
        let path = directory.join(format!("{name}.ndjson"));
        let opened = async {
            fs::create_dir_all(directory).await?;
            let content = read(&path).await?;
            if content.torn {
                tracing::warn!(sink = name, "the last lines of its outbox were cut off");
            }
            let waiting: Vec<Message> = content.waiting.into_values().collect();
            let (file, bytes) = rewrite(&path, content.newest, waiting.iter()).await?;
            let outbox =
                Self { path: path.clone(), file, bytes, newest: content.newest, broken: false };
            Ok((outbox, waiting))
        };
        opened.await.map_err(|source| OutboxError { path, source })
    }

    /// The newest id taken; none: the target is new.
    pub(super) const fn newest(&self) -> Option<DirectiveId> {
        self.newest
    }

    /// Notes that everything up to this id was taken.
    pub(super) async fn start_at(&mut self, id: DirectiveId) -> io::Result<()> {
        self.append(&[Line::Taken(id)]).await?;
        self.newest = self.newest.max(Some(id));
        Ok(())
    }

    /// Notes that these messages wait, and that those of `done` wait no longer. `waiting` is all
    /// that waits after it: after a failed write, or when most of the file is done with, the file
    /// is written anew with it.
    pub(super) async fn note(
        &mut self,
        taken: Vec<Message>,
        done: Vec<DirectiveId>,
        waiting: impl Iterator<Item = &Message>,
    ) -> io::Result<()> {
        if taken.is_empty() && done.is_empty() {
            return Ok(());
        }
        self.newest = self.newest.max(taken.iter().map(|message| message.id).max());
        if self.broken || self.bytes > REWRITE_BYTES {
            let waiting: Vec<&Message> = waiting.collect();
            let held: usize = waiting.iter().map(|message| message.body.len()).sum();
            if self.broken || (held as u64) < self.bytes / 4 {
                let rewritten = rewrite(&self.path, self.newest, waiting.into_iter()).await;
                self.broken = rewritten.is_err();
                (self.file, self.bytes) = rewritten?;
                return Ok(());
            }
        }
        let taken = taken.into_iter().map(Line::Waits);
        let lines: Vec<Line> = taken.chain(done.into_iter().map(Line::Done)).collect();
        self.append(&lines).await
    }

    async fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let text = text(lines)?;
        let written = async {
            self.file.write_all(&text).await?;
            // Tokio's file writes behind: only now is it the kernel's.
            self.file.flush().await
        };
        let written = written.await;
        self.broken = written.is_err();
        self.bytes += text.len() as u64;
        written
    }
}

fn text(lines: &[Line]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Writes a file anew, and puts it in place of the old one once it is whole.
async fn rewrite(
    path: &Path,
    newest: Option<DirectiveId>,
    waiting: impl Iterator<Item = &Message>,
) -> io::Result<(File, u64)> {
    let fresh = path.with_extension("new");
    let taken = newest.into_iter().map(Line::Taken);
    let lines: Vec<Line> = taken.chain(waiting.cloned().map(Line::Waits)).collect();
    let text = text(&lines)?;
    let mut file = File::create(&fresh).await?;
    file.write_all(&text).await?;
    file.sync_data().await?;
    drop(file);
    fs::rename(&fresh, path).await?;
    let file = OpenOptions::new().append(true).open(path).await?;
    Ok((file, text.len() as u64))
}

/// Reads a file; a missing one says nothing.
async fn read(path: &Path) -> io::Result<Content> {
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(parse(&bytes))
}

/// What whole lines say, up to the first that is none.
fn parse(bytes: &[u8]) -> Content {
    let mut content = Content::default();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let whole = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok());
        let id = match whole {
            Some(Line::Taken(id)) => id,
            Some(Line::Done(id)) => {
                content.waiting.remove(&id);
                continue;
            }
            Some(Line::Waits(message)) => {
                let id = message.id;
                content.waiting.insert(id, message);
                id
            }
            None => {
                content.torn = true;
                break;
            }
        };
        content.newest = content.newest.max(Some(id));
    }
    while content.waiting.len() > MESSAGES_MAX {
        content.waiting.pop_first();
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn id(sequence: u64) -> DirectiveId {
        DirectiveId { sequence, index: 0 }
    }

    fn message(sequence: u64) -> Message {
        let body = format!("{{\"n\":{sequence},\"text\":\"\\n\"}}");
        Message { id: id(sequence), at: Timestamp::MIN, of_latch: false, body }
    }

    fn ids(messages: &[Message]) -> Vec<u64> {
        messages.iter().map(|m| m.id.sequence).collect()
    }

    #[tokio::test]
    async fn what_waits_is_there_after_a_start() {
        let directory = tempfile::tempdir().expect("a directory");
        let below = directory.path().join("outbox");
        let (mut outbox, waiting) = Outbox::open(&below, "desk").await.expect("opened");
        assert_eq!((outbox.newest(), waiting.len()), (None, 0));
        outbox.start_at(id(3)).await.expect("written");
        let all = [message(4), message(5)];
        outbox.note(all.to_vec(), vec![], all.iter()).await.expect("written");
        outbox.note(vec![], vec![id(4)], all[1..].iter()).await.expect("written");
        drop(outbox);
        for _ in 0..2 {
            let (outbox, waiting) = Outbox::open(&below, "desk").await.expect("opened");
            assert_eq!((outbox.newest(), &waiting), (Some(id(5)), &vec![message(5)]));
        }
        let (other, waiting) = Outbox::open(&below, "other").await.expect("opened");
        assert_eq!((other.newest(), waiting.len()), (None, 0));
    }

    #[tokio::test]
    async fn a_torn_end_is_cut_off() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("desk.ndjson");
        let lines = [Line::Waits(message(1)), Line::Waits(message(2)), Line::Done(id(1))];
        let whole = text(&lines).expect("text");
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).expect("written");
            let (mut outbox, waiting) =
                Outbox::open(directory.path(), "desk").await.expect("opened");
            let lines = ends.iter().filter(|end| **end <= length).count();
            let expect: &[u64] = [&[][..], &[1], &[1, 2], &[2]][lines];
            assert_eq!(ids(&waiting), expect, "{length}");
            // It can be gone on with.
            outbox.note(vec![message(9)], vec![], waiting.iter()).await.expect("written");
            let (_, again) = Outbox::open(directory.path(), "desk").await.expect("opened");
            assert_eq!(again.len(), expect.len() + 1, "{length}");
        }
        let mut zeroed = whole.clone();
        zeroed.extend([0; 512]);
        std::fs::write(&path, zeroed).expect("written");
        let (_, waiting) = Outbox::open(directory.path(), "desk").await.expect("opened");
        assert_eq!(ids(&waiting), [2]);
    }

    #[tokio::test]
    async fn a_file_that_is_mostly_done_with_is_written_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("desk.ndjson");
        let (mut outbox, _) = Outbox::open(directory.path(), "desk").await.expect("opened");
        let mut largest = 0;
        for sequence in 0..200 {
            let large = Message { body: "x".repeat(100_000), ..message(sequence) };
            outbox.note(vec![large], vec![], std::iter::empty()).await.expect("written");
            outbox.note(vec![], vec![id(sequence)], std::iter::empty()).await.expect("written");
            largest = largest.max(std::fs::metadata(&path).expect("a file").len());
        }
        assert!(largest < REWRITE_BYTES + 200_000, "{largest}");
        let (outbox, waiting) = Outbox::open(directory.path(), "desk").await.expect("opened");
        assert_eq!((outbox.newest(), waiting.len()), (Some(id(199)), 0));
    }
}
