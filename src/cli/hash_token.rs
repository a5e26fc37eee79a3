//! `hash-token`: the SHA-256 of a token, for the configuration. The token itself is never stored.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::args::HashTokenArguments;
use super::{Failure, write_err, write_out};
use crate::wire::hex::hex;

/// Random bytes of a generated token.
const TOKEN_BYTES: usize = 32;
/// Shorter tokens could be guessed.
const TOKEN_CHARS_MIN: usize = 16;
/// A token is sent in a header, whose length is bounded.
const TOKEN_CHARS_MAX: usize = 512;

/// Prints the digest to stdout. A generated token is printed to stderr, so that a script that stores
/// the digest does not store the token with it.
pub(super) fn run(arguments: &HashTokenArguments) -> Result<(), Failure> {
    let token = if arguments.generate {
        let token = generate()?;
        write_err(&format!("token: {token}\n"));
        token
    } else {
        let mut text = String::new();
        let read = io::stdin().take(TOKEN_CHARS_MAX as u64 * 2).read_to_string(&mut text);
        read.map_err(|source| Failure::Terminal { doing: "read a token from stdin", source })?;
        check(text.trim_end_matches(['\r', '\n'])).map_err(Failure::Token)?.to_owned()
    };
    write_out(&format!("{}\n", hex(&Sha256::digest(token.as_bytes()))))
}

/// A random token, in hexadecimal digits.
fn generate() -> Result<String, Failure> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(Failure::Random)?;
    Ok(hex(&bytes))
}

/// Rejects a token that cannot be sent as a bearer token (RFC 6750 section 2.1), or can be guessed.
fn check(token: &str) -> Result<&str, &'static str> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.len() < TOKEN_CHARS_MIN {
        return Err("a token needs at least 16 characters; --generate makes one");
    }
    if token.len() > TOKEN_CHARS_MAX {
        return Err("a token has at most 512 characters");
    }
    if !token.bytes().all(is_allowed) {
        return Err("a token is one line of letters, digits and -._~+/= (RFC 6750)");
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha_256_in_hexadecimal() {
        // FIPS 180-4, the example "abc".
        assert_eq!(
            hex(&Sha256::digest(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn generated_tokens_differ_and_are_valid() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(check(&one), Ok(one.as_str()));
        assert_eq!(one.len(), 64);
    }

    #[test]
    fn tokens_that_cannot_be_sent_are_rejected() {
        let check = |token: &str, expect: bool| {
            assert_eq!(super::check(token).is_ok(), expect, "{token:?}");
        };
        check("0123456789abcdef", true);
        check("-._~+/=ABCDEFGHI", true);
        check("", false);
        check("short", false);
        check("has a space in it", false);
        check("two-lines-of-text\nmore", false);
        check("ümlaute-sind-nichts", false);
        check(&"x".repeat(513), false);
    }
}
