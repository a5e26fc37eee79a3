//! YAML text as a tree of located nodes.
//!
//! Input: YAML text. Output: [`YamlNode`]s, each with its line; a scalar keeps its text as written, so
//! that decimals never pass through a float. Invariants: one document; no merge keys; bounded
//! depth. Deliberately absent: types (see `scalar`), names of fields (see `section`), excerpts of
//! the text in errors, which could show a secret.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned};

/// Nesting of the text; the configuration itself needs six.
const DEPTH_MAX: usize = 32;

/// A value and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct YamlNode {
    /// Line of the first character, from 1.
    pub(super) line: u64,
    pub(super) value: YamlValue,
}

/// The value of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum YamlValue {
    /// No value, `null` or `~`.
    Null,
    /// A single value, as written (without quotes).
    Scalar(String),
    /// A list.
    List(Vec<YamlNode>),
    /// A map in the order of the text; a name may appear twice.
    Map(Vec<MapEntry>),
}

/// A field of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MapEntry {
    pub(super) name: String,
    /// Line of the name.
    pub(super) line: u64,
    pub(super) node: YamlNode,
}

/// Why a text is not YAML that we accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// The line, if known.
    pub(super) line: Option<u64>,
    /// The reason; never an excerpt of the text.
    pub(super) message: String,
}

/// Parses one document; an empty one is [`YamlValue::Null`].
pub(super) fn parse(text: &str) -> Result<YamlNode, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    };
    let raw: Option<Spanned<RawNode>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|e| SyntaxError { line: e.location().map(|at| at.line()), message: plain(&e) })?;
    raw.map_or(Ok(YamlNode { line: 1, value: YamlValue::Null }), |raw| resolve(raw, text))
}

/// The message without the place, which the caller adds in its own form.
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let at = error.location().map(|l| format!(" at line {}, column {}", l.line(), l.column()));
    at.and_then(|at| text.strip_suffix(&at).map(String::from)).unwrap_or(text)
}

/// A node as serde delivers it. Serde parses a plain scalar that looks like a number or a boolean, but we
/// need its text. So `Plain` holds no value, and [`source`] takes the text from the document.
enum RawNode {
    Null,
    Plain,
    Text(String),
    List(Vec<Spanned<RawNode>>),
    Map(Vec<(Spanned<RawNode>, Spanned<RawNode>)>),
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawNodeVisitor)
    }
}

struct RawNodeVisitor;

impl<'de> Visitor<'de> for RawNodeVisitor {
    type Value = RawNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: Error>(self) -> Result<RawNode, E> {
        Ok(RawNode::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<RawNode, E> {
        Ok(RawNode::Plain)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<RawNode, E> {
        Ok(RawNode::Plain)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<RawNode, E> {
        Ok(RawNode::Plain)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<RawNode, E> {
        Ok(RawNode::Plain)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<RawNode, E> {
        Ok(RawNode::Plain)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<RawNode, E> {
        Ok(RawNode::Plain)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawNode, E> {
        Ok(RawNode::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawNode, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawNode::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawNode, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(RawNode::Map(entries))
    }
}

fn resolve(raw: Spanned<RawNode>, text: &str) -> Result<YamlNode, SyntaxError> {
    let line = raw.referenced.line();
    let value = match raw.value {
        RawNode::Null => YamlValue::Null,
        RawNode::Plain => {
            YamlValue::Scalar(source(&raw.defined, text).unwrap_or_default().to_owned())
        }
        RawNode::Text(text) => YamlValue::Scalar(text),
        RawNode::List(items) => {
            YamlValue::List(items.into_iter().map(|n| resolve(n, text)).collect::<Result<_, _>>()?)
        }
        RawNode::Map(entries) => YamlValue::Map(
            entries
                .into_iter()
                .map(|(key, node)| entry(key, node, text))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(YamlNode { line, value })
}

fn entry(
    key: Spanned<RawNode>,
    node: Spanned<RawNode>,
    text: &str,
) -> Result<MapEntry, SyntaxError> {
    let key = resolve(key, text)?;
    let YamlValue::Scalar(name) = key.value else {
        let message = String::from("the name of a field must be text");
        return Err(SyntaxError { line: Some(key.line), message });
    };
    Ok(MapEntry { name, line: key.line, node: resolve(node, text)? })
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
            let YamlValue::Map(entries) = node.value else { panic!("a map") };
            assert_eq!(entries[0].node.value, YamlValue::Scalar(expect.to_owned()), "{text}");
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
    fn an_empty_document_is_null() {
        for text in ["", "# a comment\n", "null", "~"] {
            assert_eq!(parse(text).expect("YAML").value, YamlValue::Null, "{text:?}");
        }
    }

    #[test]
    fn aliases_are_followed() {
        let YamlValue::Map(entries) = parse("a: &x 0.30\nb: *x\n").expect("YAML").value else {
            panic!("a map")
        };
        assert_eq!(
            entries[1].node,
            YamlNode { line: 2, value: YamlValue::Scalar("0.30".to_owned()) }
        );
    }

    #[test]
    fn syntax_errors_have_a_line() {
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
