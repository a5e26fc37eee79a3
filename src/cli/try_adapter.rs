//! `try-adapter`: shows the events that messages of another system become, without sending anything.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::args::TryAdapterArguments;
use super::{Failure, write_err, write_out};
use crate::adapters::{AdaptedBody, AdapterOptions, CsvMapping, ForeignForm, NothingKnown, adapt};
use crate::config::{Config, Overrides};
use crate::wire::decode::DecodeLimits;
use crate::wire::encode::encode;

/// Prints the events to stdout, and what became none to stderr.
pub(super) fn run(arguments: &TryAdapterArguments) -> Result<(), Failure> {
    let body = read(&arguments.file)?;
    let options = AdapterOptions {
        account: arguments.account.clone(),
        role: arguments.role,
        csv: mapping(arguments)?,
    };
    let limits = DecodeLimits { events_max: usize::MAX, ..DecodeLimits::default() };
    let form = if arguments.form { ForeignForm::Fields } else { ForeignForm::Text };
    print(&adapt(arguments.name, (&body, form), &options, &NothingKnown, &limits)?)
}

/// The mapping that `--mapping` names.
fn mapping(arguments: &TryAdapterArguments) -> Result<Arc<CsvMapping>, Failure> {
    let Some(name) = &arguments.mapping else { return Ok(Arc::default()) };
    let config = Config::load(arguments.config.as_deref(), Overrides::default())?;
    let found = config.csv.iter().find(|mapping| mapping.name == *name);
    found.cloned().ok_or_else(|| Failure::NoMapping(name.clone()))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file != Path::new("-") {
        let path = file.to_owned();
        return std::fs::read(file).map_err(|source| Failure::Read { path, source });
    }
    let mut body = Vec::new();
    let done = io::stdin().read_to_end(&mut body);
    done.map_err(|source| Failure::Terminal { doing: "read messages from stdin", source })?;
    Ok(body)
}

/// Prints the outcome of a body.
fn print(adapted: &AdaptedBody) -> Result<(), Failure> {
    let AdaptedBody { decoded, ignored, known, .. } = adapted;
    for (_, event) in &decoded.events {
        write_out(&format!("{}\n", String::from_utf8_lossy(&encode(event))))?;
    }
    for message in ignored {
        write_err(&format!("message {}: ignored: {}\n", message.index + 1, message.why));
    }
    if *known > 0 {
        write_err(&format!("{known} messages were sent twice\n"));
    }
    for error in &decoded.refused {
        let number = error.index + 1;
        write_err(&format!(
            "message {number}: refused: {}: {}\n",
            error.code.as_str(),
            error.message
        ));
    }
    if decoded.refused.is_empty() { Ok(()) } else { Err(Failure::Reported) }
}
