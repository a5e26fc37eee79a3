//! Command-line arguments, in the style of Prometheus: long, dotted names with two dashes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::adapters::AdapterName;
use crate::app::EVALUATE_COMMAND;
use crate::config::{
    Overrides, StorageMode, parse_duration, parse_listen_address, parse_route_prefix,
};
use crate::demo;
use crate::domain::closed_set::ClosedSet;
use crate::domain::event::Source;
use crate::domain::ids::Account;
use crate::domain::time::Timestamp;
use crate::wire::time::parse_rfc3339;

/// Name and version, as printed by `version` and `--version`.
pub(super) const VERSION: &str = concat!("trading-exporter ", env!("CARGO_PKG_VERSION"));

/// An independent witness beside any trading engine: execution quality, position drift and health
/// as Prometheus metrics, and a halt when the books disagree.
#[derive(Debug, Parser)]
#[command(
    name = "trading-exporter",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a command, it serves.\nExit codes: 0 success, 1 failure, 2 wrong \
                  arguments.\nSignals: SIGTERM and SIGINT drain and stop, SIGHUP reloads the \
                  configuration."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) serve: ServeArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the API and /metrics (the default)
    Serve(Box<ServeArguments>),
    /// Replay an hour of recorded trading with five faults, until trading is halted
    ///
    /// Starts an exporter in memory and posts a recorded session to its HTTP API, sped up and with
    /// all times shifted to now. Runs until Ctrl-C.
    Demo(DemoArguments),
    /// Check configuration files and print every mistake; exit code 1 if there is one
    CheckConfig(CheckConfigArguments),
    /// Print Prometheus alert rules for the configured thresholds
    ///
    /// The rules compare with the metric `trading_threshold`, so they follow a reload of the
    /// exporter. With --literal they contain the thresholds as numbers.
    Rules(RulesArguments),
    /// Verify, inspect or repair a journal
    Journal {
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Print the state at any moment of the past, from the journal
    ///
    /// Changes nothing and takes no lock, so the journal may be in use. With another configuration
    /// it shows the state that this configuration would have reached from the same events and the
    /// same decisions of people.
    Replay(ReplayArguments),
    /// Print the SHA-256 of a token, for the configuration file
    ///
    /// Reads the token from stdin, as one line, so that it does not appear in the shell history. Or
    /// generates a new one.
    HashToken(HashTokenArguments),
    /// Show the events that messages of another system become
    ///
    /// Prints one event per line to stdout. Messages that are ignored or refused go to stderr, with their
    /// number and the reason. Nothing is sent. The exit code is 1 if a message is refused.
    TryAdapter(TryAdapterArguments),
    /// Fetch the positions of a configured source once, and show what was understood
    ///
    /// Prints the rows of each list to stdout. A failure goes to stderr: the reason, the HTTP status and the
    /// begin of the answer, without secrets. Nothing is recorded. The exit code is 1 if a list failed.
    TrySource(TrySourceArguments),
    /// Run an expression on an answer (the exporter starts this itself)
    #[command(name = EVALUATE_COMMAND, hide = true)]
    EvaluateExpression,
    /// Print the version
    Version,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Configuration file (YAML); without it, all defaults apply
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// Address and port to listen on; may be repeated; overrides `web.listen_address`
    ///
    /// An IP address and a port, localhost:PORT, or :PORT for all addresses. Port 0 picks a free port.
    /// An address that other hosts can reach needs TLS and tokens, or --insecure.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", value_parser = parse_listen_address)]
    listen_addresses: Vec<SocketAddr>,
    /// Web configuration file: TLS, Basic users, headers, rate limit
    ///
    /// In the format of Prometheus exporters (exporter-toolkit). It is read again when it or a file
    /// that it names changes.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,
    /// Path below which everything is served, such as /exporter; overrides `web.route_prefix`
    #[arg(long = "web.route-prefix", value_name = "PATH", value_parser = parse_route_prefix)]
    route_prefix: Option<String>,
    /// Address and port of a second listener, for decisions, permits and health alone; overrides
    /// `web.decision_listen`
    #[arg(long = "web.decision-listen-address", value_name = "ADDRESS", value_parser = parse_listen_address)]
    decision_listen: Option<SocketAddr>,
    /// URL at which users reach the exporter, for links; overrides `web.external_url`
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// Where to keep records; overrides `storage.mode`
    #[arg(long = "storage.mode", value_name = "MODE")]
    storage_mode: Option<StorageModeArgument>,
    /// Directory of the journal; overrides `storage.path`
    #[arg(long = "storage.path", value_name = "DIR")]
    storage_path: Option<PathBuf>,
    /// Allow serving on a non-loopback address without tokens or TLS
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

impl ServeArguments {
    /// The arguments that override the configuration file.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            listen_addresses: self.listen_addresses.clone(),
            decision_listen: self.decision_listen,
            route_prefix: self.route_prefix.clone(),
            web_config_file: self.web_config_file.clone(),
            external_url: self.external_url.clone(),
            storage_mode: self.storage_mode.map(|mode| match mode {
                StorageModeArgument::Journal => StorageMode::Journal,
                StorageModeArgument::Memory => StorageMode::Memory,
            }),
            storage_path: self.storage_path.clone(),
            insecure: self.insecure,
        }
    }
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(mut_arg("level", |level| level.default_value("error")))]
pub(super) struct DemoArguments {
    /// Stop after this time, such as 30s, and fail if the demo is not complete by then
    #[arg(long = "for", value_name = "DURATION", value_parser = demo_duration)]
    pub(super) duration: Option<Duration>,
    /// Address and port to listen on; port 0 picks a free port
    #[arg(long = "web.listen-address", value_name = "ADDRESS", value_parser = parse_listen_address)]
    pub(super) listen_address: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

/// A duration in which the demo can complete.
fn demo_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).ok_or("write it like 30s, 5m or 1m30s")?;
    if duration < demo::SHORTEST {
        return Err(format!("the demo takes at least {} seconds", demo::SHORTEST.as_secs()));
    }
    Ok(duration)
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StorageModeArgument {
    /// On disk: acknowledged events survive a crash
    Journal,
    /// In memory: a restart loses everything
    Memory,
}

/// Level and format of logs, which go to stderr.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct LogArguments {
    /// Least severe level to log
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub(super) level: LogLevel,
    /// Format of log messages
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "text")]
    pub(super) format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogLevel {
    /// Failures that stop something
    Error,
    /// Problems that need attention
    Warn,
    /// Normal events
    Info,
    /// Connections and requests
    Debug,
    /// Everything
    Trace,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// One line of text
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Verify all checksums; at the first damage, print file and offset and exit with code 1
    ///
    /// The journal may be in use.
    Verify(JournalArguments),
    /// Print the records, one line of JSON each
    ///
    /// The journal may be in use. If it is damaged, prints the records before the damage and exits
    /// with code 1.
    Inspect(InspectArguments),
    /// Move the first damage and everything after it out of the journal, so that the exporter starts
    ///
    /// Keeps the removed bytes in files, and prints their names. The exporter must not be running.
    Repair(JournalArguments),
}

/// Arguments of `journal verify` and `journal repair`.
#[derive(Debug, Args)]
pub(super) struct JournalArguments {
    /// Directory of the journal: `storage.path`
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
}

/// Arguments of `journal inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// Directory of the journal: `storage.path`
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
    /// First record: a sequence, or a receive time such as 2026-11-22T14:30:00Z
    #[arg(long, value_name = "SEQUENCE|TIME", value_parser = record_position)]
    pub(super) from: Option<RecordPosition>,
    /// Last record: a sequence, or a receive time
    #[arg(long, value_name = "SEQUENCE|TIME", value_parser = record_position)]
    pub(super) to: Option<RecordPosition>,
    /// Only records of this account
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) account: Option<String>,
    /// Only records of this type: an event type, or tick, check, decision, decided, settings
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) kind: Option<String>,
}

/// A position in the journal. As an upper bound it is inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordPosition {
    /// The record of that sequence.
    Sequence(u64),
    /// By receive time.
    Time(Timestamp),
}

fn record_position(text: &str) -> Result<RecordPosition, String> {
    if let Ok(sequence) = text.parse() {
        return Ok(RecordPosition::Sequence(sequence));
    }
    let time = parse_rfc3339(text).map(RecordPosition::Time);
    time.map_err(|error| format!("neither a sequence nor an RFC 3339 time, which {error}"))
}

/// Arguments of `check-config`.
#[derive(Debug, Args)]
pub(super) struct CheckConfigArguments {
    /// Files to check
    #[arg(value_name = "FILE", required_unless_present = "web_config_file")]
    pub(super) files: Vec<PathBuf>,
    /// Web configuration file to check, alone or together with each of the files
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub(super) web_config_file: Option<PathBuf>,
    /// Accept a non-loopback address without tokens or TLS
    #[arg(long)]
    pub(super) insecure: bool,
}

/// Arguments of `rules`.
#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    /// Write the thresholds as numbers
    #[arg(long)]
    pub(super) literal: bool,
    /// Configuration file (YAML) with the thresholds; without it, all defaults apply
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// Write one file per topic into this directory, instead of all rules to stdout
    #[arg(long = "output.dir", value_name = "DIR")]
    pub(super) output_dir: Option<PathBuf>,
    /// URL of the runbooks, for links in alerts; by default the page that the exporter serves
    #[arg(long = "runbook.url", value_name = "URL")]
    pub(super) runbook_url: Option<String>,
    /// URL of Grafana, for links to dashboards
    #[arg(long = "grafana.url", value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub(super) grafana_url: String,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// Directory of the journal: `storage.path`
    #[arg(long, value_name = "DIR")]
    pub(super) journal: PathBuf,
    /// Last record to include: a sequence, or an RFC 3339 receive time; by default the newest
    #[arg(long, value_name = "SEQUENCE|TIME", value_parser = record_position)]
    pub(super) until: Option<RecordPosition>,
    /// Use this configuration instead of the one that was in force
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "metrics")]
    pub(super) output: ReplayOutput,
    /// Read the whole journal, and no snapshot
    #[arg(long)]
    pub(super) full: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ReplayOutput {
    /// The text of /metrics, without the metrics of the exporter's own process
    Metrics,
    /// The state as JSON
    State,
}

/// Arguments of `hash-token`.
#[derive(Debug, Args)]
pub(super) struct HashTokenArguments {
    /// Generate a token of 256 random bits and print it to stderr
    #[arg(long)]
    pub(super) generate: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_defined() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        let check = |line: &str| {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            let serve = match arguments.command {
                None => arguments.serve,
                Some(Command::Serve(serve)) => *serve,
                Some(other) => panic!("{other:?}"),
            };
            assert_eq!(serve.config_file.as_deref(), Some("x.yml".as_ref()), "{line}");
            let expect = Overrides {
                listen_addresses: vec![
                    SocketAddr::from(([127, 0, 0, 1], 0)),
                    SocketAddr::from(([0; 8], 10_471)),
                ],
                route_prefix: Some("/x".to_owned()),
                web_config_file: Some("web.yml".into()),
                storage_mode: Some(StorageMode::Memory),
                insecure: true,
                ..Overrides::default()
            };
            assert_eq!(serve.overrides(), expect, "{line}");
        };
        let flags = "--config.file=x.yml --web.listen-address 127.0.0.1:0 \
                     --web.listen-address=:10471 --web.config.file=web.yml --web.route-prefix=/x/ \
                     --storage.mode=memory --insecure";
        check(&format!("trading-exporter {flags}"));
        check(&format!("trading-exporter serve {flags}"));
    }

    #[test]
    fn wrong_arguments_are_rejected() {
        let check = |line: &str| {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        };
        check("trading-exporter --web.listen_address=127.0.0.1:0");
        check("trading-exporter --web.listen-address=10471");
        check("trading-exporter --web.listen-address=example.org:10471");
        check("trading-exporter --web.route-prefix=/a?b");
        check("trading-exporter --storage.mode=disk");
        check("trading-exporter --log.level=loud");
        check("trading-exporter --insecure version");
        check("trading-exporter check-config");
        check("trading-exporter demo --for 30");
        check("trading-exporter demo --for 3s");
        check("trading-exporter rules --literal=1");
        check("trading-exporter journal");
        check("trading-exporter journal verify");
        check("trading-exporter journal inspect d --from yesterday");
        check("trading-exporter replay --journal d --until yesterday");
        check("trading-exporter sing");
    }
}

/// Arguments of `try-adapter`.
#[derive(Debug, Args)]
pub(super) struct TryAdapterArguments {
    /// The system
    #[arg(value_name = "NAME", value_parser = adapter_name)]
    pub(super) name: AdapterName,
    /// A file with messages in the format of that system; - is stdin
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The account of every event, as `?account=` sets it
    #[arg(long, value_name = "ACCOUNT", value_parser = Account::new)]
    pub(super) account: Option<Account>,
    /// The side that reports positions, as `?role=` sets it: local or broker
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub(super) role: Option<Source>,
    /// Each line has the URL-encoded fields of one message
    #[arg(long)]
    pub(super) form: bool,
    /// For csv: the mapping of the configuration that explains the columns
    #[arg(long, value_name = "MAPPING", requires = "config")]
    pub(super) mapping: Option<String>,
    /// The configuration file with the mapping
    #[arg(long = "config.file", id = "config", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Arguments of `try-source`.
#[derive(Debug, Args)]
pub(super) struct TrySourceArguments {
    /// The name of the source: `position_sources[].name`
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Configuration file (YAML)
    #[arg(long = "config.file", visible_alias = "config", value_name = "FILE")]
    pub(super) config_file: PathBuf,
}

fn adapter_name(text: &str) -> Result<AdapterName, String> {
    let known = || format!("is not one of {}", AdapterName::WORDS.join(", "));
    AdapterName::from_word(text).ok_or_else(known)
}

fn role(text: &str) -> Result<Source, String> {
    Source::from_word(text).ok_or_else(|| format!("is not one of {}", Source::WORDS.join(", ")))
}
