//! The signature of a request, computed for each one.
//!
//! Input: the request of the configuration, and the time. Output: the URL, headers and body that are sent.
//! Invariant: what is signed is what is sent, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::token;
use crate::config::{
    HeaderSignature, ListRequest, RequestSignature, SignatureEncoding, SignatureScheme,
    TimestampForm,
};
use crate::domain::time::{NANOS_PER_SECOND, Timestamp};
use crate::wire::hex::hex;
use crate::wire::time::rfc3339;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// A request as it is sent.
pub(super) struct SignedRequest {
    pub(super) url: String,
    /// Headers beside those of the configuration.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// Signs a request at this time, if it has a signature.
pub(super) fn sign(list: &ListRequest, now: Timestamp) -> SignedRequest {
    let mut request = SignedRequest {
        url: list.url.as_str().to_owned(),
        headers: Vec::new(),
        body: list.body.clone(),
    };
    let Some(signature) = &list.signature else { return request };
    let named = signature.key.iter().filter(|(header, _)| !header.is_empty());
    request.headers.extend(named.map(|(header, key)| (header.clone(), key.as_str().to_owned())));
    match &signature.scheme {
        SignatureScheme::Query => sign_query(signature, millis(now), &mut request),
        SignatureScheme::Header(form) => {
            sign_message((signature, form), list.method.as_str(), now, &mut request);
        }
        SignatureScheme::Token(claims) => {
            let nonce = hex(&getrandom::u64().unwrap_or_default().to_le_bytes());
            let (at, method) = (now.as_nanos() / NANOS_PER_SECOND, list.method.as_str());
            let token = token::of((signature, claims), (method, &request.url), at, &nonce);
            request.headers.push((String::from("Authorization"), format!("Bearer {token}")));
        }
        SignatureScheme::Kraken => sign_kraken(signature, now, &mut request),
    }
    request
}

/// Adds the time and the signature to the query.
pub(super) fn sign_query(signature: &RequestSignature, millis: i64, request: &mut SignedRequest) {
    let (_, query) = path_and_query(&request.url);
    let own = if query.is_empty() { String::new() } else { format!("{query}&") };
    let signed = format!("{own}timestamp={millis}");
    let digest = hex(&hmac_sha256(signature.secret.as_bytes(), signed.as_bytes()));
    let before = request.url.split(['?', '#']).next().unwrap_or_default();
    request.url = format!("{before}?{signed}&signature={digest}");
}

/// Adds the time and the signature of a text as headers.
fn sign_message(
    (signature, form): (&RequestSignature, &HeaderSignature),
    method: &str,
    now: Timestamp,
    request: &mut SignedRequest,
) {
    let (path, query) = path_and_query(&request.url);
    let whole = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let time = match form.timestamp {
        TimestampForm::Seconds => (now.as_nanos() / NANOS_PER_SECOND).to_string(),
        TimestampForm::Milliseconds => millis(now).to_string(),
        TimestampForm::Rfc3339 => rfc3339_millis(now),
    };
    let key = signature.key.as_ref().map_or("", |(_, key)| key.as_str());
    let parts = [
        ("timestamp", time.as_str()),
        ("key", key),
        ("method", method),
        ("path", &whole),
        ("query", query),
        ("body", &request.body),
    ];
    let message = fill(&form.message, &parts);
    let digest = hmac_sha256(signature.secret.as_bytes(), message.as_bytes());
    let digest = match form.encoding {
        SignatureEncoding::Hex => hex(&digest),
        SignatureEncoding::Base64 => STANDARD.encode(digest),
    };
    request.headers.push((form.timestamp_header.clone(), time));
    request.headers.push((form.signature_header.clone(), digest));
}

/// The text with its parts in place. A part that contains braces is not filled again.
pub(super) fn fill(text: &str, parts: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        let part = parts.iter().find(|(known, _)| *known == name);
        filled.push_str(part.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// <https://docs.kraken.com/api/docs/guides/spot-rest-auth>
fn sign_kraken(signature: &RequestSignature, now: Timestamp, request: &mut SignedRequest) {
    let nonce = millis(now);
    let rest = if request.body.is_empty() { "" } else { "&" };
    request.body = format!("nonce={nonce}{rest}{}", request.body);
    let digest = kraken_digest(signature, nonce, request);
    request.headers.push((String::from("API-Sign"), digest));
    let form = String::from("application/x-www-form-urlencoded");
    request.headers.push((String::from("Content-Type"), form));
}

fn kraken_digest(signature: &RequestSignature, nonce: i64, request: &SignedRequest) -> String {
    let (path, _) = path_and_query(&request.url);
    let inner = Sha256::digest(format!("{nonce}{}", request.body).as_bytes());
    let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(signature.secret.as_bytes()) else {
        impossible!("HMAC accepts a key of any length");
        return String::new();
    };
    mac.update(path.as_bytes());
    mac.update(&inner);
    STANDARD.encode(mac.finalize().into_bytes())
}

pub(super) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        impossible!("HMAC accepts a key of any length");
        return Vec::new();
    };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The path and the query of a URL, without `?`.
pub(super) fn path_and_query(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = before.find('/').and_then(|at| before.get(at..)).unwrap_or("/");
    (path, query)
}

fn millis(now: Timestamp) -> i64 {
    now.as_nanos() / NANOS_PER_MILLI
}

/// RFC 3339 with exactly three places.
fn rfc3339_millis(now: Timestamp) -> String {
    let whole = Timestamp::from_nanos(now.as_nanos() / NANOS_PER_SECOND * NANOS_PER_SECOND);
    let text = rfc3339(whole.unwrap_or(now));
    let seconds = text.split(['.', 'Z']).next().unwrap_or_default();
    format!("{seconds}.{:03}Z", millis(now).rem_euclid(1_000))
}
