//! `check-config`: every mistake of every file, before a reload meets it.

use super::args::CheckConfigArguments;
use super::{Failure, write_err, write_out};
use crate::app::chain;
use crate::config::{Config, Overrides};

/// Checks each file. A good one is named on stdout, what is wrong with the others on stderr.
pub(super) fn run(arguments: &CheckConfigArguments) -> Result<(), Failure> {
    let mut result = Ok(());
    for file in &arguments.files {
        let overrides = Overrides { insecure: arguments.insecure, ..Overrides::default() };
        match Config::load(Some(file), overrides) {
            Ok(_) => write_out(&format!("{}: ok\n", file.display()))?,
            Err(error) => {
                write_err(&format!("{}: {}\n", file.display(), chain(&error)));
                result = Err(Failure::Said);
            }
        }
    }
    result
}
