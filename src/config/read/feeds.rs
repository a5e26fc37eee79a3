//! `feeds`: messages that the exporter fetches itself.
//!
//! Invariants: each has exactly one kind, an account and a format; names are unique; no probe reports the
//! component of a feed. Deliberately absent: secrets in messages.

use super::{MILLISECOND, MINUTE, SECOND};
use crate::adapters::AdapterName;
use crate::config::scalar::{ValueError, choice, duration, name, path, text};
use crate::config::section::{Section, SectionPlace};
use crate::config::yaml::YamlNode;
use crate::config::{Feed, FeedFormat, FeedKind, FeedStart, FileContent, Probe};
use crate::domain::closed_set::ClosedSet;
use crate::domain::ids::{Account, Component};
use crate::domain::limits;

use super::webhooks::file_name;

/// Feeds in the list, at most.
const FEEDS_MAX: usize = 32;

/// The word for the exporter's own events, among the names of adapters.
const OWN_EVENTS: &str = "events";

/// Reads the list.
pub(super) fn read(root: &mut Section<'_>, probes: &[Probe]) -> Vec<Feed> {
    let feeds = root.list("feeds", FEEDS_MAX, feed);
    for (index, (feed, place)) in feeds.iter().enumerate() {
        if feeds.iter().take(index).any(|(other, _)| other.name == feed.name) {
            root.report().add(&place.path, Some(place.line), "has the name of another feed");
        }
        if probes.iter().any(|probe| probe.component == feed.component) {
            let message = format!("a probe reports its component, {}", feed.component);
            root.report().add(&place.path, Some(place.line), message);
        }
    }
    if feeds.len() + probes.len() > limits::COMPONENTS_MAX {
        let message = format!("feeds and probes are more than {}", limits::COMPONENTS_MAX);
        root.wrong("feeds", message);
    }
    feeds.into_iter().map(|(feed, _)| feed).collect()
}

fn feed(s: &mut Section<'_>) -> Option<(Feed, SectionPlace)> {
    let name_of_feed = s.require("name", file_name);
    let account = s.require("account", account);
    let format = s.require("adapter", format);
    let mut role = None;
    s.set("role", &mut role, |node| choice(node).map(Some));
    let kind = kind(s);
    let feed_name = name_of_feed?;
    let component = Component::new(&format!("feed:{feed_name}")).ok()?;
    let feed =
        Feed { name: feed_name, component, account: account?, format: format?, role, kind: kind? };
    Some((feed, s.place()))
}

/// One account: a feed is confined to it.
fn account(node: &YamlNode) -> Result<Account, ValueError> {
    let account = name(Account::new)(node)?;
    if account.as_str().contains(['*', '?']) {
        return Err(ValueError::must("one account, without * and ?"));
    }
    Ok(account)
}

fn format(node: &YamlNode) -> Result<FeedFormat, ValueError> {
    let word = text(node)?;
    if word == OWN_EVENTS {
        return Ok(FeedFormat::Events);
    }
    AdapterName::from_word(word)
        .map(FeedFormat::Adapter)
        .ok_or_else(|| ValueError::must(format!("{OWN_EVENTS}, {}", AdapterName::WORDS.join(", "))))
}

fn kind(s: &mut Section<'_>) -> Option<FeedKind> {
    let kinds = ["file"];
    let given = kinds.iter().filter(|n| s.names(n)).count();
    let mut found: Option<FeedKind> = None;
    s.section("file", |s| found = file(s));
    if given != 1 {
        s.wrong_here(format!("must have exactly one of {}", kinds.join(", ")));
        return None;
    }
    found
}

fn file(s: &mut Section<'_>) -> Option<FeedKind> {
    let place = s.require("path", path);
    let (mut content, mut start, mut poll) = (FileContent::Lines, FeedStart::All, SECOND);
    s.set("content", &mut content, choice);
    s.set("start", &mut start, choice);
    s.set("poll", &mut poll, duration(50 * MILLISECOND..=MINUTE));
    let place = place?;
    let above = place.parent().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    if above.contains(['*', '?']) {
        s.wrong("path", "may have wildcards only in its last part");
    }
    Some(FeedKind::File { path: place, content, start, poll })
}
