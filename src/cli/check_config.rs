//! `check-config`: reports every mistake in configuration files before the exporter loads them.

use super::args::CheckConfigArguments;
use super::{Failure, write_err, write_out};
use crate::app::chain;
use crate::config::{Config, Overrides};

/// Checks each file. Valid files are listed on stdout, the mistakes of the others on stderr.
pub(super) fn run(arguments: &CheckConfigArguments) -> Result<(), Failure> {
    let mut result = Ok(());
    for file in &arguments.files {
        let overrides = Overrides { insecure: arguments.insecure, ..Overrides::default() };
        match Config::load(Some(file), overrides) {
            Ok(_) => write_out(&format!("{}: ok\n", file.display()))?,
            Err(error) => {
                write_err(&format!("{}: {}\n", file.display(), chain(&error)));
                result = Err(Failure::Reported);
            }
        }
    }
    result
}
