//! `serve`: runs the exporter.

use super::args::ServeArguments;
use super::{Failure, log};
use crate::app::{self, ConfigSource, Supervisor};

/// Serves until a signal arrives.
pub(super) fn run(arguments: ServeArguments) -> Result<(), Failure> {
    log::init(arguments.log);
    let source = ConfigSource { overrides: arguments.overrides(), file: arguments.config_file };
    let config = source.load()?;
    Ok(app::main(config, source, Supervisor::from_variables(|name| std::env::var_os(name)))?)
}
