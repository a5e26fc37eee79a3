//! The configuration: a YAML file, checked once, typed from then on.
//!
//! Input: YAML text. Output: [`Config`], or every mistake with its place. Invariant: unknown
//! fields are refused; every default stands in `trading-exporter.example.yml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::pattern::Pattern;
use crate::domain::settings::Settings;

/// The checked configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The HTTP server.
    pub web: WebConfig,
    /// Where records are kept.
    pub storage: StorageConfig,
    /// Who may do what; empty: everybody, and only on loopback.
    pub tokens: Vec<Token>,
    /// Checks that the exporter runs itself.
    pub probes: Vec<Probe>,
    /// What the fold is told.
    pub settings: Arc<Settings>,
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Where it listens.
    pub listen_address: SocketAddr,
    /// The URL under which people reach it, for links.
    pub external_url: Option<String>,
    /// Bytes of a body after decompression.
    pub body_bytes_max: usize,
    /// Events in one request.
    pub events_max: usize,
    /// Bytes of strings that are not identifiers.
    pub text_bytes_max: usize,
    /// Nesting of a JSON body.
    pub depth_max: usize,
    /// A connection that has not sent its head in this time is closed.
    pub header_timeout: Duration,
    /// A request whose body has not come in this time is answered 408.
    pub body_timeout: Duration,
    /// A kept-alive connection without a request for this long is closed.
    pub idle_timeout: Duration,
    /// Connections at one time; further ones wait in the kernel.
    pub connections_max: usize,
    /// How long a drain waits for requests under way.
    pub drain_timeout: Duration,
    /// Requests that wait for the writer.
    pub queue_requests_max: usize,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen_address: SocketAddr::from(([127, 0, 0, 1], 10_471)),
            external_url: None,
            body_bytes_max: limits::BODY_BYTES_MAX,
            events_max: limits::EVENTS_MAX,
            text_bytes_max: limits::TEXT_BYTES_MAX,
            depth_max: limits::DEPTH_MAX,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            connections_max: 1_024,
            drain_timeout: Duration::from_secs(10),
            queue_requests_max: limits::QUEUE_REQUESTS_MAX,
        }
    }
}

/// Where records are kept.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Journal on disk, or memory.
    pub mode: StorageMode,
    /// The directory of the journal.
    pub path: PathBuf,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { mode: StorageMode::Memory, path: PathBuf::from("data") }
    }
}

/// Where records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageMode {
    /// On disk: an acknowledged event survives a crash.
    Journal,
    /// In memory: a restart forgets everything.
    Memory,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Post events of every kind but broker positions.
    Ingest,
    /// Post broker positions.
    IngestBroker,
    /// Read the state.
    Read,
    /// Scrape /metrics.
    Metrics,
    /// Set a halt.
    Halt,
    /// Release a halt, reload, retire series.
    Release,
}

/// A bearer token: never the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// A name for logs and the audit trail.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// The accounts that it is confined to; empty: all.
    pub accounts: Vec<Pattern>,
}

/// A check that the exporter runs itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The component that it judges.
    pub component: Component,
    /// How often.
    pub interval: Duration,
    /// How long it may take.
    pub timeout: Duration,
    /// What is checked.
    pub kind: ProbeKind,
}

/// What is checked.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeKind {
    /// A GET that must answer with a status of the list.
    Http {
        /// The URL.
        url: String,
        /// Statuses that pass; empty: 200 to 299.
        statuses: Vec<u16>,
    },
    /// A TCP connection that must be taken.
    Tcp {
        /// Host and port.
        address: String,
    },
    /// Free space of the file system of a path.
    Disk {
        /// The path.
        path: PathBuf,
        /// Fails below this fraction of free space, 0 to 1.
        free_ratio_min: f64,
        /// Fails below this many free bytes.
        free_bytes_min: u64,
    },
    /// Available memory of the host.
    Memory {
        /// Fails below this fraction of available memory, 0 to 1.
        available_ratio_min: f64,
    },
    /// Age of the newest quote of an account.
    Feed {
        /// The account; none: any.
        account: Option<String>,
        /// Fails when the newest quote is older.
        age_max: Duration,
    },
}
