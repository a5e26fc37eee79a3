//! Expressions in the language of jq, which map the answer of an API to rows of positions.
//!
//! Input: the text of an expression from the configuration, and an answer as JSON. Output: rows, or the
//! reason why there are none. Invariants: an expression reads nothing but the answer: no file, no variable
//! of the environment, no clock; a number keeps every digit that the answer gave it, and one that
//! floating-point arithmetic has rounded is refused. Deliberately absent: a bound on time and memory.
//!
//! # Design
//!
//! - *An expression may run for ever* (`def f: f; f`), take any memory (`[range(1e18)]`) or overflow the
//!   stack (`def f: 1 + f; f`), and no check of its text can know. So the exporter never calls
//!   [`Expression::evaluate`] itself: it starts its own program again for each answer, with limits of the
//!   operating system, and kills it at a deadline (`crate::app::expressions`, `crate::cli::evaluate`).
//! - *Numbers.* The interpreter keeps the text of decimals and has integers of any size. Its arithmetic is
//!   floating-point, apart from that of integers, so there are two more filters: `negate`, and `exact_sum`
//!   of an array.

mod filters;
mod preset;
mod rows;
#[cfg(test)]
mod tests;

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, compile, data, unwrap_valr};
use jaq_json::{Val, read};
use serde::{Deserialize, Serialize};

pub use preset::Preset;

/// Bytes of an expression, at most.
pub const EXPRESSION_BYTES_MAX: usize = 8 << 10;
/// Nested brackets of an expression, at most: the parser is recursive.
const NESTING_MAX: usize = 64;

/// The compiled form.
type Filter = jaq_core::compile::Filter<jaq_core::Native<data::JustLut<Val>>>;

/// An expression that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression(String);

/// One position, as an expression gives it. Numbers are texts, so that they keep every digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpressionRow {
    /// The instrument.
    pub symbol: String,
    /// The signed quantity.
    pub quantity: String,
    /// The average entry price.
    pub average_price: Option<String>,
    /// The current price.
    pub market_price: Option<String>,
}

impl Expression {
    /// Checks a text.
    ///
    /// # Errors
    /// The mistake and its place, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(format!("must have at most {EXPRESSION_BYTES_MAX} bytes"));
        }
        if nesting(text) > NESTING_MAX {
            return Err(format!("must have at most {NESTING_MAX} brackets inside one another"));
        }
        compile(text).map(|_| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rows of an answer. This may never return, and may end the process: see the head of this file.
    ///
    /// # Errors
    /// The reason, as a sentence without a full stop.
    pub fn evaluate(&self, answer: &[u8]) -> Result<Vec<ExpressionRow>, String> {
        check_json(answer)?;
        let input = read::parse_single(answer)
            .map_err(|error| format!("the answer is not JSON: {error}"))?;
        let filter = compile(&self.0)?;
        let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
        let mut outputs = filter.id.run((context, input)).map(unwrap_valr);
        let one = match outputs.next() {
            None => return Err(String::from("the expression gives nothing, not an array")),
            Some(Err(error)) => return Err(format!("the expression fails: {}", rows::cut(&error))),
            Some(Ok(value)) => value,
        };
        if outputs.next().is_some() {
            let why = "the expression gives several values: put it in brackets for one array";
            return Err(String::from(why));
        }
        rows::of(&one)
    }
}

/// Checks that an answer is JSON: the reader of the interpreter takes more than that.
///
/// # Errors
/// The reason, as a sentence without a full stop.
pub fn check_json(answer: &[u8]) -> Result<(), String> {
    let checked = serde_json::from_slice::<serde::de::IgnoredAny>(answer);
    checked.map(drop).map_err(|error| format!("the answer is not JSON: {error}"))
}

/// The most brackets that are open at once; those in texts count as well.
fn nesting(text: &str) -> usize {
    let mut open: usize = 0;
    text.bytes().fold(0, |deepest, byte| {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest.max(open)
    })
}

fn compile(text: &str) -> Result<Filter, String> {
    let arena = Arena::default();
    let loader = Loader::new(filters::definitions());
    let modules = loader
        .load(&arena, File { code: text, path: () })
        .map_err(|errors| load_mistake(text, &errors))?;
    let compiler = Compiler::default().with_funs(filters::natives());
    compiler.compile(modules).map_err(|errors| unknown_name(text, &errors))
}

/// The first mistake of a text that cannot be parsed.
fn load_mistake(text: &str, errors: &load::Errors<&str, ()>) -> String {
    let Some((_, error)) = errors.first() else { return String::from("cannot be read") };
    match error {
        load::Error::Io(_) => String::from("must not import a module"),
        load::Error::Lex(found) => found.first().map_or_else(String::new, |(expected, rest)| {
            format!("must have {} {}", expected.as_str(), place(text, rest))
        }),
        load::Error::Parse(found) => found.first().map_or_else(String::new, |(expected, rest)| {
            format!("must have {} {}", expected.as_str(), place(text, rest))
        }),
    }
}

/// The first name that is not defined.
fn unknown_name(text: &str, errors: &compile::Errors<&str, ()>) -> String {
    let first = errors.iter().find_map(|(_, found)| found.first());
    first.map_or_else(String::new, |(name, kind)| {
        format!("names the unknown {} `{name}` {}", kind.as_str(), place(text, name))
    })
}

/// Line and column of a part of a text; the end for a part that is empty.
fn place(text: &str, part: &str) -> String {
    let inside = text.as_bytes().as_ptr_range().contains(&part.as_ptr());
    if part.is_empty() || !inside {
        return String::from("at its end");
    }
    let before = text.get(..load::span(text, part).start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("at line {line}, column {column} of the expression")
}
