//! The web configuration file of Prometheus exporters: TLS, headers, users and a rate limit.
//!
//! Input: a file in the format of the exporter-toolkit. Output: a [`WebFile`], or every mistake with
//! its place. Invariants: paths are relative to the directory of the file; a setting that cannot be
//! honoured is a mistake, never ignored; no message shows a hash or a key. Deliberately absent: the
//! rules of TLS (see `tls_server`), and when the file is read again (see `crate::app`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bcrypt::HashParts;
use reqwest::header::{HeaderName, HeaderValue};

use super::error::Mistake;
use super::scalar::{ValueError, count, duration, flag, text};
use super::section::{MistakeReport, Section, read_map};
use super::tls_server::{self, TlsServer};
use super::yaml::{self, YamlNode};
use super::{FILE_BYTES_MAX, read_bounded};
use crate::domain::ids::Actor;

/// Users, at most.
const USERS_MAX: usize = 256;
/// Requests at once within the rate limit, at most.
const BURST_MAX: u32 = 1_000_000;
/// The cost of a bcrypt hash: at the highest one a check takes about two seconds.
const COSTS: std::ops::RangeInclusive<u32> = 4..=15;
/// Bytes of a header's value, at most.
const HEADER_BYTES_MAX: usize = 4_096;

/// The checked web configuration file. The default is that of no file: plain HTTP, no users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebFile {
    /// TLS; None: plain HTTP.
    pub tls: Option<TlsServer>,
    /// Headers of every answer, which replace the exporter's own: name and value.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Users who may scrape and read.
    pub users: Vec<WebUser>,
    /// The rate at which requests without a token are answered; None: any.
    pub rate_limit: Option<RateLimit>,
    /// The file itself and every file that it names.
    pub files: Vec<PathBuf>,
}

/// A user of Basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUser {
    /// The name, which the audit trail may show.
    pub name: String,
    /// The bcrypt hash of the password.
    pub bcrypt: String,
}

impl fmt::Debug for WebUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A token bucket over all requests without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The time after which the bucket gets one more request.
    pub interval: Duration,
    /// The requests that a full bucket holds; at least 1.
    pub burst: u32,
}

impl WebFile {
    /// Reads and checks a file, and the files that it names.
    ///
    /// # Errors
    /// Every mistake; its path begins with that of the file.
    pub fn load(path: &Path) -> Result<Self, Vec<Mistake>> {
        Self::load_and_name(path).0
    }

    /// Like [`load`](Self::load). Returns also the file itself and the files that it names, which are
    /// known even if one of them has a mistake.
    pub fn load_and_name(path: &Path) -> (Result<Self, Vec<Mistake>>, Vec<PathBuf>) {
        let report = MistakeReport::default();
        let mut file = Self { files: vec![path.to_owned()], ..Self::default() };
        match read_bounded(path, FILE_BYTES_MAX) {
            Ok(text) => file.read(&text, path.parent().unwrap_or(Path::new("")), &report),
            Err(error) => report.add("", None, format!("cannot be read: {error}")),
        }
        let files = file.files.clone();
        let mut mistakes = report.into_mistakes();
        if mistakes.is_empty() {
            return (Ok(file), files);
        }
        for mistake in &mut mistakes {
            mistake.path = match mistake.path.as_str() {
                "" => path.display().to_string(),
                inner => format!("{}: {inner}", path.display()),
            };
        }
        (Err(mistakes), files)
    }

    /// Whether the file concerns every request: with headers or a rate limit.
    #[must_use]
    pub fn has_front(&self) -> bool {
        !self.headers.is_empty() || self.rate_limit.is_some()
    }

    fn read(&mut self, text: &str, directory: &Path, report: &MistakeReport) {
        let root = match yaml::parse(text) {
            Ok(root) => root,
            Err(error) => return report.add("", error.line, error.message),
        };
        read_map(&root, "", report, |root| {
            if root.has("tls_server_config") {
                root.section("tls_server_config", |s| {
                    let (tls, files) = tls_server::read(s, directory);
                    self.tls = tls;
                    self.files.extend(files);
                });
            } else {
                root.section("tls_server_config", |_| {});
            }
            root.section("http_server_config", |s| self.headers = http_server(s));
            self.users = root.named("basic_auth_users", USERS_MAX, user);
            root.section("rate_limit", |s| self.rate_limit = rate_limit(s));
        });
    }
}

/// The headers of `http_server_config`. HTTP/2 is not served, so only its absence is accepted.
fn http_server(s: &mut Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut http2 = false;
    s.set("http2", &mut http2, flag);
    if http2 {
        s.wrong("http2", "must be false or left out: only HTTP/1.1 is served");
    }
    let mut headers = Vec::new();
    s.section("headers", |s| {
        let mut add = |name: &'static str, read: fn(&YamlNode) -> Result<String, ValueError>| {
            let mut text = String::new();
            s.set(name, &mut text, read);
            if text.is_empty() {
                return;
            }
            match (HeaderName::try_from(name), HeaderValue::try_from(text)) {
                (Ok(name), Ok(value)) => headers.push((name, value)),
                (Err(_), _) | (_, Err(_)) => s.wrong(name, "cannot be sent as a header"),
            }
        };
        add("Content-Security-Policy", header_value);
        add("X-Frame-Options", |node| one_of(node, &["deny", "sameorigin"]));
        add("X-Content-Type-Options", |node| one_of(node, &["nosniff"]));
        add("X-XSS-Protection", header_value);
        add("Strict-Transport-Security", header_value);
    });
    headers
}

/// The value of a header; empty: the header is not set.
fn header_value(node: &YamlNode) -> Result<String, ValueError> {
    let text = text(node)?;
    let plain = |b: u8| b.is_ascii_graphic() || b == b' ';
    if text.len() > HEADER_BYTES_MAX || !text.bytes().all(plain) {
        return Err(ValueError::must("plain text of one line"));
    }
    Ok(text.to_owned())
}

fn one_of(node: &YamlNode, words: &[&str]) -> Result<String, ValueError> {
    let text = text(node)?;
    if !words.contains(&text) {
        return Err(ValueError::must(words.join(" or ")));
    }
    Ok(text.to_owned())
}

fn user(name: &str, node: &YamlNode) -> Result<WebUser, ValueError> {
    let actor = Actor::new(name).map_err(|error| ValueError(format!("the name {error}")))?;
    if name.contains(':') {
        return Err(ValueError(String::from("the name must not have a colon")));
    }
    let hash = text(node)?;
    let fault = || ValueError::must("a bcrypt hash, like the output of htpasswd -nBC 10 \"\"");
    let is_known = ["$2a$", "$2b$", "$2y$"].iter().any(|version| hash.starts_with(version));
    let parts: HashParts = hash.parse().ok().filter(|_| is_known).ok_or_else(fault)?;
    if !COSTS.contains(&parts.get_cost()) {
        let (low, high) = (COSTS.start(), COSTS.end());
        return Err(ValueError(format!("must be a bcrypt hash with a cost from {low} to {high}")));
    }
    Ok(WebUser { name: actor.as_str().to_owned(), bcrypt: hash.to_owned() })
}

/// An interval of 0 switches the limit off.
fn rate_limit(s: &mut Section<'_>) -> Option<RateLimit> {
    let mut interval = Duration::ZERO;
    let mut burst = 0;
    s.set("interval", &mut interval, duration(Duration::ZERO..=Duration::from_hours(1)));
    s.set("burst", &mut burst, count(0..=BURST_MAX));
    if interval.is_zero() {
        return None;
    }
    if burst == 0 {
        s.wrong("burst", "must be at least 1: without it every request is refused");
    }
    Some(RateLimit { interval, burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each mistake as text, without the name of the file.
    fn mistakes(text: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yml");
        std::fs::write(&path, text).unwrap();
        let prefix = format!("{}: ", path.display());
        let found = WebFile::load(&path).err().unwrap_or_default();
        found.iter().map(|m| m.to_string().replace(&prefix, "")).collect()
    }

    fn load(text: &str) -> WebFile {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yml");
        std::fs::write(&path, text).unwrap();
        WebFile::load(&path).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"))
    }

    const HASH: &str = "$2y$04$7wSYOeHfEWrGxkDKfPNzLetm7mfmd1mOTU5Dq0SYV0HOI5ozBFSge";

    #[test]
    fn an_empty_file_changes_nothing() {
        for text in ["", "tls_server_config:\n", "basic_auth_users:\nrate_limit: {interval: 0}\n"] {
            let file = load(text);
            assert!(file.tls.is_none() && !file.has_front() && file.users.is_empty(), "{text}");
            assert_eq!(file.files.len(), 1, "{text}");
        }
    }

    #[test]
    fn users_headers_and_the_rate_are_read() {
        let file = load(&format!(
            "basic_auth_users:\n  alice: {HASH}\n  bob: {}\n\
             http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: sameorigin\n\
             \x20   Strict-Transport-Security: max-age=31536000\n    X-XSS-Protection: ''\n\
             rate_limit: {{interval: 100ms, burst: 20}}\n",
            HASH.replace("$2y$", "$2b$")
        ));
        let names: Vec<&str> = file.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["alice", "bob"]);
        let expect =
            [("x-frame-options", "sameorigin"), ("strict-transport-security", "max-age=31536000")];
        let found =
            file.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        assert_eq!(found.collect::<Vec<_>>(), expect);
        let rate = RateLimit { interval: Duration::from_millis(100), burst: 20 };
        assert_eq!(file.rate_limit, Some(rate));
        assert!(!format!("{file:?}").contains(HASH));
    }

    #[test]
    fn every_mistake_has_its_place() {
        let check = |text: &str, expect: &[&str]| {
            let found = mistakes(text);
            assert_eq!(found.len(), expect.len(), "{text}: {found:?}");
            for (found, expect) in found.iter().zip(expect) {
                assert!(found.starts_with(expect), "{text}: {found}");
            }
            assert!(!found.concat().contains("s3cret"), "{found:?}");
        };
        check("tls_config: {}\n", &["tls_config: unknown field"]);
        check("a: [", &["unclosed"]);
        check("http_server_config:\n  http2: true\n", &["http_server_config.http2: must be false"]);
        check(
            "http_server_config:\n  headers:\n    X-Frame-Options: DENY\n    X-Other: a\n",
            &[
                "http_server_config.headers.X-Frame-Options: must be deny or sameorigin",
                "http_server_config.headers.X-Other: unknown field",
            ],
        );
        check("http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}", &["http_server"]);
        check(
            "basic_auth_users:\n  alice: s3cret\n",
            &["basic_auth_users.alice: must be a bcrypt"],
        );
        // The last character of a salt has two bits.
        let odd = HASH.replace("NzLetm", "NzLftm");
        check(&format!("basic_auth_users: {{a: {odd}}}"), &["basic_auth_users.a: must be a bcr"]);
        let costly = HASH.replace("$04$", "$31$");
        check(
            &format!("basic_auth_users: {{a: {costly}}}"),
            &["basic_auth_users.a: must be a bcr"],
        );
        check(
            &format!("basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n"),
            &["basic_auth_users.a: appears twice (line 3)"],
        );
        check(&format!("basic_auth_users: {{'a:b': {HASH}}}"), &["basic_auth_users.a:b: the name"]);
        check("basic_auth_users: [a]\n", &["basic_auth_users: must be a map"]);
        check("rate_limit: {interval: 1s}\n", &["rate_limit.burst: must be at least 1"]);
        check("rate_limit: {interval: fast, burst: -1}\n", &["rate_limit.i", "rate_limit.burst"]);
        let missing = WebFile::load(Path::new("does-not-exist.yml")).unwrap_err();
        assert!(missing[0].to_string().starts_with("does-not-exist.yml: cannot be read"));
    }
}
