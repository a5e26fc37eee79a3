//! YAML text as a tree of located nodes.
//!
//! Input: YAML text. Output: [`Node`]s, each with its line; a scalar keeps its text as written, so
//! that decimals never pass through a float. Invariants: one document; no merge keys; bounded
//! depth. Deliberately absent: types (see `scalar`), names of fields (see `section`), excerpts of
//! the text in errors, which could show a secret.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned};

/// Nesting of the text; the configuration itself needs six.
const DEPTH_MAX: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Line of its first character, from 1.
    pub(super) line: u64,
    /// What it is.
    pub(super) value: Value,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// A single value, as written (without quotes).
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the text; names may come twice.
    Map(Vec<Entry>),
}

/// A name in a map and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name.
    pub(super) name: String,
    /// Line of the name.
    pub(super) line: u64,
    /// The value.
    pub(super) node: Node,
}

/// Why text is no YAML that we read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Where, if known.
    pub(super) line: Option<u64>,
    /// What is wrong; never an excerpt.
    pub(super) message: String,
}

/// Parses one document; an empty one is [`Value::Null`].
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    };
    let raw: Option<Spanned<Raw>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|e| SyntaxError { line: e.location().map(|at| at.line()), message: plain(&e) })?;
    raw.map_or(Ok(Node { line: 1, value: Value::Null }), |raw| resolve(raw, text))
}

/// The message without the place, which the caller says in its own way.
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let at = error.location().map(|l| format!(" at line {}, column {}", l.line(), l.column()));
    at.and_then(|at| text.strip_suffix(&at).map(String::from)).unwrap_or(text)
}

/// What serde sees. A plain scalar that looks like a number comes as a number: its text is taken
/// from the source instead.
enum Raw {
    Null,
    Plain,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

fn resolve(raw: Spanned<Raw>, text: &str) -> Result<Node, SyntaxError> {
    let line = raw.referenced.line();
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Plain => Value::Scalar(source(&raw.defined, text).unwrap_or_default().to_owned()),
        Raw::Text(text) => Value::Scalar(text),
        Raw::List(items) => {
            Value::List(items.into_iter().map(|n| resolve(n, text)).collect::<Result<_, _>>()?)
        }
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, node)| entry(key, node, text))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Node { line, value })
}

fn entry(key: Spanned<Raw>, node: Spanned<Raw>, text: &str) -> Result<Entry, SyntaxError> {
    let key = resolve(key, text)?;
    let Value::Scalar(name) = key.value else {
        let message = String::from("the name of a field must be text");
        return Err(SyntaxError { line: Some(key.line), message });
    };
    Ok(Entry { name, line: key.line, node: resolve(node, text)? })
}

fn source<'t>(at: &serde_saphyr::Location, text: &'t str) -> Option<&'t str> {
    let span = at.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    text.get(start..start.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_their_text() {
        let check = |text: &str, expect: &str| {
            let node = parse(&format!("# é\nkey: {text}\nlast: 1\n")).expect("YAML");
            let Value::Map(entries) = node.value else { panic!("a map") };
            assert_eq!(entries[0].node.value, Value::Scalar(expect.to_owned()), "{text}");
            assert_eq!((entries[0].line, entries[0].node.line), (2, 2), "{text}");
        };
        check("0.10", "0.10");
        check("0.000000000000000001", "0.000000000000000001");
        check("1e400", "1e400");
        check("-5  # five", "-5");
        check("'0.1'", "0.1");
        check("\"8MiB\"", "8MiB");
        check("1m30s", "1m30s");
        check("off", "off");
        check("true", "true");
        check("007", "007");
        check("BTC/USDT:USDT", "BTC/USDT:USDT");
        check("123456789012345678901234567890123456789012345678", &"1234567890".repeat(5)[..48]);
    }

    #[test]
    fn nothing_is_null() {
        for text in ["", "# a comment\n", "null", "~"] {
            assert_eq!(parse(text).expect("YAML").value, Value::Null, "{text:?}");
        }
    }

    #[test]
    fn aliases_are_followed() {
        let Value::Map(entries) = parse("a: &x 0.30\nb: *x\n").expect("YAML").value else {
            panic!("a map")
        };
        assert_eq!(entries[1].node, Node { line: 2, value: Value::Scalar("0.30".to_owned()) });
    }

    #[test]
    fn syntax_errors_say_where() {
        let check = |text: &str, line: Option<u64>| {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text:?}: {}", error.message);
            assert!(!error.message.contains("s3cret"), "{}", error.message);
        };
        check("a: [s3cret", Some(1));
        check("a: 1\nb: 's3cret", Some(2));
        check("a: 1\n---\nb: s3cret\n", Some(3));
        check("a: *s3cret_\n", Some(1));
        check("<<: {a: 1}\n", Some(1));
        check("? [s3cret]\n: 1\n", Some(1));
        check("a:\n\t- s3cret\n", Some(2));
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
