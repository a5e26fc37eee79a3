//! `position_sources`: lists of positions that the exporter fetches itself.
//!
//! Invariants: each has exactly one kind; its timeout is at most its interval; no two have one name, and no
//! two report the same side of one account, because one list would replace the other.

mod json_api;
mod signature;

use std::path::PathBuf;
use std::time::Duration;

use super::webhooks::{check_reach, file_name};
use super::{DAY, MILLISECOND, MINUTE};
use crate::config::scalar::{self, duration, flag, name, path, size_in_memory, url, word};
use crate::config::section::{Section, SectionPlace};
use crate::config::{
    Environment, HiddenText, ListMethod, ListReader, ListRequest, PositionSource, Reach, SecretUrl,
    read_bounded,
};
use crate::domain::event::Source;
use crate::domain::ids::Account;
use crate::expression::{Expression, Preset};

/// Sources in the list, at most.
const SOURCES_MAX: usize = 256;
/// Bytes of a file with a secret.
const SECRET_BYTES_MAX: u64 = 16 << 10;
/// Bytes of a file of certificates.
const AUTHORITIES_BYTES_MAX: u64 = 1 << 20;
const INTERVAL: Duration = MINUTE;
const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES: usize = 8 << 20;
/// The sides that freqtrade reports.
const BOTH: [Source; 2] = [Source::Local, Source::Broker];
/// The API of Alpaca's paper accounts.
const ALPACA_URL: &str = "https://paper-api.alpaca.markets";

/// Reads the list.
pub(super) fn read(root: &mut Section<'_>, environment: &Environment) -> Vec<PositionSource> {
    let sources = root.list("position_sources", SOURCES_MAX, |s| source(s, environment));
    let sides = |source: &PositionSource| -> Vec<Source> {
        source.lists.iter().map(|list| list.role).collect()
    };
    for (index, (source, place)) in sources.iter().enumerate() {
        let line = Some(place.line);
        for (other, _) in sources.iter().take(index) {
            if other.name == source.name {
                root.report().add(&place.path, line, "has the name of another source");
            }
            let shared = sides(source).into_iter().find(|side| sides(other).contains(side));
            if let Some(side) = shared.filter(|_| other.account == source.account) {
                let message =
                    format!("{} reports the {} side of this account", other.name, side.as_str());
                root.report().add(&place.path, line, message);
            }
        }
    }
    sources.into_iter().map(|(source, _)| source).collect()
}

fn source(
    s: &mut Section<'_>,
    environment: &Environment,
) -> Option<(PositionSource, SectionPlace)> {
    let source_name = s.require("name", file_name);
    let account = s.require("account", name(Account::new));
    let mut interval = INTERVAL;
    s.set("interval", &mut interval, duration(100 * MILLISECOND..=DAY));
    let mut timeout = TIMEOUT.min(interval);
    s.set("timeout", &mut timeout, duration(100 * MILLISECOND..=5 * MINUTE));
    if timeout > interval {
        s.wrong("timeout", "must not be longer than the interval");
    }
    let mut answer_bytes_max = ANSWER_BYTES;
    s.set("answer_bytes_max", &mut answer_bytes_max, size_in_memory(1 << 10..=64 << 20));
    let mut private = false;
    s.set("allow_private", &mut private, flag);
    let reach = if private { Reach::Any } else { Reach::Public };
    let authorities = authorities(s, environment);
    let lists = lists(s, environment);
    if lists.iter().flatten().any(|list| list.role == Source::Local)
        && source_name.as_deref().is_some_and(|name| ["broker", "engine"].contains(&name))
    {
        s.wrong("name", "must not be broker or engine: it is the component of the engine's list");
    }
    if reach == Reach::Public {
        // Every list of a source has the same host.
        if let Some(list) = lists.iter().flatten().next() {
            check_reach(s, list.url.as_str());
        }
    }
    let source = PositionSource {
        name: source_name?,
        account: account?,
        interval,
        timeout,
        answer_bytes_max,
        reach,
        authorities,
        lists: lists?,
    };
    Some((source, s.place()))
}

/// The requests of the one kind that the source has.
fn lists(s: &mut Section<'_>, environment: &Environment) -> Option<Vec<ListRequest>> {
    let sides: [(&str, &[Source]); 3] =
        [("broker", &[Source::Broker]), ("local", &[Source::Local]), ("both", &BOTH)];
    let mut roles: Option<&[Source]> = None;
    s.set("role", &mut roles, |node| word(&sides)(node).map(Some));
    if !s.names("freqtrade") && roles.is_some_and(|roles| roles.len() > 1) {
        s.wrong("role", "must be broker or local: only freqtrade reports both");
    }
    let kinds = ["http", "alpaca", "freqtrade"];
    let given = kinds.iter().filter(|n| s.names(n)).count();
    let role = roles.and_then(|roles| roles.first().copied()).unwrap_or(Source::Broker);
    let mut found = None;
    s.section("http", |s| found = json_api::read(s, role, environment).map(|list| vec![list]));
    s.section("alpaca", |s| found = alpaca(s, role, environment).map(|list| vec![list]));
    s.section("freqtrade", |s| found = freqtrade(s, roles.unwrap_or(&BOTH), environment));
    if given != 1 {
        s.wrong_here(format!("must have exactly one of {}", kinds.join(", ")));
        return None;
    }
    found
}

fn alpaca(s: &mut Section<'_>, role: Source, environment: &Environment) -> Option<ListRequest> {
    let mut base = ALPACA_URL.to_owned();
    s.set("url", &mut base, url);
    let id = secret(s, "key_id_file", environment);
    let secret = secret(s, "secret_key_file", environment);
    let headers = vec![
        (String::from("APCA-API-KEY-ID"), id?),
        (String::from("APCA-API-SECRET-KEY"), secret?),
    ];
    let url = format!("{}/v2/positions", base.trim_end_matches('/'));
    Some(ListRequest { headers, ..get(role, url, ListReader::Alpaca) })
}

fn freqtrade(
    s: &mut Section<'_>,
    roles: &[Source],
    environment: &Environment,
) -> Option<Vec<ListRequest>> {
    let base = s.require("url", url);
    let user = s.require("username", |node| scalar::text(node).map(str::to_owned));
    let password = secret(s, "password_file", environment);
    let balances = [("managed", Preset::FreqtradeBalance), ("all", Preset::FreqtradeBalanceAll)];
    let mut balance = Preset::FreqtradeBalance;
    s.set("balances", &mut balance, word(&balances));
    let (base, user, password) = (base?, user?, password?);
    let lists = roles.iter().map(|role| {
        let (path, preset) = match role {
            Source::Local => ("status", Preset::FreqtradeStatus),
            Source::Broker => ("balance", balance),
        };
        let url = format!("{}/api/v1/{path}", base.trim_end_matches('/'));
        let basic = Some((user.clone(), password.clone()));
        let expression = Expression::parse(preset.text()).ok()?;
        Some(ListRequest { basic, ..get(*role, url, ListReader::Expression(expression)) })
    });
    lists.collect()
}

/// A plain GET.
fn get(role: Source, url: String, reader: ListReader) -> ListRequest {
    ListRequest {
        role,
        url: SecretUrl::new(url),
        method: ListMethod::Get,
        body: String::new(),
        headers: Vec::new(),
        basic: None,
        signature: None,
        reader,
    }
}

/// Reads a secret of one line from the file that a required field names.
fn secret(
    s: &mut Section<'_>,
    field: &'static str,
    environment: &Environment,
) -> Option<HiddenText> {
    let file = s.require(field, path)?;
    secret_of(s, field, file, environment)
}

/// Reads a secret of one line from a file.
fn secret_of(
    s: &Section<'_>,
    field: &str,
    file: PathBuf,
    environment: &Environment,
) -> Option<HiddenText> {
    let file = environment.directory.join(file);
    match read_bounded(&file, SECRET_BYTES_MAX) {
        Ok(content) => {
            let line = content.trim();
            let is_sendable = line.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            if !line.is_empty() && is_sendable {
                return Some(HiddenText::new(line));
            }
            s.wrong(field, format!("the content of {} must be one line of text", file.display()));
        }
        Err(error) => s.wrong(field, format!("cannot read {}: {error}", file.display())),
    }
    None
}

/// Certificates beside the usual ones.
fn authorities(s: &mut Section<'_>, environment: &Environment) -> Option<Vec<u8>> {
    let mut file = None;
    s.set("ca_file", &mut file, |node| path(node).map(Some));
    let file = environment.directory.join(file?);
    match read_bounded(&file, AUTHORITIES_BYTES_MAX) {
        Ok(content) => {
            let parsed = reqwest::Certificate::from_pem_bundle(content.as_bytes());
            if parsed.is_ok_and(|found| !found.is_empty()) {
                return Some(content.into_bytes());
            }
            s.wrong("ca_file", format!("{} must hold certificates in PEM", file.display()));
        }
        Err(error) => s.wrong("ca_file", format!("cannot read {}: {error}", file.display())),
    }
    None
}
