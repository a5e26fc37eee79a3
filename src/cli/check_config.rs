//! `check-config`: reports every mistake in configuration files before the exporter loads them.

use std::path::Path;

use super::args::CheckConfigArguments;
use super::{Failure, write_err, write_out};
use crate::app::chain;
use crate::config::{Config, ConfigError, Overrides, WebFile};

/// Checks each file. Valid files are listed on stdout, the mistakes of the others on stderr.
pub(super) fn run(arguments: &CheckConfigArguments) -> Result<(), Failure> {
    let mut result = Ok(());
    let mut say = |file: &Path, checked: Result<(), ConfigError>| {
        let Err(error) = checked else { return write_out(&format!("{}: ok\n", file.display())) };
        write_err(&format!("{}: {}\n", file.display(), chain(&error)));
        result = Err(Failure::Reported);
        Ok(())
    };
    if let Some(file) = arguments.web_config_file.as_deref().filter(|_| arguments.files.is_empty())
    {
        say(file, WebFile::load(file).map(drop).map_err(ConfigError::Mistakes))?;
    }
    for file in &arguments.files {
        let overrides = Overrides {
            insecure: arguments.insecure,
            web_config_file: arguments.web_config_file.clone(),
            ..Overrides::default()
        };
        say(file, Config::load(Some(file), overrides).map(drop))?;
    }
    result
}
