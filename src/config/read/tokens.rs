//! `tokens` and `tokens_file`: hashes of bearer tokens and their scopes.
//!
//! Invariants: names and hashes are unique over both lists; no token has an ingest scope and `release`;
//! no token can post both sides of a comparison, because drift is judged between independent witnesses.
//! Deliberately absent: tokens themselves, also in messages.

use std::path::Path;

use crate::config::scalar::{choice, list_of, name, path, pattern, sha256, text};
use crate::config::section::{Section, SectionPlace, read_list};
use crate::config::yaml;
use crate::config::{Environment, Scope, Token, read_bounded};
use crate::domain::ids::Actor;

/// Tokens in both lists, at most.
const TOKENS_MAX: usize = 256;
/// Bytes of a file of tokens.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Account patterns of one token.
const PATTERNS_MAX: usize = 256;

/// Reads both lists and checks that names and hashes are unique.
pub(super) fn read(root: &mut Section<'_>, environment: &Environment) -> Vec<Token> {
    let mut tokens = root.list("tokens", TOKENS_MAX, |s| token(s, environment));
    let mut file = None;
    root.set("tokens_file", &mut file, |node| path(node).map(Some));
    if let Some(file) = file {
        tokens.extend(read_tokens_file(root, &environment.directory.join(file), environment));
    }
    if tokens.len() > TOKENS_MAX {
        root.wrong("tokens_file", format!("there are more than {TOKENS_MAX} tokens in all"));
    }
    for (index, (token, place)) in tokens.iter().enumerate() {
        let mut earlier = tokens.iter().take(index).map(|(token, _)| token);
        let line = Some(place.line);
        if earlier.clone().any(|t| t.name == token.name) {
            root.report().add(&place.path, line, "has the name of another token");
        }
        if earlier.any(|t| t.sha256 == token.sha256) {
            root.report().add(&place.path, line, "has the hash of another token");
        }
    }
    tokens.into_iter().map(|(token, _)| token).collect()
}

/// Reads the list in a file of its own: the same fields, without `tokens:`.
fn read_tokens_file(
    root: &Section<'_>,
    file: &Path,
    environment: &Environment,
) -> Vec<(Token, SectionPlace)> {
    let content = match read_bounded(file, FILE_BYTES_MAX) {
        Ok(content) => content,
        Err(error) => {
            root.wrong("tokens_file", format!("cannot read {}: {error}", file.display()));
            return Vec::new();
        }
    };
    match yaml::parse(&content) {
        Ok(node) => {
            read_list(&node, "tokens_file", TOKENS_MAX, root.report(), |s| token(s, environment))
        }
        Err(error) => {
            root.report().add("tokens_file", error.line, error.message);
            Vec::new()
        }
    }
}

fn token(s: &mut Section<'_>, environment: &Environment) -> Option<(Token, SectionPlace)> {
    let token_name = s.require("name", name(Actor::new));
    let hash = hash(s, environment);
    let scopes = s.require("scopes", list_of(Scope::ALL.len(), choice::<Scope>));
    let mut accounts = Vec::new();
    s.set("accounts", &mut accounts, list_of(PATTERNS_MAX, pattern));
    if s.has("accounts") && accounts.is_empty() {
        s.wrong("accounts", "must not be empty: leave it out to allow all accounts");
    }
    if let Some(scopes) = &scopes {
        check_scopes(s, scopes);
    }
    let name = token_name?.as_str().into();
    Some((Token { name, sha256: hash?, scopes: scopes?, accounts }, s.place()))
}

/// Reads the hash from `sha256` or from the file in `sha256_file`; exactly one must be given.
fn hash(s: &mut Section<'_>, environment: &Environment) -> Option<[u8; 32]> {
    let (mut hash, mut file) = (None, None);
    let here = s.has("sha256");
    s.set("sha256", &mut hash, |node| sha256(text(node)?).map(Some));
    s.set("sha256_file", &mut file, |node| path(node).map(Some));
    if here == s.has("sha256_file") {
        s.wrong_here("must have either sha256 or sha256_file");
        return None;
    }
    if let Some(file) = file {
        let file = environment.directory.join(file);
        match read_bounded(&file, FILE_BYTES_MAX) {
            Ok(content) => match sha256(&content) {
                Ok(value) => hash = Some(value),
                Err(fault) => s.wrong("sha256_file", format!("the content {}", fault.0)),
            },
            Err(error) => {
                s.wrong("sha256_file", format!("cannot read {}: {error}", file.display()));
            }
        }
    }
    if hash == Some(SHA256_OF_EMPTY) {
        s.wrong_here("has the SHA-256 of an empty token");
        return None;
    }
    hash
}

/// The output of `printf '' | sha256sum`: the hash was made from a variable that was not set.
const SHA256_OF_EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

fn check_scopes(s: &Section<'_>, scopes: &[Scope]) {
    let (ingest, broker) = (scopes.contains(&Scope::Ingest), scopes.contains(&Scope::IngestBroker));
    if scopes.is_empty() {
        s.wrong("scopes", "must not be empty");
    }
    if (ingest || broker) && scopes.contains(&Scope::Release) {
        s.wrong("scopes", "must not have an ingest scope and release: an engine that reports events may not release");
    }
    if ingest && broker {
        let why = "drift is judged between independent witnesses";
        s.wrong("scopes", format!("must not have both ingest and ingest:broker: {why}"));
    }
}
