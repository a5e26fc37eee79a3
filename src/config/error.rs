//! Mistakes in a configuration, each with its place.

use std::fmt;
use std::path::PathBuf;

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The field, like `drift.overrides[2].quantity.minor`; empty: the text as a whole.
    pub path: String,
    /// The line of the text, from 1, if known.
    pub line: Option<u64>,
    /// The reason. Never contains the value of a field that may hold a secret.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// All mistakes, in the order of their lines; those without a line come last.
    #[error("{}", list(.0))]
    Mistakes(Vec<Mistake>),
}

impl ConfigError {
    /// The mistakes; empty if the file could not be read.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        match self {
            Self::Read { .. } => &[],
            Self::Mistakes(mistakes) => mistakes,
        }
    }
}

/// A line with the number of mistakes, then one line for each.
fn list(mistakes: &[Mistake]) -> String {
    let mut text = match mistakes.len() {
        1 => String::from("the configuration has 1 mistake:"),
        count => format!("the configuration has {count} mistakes:"),
    };
    for mistake in mistakes {
        text.push_str("\n  ");
        text.push_str(&mistake.to_string());
    }
    text
}
