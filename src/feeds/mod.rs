//! Feeds: messages that the exporter fetches itself, and gives to the engine like those of a request.
//!
//! Input: a [`Feed`] of the configuration, and what it reads: files, topics, streams. Output: messages, to
//! [`FeedContext::deliver`]; what happens, to [`FeedContext::observe`]. Invariants: the next messages are
//! read when the last ones are recorded or refused for good, so a feed never drops one because the engine
//! is busy, and its memory is bounded; a saved position is never ahead of what is recorded, so a crash
//! repeats messages and loses none; what is gone before it could be read is counted. Deliberately absent:
//! tasks, clocks and metrics, which `crate::app` provides; what a message means (see `crate::adapters`).

mod backoff;
mod sink;
mod position;
mod lines;
mod whole;
mod files;
mod file;
mod mqtt;
mod streams;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::{Feed, FeedKind};

/// Messages in one delivery, at most.
const BATCH_MESSAGES_MAX: usize = 256;

/// A message that a feed read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeedMessage {
    /// Its text, without a line break.
    pub(crate) text: Bytes,
    /// Where it was: the same for a message that is read again, and different for two messages with the
    /// same text, as far as the source tells them apart.
    pub(crate) origin: String,
}

impl FeedMessage {
    /// A line break becomes a space: in JSON it can only be between two words.
    fn new(text: &[u8], origin: String) -> Self {
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let text = if text.iter().any(is_break) {
            text.iter().map(|byte| if is_break(byte) { b' ' } else { *byte }).collect()
        } else {
            Bytes::copy_from_slice(text)
        };
        Self { text, origin }
    }

    fn is_blank(&self) -> bool {
        self.text.iter().all(u8::is_ascii_whitespace)
    }
}

/// The outcome of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FeedDelivery {
    /// All are recorded, or known, or refused for good.
    Taken(FeedCounts),
    /// They may be taken later, for this reason now not.
    Later(String),
    /// All would be refused again, for this reason.
    Refused(String),
}

/// The outcomes of messages that were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeedCounts {
    pub(crate) accepted: usize,
    pub(crate) duplicates: usize,
    pub(crate) ignored: usize,
    pub(crate) refused: usize,
    /// Why the first one was refused.
    pub(crate) why: Option<String>,
}

/// Something that happens to a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FeedEvent {
    /// It reads, or waits for messages, from there.
    Reading(String),
    /// It cannot read now, for this reason.
    Failing(String),
    /// The engine does not take its messages now, for this reason.
    Waiting(String),
    /// Messages were taken.
    Taken(FeedCounts),
    /// A message was refused before it was delivered.
    Unreadable(String),
    /// Messages were gone before they could be read: how many (0: unknown), and where.
    Missed(u64, String),
    /// Bytes that are not read yet.
    Lag(u64),
}

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs a call on a thread of its own.
type BlockingFn = Arc<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

/// Commits messages.
type DeliverFn = Arc<dyn Fn(Vec<FeedMessage>) -> Later<FeedDelivery> + Send + Sync>;

/// The functions that feeds need from the application, for one feed.
#[derive(Clone)]
pub(crate) struct FeedContext {
    pub(crate) deliver: DeliverFn,
    pub(crate) observe: Arc<dyn Fn(FeedEvent) + Send + Sync>,
    /// The bytes of a message, at most.
    pub(crate) message_bytes_max: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Waits until everything that was acknowledged is on the disk. Returns the sequence of the last
    /// record then; `None` if it failed.
    pub(crate) settle: Arc<dyn Fn() -> Later<Option<u64>> + Send + Sync>,
    /// Runs a call that may block on a thread that serves no requests.
    pub(crate) blocking: BlockingFn,
    /// The directory of positions. `None` if the state is kept only in memory: then everything is read
    /// again after a restart.
    pub(crate) directory: Option<PathBuf>,
    /// The journal, as long as it is the same one, and its last sequence at the start.
    pub(crate) journal: (String, u64),
}

impl fmt::Debug for FeedContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedContext").finish_non_exhaustive()
    }
}

impl FeedContext {
    fn observe(&self, event: FeedEvent) {
        (self.observe)(event);
    }

    /// Runs a call on a thread that may block. `None` if the process is ending.
    async fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (answer, result) = oneshot::channel();
        (self.blocking)(Box::new(move || {
            // The feed may be gone.
            answer.send(call()).ok();
        }));
        result.await.ok()
    }
}

/// Runs a feed until `stop` is cancelled. Messages that are being recorded then are recorded.
pub(crate) async fn run(feed: Feed, context: FeedContext, stop: CancellationToken) {
    match &feed.kind {
        FeedKind::File { path, content, start, poll } => {
            let source = files::FileSource::new(path.clone(), *content, *start);
            file::run(&feed.name, (source, *poll), context, stop).await;
        }
        FeedKind::Mqtt { address, client_id, topics, login } => {
            let source = mqtt::MqttSource {
                address: address.clone(),
                client_id: client_id.clone(),
                topics: topics.clone(),
                login: login.clone(),
                format: feed.format,
            };
            mqtt::run(source, context, stop).await;
        }
        FeedKind::Redis { address, database, streams, start, login } => {
            let source = streams::StreamSource {
                address: address.clone(),
                database: *database,
                streams: streams.clone(),
                start: *start,
                login: login.clone(),
            };
            streams::run(&feed.name, source, context, stop).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        let check = |text: &str, expect: &str| {
            let message = FeedMessage::new(text.as_bytes(), String::new());
            assert_eq!(message.text, expect.as_bytes(), "{text:?}");
        };
        check("{}", "{}");
        check("{\r\n\"a\":\n1}", "{  \"a\": 1}");
        assert!(FeedMessage::new(b" \r\n", String::new()).is_blank());
    }
}
