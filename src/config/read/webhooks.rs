//! `webhooks`: the targets of directives.
//!
//! Invariants: each has a signing secret; names are unique; a private address or plain HTTP needs
//! `allow_private`. Deliberately absent: secrets in messages.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{MILLISECOND, MINUTE};
use crate::config::scalar::{ValueError, duration, flag, list_of, path, pattern, text, url, word};
use crate::config::section::{Section, SectionPlace};
use crate::config::yaml::YamlNode;
use crate::config::{
    Environment, Reach, SecretUrl, Webhook, WebhookSecret, is_public, read_bounded,
};
use crate::domain::directive::DirectiveKind;

/// Targets in the list, at most.
const WEBHOOKS_MAX: usize = 32;
/// Bytes of a file with a secret.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 10;
/// Account patterns of one target.
const PATTERNS_MAX: usize = 256;
/// Bytes of a name, which is also the name of a file.
const NAME_BYTES_MAX: usize = 64;
/// Default timeout of one delivery.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the list.
pub(super) fn read(root: &mut Section<'_>, environment: &Environment) -> Vec<Webhook> {
    let webhooks = root.list("webhooks", WEBHOOKS_MAX, |s| webhook(s, environment));
    for (index, (webhook, place)) in webhooks.iter().enumerate() {
        if webhooks.iter().take(index).any(|(other, _)| other.name == webhook.name) {
            root.report().add(&place.path, Some(place.line), "has the name of another webhook");
        }
    }
    webhooks.into_iter().map(|(webhook, _)| webhook).collect()
}

fn webhook(s: &mut Section<'_>, environment: &Environment) -> Option<(Webhook, SectionPlace)> {
    let name = s.require("name", file_name);
    let url = s.require("url", url);
    let secrets = secrets(s, environment);
    let mut events = DirectiveKind::ALL.to_vec();
    let kinds = DirectiveKind::ALL.map(|kind| (kind, kind));
    s.set("events", &mut events, list_of(kinds.len(), |node| word(&kinds)(node)));
    let mut accounts = Vec::new();
    s.set("accounts", &mut accounts, list_of(PATTERNS_MAX, pattern));
    for field in ["events", "accounts"] {
        let is_empty = if field == "events" { events.is_empty() } else { accounts.is_empty() };
        if s.has(field) && is_empty {
            s.wrong(field, "must not be empty: leave it out for all");
        }
    }
    let mut timeout = TIMEOUT;
    s.set("timeout", &mut timeout, duration(100 * MILLISECOND..=MINUTE));
    let mut private = false;
    s.set("allow_private", &mut private, flag);
    let reach = if private { Reach::Any } else { Reach::Public };
    let url = url?;
    if reach == Reach::Public {
        check_reach(s, &url);
    }
    let (url, place) = (SecretUrl::new(url), s.place());
    let webhook = Webhook { name: name?, url, secrets: secrets?, events, accounts, timeout, reach };
    Some((webhook, place))
}

/// Checks the address as far as possible before the host name is resolved.
pub(super) fn check_reach(s: &Section<'_>, url: &str) {
    let parsed = reqwest::Url::parse(url);
    let host = parsed.as_ref().ok().and_then(reqwest::Url::host_str).unwrap_or_default();
    let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    if literal.is_some_and(|address| !is_public(address)) {
        s.wrong(
            "url",
            "is a private or special address: set allow_private: true if that is intended",
        );
    } else if !url.starts_with("https://") {
        s.wrong("url", "must begin with https://, unless allow_private is true");
    }
}

/// A name of letters, digits, `-` and `_`.
pub(super) fn file_name(node: &YamlNode) -> Result<String, ValueError> {
    let name = text(node)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
        return Err(ValueError(format!(
            "must have 1 to {NAME_BYTES_MAX} letters, digits, - and _"
        )));
    }
    Ok(name.to_owned())
}

/// Reads the secret from one file, or during a rotation from two: the new one first.
fn secrets(s: &mut Section<'_>, environment: &Environment) -> Option<Vec<WebhookSecret>> {
    let mut files: Vec<PathBuf> = Vec::new();
    let one = s.has("secret_file");
    s.set("secret_file", &mut files, |node| path(node).map(|file| vec![file]));
    let two = s.has("secret_files");
    s.set("secret_files", &mut files, list_of(2, path));
    if one == two {
        s.wrong_here("must have either secret_file or secret_files");
        return None;
    }
    let field = if one { "secret_file" } else { "secret_files" };
    if two && files.is_empty() {
        s.wrong(field, "must name one or two files");
    }
    let mut secrets = Vec::with_capacity(files.len());
    for file in files {
        let file = environment.directory.join(file);
        match read_bounded(&file, FILE_BYTES_MAX) {
            Ok(content) => match WebhookSecret::parse(&content) {
                Ok(secret) => secrets.push(secret),
                Err(why) => s.wrong(field, format!("the content of {} {why}", file.display())),
            },
            Err(error) => s.wrong(field, format!("cannot read {}: {error}", file.display())),
        }
    }
    Some(secrets)
}
