//! `feeds`: messages that the exporter fetches itself.
//!
//! Invariants: each has exactly one kind, an account and a format; names are unique; no probe reports the
//! component of a feed. Deliberately absent: secrets in messages.

use super::{MILLISECOND, MINUTE, SECOND};
use crate::adapters::AdapterName;
use crate::config::scalar::{
    ValueError, choice, count, duration, host_and_port, list_of, name, path, text,
};
use crate::config::section::{Section, SectionPlace};
use crate::config::yaml::YamlNode;
use crate::config::{
    Environment, Feed, FeedFormat, FeedKind, FeedLogin, FeedPassword, FeedStart, FileContent,
    Probe, read_bounded,
};
use crate::domain::ids::{Account, Component};
use crate::domain::limits;

use super::webhooks::{FILE_BYTES_MAX, file_name};

/// Feeds in the list, at most.
const FEEDS_MAX: usize = 32;

/// Topics or streams of one feed, at most.
const NAMES_MAX: usize = 64;
/// Bytes of a name that a server gave.
const NAME_BYTES_MAX: usize = 1_024;

/// The word for the exporter's own events, among the names of adapters.
const OWN_EVENTS: &str = "events";

/// Reads the list.
pub(super) fn read(
    root: &mut Section<'_>,
    environment: &Environment,
    probes: &[Probe],
) -> Vec<Feed> {
    let feeds = root.list("feeds", FEEDS_MAX, |s| feed(s, environment));
    for (index, (feed, place)) in feeds.iter().enumerate() {
        if feeds.iter().take(index).any(|(other, _)| other.name == feed.name) {
            root.report().add(&place.path, Some(place.line), "has the name of another feed");
        }
        let has_session =
            |other: &Feed| session(other).is_some() && session(other) == session(feed);
        if feeds.iter().take(index).any(|(other, _)| has_session(other)) {
            let message =
                "has the client_id of another feed at the same server: they would end one another";
            root.report().add(&place.path, Some(place.line), message);
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

/// The session that a server of MQTT keeps for a feed.
fn session(feed: &Feed) -> Option<(&str, &str)> {
    match &feed.kind {
        FeedKind::Mqtt { address, client_id, .. } => Some((address, client_id)),
        FeedKind::File { .. } | FeedKind::Redis { .. } => None,
    }
}

fn feed(s: &mut Section<'_>, environment: &Environment) -> Option<(Feed, SectionPlace)> {
    let name_of_feed = s.require("name", file_name);
    let account = s.require("account", account);
    let format = s.require("adapter", format);
    let mut role = None;
    s.set("role", &mut role, |node| choice(node).map(Some));
    let kind = kind(s, name_of_feed.as_deref().unwrap_or_default(), environment);
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
    // A feed reads one message after the other, and a row of a table means nothing without its header.
    let of_messages = || AdapterName::ALL.into_iter().filter(|name| *name != AdapterName::Csv);
    let words = || of_messages().map(AdapterName::as_str).collect::<Vec<_>>().join(", ");
    of_messages()
        .find(|name| name.as_str() == word)
        .map(FeedFormat::Adapter)
        .ok_or_else(|| ValueError::must(format!("{OWN_EVENTS}, {}", words())))
}

fn kind(s: &mut Section<'_>, name: &str, environment: &Environment) -> Option<FeedKind> {
    let kinds = ["file", "mqtt", "redis"];
    let given = kinds.iter().filter(|n| s.names(n)).count();
    let mut found: Option<FeedKind> = None;
    s.section("file", |s| found = file(s));
    s.section("mqtt", |s| found = mqtt(s, name, environment));
    s.section("redis", |s| found = redis(s, environment));
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

fn mqtt(s: &mut Section<'_>, name: &str, environment: &Environment) -> Option<FeedKind> {
    let address = s.require("address", host_and_port);
    let mut client_id = format!("trading-exporter-{name}");
    s.set("client_id", &mut client_id, foreign_name);
    let topics = s.require("topics", list_of(NAMES_MAX, topic_filter));
    if topics.as_ref().is_some_and(Vec::is_empty) {
        s.wrong("topics", "must not be empty");
    }
    let login = login(s, environment);
    if login.as_ref().is_some_and(|login| login.username.is_empty()) {
        s.wrong("password_file", "needs a username");
    }
    Some(FeedKind::Mqtt { address: address?, client_id, topics: topics?, login })
}

fn redis(s: &mut Section<'_>, environment: &Environment) -> Option<FeedKind> {
    let address = s.require("address", host_and_port);
    let (mut database, mut start) = (0, FeedStart::All);
    s.set("database", &mut database, count(0..=65_535));
    let streams = s.require("streams", list_of(NAMES_MAX, foreign_name));
    if streams.as_ref().is_some_and(Vec::is_empty) {
        s.wrong("streams", "must not be empty");
    }
    s.set("start", &mut start, choice);
    let login = login(s, environment);
    if login.as_ref().is_some_and(|login| login.password.as_str().is_empty()) {
        s.wrong("username", "needs a password_file");
    }
    Some(FeedKind::Redis { address: address?, database, streams: streams?, start, login })
}

/// A name of another system: not empty, without control characters.
fn foreign_name(node: &YamlNode) -> Result<String, ValueError> {
    let text = text(node)?;
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.contains(char::is_control) {
        return Err(ValueError::must(format!(
            "a text of 1 to {NAME_BYTES_MAX} bytes without control characters"
        )));
    }
    Ok(text.to_owned())
}

/// A filter of topics. MQTT 3.1.1, section 4.7.1: a wildcard is a whole level, and `#` is the last one.
fn topic_filter(node: &YamlNode) -> Result<String, ValueError> {
    let filter = foreign_name(node)?;
    let levels: Vec<&str> = filter.split('/').collect();
    let is_valid = |(place, level): (usize, &&str)| match *level {
        "#" => place + 1 == levels.len(),
        "+" => true,
        level => !level.contains(['#', '+']),
    };
    if levels.iter().enumerate().all(is_valid) {
        return Ok(filter);
    }
    Err(ValueError::must("a filter of topics: + is a whole level, and # the last one"))
}

/// A user name, and the password in a file. `None`: neither is given.
fn login(s: &mut Section<'_>, environment: &Environment) -> Option<FeedLogin> {
    let (mut username, mut file) = (String::new(), None);
    s.set("username", &mut username, foreign_name);
    s.set("password_file", &mut file, |node| path(node).map(Some));
    let mut password = FeedPassword::new("");
    if let Some(file) = &file {
        let file = environment.directory.join(file);
        match read_bounded(&file, FILE_BYTES_MAX) {
            Ok(content) => password = FeedPassword::new(&content),
            Err(error) => {
                s.wrong("password_file", format!("cannot read {}: {error}", file.display()));
            }
        }
        if password.as_str().is_empty() {
            s.wrong("password_file", "must name a file with a password");
        }
    }
    let is_given = file.is_some() || !username.is_empty();
    is_given.then_some(FeedLogin { username, password })
}
