//! The command line: arguments in, an exit code out.
//!
//! Exit codes: 0 all is well (also after a signal and a complete drain); 1 it failed, and a line on
//! stderr says why; 2 the arguments are wrong. Results go to stdout, all else to stderr.
//! Deliberately absent: what the commands do with a configuration (see `crate::app`).

mod args;
mod check_config;
mod demo;
mod hash_token;
mod journal;
mod log;
mod replay;
mod rules;
mod serve;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::app::chain;
use args::{Arguments, Command};

/// The arguments are wrong.
const USAGE: u8 = 2;

/// Why a command failed; what it says is shown to whoever called it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// Serving failed.
    #[error(transparent)]
    App(#[from] crate::app::AppError),
    /// The journal cannot be replayed.
    #[error("cannot replay")]
    Replay(#[from] crate::engine::RecoverError),
    /// The demo failed.
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),
    /// Reading or writing at the terminal failed.
    #[error("cannot {doing}")]
    Terminal {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The journal cannot be read or repaired.
    #[error(transparent)]
    Journal(#[from] crate::journal::LogError),
    /// A record of the journal cannot be shown.
    #[error("record {sequence} cannot be shown")]
    Record {
        /// Its sequence.
        sequence: u64,
        /// Why.
        #[source]
        source: crate::engine::CodecError,
    },
    /// There is no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// A token that nobody should use.
    #[error("{0}")]
    Token(&'static str),
    /// It was said already, in more than one line.
    #[error("")]
    Said,
}

/// Parses the arguments of the process, runs the command, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse_from(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            // Nobody is left to tell when stdout and stderr are closed.
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
        Some(Command::Version) => write_out(&format!("{}\n", args::VERSION)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said) => ExitCode::FAILURE,
        Err(failure) => {
            write_err(&format!("trading-exporter: {}\n", chain(&failure)));
            ExitCode::FAILURE
        }
    }
}

/// Writes a result.
fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Failure::Terminal { doing: "write to stdout", source })
}

/// Writes what went wrong. If stderr is closed, the exit code has to do.
fn write_err(text: &str) {
    io::stderr().write_all(text.as_bytes()).ok();
}
