//! The command line: arguments in, an exit code out.
//!
//! Exit codes: 0 success (also after a signal and a complete drain); 1 failure, with the reason on
//! stderr; 2 wrong arguments. Results go to stdout, everything else to stderr. Deliberately absent:
//! the service that a configuration describes (see `crate::app`).

mod args;
mod check_config;
mod demo;
mod evaluate;
mod hash_token;
mod journal;
mod log;
mod replay;
mod rules;
mod serve;
mod try_adapter;
mod try_source;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::app::chain;
use args::{Arguments, Command};

/// Exit code for wrong arguments.
const USAGE: u8 = 2;

/// Why a command failed. Printed to stderr, with its sources.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    App(#[from] crate::app::AppError),
    #[error("cannot replay")]
    Replay(#[from] crate::engine::RecoverError),
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),
    /// Reading stdin or writing stdout failed.
    #[error("cannot {doing}")]
    Terminal {
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {path}")]
    Read {
        path: std::path::PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Body(#[from] crate::wire::contract::error::BodyError),
    #[error("the configuration has no mapping {0:?} under csv")]
    NoMapping(String),
    #[error("cannot write {path}")]
    Write {
        path: std::path::PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Journal(#[from] crate::journal::LogError),
    #[error("record {sequence} cannot be shown")]
    Record {
        sequence: u64,
        #[source]
        source: crate::engine::CodecError,
    },
    #[error("the system provides no random bytes: {0}")]
    Random(getrandom::Error),
    #[error("{0}")]
    Token(&'static str),
    /// The command has printed its errors itself.
    #[error("")]
    Reported,
}

/// Runs the command that the arguments of the process name. Returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse_from(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            // If stdout and stderr are closed, only the exit code is left.
            error.print().ok();
            return code;
        }
    };
    let result = match arguments.command {
        None => serve::run(arguments.serve),
        Some(Command::Serve(serve)) => serve::run(*serve),
        Some(Command::Demo(demo)) => demo::run(&demo),
        Some(Command::CheckConfig(check)) => check_config::run(&check),
        Some(Command::Rules(rules)) => rules::run(&rules),
        Some(Command::Journal { command }) => journal::run(&command),
        Some(Command::Replay(replay)) => replay::run(&replay),
        Some(Command::HashToken(hash)) => hash_token::run(&hash),
        Some(Command::TryAdapter(arguments)) => try_adapter::run(&arguments),
        Some(Command::TrySource(arguments)) => try_source::run(&arguments),
        Some(Command::EvaluateExpression) => evaluate::run(),
        Some(Command::Version) => write_out(&format!("{}\n", args::VERSION)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Reported) => ExitCode::FAILURE,
        Err(failure) => {
            write_err(&format!("trading-exporter: {}\n", chain(&failure)));
            ExitCode::FAILURE
        }
    }
}

/// Writes a result to stdout.
fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Failure::Terminal { doing: "write to stdout", source })
}

/// Writes to stderr. If it is closed, only the exit code is left.
fn write_err(text: &str) {
    io::stderr().write_all(text.as_bytes()).ok();
}
