//! `probes`: health checks that the exporter runs itself.
//!
//! Invariants: each has exactly one kind; its timeout is at most its interval; no two report the same
//! component.

use std::path::PathBuf;
use std::time::Duration;

use super::{DAY, MILLISECOND, MINUTE, SECOND, intervals};
use crate::config::scalar::{
    ValueError, count, duration, host_and_port, list_of, name, number, path, size, url,
};
use crate::config::section::{Section, SectionPlace};
use crate::config::yaml::YamlNode;
use crate::config::{Probe, ProbeKind, SecretUrl};
use crate::domain::ids::{Account, Component};
use crate::domain::limits;

/// Default timeout, unless the interval is shorter.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the list; `interval` is that of the health section.
pub(super) fn read(root: &mut Section<'_>, interval: Duration) -> Vec<Probe> {
    let probes = root.list("probes", limits::COMPONENTS_MAX, |s| probe(s, interval));
    for (index, (probe, place)) in probes.iter().enumerate() {
        if probes.iter().take(index).any(|(other, _)| other.component == probe.component) {
            let message = "another probe reports the same component";
            root.report().add(&format!("{}.component", place.path), Some(place.line), message);
        }
    }
    probes.into_iter().map(|(probe, _)| probe).collect()
}

fn probe(s: &mut Section<'_>, interval: Duration) -> Option<(Probe, SectionPlace)> {
    let component = s.require("component", name(Component::new));
    let mut probe_interval = interval;
    s.set("interval", &mut probe_interval, duration(intervals()));
    let mut timeout = TIMEOUT.min(probe_interval);
    s.set("timeout", &mut timeout, duration(10 * MILLISECOND..=5 * MINUTE));
    if timeout > probe_interval {
        s.wrong("timeout", "must not be longer than the interval");
    }
    let kind = kind(s);
    let (component, kind) = (component?, kind?);
    Some((Probe { component, interval: probe_interval, timeout, kind }, s.place()))
}

fn kind(s: &mut Section<'_>) -> Option<ProbeKind> {
    let kinds = ["http", "tcp", "disk", "memory", "feed"];
    let given = kinds.iter().filter(|n| s.names(n)).count();
    let mut found: Option<ProbeKind> = None;
    s.section("http", |s| found = http(s));
    s.section("tcp", |s| found = tcp(s));
    s.section("disk", |s| found = disk(s));
    s.section("memory", |s| found = Some(memory(s)));
    s.section("feed", |s| found = Some(feed(s)));
    if given != 1 {
        s.wrong_here(format!("must have exactly one of {}", kinds.join(", ")));
        return None;
    }
    found
}

fn http(s: &mut Section<'_>) -> Option<ProbeKind> {
    let url = s.require("url", url);
    let mut statuses = Vec::new();
    let status = |node: &YamlNode| count::<u16>(100..=599)(node);
    s.set("statuses", &mut statuses, list_of(64, status));
    Some(ProbeKind::Http { url: SecretUrl::new(url?), statuses })
}

fn tcp(s: &mut Section<'_>) -> Option<ProbeKind> {
    Some(ProbeKind::Tcp { address: s.require("address", host_and_port)? })
}

fn disk(s: &mut Section<'_>) -> Option<ProbeKind> {
    let place: Option<PathBuf> = s.require("path", path);
    let (mut free_ratio_min, mut free_bytes_min) = (0.1, 0);
    s.set("free_ratio_min", &mut free_ratio_min, number(0.0..=1.0));
    s.set("free_bytes_min", &mut free_bytes_min, size(0..=1 << 50));
    Some(ProbeKind::Disk { path: place?, free_ratio_min, free_bytes_min })
}

fn memory(s: &mut Section<'_>) -> ProbeKind {
    let mut available_ratio_min = 0.1;
    s.set("available_ratio_min", &mut available_ratio_min, number(0.0..=1.0));
    ProbeKind::Memory { available_ratio_min }
}

fn feed(s: &mut Section<'_>) -> ProbeKind {
    let (mut account, mut age_max) = (None, MINUTE);
    let read = |node: &YamlNode| -> Result<_, ValueError> { name(Account::new)(node) };
    s.set("account", &mut account, |node| read(node).map(|a| Some(a.as_str().to_owned())));
    s.set("age_max", &mut age_max, duration(SECOND..=DAY));
    ProbeKind::Feed { account, age_max }
}
