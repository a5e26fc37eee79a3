//! A JSON Web Token (RFC 7519) for one request.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::sign::{fill, hmac_sha256, path_and_query};
use crate::config::{RequestSignature, TokenAlgorithm, TokenClaims};

/// The token, issued at a Unix time in seconds.
pub(super) fn of(
    (signature, claims): (&RequestSignature, &TokenClaims),
    (method, url): (&str, &str),
    at: i64,
    nonce: &str,
) -> String {
    let mut head = Map::new();
    head.insert(String::from("alg"), json!(claims.algorithm.as_str()));
    head.insert(String::from("typ"), json!("JWT"));
    if let Some((_, key)) = &signature.key {
        head.insert(String::from("kid"), json!(key.as_str()));
    }
    head.insert(String::from("nonce"), json!(nonce));
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let parts = [("method", method), ("host", host), ("path", path_and_query(url).0)];
    let lifetime = i64::try_from(claims.lifetime.as_secs()).unwrap_or(i64::MAX);
    let mut body = Map::new();
    body.insert(String::from("iat"), json!(at));
    body.insert(String::from("nbf"), json!(at));
    body.insert(String::from("exp"), json!(at.saturating_add(lifetime)));
    body.extend(claims.claims.iter().map(|(name, text)| (name.clone(), json!(fill(text, &parts)))));
    let [head, body] =
        [head, body].map(|part| URL_SAFE_NO_PAD.encode(Value::Object(part).to_string()));
    let signed = format!("{head}.{body}");
    let secret = signature.secret.as_bytes();
    let digest = match claims.algorithm {
        TokenAlgorithm::Hs256 => hmac_sha256(secret, signed.as_bytes()),
        TokenAlgorithm::Es256 => ecdsa(secret, signed.as_bytes()),
    };
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(digest))
}

/// The signature of a key that the configuration has checked.
fn ecdsa(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key);
    invariant!(pair.is_ok(), "the configuration has checked the key");
    let signed = pair.ok().and_then(|pair| pair.sign(&SystemRandom::new(), message).ok());
    signed.map(|signature| signature.as_ref().to_vec()).unwrap_or_default()
}
