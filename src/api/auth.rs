//! Authentication and authorization: who sends a request, and what the configuration allows them.
//!
//! Input: the `Authorization` header and the tokens of the configuration. Output: a [`Caller`] for
//! the handlers. Invariants: tokens are compared as SHA-256 digests, with every configured token and
//! in constant time; a token never reaches a log. Without configured tokens every request is
//! allowed; the server then listens on loopback only. Deliberately absent: tokens in the query,
//! which end up in logs of proxies.
//!
//! The path of events also accepts the token as the password of Basic, for senders that cannot set
//! a header but can put `user:TOKEN@` into a URL. No other path accepts it, and no answer asks for
//! it, so no browser sends it by itself.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::api::AppState;
use crate::api::problem::{Problem, ProblemCode};
use crate::config::{Scope, Token};
use crate::domain::ids::{Account, Actor};
use crate::domain::principal::NO_TOKEN;

/// Who may call a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody. A token that is sent is checked all the same.
    Public,
    /// Callers with at least one of these scopes.
    AnyOf(&'static [Scope]),
    /// Callers with at least one of these scopes, and a token that is not confined to accounts.
    Unconfined(&'static [Scope]),
}

impl Access {
    /// The scopes, one of which is required. Empty if none is.
    #[must_use]
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Public => &[],
            Self::AnyOf(scopes) | Self::Unconfined(scopes) => scopes,
        }
    }
}

/// The sender of a request.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// No tokens are configured, so every sender is trusted.
    Trusted,
    /// Tokens are configured, and a public path was called without one.
    Anonymous,
    /// The holder of a token.
    Holder(Arc<Token>),
}

impl Caller {
    pub(super) fn has(&self, scope: Scope) -> bool {
        match self {
            Self::Trusted => true,
            Self::Anonymous => false,
            Self::Holder(token) => token.scopes.contains(&scope),
        }
    }

    /// Whether the caller may read and change an account. `*` needs a token for all accounts.
    #[must_use]
    pub(super) fn may_see(&self, account: &str) -> bool {
        match self {
            Self::Trusted => true,
            Self::Anonymous => false,
            Self::Holder(token) if token.accounts.is_empty() => true,
            Self::Holder(token) if account == Account::ALL => {
                token.accounts.iter().any(|pattern| pattern.as_str() == Account::ALL)
            }
            Self::Holder(token) => token.accounts.iter().any(|p| p.matches(account)),
        }
    }

    /// Whether the token is still configured with the same scopes and accounts. A reload may have
    /// changed it since the request came.
    #[must_use]
    pub(super) fn still_holds(&self, app: &AppState) -> bool {
        let tokens = &app.config.load().tokens;
        match self {
            Self::Trusted => tokens.is_empty(),
            Self::Anonymous => false,
            Self::Holder(token) => tokens.iter().any(|known| known == &**token),
        }
    }

    /// # Errors
    /// `forbidden` when the caller may not read and change the account.
    pub(super) fn check_account(&self, account: &str) -> Result<(), Problem> {
        if self.may_see(account) {
            return Ok(());
        }
        Err(Problem::new(ProblemCode::Forbidden, "the token is confined to other accounts"))
    }

    /// The name of the token as the actor of a decision, for a request that names no actor.
    ///
    /// # Errors
    /// `invalid_parameter` when the name of the token is not a valid actor.
    pub(super) fn actor(&self) -> Result<Actor, Problem> {
        let name = match self {
            Self::Holder(token) => token.name.as_str(),
            Self::Trusted | Self::Anonymous => "anonymous",
        };
        Actor::new(name)
            .map_err(|error| Problem::new(ProblemCode::InvalidParameter, error.to_string()))
    }

    /// The name of the token, for the audit trail and logs. `none` without one.
    #[must_use]
    pub(super) fn token(&self) -> &str {
        match self {
            Self::Holder(token) => &token.name,
            Self::Trusted | Self::Anonymous => NO_TOKEN,
        }
    }
}

/// Identifies the caller and checks that they may call a path.
///
/// # Errors
/// `unauthorized` without a known token, `forbidden` without a required scope.
pub(super) fn authorize(
    app: &AppState,
    access: Access,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let config = app.config.load();
    let caller = identify(&config.tokens, headers, access)?;
    check(&caller, access)?;
    Ok(caller)
}

fn identify(tokens: &[Token], headers: &HeaderMap, access: Access) -> Result<Caller, Problem> {
    if tokens.is_empty() {
        return Ok(Caller::Trusted);
    }
    let Some(credentials) = headers.get(header::AUTHORIZATION) else {
        return match access {
            Access::Public => Ok(Caller::Anonymous),
            Access::AnyOf(_) | Access::Unconfined(_) => {
                Err(unauthorized("a bearer token is required", "Bearer realm=\"trading-exporter\""))
            }
        };
    };
    // With two headers a proxy and this server might each judge another one.
    let is_single = headers.get_all(header::AUTHORIZATION).iter().count() == 1;
    let known = if let Some(text) = bearer(credentials) {
        find(tokens, text)
    } else if access.scopes().contains(&Scope::IngestBroker) {
        basic(credentials).and_then(|text| find(tokens, &text))
    } else {
        None
    };
    let token = known.filter(|_| is_single);
    token.map(|token| Caller::Holder(Arc::new(token.clone()))).ok_or_else(|| {
        unauthorized(
            "the token is unknown",
            "Bearer realm=\"trading-exporter\", error=\"invalid_token\"",
        )
    })
}

/// The token of `Bearer TOKEN` (RFC 6750). The scheme is case-insensitive.
fn bearer(credentials: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = credentials.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// The password of `Basic BASE64(USER:PASSWORD)` (RFC 7617). The user is ignored.
fn basic(credentials: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, text) = credentials.as_bytes().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = BASE64_STANDARD.decode(text.trim_ascii()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    pair.get(colon + 1..).map(<[u8]>::to_vec)
}

/// The token with this text. It compares with every token even after a match, so that the time
/// does not depend on which one matched.
fn find<'a>(tokens: &'a [Token], text: &[u8]) -> Option<&'a Token> {
    let digest = Sha256::digest(text);
    tokens.iter().fold(None, |found, token| {
        if bool::from(token.sha256.as_slice().ct_eq(digest.as_slice())) {
            Some(token)
        } else {
            found
        }
    })
}

fn check(caller: &Caller, access: Access) -> Result<(), Problem> {
    let needed = access.scopes();
    if !needed.is_empty() && !needed.iter().any(|scope| caller.has(*scope)) {
        return Err(insufficient(needed));
    }
    let confined = !caller.may_see(Account::ALL);
    match access {
        Access::Unconfined(_) if confined => Err(Problem::new(
            ProblemCode::Forbidden,
            "the token is confined to accounts, and this request concerns all of them",
        )),
        Access::Public | Access::AnyOf(_) | Access::Unconfined(_) => Ok(()),
    }
}

fn unauthorized(detail: &str, challenge: &'static str) -> Problem {
    Problem::new(ProblemCode::Unauthorized, detail)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

/// The refusal of RFC 6750, section 3.1. Its challenge names the scopes, one of which is required.
fn insufficient(scopes: &[Scope]) -> Problem {
    let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let detail = format!("the token needs the scope {}", names.join(" or "));
    let challenge = format!(
        "Bearer realm=\"trading-exporter\", error=\"insufficient_scope\", scope=\"{}\"",
        names.join(" ")
    );
    let problem = Problem::new(ProblemCode::Forbidden, detail);
    let Ok(value) = HeaderValue::try_from(challenge) else {
        impossible!("scopes are plain words");
        return problem;
    };
    problem.with_header(header::WWW_AUTHENTICATE, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_basic_is_the_token() {
        let check = |text: &str, expect: Option<&str>| {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(basic(&value).as_deref(), expect.map(str::as_bytes), "{text}");
        };
        check("Basic ZnJlcXRyYWRlOnNlY3JldA==", Some("secret"));
        check("basic  ZnJlcXRyYWRlOnNlY3JldA== ", Some("secret"));
        check("Basic OnNlY3JldA==", Some("secret"));
        check("Basic OmE6Yg==", Some("a:b"));
        check("Basic bm8gY29sb24=", None);
        check("Basic ***", None);
        check("Basic", None);
        check("Bearer secret", None);
    }
}
