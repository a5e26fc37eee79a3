//! Feeds: messages that the exporter fetches itself, from files and from brokers of messages.
//!
//! Invariant: `Debug` shows no password.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::adapters::AdapterName;
use crate::domain::closed_set::closed_set;
use crate::domain::event::Source;
use crate::domain::ids::{Account, Component};

/// A source of messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The label `feed` of metrics, and the name of the file with its position.
    pub name: String,
    /// The component whose health it reports: `feed:NAME`.
    pub component: Component,
    /// The account of all its events.
    pub account: Account,
    /// The kind of its messages.
    pub format: FeedFormat,
    /// The side that it speaks for, and that its positions are of. `None`: it speaks for the engine, and
    /// each format has its usual side.
    pub role: Option<Source>,
    /// The place of the messages.
    pub kind: FeedKind,
}

/// The kind of messages of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedFormat {
    /// Events of the exporter's own contract.
    Events,
    /// Messages of another system.
    Adapter(AdapterName),
}

impl FeedFormat {
    /// Whether a message means something only together with its topic.
    #[must_use]
    pub fn needs_topic(self) -> bool {
        self == Self::Adapter(AdapterName::Hummingbot)
    }
}

/// The place of the messages of a feed.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedKind {
    /// In files.
    File {
        /// A file, a directory, or a path whose last part has wildcards.
        path: PathBuf,
        /// How a file grows.
        content: FileContent,
        /// The beginning.
        start: FeedStart,
        /// Time between two looks.
        poll: Duration,
    },
    /// At an MQTT server.
    Mqtt {
        /// Host and port.
        address: String,
        /// The name of the session that the server keeps.
        client_id: String,
        /// Filters of topics.
        topics: Vec<String>,
        /// Who connects; `None`: nobody in particular.
        login: Option<FeedLogin>,
    },
    /// In streams of a Redis server.
    Redis {
        /// Host and port.
        address: String,
        /// The number of the database.
        database: u32,
        /// Keys of streams.
        streams: Vec<String>,
        /// The beginning.
        start: FeedStart,
        /// Who connects; `None`: nobody in particular.
        login: Option<FeedLogin>,
    },
}

closed_set! {
    /// How a file of a feed grows.
    pub enum FileContent {
        /// Lines are added; each is a message.
        Lines = "lines",
        /// The whole file is written again: a JSON array of messages, or one.
        Whole = "whole",
    }
}

closed_set! {
    /// Where a feed begins if it has no position yet.
    pub enum FeedStart {
        /// With the oldest message.
        All = "all",
        /// With the messages from now on.
        New = "new",
    }
}

/// Who connects to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedLogin {
    /// Empty if the server wants a password alone.
    pub username: String,
    /// Empty if the server wants a name alone.
    pub password: FeedPassword,
}

/// A password, from a file.
#[derive(Clone, PartialEq, Eq)]
pub struct FeedPassword(Arc<str>);

impl FeedPassword {
    /// The content of a file, without white space around it.
    #[must_use]
    pub fn new(content: &str) -> Self {
        Self(Arc::from(content.trim()))
    }

    /// The password.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FeedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeedPassword(...)")
    }
}
