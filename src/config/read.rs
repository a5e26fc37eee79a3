//! The sections of the configuration, each read over its defaults.
//!
//! Input: the root of the text. Output: a [`Config`] and a report. Invariants: every field has
//! bounds; rules about two fields are checked after both are read. The longer sections have files of
//! their own.

mod aliases;
mod anomaly;
mod tables;
mod drift;
mod feeds;
mod instruments;
mod position_sources;
mod probes;
mod tokens;
mod webhooks;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::scalar::{self, choice, count, duration, flag, list_of, name, size, size_in_memory};
use super::section::{MistakeReport, Section, read_map};
use super::yaml::YamlNode;
use super::{Config, Environment, ProbeKind};
use crate::alerting::may_halt;
use crate::domain::ids::Component;
use crate::domain::limits as bounds;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{Override, Settings};

/// Overrides in one list, at most.
const OVERRIDES_MAX: usize = 256;
/// Names of this host.
const HOSTS_MAX: usize = 64;

/// Mappings of tables.
const MAPPINGS_MAX: usize = 64;

/// Addresses to listen on, at most.
const LISTEN_ADDRESSES_MAX: usize = 16;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(24 * 365);

/// Reads everything. A value with a mistake keeps its default, and the mistake is reported.
pub(super) fn read(root: &YamlNode, environment: &Environment, report: &MistakeReport) -> Config {
    let mut config = Config::default();
    let mut settings = Settings::default();
    read_map(root, "", report, |root| {
        root.section("web", |s| web(s, &mut config));
        root.section("storage", |s| storage(s, &mut config));
        config.tokens = tokens::read(root, environment);
        config.webhooks = webhooks::read(root, environment);
        config.position_sources = position_sources::read(root, environment);
        root.section("window", |s| window(s, &mut settings));
        root.section("orders", |s| orders(s, &mut settings));
        root.section("ingest", |s| ingest(s, &mut settings));
        root.section("anomaly", |s| anomaly::read(s, &mut settings));
        root.section("drift", |s| drift::read(s, &mut settings));
        instruments::read(root, &mut settings);
        root.set("strict_accounts", &mut settings.accounts.strict, flag);
        root.section("missing_evidence", |s| missing_evidence(s, &mut settings));
        root.section("health", |s| health(s, &mut settings));
        root.section("breakdowns", |s| {
            s.set("strategy", &mut settings.breakdowns.strategy, flag);
            s.set("venue", &mut settings.breakdowns.venue, flag);
        });
        root.section("limits", |s| limits(s, &mut config, &mut settings));
        root.section("symbols", |s| symbols(s, &mut settings));
        root.section("series", |s| {
            s.set("max", &mut settings.series.max, count(1..=10_000_000));
        });
        root.section("permit", |s| permit(s, &mut settings));
        root.section("alerting", |s| alerting(s, &mut config));
        root.section("clock", |s| clock(s, &mut settings));
        config.csv = tables::read(root);
        config.probes = probes::read(root, settings.health.interval);
        config.feeds = feeds::read(root, environment, &config.probes);
    });
    settings.accounts.named = named_accounts(&config, &settings);
    config.settings = Arc::new(settings);
    config
}

/// The accounts that the configuration names anywhere without wildcards.
fn named_accounts(config: &Config, settings: &Settings) -> BTreeSet<String> {
    let instruments = settings.instruments.overrides.iter().map(|o| &o.account);
    let anomalies = settings.anomaly.overrides.iter().map(|o| &o.account);
    let drifts = settings.drift_rules.overrides.iter().map(|o| &o.account);
    let tokens = config.tokens.iter().flat_map(|token| &token.accounts);
    let webhooks = config.webhooks.iter().flat_map(|webhook| &webhook.accounts);
    let scopes = settings.orders.id_scope.overrides.iter().map(|o| &o.account);
    let instruments = instruments.chain(scopes);
    let patterns = instruments.chain(anomalies).chain(drifts).chain(tokens).chain(webhooks);
    let literal = patterns.filter(|pattern| pattern.is_literal()).map(Pattern::as_str);
    let fed = config.probes.iter().filter_map(|probe| match &probe.kind {
        ProbeKind::Feed { account, .. } => account.as_deref(),
        ProbeKind::Http { .. }
        | ProbeKind::Tcp { .. }
        | ProbeKind::Disk { .. }
        | ProbeKind::Memory { .. } => None,
    });
    let of_feeds = config.feeds.iter().map(|feed| feed.account.as_str());
    let pulled = config.position_sources.iter().map(|source| source.account.as_str());
    literal.chain(fed).chain(of_feeds).chain(pulled).map(str::to_owned).collect()
}

fn web(s: &mut Section<'_>, config: &mut Config) {
    let web = &mut config.web;
    let addresses = scalar::listen_addresses(LISTEN_ADDRESSES_MAX);
    s.set("listen_address", &mut web.listen_addresses, addresses);
    let address = |node: &YamlNode| scalar::parse_listen_address(scalar::text(node)?).map(Some);
    s.set("decision_listen", &mut web.decision_listen, address);
    s.set("hosts", &mut web.hosts, list_of(HOSTS_MAX, scalar::host_name));
    s.set("route_prefix", &mut web.route_prefix, scalar::route_prefix);
    s.set("external_url", &mut web.external_url, |node| scalar::url(node).map(Some));
    s.set("body_bytes_max", &mut web.body_bytes_max, size_in_memory(1 << 10..=1 << 30));
    s.set("events_max", &mut web.events_max, count(1..=1_000_000));
    s.set("text_bytes_max", &mut web.text_bytes_max, size_in_memory(16..=64 << 10));
    s.set("depth_max", &mut web.depth_max, count(4..=128));
    let timeouts = || 100 * MILLISECOND..=10 * MINUTE;
    s.set("header_timeout", &mut web.header_timeout, duration(timeouts()));
    s.set("body_timeout", &mut web.body_timeout, duration(timeouts()));
    s.set("idle_timeout", &mut web.idle_timeout, duration(timeouts()));
    s.set("drain_timeout", &mut web.drain_timeout, duration(Duration::ZERO..=10 * MINUTE));
    s.set("connections_max", &mut web.connections_max, count(1..=65_536));
    s.set("queue_requests_max", &mut web.queue_requests_max, count(1..=65_536));
}

fn storage(s: &mut Section<'_>, config: &mut Config) {
    s.set("mode", &mut config.storage.mode, choice);
    s.set("path", &mut config.storage.path, scalar::path);
    let storage = &mut config.storage;
    s.set("sync", &mut storage.sync, choice);
    s.set("sync_interval", &mut storage.sync_interval, duration(MILLISECOND..=MINUTE));
    s.set("segment_bytes", &mut storage.segment_bytes, size(4 << 10..=1 << 30));
    s.set_or_off("retention_bytes", &mut storage.retention_bytes, size(16 << 20..=1 << 50));
    s.set_or_off("retention_age", &mut storage.retention_age, duration(HOUR..=100 * YEAR));
    s.set("snapshot_records", &mut storage.snapshot_records, count(100..=1_000_000_000));
    s.set("snapshot_interval", &mut storage.snapshot_interval, duration(SECOND..=30 * DAY));
}

fn window(s: &mut Section<'_>, settings: &mut Settings) {
    let window = &mut settings.window;
    s.set("orders", &mut window.orders, count(1..=100_000));
    s.set("fills", &mut window.fills, count(1..=100_000));
    s.set_or_off("age_max", &mut window.age_max, duration(SECOND..=10 * YEAR));
}

fn orders(s: &mut Section<'_>, settings: &mut Settings) {
    let orders = &mut settings.orders;
    s.set("open_max", &mut orders.open_max, count(1..=10_000_000));
    s.set("ended_max", &mut orders.ended_max, count(1..=10_000_000));
    s.set("unknown_max", &mut orders.unknown_max, count(1..=1_000_000));
    s.set("unknown_age_max", &mut orders.unknown_age_max, duration(100 * MILLISECOND..=30 * DAY));
    let ages = || 100 * MILLISECOND..=DAY;
    s.set("unacknowledged_after", &mut orders.unacknowledged_after, duration(ages()));
    s.set("arrival_age_max", &mut orders.arrival_age_max, duration(MILLISECOND..=DAY));
    s.set("id_scope", &mut orders.id_scope.default, choice);
    let default = orders.id_scope.default;
    orders.id_scope.overrides = s.list("overrides", OVERRIDES_MAX, |s| {
        let account = s.require("account", scalar::pattern);
        let mut rule = default;
        s.set("id_scope", &mut rule, choice);
        Some(Override { account: account?, symbol: Pattern::any(), rule })
    });
}

fn ingest(s: &mut Section<'_>, settings: &mut Settings) {
    let ingest = &mut settings.ingest;
    s.set("horizon", &mut ingest.horizon, duration(SECOND..=30 * DAY));
    s.set("horizon_ids", &mut ingest.horizon_ids, count(1..=10_000_000));
    s.set_or_off("event_age_max", &mut ingest.event_age_max, duration(SECOND..=10 * YEAR));
    s.set("clock_skew_max", &mut ingest.clock_skew_max, duration(Duration::ZERO..=DAY));
}

fn health(s: &mut Section<'_>, settings: &mut Settings) {
    let health = &mut settings.health;
    let times = || 1..=100;
    s.set("interval", &mut health.interval, duration(intervals()));
    s.set("failures", &mut health.failures, count(times()));
    s.set("successes", &mut health.successes, count(times()));
    s.set("silent_intervals", &mut health.silent_intervals, count(times()));
    s.set("silent_min", &mut health.silent_min, duration(Duration::ZERO..=HOUR));
    let component = |node: &YamlNode| name(Component::new)(node).map(|c| c.as_str().to_owned());
    let components = || list_of(bounds::COMPONENTS_MAX, component);
    s.set("critical", &mut health.critical, components());
    s.set("halt_on_unhealthy", &mut health.halt_on_unhealthy, components());
    s.set("halt_on_silence", &mut health.halt_on_silence, flag);
}

fn missing_evidence(s: &mut Section<'_>, settings: &mut Settings) {
    let evidence = &mut settings.missing_evidence;
    s.set("book_never_came", &mut evidence.book_never_came, choice);
    s.set("book_stale", &mut evidence.book_stale, choice);
    s.set_or_off("engine_silent_after", &mut evidence.engine_silent_after, duration(SECOND..=DAY));
    s.set("engine_silent", &mut evidence.engine_silent, choice);
}

fn symbols(s: &mut Section<'_>, settings: &mut Settings) {
    settings.aliases = aliases::read(s);
    let symbols = &mut settings.symbols;
    s.set("max", &mut symbols.max, count(1..=1_000_000));
    s.set("on_not_monitored", &mut symbols.on_not_monitored, choice);
}

fn limits(s: &mut Section<'_>, config: &mut Config, settings: &mut Settings) {
    s.set("state_bytes", &mut config.state_bytes_max, |node| {
        if scalar::text(node).is_ok_and(|text| text == "auto") {
            return Ok(None);
        }
        size(1 << 20..=1 << 50)(node).map(Some)
    });
    s.set("accounts_per_token", &mut settings.accounts.per_token, count(1..=100_000));
}

fn clock(s: &mut Section<'_>, settings: &mut Settings) {
    let clock = &mut settings.clock;
    s.set("behind_after", &mut clock.behind_after, duration(Duration::ZERO..=MINUTE));
    s.set("behind_max", &mut clock.behind_max, duration(Duration::ZERO..=100 * YEAR));
    s.set("ahead_after", &mut clock.ahead_after, duration(SECOND..=100 * YEAR));
}

fn permit(s: &mut Section<'_>, settings: &mut Settings) {
    let permit = &mut settings.permit;
    s.set("valid_for", &mut permit.valid_for, duration(100 * MILLISECOND..=5 * MINUTE));
    s.set("on_expiry", &mut permit.on_expiry, choice);
}

fn alerting(s: &mut Section<'_>, config: &mut Config) {
    let names = may_halt();
    let one = |node: &YamlNode| {
        let name = scalar::text(node)?;
        let known = names.get(name).cloned();
        known.ok_or_else(|| {
            scalar::ValueError::must("an alert with its severity: FillRatioLowCritical")
        })
    };
    s.set("halt_on", &mut config.alerting.halt_on, list_of(names.len(), one));
}

/// Bounds of the interval at which a component reports or is probed.
const fn intervals() -> RangeInclusive<Duration> {
    Duration::from_millis(10)..=DAY
}
