//! The arguments, in the style of the Prometheus family: long, dotted names, two dashes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Overrides, StorageMode, parse_duration};
use crate::demo;
use crate::domain::time::Timestamp;
use crate::wire::contract::time::parse_rfc3339;

/// Name and version, as `version` and `--version` print them.
pub(super) const VERSION: &str = concat!("trading-exporter ", env!("CARGO_PKG_VERSION"));

/// An independent witness beside any trading engine: execution quality, position drift and health
/// as Prometheus metrics, and a halt when the books disagree.
#[derive(Debug, Parser)]
#[command(
    name = "trading-exporter",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a command it serves. Exit codes: 0 ended well, 1 failed, 2 wrong \
                  arguments.\nSignals: SIGTERM and SIGINT drain and end, SIGHUP reads the \
                  configuration again."
)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) serve: ServeArguments,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the API and /metrics (the default)
    Serve(Box<ServeArguments>),
    /// Show the main job: replay an hour of recorded trading, five faults and a halt
    ///
    /// Starts the exporter, in memory, and tells it the session through its HTTP API, faster than
    /// life and shifted to now. Runs until Ctrl-C.
    Demo(DemoArguments),
    /// Check configuration files and name every mistake; exit code 1 if there is one
    CheckConfig(CheckConfigArguments),
    /// Print alert rules for Prometheus, for the configured thresholds
    ///
    /// Rules join the metric `trading_threshold`, so a reload of the exporter changes what they
    /// compare with. With --literal the numbers of the configuration stand in their place.
    Rules(RulesArguments),
    /// Look at a journal, or repair it
    Journal {
        /// What to do with it.
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Print the state as it was at a moment, made of the journal
    ///
    /// Changes nothing and takes no lock: the journal may be one that an exporter is writing to. With
    /// another configuration it shows what that would have made of the same events and the same
    /// decisions of people.
    Replay(ReplayArguments),
    /// Print the SHA-256 of a token, as the configuration wants it
    ///
    /// Reads the token from stdin (one line, so that it stands in no shell history), or makes a
    /// new one.
    HashToken(HashTokenArguments),
    /// Print the version
    Version,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// The configuration file (YAML); without it every default holds
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// Address and port to listen on, instead of `web.listen_address`; port 0 takes a free one
    #[arg(long = "web.listen-address", value_name = "IP:PORT")]
    listen_address: Option<SocketAddr>,
    /// The URL under which people reach it, for links, instead of `web.external_url`
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// Where records are kept, instead of `storage.mode`
    #[arg(long = "storage.mode", value_name = "MODE")]
    storage_mode: Option<StorageModeArgument>,
    /// The directory of the journal, instead of `storage.path`
    #[arg(long = "storage.path", value_name = "DIR")]
    storage_path: Option<PathBuf>,
    /// Serve on an address that others can reach although tokens or TLS are missing
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

impl ServeArguments {
    /// What stands above the configuration file.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            listen_address: self.listen_address,
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
    /// End after this time, such as 30s, and fail if the story did not come true by then
    #[arg(long = "for", value_name = "DURATION", value_parser = demo_duration)]
    pub(super) duration: Option<Duration>,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long = "web.listen-address", value_name = "IP:PORT")]
    pub(super) listen_address: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

/// A time in which the story of the demo can be told.
fn demo_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).ok_or("write it as in 30s, 5m or 1m30s")?;
    if duration < demo::SHORTEST {
        return Err(format!("the story takes {} seconds", demo::SHORTEST.as_secs()));
    }
    Ok(duration)
}

/// Where records are kept.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StorageModeArgument {
    /// On disk: an acknowledged event survives a crash
    Journal,
    /// In memory: a restart forgets everything
    Memory,
}

/// What is logged, and how. Logs go to stderr.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct LogArguments {
    /// The least severe messages that are logged
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub(super) level: LogLevel,
    /// The form of a message
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "text")]
    pub(super) format: LogFormat,
}

/// How severe a message is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogLevel {
    /// What cannot go on
    Error,
    /// What somebody should look at
    Warn,
    /// What happened
    Info,
    /// Connections and requests
    Debug,
    /// Everything
    Trace,
}

/// The form of a message.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object on a line
    Json,
}

/// What to do with a journal.
#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Read every byte of it; exit code 1 at the first damage, with file and offset
    ///
    /// It may be in use.
    Verify(JournalArguments),
    /// Print what was recorded, a line of JSON for each record
    ///
    /// It may be in use. What stands before a damage is printed, and the exit code is 1.
    Inspect(InspectArguments),
    /// Set aside a damage and everything after it, so that the exporter starts again
    ///
    /// What is dropped is kept in files that are named. The exporter must not be running.
    Repair(JournalArguments),
}

/// Arguments of `journal verify` and `journal repair`.
#[derive(Debug, Args)]
pub(super) struct JournalArguments {
    /// The directory of the journal: `storage.path`
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
}

/// Arguments of `journal inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// The directory of the journal: `storage.path`
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
    /// The first record: a sequence, or the time of its receipt as in 2026-11-22T14:30:00Z
    #[arg(long, value_name = "SEQUENCE|TIME", value_parser = record_place)]
    pub(super) from: Option<RecordPlace>,
    /// The last record, written in the same way
    #[arg(long, value_name = "SEQUENCE|TIME", value_parser = record_place)]
    pub(super) to: Option<RecordPlace>,
    /// Only records that name this account
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) account: Option<String>,
    /// Only records of this type: that of an event, tick, check, decision, decided or settings
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) kind: Option<String>,
}

/// A place in the sequence of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordPlace {
    /// The record with that sequence.
    Sequence(u64),
    /// The first or last record received then.
    Time(Timestamp),
}

fn record_place(text: &str) -> Result<RecordPlace, String> {
    if let Ok(sequence) = text.parse() {
        return Ok(RecordPlace::Sequence(sequence));
    }
    parse_rfc3339(text).map(RecordPlace::Time).map_err(|error| error.to_string())
}

/// Arguments of `check-config`.
#[derive(Debug, Args)]
pub(super) struct CheckConfigArguments {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
    /// Accept an address that others can reach although tokens or TLS are missing
    #[arg(long)]
    pub(super) insecure: bool,
}

/// Arguments of `rules`.
#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    /// Put the thresholds in place as numbers
    #[arg(long)]
    pub(super) literal: bool,
    /// The configuration file (YAML) with the thresholds; without it every default holds
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// Write one file for each topic into this directory, instead of all rules to stdout
    #[arg(long = "output.dir", value_name = "DIR")]
    pub(super) output_dir: Option<PathBuf>,
    /// Where links to runbooks lead, instead of the page of the exporter itself
    #[arg(long = "runbook.url", value_name = "URL")]
    pub(super) runbook_url: Option<String>,
    /// Where Grafana is, for links to dashboards
    #[arg(long = "grafana.url", value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub(super) grafana_url: String,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// The directory of the journal
    #[arg(long, value_name = "DIR")]
    pub(super) journal: PathBuf,
    /// The last record that counts: its sequence, or a time in RFC 3339; the newest if missing
    #[arg(long, value_name = "TIME|SEQ", value_parser = super::replay::parse_until)]
    pub(super) until: Option<Until>,
    /// Judge by this configuration instead of the one that was in force
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// What to print
    #[arg(long, value_name = "WHAT", default_value = "metrics")]
    pub(super) output: ReplayOutput,
    /// Read the whole journal, and no snapshot
    #[arg(long)]
    pub(super) full: bool,
}

/// A moment of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// The record of that sequence.
    Sequence(u64),
    /// The last record received at that time or before.
    Time(Timestamp),
}

/// What `replay` prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ReplayOutput {
    /// The text of /metrics, without what the exporter says of itself
    Metrics,
    /// The state as JSON
    State,
}

/// Arguments of `hash-token`.
#[derive(Debug, Args)]
pub(super) struct HashTokenArguments {
    /// Make a new token of 256 random bits, and print it on stderr
    #[arg(long)]
    pub(super) generate: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
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
                listen_address: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
                storage_mode: Some(StorageMode::Memory),
                insecure: true,
                ..Overrides::default()
            };
            assert_eq!(serve.overrides(), expect, "{line}");
        };
        let flags = "--config.file=x.yml --web.listen-address 127.0.0.1:0 \
                     --storage.mode=memory --insecure";
        check(&format!("trading-exporter {flags}"));
        check(&format!("trading-exporter serve {flags}"));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let check = |line: &str| {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        };
        check("trading-exporter --web.listen_address=127.0.0.1:0");
        check("trading-exporter --web.listen-address=10471");
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
        check("trading-exporter sing");
    }
}
