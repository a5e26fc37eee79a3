//! `signature`: how each request is signed.

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json_api::header_name;
use super::{SECRET_BYTES_MAX, secret};
use crate::config::read::{DAY, SECOND};
use crate::config::scalar::{ValueError, choice, duration, path, text, word};
use crate::config::section::Section;
use crate::config::yaml::YamlNode;
use crate::config::{
    Environment, HeaderSignature, HiddenBytes, RequestSignature, SignatureEncoding,
    SignatureScheme, TimestampForm, TokenAlgorithm, TokenClaims, read_bounded,
};

/// The parts that a signed text may name.
const PARTS: [&str; 6] = ["timestamp", "key", "method", "path", "query", "body"];
/// Claims of a token, at most, and bytes of one.
const CLAIMS_MAX: usize = 32;
const CLAIM_BYTES_MAX: usize = 1 << 10;
/// Default lifetime of a token.
const LIFETIME: Duration = Duration::from_mins(2);
/// The text that most APIs sign.
const MESSAGE: &str = "{timestamp}{method}{path}{body}";

/// The schemes of the text.
#[derive(Clone, Copy, PartialEq)]
enum Scheme {
    Query,
    Header,
    Jwt,
    Kraken,
}

pub(super) fn read(s: &mut Section<'_>, environment: &Environment) -> Option<RequestSignature> {
    let schemes = [
        ("query", Scheme::Query),
        ("header", Scheme::Header),
        ("jwt", Scheme::Jwt),
        ("kraken", Scheme::Kraken),
    ];
    let scheme = s.require("scheme", word(&schemes))?;
    if scheme == Scheme::Jwt {
        return token(s, environment);
    }
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
        Scheme::Kraken | Scheme::Jwt => SignatureScheme::Kraken,
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

/// A token: the key is the id of the secret, which only its head names.
fn token(s: &mut Section<'_>, environment: &Environment) -> Option<RequestSignature> {
    let algorithm = s.require("algorithm", choice::<TokenAlgorithm>)?;
    let key = if s.has("key_file") {
        Some((String::new(), secret(s, "key_file", environment)?))
    } else {
        s.set("key_file", &mut (), |_| Ok(()));
        None
    };
    let claims = s.named("claims", CLAIMS_MAX, |name, node| {
        let value = text(node)?;
        if name.len() + value.len() > CLAIM_BYTES_MAX {
            return Err(ValueError(format!("must have at most {CLAIM_BYTES_MAX} bytes")));
        }
        Ok((name.to_owned(), value.to_owned()))
    });
    let mut lifetime = LIFETIME;
    s.set("lifetime", &mut lifetime, duration(SECOND..=DAY));
    let secret = match algorithm {
        TokenAlgorithm::Hs256 => secret(s, "secret_file", environment)?.as_str().into(),
        TokenAlgorithm::Es256 => private_key(s, environment)?,
    };
    let scheme = SignatureScheme::Token(TokenClaims { algorithm, claims, lifetime });
    Some(RequestSignature { key, secret: HiddenBytes::new(secret), scheme })
}

/// The private key of a file in PEM: PKCS #8 or SEC 1.
fn private_key(s: &mut Section<'_>, environment: &Environment) -> Option<Vec<u8>> {
    let file = environment.directory.join(s.require("secret_file", path)?);
    let pem = match read_bounded(&file, SECRET_BYTES_MAX) {
        Ok(pem) => pem,
        Err(error) => {
            s.wrong("secret_file", format!("cannot read {}: {error}", file.display()));
            return None;
        }
    };
    let lines = pem.lines().map(str::trim);
    let inside = lines.skip_while(|line| !line.contains("PRIVATE KEY-----")).skip(1);
    let encoded: String = inside.take_while(|line| !line.starts_with("-----")).collect();
    let key = STANDARD.decode(encoded).ok().filter(|key| {
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key).is_ok()
    });
    if key.is_none() {
        s.wrong("secret_file", "the content must be a private key of P-256 in PEM");
    }
    key
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
