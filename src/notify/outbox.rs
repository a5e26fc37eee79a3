//! The outbox file of one target: a line for each message that was received, delivered or dropped.
//!
//! Input: messages, and the ids of those delivered or dropped. Output: after a start, the pending
//! messages and the newest id that was received. Invariants: the line of a message is written before
//! its first attempt; a torn last line is cut off; the file is rewritten at a start, and when most of
//! its messages are done.
//!
//! Appended lines are not synced. After a power cut the last ones may be missing. Nothing is lost by
//! that: the engine emits all directives after the newest id in the file again.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::backlog::{BYTES_MAX, MESSAGES_MAX};
use super::message::WebhookMessage;
use crate::domain::ids::DirectiveId;

/// A file of this size is rewritten if most of its messages are done.
const REWRITE_BYTES: u64 = 4 << 20;
/// The largest file that is read. A full backlog, doubled by JSON escapes, fits twice: a larger file
/// was not written by the exporter.
const FILE_BYTES_MAX: u64 = 4 * BYTES_MAX as u64;

/// The outbox of a target cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the outbox {path}")]
pub struct OutboxError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The file of one target, open for appending.
#[derive(Debug)]
pub(super) struct OutboxFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The newest id that was received.
    newest: Option<DirectiveId>,
    /// A write failed: the next one rewrites the whole file.
    is_broken: bool,
}

/// One line of the file. The names are part of the format.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutboxLine {
    /// Every directive up to this id was received.
    Taken(DirectiveId),
    /// A message is pending.
    Waits(WebhookMessage),
    /// The message with this id was delivered or dropped.
    Done(DirectiveId),
}

/// The content of a file.
#[derive(Debug, Default)]
struct OutboxContent {
    pending: BTreeMap<DirectiveId, WebhookMessage>,
    newest: Option<DirectiveId>,
    is_torn: bool,
}

impl OutboxFile {
    /// Opens the file of a target in `directory`, and returns the pending messages. Creates both if they
    /// do not exist.
    pub(super) async fn open(
        directory: &Path,
        name: &str,
    ) -> Result<(Self, Vec<WebhookMessage>), OutboxError> {
        let path = directory.join(format!("{name}.ndjson"));
        let opened = async {
            fs::create_dir_all(directory).await?;
            make_private(directory, 0o700).await?;
            let content = read(&path).await?;
            if content.is_torn {
                tracing::warn!(
                    sink = name,
                    "incomplete lines at the end of the outbox were removed"
                );
            }
            let pending: Vec<WebhookMessage> = content.pending.into_values().collect();
            let (file, bytes) = rewrite(&path, content.newest, pending.iter()).await?;
            let outbox =
                Self { path: path.clone(), file, bytes, newest: content.newest, is_broken: false };
            Ok((outbox, pending))
        };
        opened.await.map_err(|source| OutboxError { path, source })
    }

    /// The newest id that was received. `None` for a new target.
    pub(super) const fn newest(&self) -> Option<DirectiveId> {
        self.newest
    }

    /// Notes that every directive up to this id was received.
    pub(super) async fn start_at(&mut self, id: DirectiveId) -> io::Result<()> {
        self.append(&[OutboxLine::Taken(id)]).await?;
        self.newest = self.newest.max(Some(id));
        Ok(())
    }

    /// Notes messages that were added, and the ids of messages that are done. `pending` are all
    /// messages that are pending afterwards: the file is rewritten with them after a failed write, or
    /// when most of it is done.
    pub(super) async fn note(
        &mut self,
        added: Vec<WebhookMessage>,
        done: Vec<DirectiveId>,
        pending: impl Iterator<Item = &WebhookMessage>,
    ) -> io::Result<()> {
        if added.is_empty() && done.is_empty() {
            return Ok(());
        }
        self.newest = self.newest.max(added.iter().map(|message| message.id).max());
        if self.is_broken || self.bytes > REWRITE_BYTES {
            let pending: Vec<&WebhookMessage> = pending.collect();
            let pending_bytes: usize = pending.iter().map(|message| message.body.len()).sum();
            if self.is_broken || (pending_bytes as u64) < self.bytes / 4 {
                let rewritten = rewrite(&self.path, self.newest, pending.into_iter()).await;
                self.is_broken = rewritten.is_err();
                (self.file, self.bytes) = rewritten?;
                return Ok(());
            }
        }
        let added = added.into_iter().map(OutboxLine::Waits);
        let lines: Vec<OutboxLine> = added.chain(done.into_iter().map(OutboxLine::Done)).collect();
        self.append(&lines).await
    }

    async fn append(&mut self, lines: &[OutboxLine]) -> io::Result<()> {
        let text = text(lines)?;
        let written = async {
            self.file.write_all(&text).await?;
            // Tokio writes in the background. After the flush the kernel has the bytes.
            self.file.flush().await
        };
        let written = written.await;
        self.is_broken = written.is_err();
        self.bytes += text.len() as u64;
        written
    }
}

fn text(lines: &[OutboxLine]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Writes a new file, and renames it over the old one when it is complete and synced.
async fn rewrite(
    path: &Path,
    newest: Option<DirectiveId>,
    pending: impl Iterator<Item = &WebhookMessage>,
) -> io::Result<(File, u64)> {
    let fresh = path.with_extension("new");
    let newest = newest.into_iter().map(OutboxLine::Taken);
    let lines: Vec<OutboxLine> = newest.chain(pending.cloned().map(OutboxLine::Waits)).collect();
    let text = text(&lines)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&fresh).await?;
    // A file that was there keeps its mode when it is opened.
    make_private(&fresh, 0o600).await?;
    file.write_all(&text).await?;
    file.sync_data().await?;
    drop(file);
    fs::rename(&fresh, path).await?;
    let file = OpenOptions::new().append(true).open(path).await?;
    Ok((file, text.len() as u64))
}

/// Gives a file or directory this mode. Only the owner may read it: messages name accounts and reasons.
async fn make_private(path: &Path, mode: u32) -> io::Result<()> {
    let mut permissions = fs::metadata(path).await?.permissions();
    permissions.set_mode(mode);
    fs::set_permissions(path, permissions).await
}

/// Reads a file. A missing file is empty.
async fn read(path: &Path) -> io::Result<OutboxContent> {
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(OutboxContent::default());
        }
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(parse(&bytes))
}

/// Parses the lines up to the first that is incomplete or damaged.
fn parse(bytes: &[u8]) -> OutboxContent {
    let mut content = OutboxContent::default();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let parsed = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok());
        let id = match parsed {
            Some(OutboxLine::Taken(id)) => id,
            Some(OutboxLine::Done(id)) => {
                content.pending.remove(&id);
                continue;
            }
            Some(OutboxLine::Waits(message)) => {
                let id = message.id;
                content.pending.insert(id, message);
                id
            }
            None => {
                content.is_torn = true;
                break;
            }
        };
        content.newest = content.newest.max(Some(id));
    }
    while content.pending.len() > MESSAGES_MAX {
        content.pending.pop_first();
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::ids::Account;
    use crate::domain::time::Timestamp;

    fn id(sequence: u64) -> DirectiveId {
        DirectiveId { sequence, index: 0 }
    }

    fn message(sequence: u64) -> WebhookMessage {
        let body = format!("{{\"n\":{sequence},\"text\":\"\\n\"}}");
        let account = Account::default();
        WebhookMessage { id: id(sequence), at: Timestamp::MIN, account, of_latch: false, body }
    }

    fn ids(messages: &[WebhookMessage]) -> Vec<u64> {
        messages.iter().map(|m| m.id.sequence).collect()
    }

    #[tokio::test]
    async fn pending_messages_survive_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let below = directory.path().join("outbox");
        let (mut outbox, waiting) = OutboxFile::open(&below, "desk").await.expect("opened");
        assert_eq!((outbox.newest(), waiting.len()), (None, 0));
        outbox.start_at(id(3)).await.expect("written");
        let all = [message(4), message(5)];
        outbox.note(all.to_vec(), vec![], all.iter()).await.expect("written");
        outbox.note(vec![], vec![id(4)], all[1..].iter()).await.expect("written");
        drop(outbox);
        for _ in 0..2 {
            let (outbox, waiting) = OutboxFile::open(&below, "desk").await.expect("opened");
            assert_eq!((outbox.newest(), &waiting), (Some(id(5)), &vec![message(5)]));
        }
        let (other, waiting) = OutboxFile::open(&below, "other").await.expect("opened");
        assert_eq!((other.newest(), waiting.len()), (None, 0));
    }

    #[tokio::test]
    async fn a_torn_end_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("desk.ndjson");
        let lines =
            [OutboxLine::Waits(message(1)), OutboxLine::Waits(message(2)), OutboxLine::Done(id(1))];
        let whole = text(&lines).expect("text");
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).expect("written");
            let (mut outbox, waiting) =
                OutboxFile::open(directory.path(), "desk").await.expect("opened");
            let lines = ends.iter().filter(|end| **end <= length).count();
            let expect: &[u64] = [&[][..], &[1], &[1, 2], &[2]][lines];
            assert_eq!(ids(&waiting), expect, "{length}");
            // The file can still be appended to.
            outbox.note(vec![message(9)], vec![], waiting.iter()).await.expect("written");
            let (_, again) = OutboxFile::open(directory.path(), "desk").await.expect("opened");
            assert_eq!(again.len(), expect.len() + 1, "{length}");
        }
        let mut zeroed = whole.clone();
        zeroed.extend([0; 512]);
        std::fs::write(&path, zeroed).expect("written");
        let (_, waiting) = OutboxFile::open(directory.path(), "desk").await.expect("opened");
        assert_eq!(ids(&waiting), [2]);
    }

    #[tokio::test]
    async fn a_file_whose_messages_are_mostly_done_is_rewritten() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("desk.ndjson");
        let (mut outbox, _) = OutboxFile::open(directory.path(), "desk").await.expect("opened");
        let mut largest = 0;
        for sequence in 0..200 {
            let large = WebhookMessage { body: "x".repeat(100_000), ..message(sequence) };
            outbox.note(vec![large], vec![], std::iter::empty()).await.expect("written");
            outbox.note(vec![], vec![id(sequence)], std::iter::empty()).await.expect("written");
            largest = largest.max(std::fs::metadata(&path).expect("a file").len());
        }
        assert!(largest < REWRITE_BYTES + 200_000, "{largest}");
        let (outbox, waiting) = OutboxFile::open(directory.path(), "desk").await.expect("opened");
        assert_eq!((outbox.newest(), waiting.len()), (Some(id(199)), 0));
    }
}
