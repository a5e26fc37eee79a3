//! `signature`: how each request is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json_api::header_name;
use super::secret;
use crate::config::scalar::{ValueError, choice, text, word};
use crate::config::section::Section;
use crate::config::yaml::YamlNode;
use crate::config::{
    Environment, HeaderSignature, HiddenBytes, RequestSignature, SignatureEncoding,
    SignatureScheme, TimestampForm,
};

/// The parts that a signed text may name.
const PARTS: [&str; 6] = ["timestamp", "key", "method", "path", "query", "body"];
/// The text that most APIs sign.
const MESSAGE: &str = "{timestamp}{method}{path}{body}";

/// The schemes of the text.
#[derive(Clone, Copy, PartialEq)]
enum Scheme {
    Query,
    Header,
    Kraken,
}

pub(super) fn read(s: &mut Section<'_>, environment: &Environment) -> Option<RequestSignature> {
    let schemes =
        [("query", Scheme::Query), ("header", Scheme::Header), ("kraken", Scheme::Kraken)];
    let scheme = s.require("scheme", word(&schemes))?;
    let mut key_header = (scheme == Scheme::Kraken).then(|| String::from("API-Key"));
    s.set("key_header", &mut key_header, |node| header(node).map(Some));
    let key = if s.has("key_file") || key_header.is_some() {
        Some(secret(s, "key_file", environment)?)
    } else {
        s.set("key_file", &mut (), |_| Ok(()));
        None
    };
    let encoded = secret(s, "secret_file", environment)?;
    let mut encoding = (scheme == Scheme::Kraken).then_some(SignatureEncoding::Base64);
    let encodings = [("text", None), ("base64", Some(SignatureEncoding::Base64))];
    s.set("secret_encoding", &mut encoding, word(&encodings));
    let secret = match encoding {
        None | Some(SignatureEncoding::Hex) => encoded.as_str().as_bytes().to_vec(),
        Some(SignatureEncoding::Base64) => {
            let Ok(bytes) = STANDARD.decode(encoded.as_str()) else {
                s.wrong("secret_file", "the content must be base64");
                return None;
            };
            bytes
        }
    };
    let scheme = match scheme {
        Scheme::Query => SignatureScheme::Query,
        Scheme::Kraken => SignatureScheme::Kraken,
        Scheme::Header => SignatureScheme::Header(header_signature(s)?),
    };
    let key = match (key_header, key) {
        (Some(header), Some(key)) => Some((header, key)),
        // A key that only the signed text names.
        (None, Some(key)) => Some((String::new(), key)),
        (_, None) => None,
    };
    Some(RequestSignature { key, secret: HiddenBytes::new(secret), scheme })
}

fn header_signature(s: &mut Section<'_>) -> Option<HeaderSignature> {
    let mut message = MESSAGE.to_owned();
    s.set("message", &mut message, message_text);
    let mut timestamp = TimestampForm::Seconds;
    s.set("timestamp", &mut timestamp, choice);
    let timestamp_header = s.require("timestamp_header", header);
    let signature_header = s.require("signature_header", header);
    let mut encoding = SignatureEncoding::Hex;
    s.set("encoding", &mut encoding, choice);
    Some(HeaderSignature {
        message,
        timestamp,
        timestamp_header: timestamp_header?,
        signature_header: signature_header?,
        encoding,
    })
}

fn header(node: &YamlNode) -> Result<String, ValueError> {
    header_name(text(node)?)
}

/// A text with parts in braces.
fn message_text(node: &YamlNode) -> Result<String, ValueError> {
    let message = text(node)?;
    let mut rest = message;
    while let Some((_, after)) = rest.split_once('{') {
        let (part, after) = after.split_once('}').unwrap_or((after, ""));
        if !PARTS.contains(&part) {
            let known = PARTS.map(|part| format!("{{{part}}}")).join(", ");
            return Err(ValueError(format!("has {{{part}}}; known here: {known}")));
        }
        rest = after;
    }
    if message.len() > 512 || !message.contains("{timestamp}") {
        return Err(ValueError::must("at most 512 bytes and hold {timestamp}"));
    }
    Ok(message.to_owned())
}
