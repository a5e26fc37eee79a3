//! The configuration: a YAML file, checked once, typed from then on.
//!
//! Input: YAML text. Output: [`Config`], or every mistake with its place. Invariants: unknown
//! fields are refused; every default stands in `trading-exporter.example.yml`; no secret is held
//! or shown. Deliberately absent: the environment and arguments (see `crate::cli`), which come in
//! as [`Overrides`].

mod error;
pub mod changes;
mod yaml;
mod scalar;
mod section;
mod webhook;
mod read;
pub mod settings_codec;
#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use error::{ConfigError, Mistake};
pub use scalar::parse_duration;
pub use webhook::{Reach, Secret, Webhook, WebhookUrl, is_public};

use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::pattern::Pattern;
use crate::domain::settings::Settings;

/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The checked configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The HTTP server.
    pub web: WebConfig,
    /// Where records are kept.
    pub storage: StorageConfig,
    /// Who may do what; empty: everybody, and only on loopback.
    pub tokens: Vec<Token>,
    /// Checks that the exporter runs itself.
    pub probes: Vec<Probe>,
    /// Where directives are delivered.
    pub webhooks: Vec<Webhook>,
    /// What alerts may do.
    pub alerting: AlertingConfig,
    /// What the fold is told.
    pub settings: Arc<Settings>,
}

/// What alerts may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertingConfig {
    /// Alerts that get the label `action: halt` in the rules that are printed: name and severity.
    pub halt_on: Vec<String>,
}

impl Default for AlertingConfig {
    fn default() -> Self {
        Self { halt_on: vec![crate::alerting::HALT_ON.to_owned()] }
    }
}

/// What stands above the text: said on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Instead of `web.listen_address`.
    pub listen_address: Option<SocketAddr>,
    /// Instead of `web.external_url`.
    pub external_url: Option<String>,
    /// Instead of `storage.mode`.
    pub storage_mode: Option<StorageMode>,
    /// Instead of `storage.path`.
    pub storage_path: Option<PathBuf>,
    /// Whether the server may be reached from elsewhere without tokens or TLS.
    pub insecure: bool,
}

/// What a text is read in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The directory that the files named in the text are relative to; empty: the working
    /// directory.
    pub directory: PathBuf,
    /// What stands above the text.
    pub overrides: Overrides,
}

impl Config {
    /// Reads and checks a file; without one, the defaults. Files named in it are relative to its
    /// directory.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, or every mistake in it.
    pub fn load(path: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Self::parse("", &Environment { directory: PathBuf::new(), overrides });
        };
        let text = read_bounded(path, FILE_BYTES_MAX)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        Self::parse(&text, &Environment { directory, overrides })
    }

    /// Checks a text; an empty one has every default.
    ///
    /// # Errors
    /// [`ConfigError::Mistakes`]: every mistake in it.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let report = section::Report::default();
        let config = read_checked(text, environment, &report);
        let mistakes = report.into_mistakes();
        if mistakes.is_empty() { Ok(config) } else { Err(ConfigError::Mistakes(mistakes)) }
    }
}

fn read_checked(text: &str, environment: &Environment, report: &section::Report) -> Config {
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => {
            report.add("", error.line, error.message);
            return Config::default();
        }
    };
    let mut config = read::read(&root, environment, report);
    config.web.override_by(&environment.overrides, report);
    config.storage.override_by(&environment.overrides);
    check_exposure(&config, &environment.overrides, report);
    config
}

/// Without tokens everybody who reaches the server may do everything, and without TLS everybody on
/// the way may read the tokens.
fn check_exposure(config: &Config, overrides: &Overrides, report: &section::Report) {
    let address = config.web.listen_address;
    if address.ip().is_loopback() || overrides.insecure {
        return;
    }
    let lacks = if config.tokens.is_empty() { "tokens" } else { "TLS" };
    let message = format!(
        "{address} can be reached from elsewhere, which needs {lacks}: listen on \
        loopback, or say --insecure"
    );
    report.add("web.listen_address", None, message);
}

/// A file as text, refused when it is larger than `bytes_max`.
fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        let message = format!("is larger than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl WebConfig {
    fn override_by(&mut self, overrides: &Overrides, report: &section::Report) {
        self.listen_address = overrides.listen_address.unwrap_or(self.listen_address);
        if let Some(url) = &overrides.external_url {
            match scalar::check_url(url) {
                Ok(()) => self.external_url = Some(url.clone()),
                Err(fault) => report.add("web.external_url", None, fault.0),
            }
        }
    }
}

/// Where records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Journal on disk, or memory.
    pub mode: StorageMode,
    /// The directory of the journal.
    pub path: PathBuf,
    /// When an acknowledged event is on the disk.
    pub sync: StorageSync,
    /// With [`StorageSync::Interval`]: at least so often.
    pub sync_interval: Duration,
    /// Bytes of a segment of the journal.
    pub segment_bytes: u64,
    /// Bytes of the journal past which its oldest segments go; none: any number.
    pub retention_bytes: Option<u64>,
    /// Age past which segments go; none: any age.
    pub retention_age: Option<Duration>,
    /// A snapshot is due after so many records.
    pub snapshot_records: u64,
    /// A snapshot is due after so long, if there were any records.
    pub snapshot_interval: Duration,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            mode: StorageMode::Journal,
            path: PathBuf::from("data"),
            sync: StorageSync::EveryBatch,
            sync_interval: Duration::from_secs(1),
            segment_bytes: 64 << 20,
            retention_bytes: Some(10 << 30),
            retention_age: None,
            snapshot_records: 1_000_000,
            snapshot_interval: Duration::from_hours(1),
        }
    }
}

impl StorageConfig {
    fn override_by(&mut self, overrides: &Overrides) {
        self.mode = overrides.storage_mode.unwrap_or(self.mode);
        if let Some(path) = &overrides.storage_path {
            self.path.clone_from(path);
        }
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

/// When an acknowledged event is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageSync {
    /// Before it is acknowledged.
    EveryBatch,
    /// Some time later: a power cut takes what was acknowledged meanwhile.
    Interval,
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

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 6] =
        [Self::Ingest, Self::IngestBroker, Self::Read, Self::Metrics, Self::Halt, Self::Release];

    /// As in the configuration and in errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::IngestBroker => "ingest:broker",
            Self::Read => "read",
            Self::Metrics => "metrics",
            Self::Halt => "halt",
            Self::Release => "release",
        }
    }
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
        url: HttpUrl,
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

/// The URL of a probe, checked when it was read. Its query may hold a key, so `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// Takes a URL; one that is none makes the probe fail.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.split(['?', '#']).next().unwrap_or_default())
    }
}
