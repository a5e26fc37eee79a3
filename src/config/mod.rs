//! The configuration: a YAML file, checked once, typed from then on.
//!
//! Input: YAML text, and the web configuration file of Prometheus exporters (see [`WebFile`]). Output:
//! [`Config`], or every mistake with its place. Invariants: unknown fields are refused;
//! `trading-exporter.example.yml` shows every default; no secret is shown.
//! Deliberately absent: environment variables and arguments (see `crate::cli`), which are passed as
//! [`Overrides`].

mod error;
pub mod changes;
mod yaml;
mod scalar;
mod section;
mod secret_url;
mod feed;
mod position_source;
mod webhook;
mod tls_server;
mod web_file;
mod read;
#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use error::{ConfigError, Mistake};
pub use feed::{Feed, FeedFormat, FeedKind, FeedLogin, FeedPassword, FeedStart, FileContent};
pub use position_source::{
    HeaderSignature, HiddenBytes, HiddenText, ListMethod, ListReader, ListRequest, PositionSource,
    RequestSignature, SignatureEncoding, SignatureScheme, TimestampForm, TokenAlgorithm,
    TokenClaims,
};
pub use scalar::parse_duration;
pub use secret_url::SecretUrl;
pub use tls_server::TlsServer;
pub use web_file::{RateLimit, WebFile, WebUser};
pub use webhook::{Reach, Webhook, WebhookSecret, is_public};

use crate::adapters::CsvMapping;
use crate::domain::closed_set::closed_set;
use crate::domain::ids::Component;
use crate::domain::limits;
use crate::domain::pattern::Pattern;
use crate::domain::settings::Settings;

/// Bytes of a configuration file, at most.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The checked configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The HTTP server.
    pub web: WebConfig,
    /// The web configuration file; the default if there is none.
    pub web_file: Arc<WebFile>,
    /// The storage of records.
    pub storage: StorageConfig,
    /// Bearer tokens; empty: everybody may do everything, and the server listens on loopback only.
    pub tokens: Vec<Token>,
    /// Health checks that the exporter runs itself.
    pub probes: Vec<Probe>,
    /// The meaning of tables of comma-separated values.
    pub csv: Vec<Arc<CsvMapping>>,
    /// Messages that the exporter fetches itself.
    pub feeds: Vec<Feed>,
    /// Lists of positions that the exporter fetches itself.
    pub position_sources: Vec<PositionSource>,
    /// Targets of directives.
    pub webhooks: Vec<Webhook>,
    /// Alerts that may halt trading.
    pub alerting: AlertingConfig,
    /// Bytes of the state, past which events are refused. None: half of the memory that the process may
    /// use.
    pub state_bytes_max: Option<u64>,
    /// The part that the fold uses, which is also a record of the journal.
    pub settings: Arc<Settings>,
}

/// The configuration of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertingConfig {
    /// Alerts that get the label `action: halt` in the generated rules: name and severity.
    pub halt_on: Vec<String>,
}

impl Default for AlertingConfig {
    fn default() -> Self {
        Self { halt_on: vec![crate::alerting::HALT_ON.to_owned()] }
    }
}

/// Arguments of the command line that take precedence over the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Instead of `web.listen_address`; empty: the text's own.
    pub listen_addresses: Vec<SocketAddr>,
    /// Instead of `web.decision_listen`.
    pub decision_listen: Option<SocketAddr>,
    /// Instead of `web.route_prefix`.
    pub route_prefix: Option<String>,
    /// The web configuration file.
    pub web_config_file: Option<PathBuf>,
    /// Instead of `web.external_url`.
    pub external_url: Option<String>,
    /// Instead of `storage.mode`.
    pub storage_mode: Option<StorageMode>,
    /// Instead of `storage.path`.
    pub storage_path: Option<PathBuf>,
    /// Whether the server may be reachable from other hosts without tokens or TLS.
    pub insecure: bool,
}

/// The environment in which a text is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Files named in the text are relative to this directory; empty: the working directory.
    pub directory: PathBuf,
    /// Arguments that take precedence over the text.
    pub overrides: Overrides,
}

impl Config {
    /// Reads and checks a file; without one, returns the defaults. Files named in it are relative to
    /// its directory.
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

    /// This configuration with another web configuration file, for a running server.
    ///
    /// # Errors
    /// See [`check_replacement`](Self::check_replacement).
    pub fn with_web_file(&self, file: WebFile, overrides: &Overrides) -> Result<Self, ConfigError> {
        let fresh = Self { web_file: Arc::new(file), ..self.clone() };
        self.check_replacement(&fresh, overrides)?;
        Ok(fresh)
    }

    /// Checks a configuration that is to replace this one in a running server.
    ///
    /// # Errors
    /// [`ConfigError::Mistakes`]: TLS is added or removed, which needs a restart; the last token and user
    /// are removed, which would let everybody do everything; or a public address would be left open.
    pub fn check_replacement(
        &self,
        fresh: &Self,
        overrides: &Overrides,
    ) -> Result<(), ConfigError> {
        let report = section::MistakeReport::default();
        if fresh.web_file.tls.is_some() != self.web_file.tls.is_some() {
            report.add("tls_server_config", None, "needs a restart to be added or removed");
        }
        if fresh.is_open() && !self.is_open() {
            let message = "the last token and user need a restart to be removed: without any, everybody \
                           who reaches the server may do everything";
            report.add("tokens", None, message);
        }
        check_exposure(fresh, overrides, &report);
        let mistakes = report.into_mistakes();
        if mistakes.is_empty() { Ok(()) } else { Err(ConfigError::Mistakes(mistakes)) }
    }

    /// Whether everybody who reaches the server may do everything: there are no tokens and no users.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.web_file.users.is_empty()
    }

    /// Checks a text; an empty one gives every default.
    ///
    /// # Errors
    /// [`ConfigError::Mistakes`]: every mistake in it.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let report = section::MistakeReport::default();
        let config = read_checked(text, environment, &report);
        let mistakes = report.into_mistakes();
        if mistakes.is_empty() { Ok(config) } else { Err(ConfigError::Mistakes(mistakes)) }
    }
}

fn read_checked(text: &str, environment: &Environment, report: &section::MistakeReport) -> Config {
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => {
            report.add("", error.line, error.message);
            return Config::default();
        }
    };
    let mut config = read::read(&root, environment, report);
    if let Some(path) = &environment.overrides.web_config_file {
        match WebFile::load(path) {
            Ok(file) => config.web_file = Arc::new(file),
            Err(mistakes) => mistakes.into_iter().for_each(|mistake| report.add_foreign(mistake)),
        }
    }
    config.web.override_by(&environment.overrides, report);
    config.storage.override_by(&environment.overrides);
    check_exposure(&config, &environment.overrides, report);
    config
}

/// Refuses an address that other hosts can reach: without tokens everybody there could do everything,
/// and without TLS everybody on the path could read the tokens. Basic users count as tokens: with them,
/// nobody may do anything without credentials. Also refuses a rate limit where no request has a token,
/// because it would delay engines and halts.
fn check_exposure(config: &Config, overrides: &Overrides, report: &section::MistakeReport) {
    if config.is_open() && config.web_file.rate_limit.is_some() {
        let message = "needs tokens or users: without them it would delay engines and halts";
        report.add("rate_limit", None, message);
    }
    if overrides.insecure {
        return;
    }
    let lacks = match (config.is_open(), config.web_file.tls.is_none()) {
        (true, true) => "tokens and TLS",
        (true, false) => "tokens",
        (false, true) => "TLS",
        (false, false) => return,
    };
    let web = &config.web;
    let main = web.listen_addresses.iter().map(|address| ("web.listen_address", address));
    let second = web.decision_listen.iter().map(|address| ("web.decision_listen", address));
    for (field, address) in main.chain(second).filter(|(_, a)| !a.ip().is_loopback()) {
        let message = format!(
            "{address} can be reached from other hosts, which needs {lacks}: configure it (TLS with \
             --web.config.file), listen on loopback, or pass --insecure"
        );
        report.add(field, None, message);
    }
}

/// Reads a text file of at most `bytes_max` bytes.
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
    /// The addresses and ports that the server binds; at least one.
    pub listen_addresses: Vec<SocketAddr>,
    /// The address and port of a second listener, for decisions, permits and health alone.
    pub decision_listen: Option<SocketAddr>,
    /// Names of this host, in lower case, that requests without tokens may use besides `localhost` and
    /// addresses.
    pub hosts: Vec<String>,
    /// The path below which everything is served: empty, or `/name` without a slash at its end.
    pub route_prefix: String,
    /// The URL of the exporter as people see it, for links.
    pub external_url: Option<String>,
    /// Bytes of a body after decompression.
    pub body_bytes_max: usize,
    /// Events in one request.
    pub events_max: usize,
    /// Bytes of a string that is not an identifier.
    pub text_bytes_max: usize,
    /// Nesting depth of a JSON body.
    pub depth_max: usize,
    /// A connection that sends no complete request head in this time is closed.
    pub header_timeout: Duration,
    /// A request whose body does not arrive in this time is answered 408.
    pub body_timeout: Duration,
    /// A kept-alive connection without a request for this long is closed.
    pub idle_timeout: Duration,
    /// Concurrent connections; further ones wait in the kernel.
    pub connections_max: usize,
    /// How long a drain waits for requests in progress.
    pub drain_timeout: Duration,
    /// Requests in the queue before the writer.
    pub queue_requests_max: usize,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen_addresses: vec![SocketAddr::from(([127, 0, 0, 1], 10_471))],
            decision_listen: None,
            hosts: Vec::new(),
            route_prefix: String::new(),
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
    fn override_by(&mut self, overrides: &Overrides, report: &section::MistakeReport) {
        if !overrides.listen_addresses.is_empty() {
            self.listen_addresses.clone_from(&overrides.listen_addresses);
        }
        self.decision_listen = overrides.decision_listen.or(self.decision_listen);
        if let Some(prefix) = &overrides.route_prefix {
            self.route_prefix.clone_from(prefix);
        }
        if let Some(url) = &overrides.external_url {
            match scalar::check_url(url) {
                Ok(()) => self.external_url = Some(url.clone()),
                Err(fault) => report.add("web.external_url", None, fault.0),
            }
        }
    }
}

/// Parses an address to listen on, as `--web.listen-address` takes it: `127.0.0.1:10471`,
/// `[::1]:10471`, `localhost:10471`, or `:10471` for all addresses.
///
/// # Errors
/// The accepted forms, as the end of a sentence.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    scalar::parse_listen_address(text).map_err(|fault| fault.0)
}

/// Parses a prefix of paths, as `--web.route-prefix` takes it: `/exporter`, or `/` for none.
///
/// # Errors
/// The accepted form, as the end of a sentence.
pub fn parse_route_prefix(text: &str) -> Result<String, String> {
    scalar::parse_route_prefix(text).map_err(|fault| fault.0)
}

/// The storage of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Disk or memory.
    pub mode: StorageMode,
    /// The directory of the journal.
    pub path: PathBuf,
    /// When a batch is synced.
    pub sync: StorageSync,
    /// Time between two syncs with [`StorageSync::Interval`].
    pub sync_interval: Duration,
    /// Bytes of a segment of the journal.
    pub segment_bytes: u64,
    /// Size of the journal above which its oldest segments are deleted; None: no limit.
    pub retention_bytes: Option<u64>,
    /// Age above which segments are deleted; None: no limit.
    pub retention_age: Option<Duration>,
    /// A snapshot is due after this many records.
    pub snapshot_records: u64,
    /// A snapshot is due after this time, if there were any records.
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

closed_set! {
    /// The storage of records.
    pub enum StorageMode {
        /// In memory: a restart forgets everything.
        Memory = "memory",
        /// On disk: an acknowledged event survives a crash.
        Journal = "journal",
    }
}

closed_set! {
    /// When an acknowledged event is durable.
    pub enum StorageSync {
        /// Before it is acknowledged.
        EveryBatch = "every-batch",
        /// Within `sync_interval`: a power cut loses events acknowledged since the last sync.
        Interval = "interval",
    }
}

closed_set! {
    /// A permission of a token.
    pub enum Scope {
        /// Post events of every kind except broker positions.
        Ingest = "ingest",
        /// Post broker positions.
        IngestBroker = "ingest:broker",
        /// Read the state.
        Read = "read",
        /// Scrape /metrics.
        Metrics = "metrics",
        /// Set a halt.
        Halt = "halt",
        /// Release a halt, reload the configuration, retire series.
        Release = "release",
    }
}

/// A bearer token: never the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name in logs and in the audit trail.
    pub name: Arc<str>,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    /// The permissions of its holder.
    pub scopes: Vec<Scope>,
    /// The accounts it is limited to; empty: all.
    pub accounts: Vec<Pattern>,
}

/// A health check that the exporter runs itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The component whose health it reports.
    pub component: Component,
    /// Time between two runs.
    pub interval: Duration,
    /// A run that takes longer fails.
    pub timeout: Duration,
    /// The check, with its parameters.
    pub kind: ProbeKind,
}

/// The check that a probe runs.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeKind {
    /// A GET request that must be answered with a status of the list.
    Http {
        /// The URL.
        url: SecretUrl,
        /// Accepted statuses; empty: 200 to 299.
        statuses: Vec<u16>,
    },
    /// A TCP connection that must be accepted.
    Tcp {
        /// Host and port.
        address: String,
    },
    /// Free space of a file system.
    Disk {
        /// Any path on it.
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
    /// Age of the newest quote.
    Feed {
        /// The account of the quote; None: any.
        account: Option<String>,
        /// Fails when the newest quote is older than this.
        age_max: Duration,
    },
}
