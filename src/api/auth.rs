//! Authentication and authorization: who sends a request, and what the configuration allows them.
//!
//! Input: the `Authorization` header and the tokens of the configuration. Output: a [`Caller`] for
//! the handlers. Invariants: tokens are compared as SHA-256 digests, with every configured token and
//! in constant time; a token never reaches a log. Without configured tokens and users every request is
//! allowed; the server then listens on loopback only. Deliberately absent: the passwords of users (see
//! `passwords`).
//!
//! Tokens in the query end up in logs of proxies. So only the paths of adapters accept them, which
//! allow no more than sending events: [`take_query_token`] turns one into a header, and removes it
//! from the URI before anything else reads it.
//!
//! The path of events also accepts the token as the password of Basic, for senders that cannot set
//! a header but can put `user:TOKEN@` into a URL. So does everything that a browser opens, and pages
//! ask for it. A browser that has it sends it by itself, also where another site sends it to; so no
//! path of a decision accepts it, and the path of events needs a media type that another site
//! cannot send.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Extensions, HeaderMap, HeaderValue, Uri, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::api::AppState;
use crate::api::passwords::VerifiedUser;
use crate::api::problem::{Problem, ProblemCode};
use crate::config::{Config, Scope, Token, WebUser};
use crate::domain::ids::{Account, Actor};
use crate::domain::principal::NO_TOKEN;

/// Who may call a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody. A token that is sent is checked all the same; the password of a user is not.
    Public,
    /// Callers with any token, and users: a page for people.
    Page,
    /// Everybody, whatever token is sent: a probe with an outdated token must not fail.
    Probe,
    /// Callers with at least one of these scopes.
    AnyOf(&'static [Scope]),
    /// Callers with at least one of these scopes, whose token may also be in the query: systems that can
    /// configure nothing but a URL.
    Webhook(&'static [Scope]),
    /// Callers with at least one of these scopes, and a token that is not confined to accounts.
    Unconfined(&'static [Scope]),
}

impl Access {
    /// The scopes, one of which is required. Empty if none is.
    #[must_use]
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Public | Self::Page | Self::Probe => &[],
            Self::AnyOf(scopes) | Self::Webhook(scopes) | Self::Unconfined(scopes) => scopes,
        }
    }

    /// Whether a token is accepted as the password of Basic: where nothing is decided.
    #[must_use]
    pub fn takes_basic(self) -> bool {
        self.scopes().iter().all(|scope| match scope {
            Scope::Ingest | Scope::IngestBroker | Scope::Read | Scope::Metrics => true,
            Scope::Halt | Scope::Release => false,
        })
    }

    /// Whether users of the web configuration file may call it.
    #[must_use]
    pub fn takes_users(self) -> bool {
        let scopes = self.scopes();
        scopes.is_empty() || scopes.iter().any(|scope| OF_USERS.contains(scope))
    }
}

/// The scopes of the users in the web configuration file.
const OF_USERS: [Scope; 2] = [Scope::Read, Scope::Metrics];

/// The sender of a request.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// No tokens are configured, so every sender is trusted.
    Trusted,
    /// Tokens are configured, and a public path was called without one.
    Anonymous,
    /// The holder of a token.
    Holder(Arc<Token>),
    /// A user of the web configuration file.
    User(Arc<WebUser>),
}

impl Caller {
    pub(super) fn has(&self, scope: Scope) -> bool {
        match self {
            Self::Trusted => true,
            Self::Anonymous => false,
            Self::Holder(token) => token.scopes.contains(&scope),
            Self::User(_) => OF_USERS.contains(&scope),
        }
    }

    /// Whether the caller may read and change an account. `*` needs a token for all accounts.
    #[must_use]
    pub(super) fn may_see(&self, account: &str) -> bool {
        match self {
            Self::Trusted | Self::User(_) => true,
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
        let config = app.config.load();
        match self {
            Self::Trusted => config.is_open(),
            Self::Anonymous => false,
            Self::Holder(token) => config.tokens.iter().any(|known| known == &**token),
            Self::User(user) => config.web_file.users.contains(user),
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
            Self::Holder(token) => &*token.name,
            Self::User(user) => user.name.as_str(),
            Self::Trusted | Self::Anonymous => "anonymous",
        };
        Actor::new(name)
            .map_err(|error| Problem::new(ProblemCode::InvalidParameter, error.to_string()))
    }

    /// The name of the token, whose share the accounts use that the caller opens. None without one.
    #[must_use]
    pub(super) fn share(&self) -> Option<Arc<str>> {
        match self {
            Self::Holder(token) => Some(Arc::clone(&token.name)),
            // Users of the web file only read.
            Self::User(_) | Self::Trusted | Self::Anonymous => None,
        }
    }

    /// The name of the token, for the audit trail and logs. `none` without one.
    #[must_use]
    pub(super) fn token(&self) -> &str {
        match self {
            Self::Holder(token) => &token.name,
            Self::User(user) => &user.name,
            Self::Trusted | Self::Anonymous => NO_TOKEN,
        }
    }
}

/// Moves the parameter `token` of the query into the header `Authorization`, unless there is one. The
/// value is percent-decoded and nothing else: a plus sign is a character of tokens.
pub(super) fn take_query_token(request: &mut Request) {
    let Some(query) = request.uri().query() else { return };
    let is_token = |pair: &&str| pair.split('=').next() == Some("token");
    let Some(token) = query.split('&').find(is_token) else { return };
    let token = percent_decoded(token.split_once('=').unwrap_or_default().1);
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_token(pair)).collect();
    let path = request.uri().path();
    let target =
        if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    if request.headers().contains_key(header::AUTHORIZATION) {
        return;
    }
    let text = [b"Bearer ".as_slice(), &token].concat();
    // A token that no header can hold is unknown.
    let mut value = HeaderValue::from_bytes(&text)
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer unreadable"));
    value.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, value);
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let escape = match tail {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        out.push(escape.map_or(*first, |(high, low)| high << 4 | low));
        rest = if escape.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    out
}

/// Identifies the caller and checks that they may call a path. `extensions` are those of the request.
///
/// # Errors
/// `unauthorized` without a known token or user, `forbidden` without a required scope.
pub(super) fn authorize(
    app: &AppState,
    access: Access,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, Problem> {
    let config = app.config.load();
    let caller = identify(&config, headers, extensions, access)?;
    check(&caller, access)?;
    Ok(caller)
}

fn identify(
    config: &Config,
    headers: &HeaderMap,
    extensions: &Extensions,
    access: Access,
) -> Result<Caller, Problem> {
    if config.is_open() {
        return Ok(Caller::Trusted);
    }
    if access == Access::Probe {
        return Ok(Caller::Anonymous);
    }
    let Some(credentials) = headers.get(header::AUTHORIZATION) else {
        return match access {
            Access::Public | Access::Probe => Ok(Caller::Anonymous),
            Access::Page | Access::AnyOf(_) | Access::Webhook(_) | Access::Unconfined(_) => {
                Err(challenged(config, access, "a bearer token is required", BEARER))
            }
        };
    };
    // With two headers a proxy and this server might each judge another one.
    let is_single = headers.get_all(header::AUTHORIZATION).iter().count() == 1;
    let known = if let Some(text) = bearer(credentials) {
        find(&config.tokens, text)
    } else if access.takes_basic() {
        basic_pair(credentials).and_then(|(_, text)| find(&config.tokens, &text))
    } else {
        None
    };
    if let Some(token) = known.filter(|_| is_single) {
        return Ok(Caller::Holder(Arc::new(token.clone())));
    }
    match extensions.get::<VerifiedUser>().filter(|_| is_single) {
        Some(VerifiedUser(user)) => Ok(Caller::User(Arc::clone(user))),
        // The password of a user is not checked where nobody needs one.
        None if access == Access::Public && is_of_user(config, credentials) => {
            Ok(Caller::Anonymous)
        }
        None => Err(challenged(config, access, "the token is unknown", UNKNOWN_TOKEN)),
    }
}

/// Whether the credentials may be those of a user: name and password, where there are users.
fn is_of_user(config: &Config, credentials: &HeaderValue) -> bool {
    !config.web_file.users.is_empty() && basic_pair(credentials).is_some()
}

/// The token that a request carries in either form, if it is a known one.
pub(super) fn known_token<'a>(tokens: &'a [Token], headers: &HeaderMap) -> Option<&'a Token> {
    let credentials = headers.get(header::AUTHORIZATION)?;
    match bearer(credentials) {
        Some(text) => find(tokens, text),
        None => basic_pair(credentials).and_then(|(_, text)| find(tokens, &text)),
    }
}

/// The token of `Bearer TOKEN` (RFC 6750). The scheme is case-insensitive.
fn bearer(credentials: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = credentials.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// User and password of `Basic BASE64(USER:PASSWORD)` (RFC 7617). With a token as the password, the
/// user is ignored.
pub(super) fn basic_pair(credentials: &HeaderValue) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, text) = credentials.as_bytes().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut user = BASE64_STANDARD.decode(text.trim_ascii()).ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((user, password))
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
        Access::Public
        | Access::Page
        | Access::Probe
        | Access::AnyOf(_)
        | Access::Webhook(_)
        | Access::Unconfined(_) => Ok(()),
    }
}

const BEARER: &str = "Bearer realm=\"trading-exporter\"";
const UNKNOWN_TOKEN: &str = "Bearer realm=\"trading-exporter\", error=\"invalid_token\"";
const BASIC: &str = "Basic realm=\"trading-exporter\", charset=\"UTF-8\"";

/// A refusal that says how to authenticate. A page asks for Basic, which browsers understand; so does
/// every path for the users of the web configuration file, if there are any.
fn challenged(config: &Config, access: Access, detail: &str, bearer: &'static str) -> Problem {
    let problem = Problem::new(ProblemCode::Unauthorized, detail);
    let with = |problem: Problem, text| {
        problem.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(text))
    };
    if access == Access::Page {
        return with(problem, BASIC);
    }
    let problem = with(problem, bearer);
    if config.web_file.users.is_empty() || !access.takes_users() {
        return problem;
    }
    with(problem, BASIC)
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
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_token_in_the_query_becomes_a_header() {
        let check = |uri: &str, header: Option<&str>, expect: (&str, Option<&str>)| {
            let request = Request::post(uri);
            let request = header.into_iter().fold(request, |r, h| r.header("authorization", h));
            let mut request = request.body(Body::empty()).unwrap();
            take_query_token(&mut request);
            let found = request.headers().get("authorization").map(|v| v.to_str().unwrap());
            assert_eq!((request.uri().to_string().as_str(), found), expect, "{uri}");
        };
        check("/a?token=secret", None, ("/a", Some("Bearer secret")));
        check(
            "/a?account=x&token=a%2Bb+c%3D&role=local",
            None,
            ("/a?account=x&role=local", Some("Bearer a+b+c=")),
        );
        check("/a?token=secret", Some("Bearer other"), ("/a", Some("Bearer other")));
        check("/a?token=%0a", None, ("/a", Some("Bearer unreadable")));
        check("/a?token", None, ("/a", Some("Bearer ")));
        check("/a?account=token", None, ("/a?account=token", None));
        check("/a", None, ("/a", None));
    }

    #[test]
    fn the_password_of_basic_is_the_token() {
        let check = |text: &str, expect: Option<&str>| {
            let value = HeaderValue::from_str(text).unwrap();
            let found = basic_pair(&value).map(|(_, password)| password);
            assert_eq!(found.as_deref(), expect.map(str::as_bytes), "{text}");
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
