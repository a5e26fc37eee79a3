//! `try-adapter`: shows the events that messages of another system become, without sending anything.

use std::io::{self, Read};
use std::path::Path;

use super::args::TryAdapterArguments;
use super::{Failure, write_err, write_out};
use crate::adapters::{
    AdaptedBody, AdapterMemory, AdapterOptions, ForeignForm, NothingKnown, adapt,
};
use crate::wire::decode::DecodeLimits;
use crate::wire::encode::encode;

/// Prints the events to stdout, and what became none to stderr.
pub(super) fn run(arguments: &TryAdapterArguments) -> Result<(), Failure> {
    let body = read(&arguments.file)?;
    let options = AdapterOptions {
        account: arguments.account.clone(),
        role: arguments.role,
        sender: String::new(),
    };
    let memory = AdapterMemory::default();
    let limits = DecodeLimits { events_max: usize::MAX, ..DecodeLimits::default() };
    let adapt_one = |body: &[u8], form| {
        adapt(arguments.name, (body, form), &options, (&NothingKnown, &memory), &limits)
    };
    if !arguments.form {
        return print(&adapt_one(&body, ForeignForm::Text)?, 1);
    }
    let mut result = Ok(());
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    for (line, number) in lines.zip(1..) {
        match print(&adapt_one(line, ForeignForm::Fields)?, number) {
            Err(Failure::Reported) => result = Err(Failure::Reported),
            other => other?,
        }
    }
    result
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

/// Prints what a body became. `first` is the number of its first message.
fn print(adapted: &AdaptedBody, first: usize) -> Result<(), Failure> {
    let AdaptedBody { decoded, ignored, known, .. } = adapted;
    for (_, event) in &decoded.events {
        write_out(&format!("{}\n", String::from_utf8_lossy(&encode(event))))?;
    }
    for message in ignored {
        write_err(&format!("message {}: ignored: {}\n", message.index + first, message.why));
    }
    if *known > 0 {
        write_err(&format!("{known} messages were sent twice\n"));
    }
    for error in &decoded.refused {
        let number = error.index + first;
        write_err(&format!(
            "message {number}: refused: {}: {}\n",
            error.code.as_str(),
            error.message
        ));
    }
    if decoded.refused.is_empty() { Ok(()) } else { Err(Failure::Reported) }
}
