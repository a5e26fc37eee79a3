//! `try-source`: asks a position source once, and shows what it understood. Nothing is recorded.

use std::fmt::Write;

use super::args::TrySourceArguments;
use super::{Failure, write_err, write_out};
use crate::app::try_source;
use crate::config::{Config, Overrides};
use crate::domain::event::{Body, Event};

/// Prints the rows of each list to stdout, and failures to stderr.
pub(super) fn run(arguments: &TrySourceArguments) -> Result<(), Failure> {
    // How the exporter would serve is not the question here.
    let overrides = Overrides { insecure: true, ..Overrides::default() };
    let config = Config::load(Some(&arguments.config_file), overrides)?;
    let source = config.position_sources.iter().find(|source| source.name == arguments.name);
    let Some(source) = source else {
        let names: Vec<&str> = config.position_sources.iter().map(|s| s.name.as_str()).collect();
        let known = if names.is_empty() { String::from("none") } else { names.join(", ") };
        write_err(&format!("{}: there is no such source; known: {known}\n", arguments.name));
        return Err(Failure::Reported);
    };
    let mut result = Ok(());
    for side in try_source(source)? {
        let role = side.role.as_str();
        match side.result {
            Ok(event) => write_out(&format!("{role} of {}: {}", source.account, table(&event)))?,
            Err(failure) => {
                write_err(&format!("{role} of {}: failed: {}\n", source.account, failure.why));
                result = Err(Failure::Reported);
            }
        }
    }
    result
}

/// The rows, one a line.
fn table(event: &Event) -> String {
    let Body::Positions(positions) = &event.body else { return String::from("\n") };
    let count = positions.rows.len();
    let mut text = format!("{count} {}\n", if count == 1 { "position" } else { "positions" });
    for row in &positions.rows {
        // Writing into a string cannot fail.
        write!(text, "  {:<24} {:>20}", row.symbol.as_str(), row.quantity).ok();
        for (name, price) in [("average", row.average_price), ("market", row.market_price)] {
            if let Some(price) = price {
                write!(text, "  {name} {price}").ok();
            }
        }
        text.push('\n');
    }
    text
}
