//! Position sources: lists of positions that the exporter fetches itself.
//!
//! Invariants: `Debug` shows no secret; an expression has been parsed, a certificate too. The kinds of the
//! text (`http`, `alpaca`, `freqtrade`) are requests here, so that a pull knows of no API.

use std::fmt;
use std::time::Duration;

use super::{Reach, SecretUrl};
use crate::domain::closed_set::closed_set;
use crate::domain::event::Source;
use crate::domain::ids::Account;
use crate::expression::Expression;

/// A source of positions, for one account.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionSource {
    /// The label of metrics, and the component that a list of the engine's side reports.
    pub name: String,
    /// The only account that it reports about.
    pub account: Account,
    /// Time between two pulls.
    pub interval: Duration,
    /// A pull that takes longer fails.
    pub timeout: Duration,
    /// Bytes of an answer, at most.
    pub answer_bytes_max: usize,
    /// The addresses that the host may resolve to.
    pub reach: Reach,
    /// Certificates (PEM) that are trusted beside the usual ones.
    pub authorities: Option<Vec<u8>>,
    /// The lists: at least one, and each side at most once.
    pub lists: Vec<ListRequest>,
}

/// A request that is answered with the positions of one side.
#[derive(Clone, Debug, PartialEq)]
pub struct ListRequest {
    /// The side.
    pub role: Source,
    /// The URL, with its query.
    pub url: SecretUrl,
    /// The method.
    pub method: ListMethod,
    /// The body; empty for none.
    pub body: String,
    /// Names and values of headers.
    pub headers: Vec<(String, HiddenText)>,
    /// User and password of Basic.
    pub basic: Option<(String, HiddenText)>,
    /// The signature of each request.
    pub signature: Option<RequestSignature>,
    /// How the answer is read.
    pub reader: ListReader,
}

closed_set! {
    /// The method of a request for positions.
    pub enum ListMethod {
        /// GET.
        Get = "GET",
        /// POST.
        Post = "POST",
    }
}

/// How an answer becomes rows.
#[derive(Clone, Debug, PartialEq)]
pub enum ListReader {
    /// By an expression.
    Expression(Expression),
    /// By the adapter of Alpaca.
    Alpaca,
}

/// The signature of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestSignature {
    /// The header that names the key, if one does, and the key.
    pub key: Option<(String, HiddenText)>,
    /// The secret.
    pub secret: HiddenBytes,
    /// The way.
    pub scheme: SignatureScheme,
}

/// The way in which a request is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// HMAC-SHA256 of the query with the time in milliseconds; both are added to the query.
    Query,
    /// HMAC-SHA256 of a text, in a header beside the time.
    Header(HeaderSignature),
    /// A JSON Web Token (RFC 7519) in the header `Authorization`, for each request a new one.
    Token(TokenClaims),
    /// HMAC-SHA512 of the path and a digest of nonce and body, as Kraken defines.
    Kraken,
}

/// The parameters of [`SignatureScheme::Header`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderSignature {
    /// The text that is signed, with `{timestamp}`, `{key}`, `{method}`, `{path}`, `{query}`, `{body}`.
    pub message: String,
    /// The form of the time.
    pub timestamp: TimestampForm,
    /// The header with the time.
    pub timestamp_header: String,
    /// The header with the signature.
    pub signature_header: String,
    /// The form of the signature.
    pub encoding: SignatureEncoding,
}

/// The parameters of [`SignatureScheme::Token`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClaims {
    /// The algorithm of the signature.
    pub algorithm: TokenAlgorithm,
    /// Names and texts, which may hold `{method}`, `{host}` and `{path}` (without the query).
    pub claims: Vec<(String, String)>,
    /// How long a token is valid.
    pub lifetime: Duration,
}

closed_set! {
    /// The algorithm of a token (RFC 7518).
    pub enum TokenAlgorithm {
        /// HMAC-SHA256.
        Hs256 = "HS256",
        /// ECDSA with P-256 and SHA-256.
        Es256 = "ES256",
    }
}

closed_set! {
    /// The form of the time in a signed request.
    pub enum TimestampForm {
        /// Unix time in seconds.
        Seconds = "seconds",
        /// Unix time in milliseconds.
        Milliseconds = "milliseconds",
        /// RFC 3339 in UTC with milliseconds.
        Rfc3339 = "rfc3339",
    }
}

closed_set! {
    /// The form of a signature, or of a secret in its file.
    pub enum SignatureEncoding {
        /// Hexadecimal digits.
        Hex = "hex",
        /// Base64.
        Base64 = "base64",
    }
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenText(String);

impl HiddenText {
    /// Takes a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenText(...)")
    }
}

/// The bytes of a secret, which are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenBytes(Vec<u8>);

impl HiddenBytes {
    /// Takes the bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for HiddenBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenBytes(...)")
    }
}

/// Shorter words of a header are no secrets.
const SECRET_WORD_BYTES_MIN: usize = 8;

impl PositionSource {
    /// Every secret text, to keep it out of messages.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().flat_map(|list| {
            // Of `Bearer TOKEN` the token alone, too.
            let headers = list.headers.iter().map(|(_, value)| value.as_str());
            let words = headers.clone().flat_map(str::split_whitespace);
            let headers = headers.chain(words.filter(|word| word.len() >= SECRET_WORD_BYTES_MIN));
            let password = list.basic.iter().map(|(_, password)| password.as_str());
            let signature = list.signature.iter();
            let keys =
                signature.clone().filter_map(|s| s.key.as_ref()).map(|(_, key)| key.as_str());
            let secrets = signature.filter_map(|s| std::str::from_utf8(s.secret.as_bytes()).ok());
            headers.chain(password).chain(keys).chain(secrets)
        })
    }
}
