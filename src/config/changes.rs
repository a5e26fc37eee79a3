//! The changes that a reload makes, in one line for people, for the audit trail.
//!
//! Input: the configuration before and after. Output: changed settings by path with both values, other
//! changed sections by name. Invariant: the line holds no secret, no hash and no URL. Deliberately
//! absent: whether a change needs a restart (see `app::reload`).

use serde_json::Value as Json;

use super::{Config, WebFile};
use crate::domain::limits;
use crate::domain::settings::Settings;

/// All changes, or `nothing changed`; at most [`limits::TEXT_BYTES_MAX`] bytes.
#[must_use]
pub fn between(before: &Config, after: &Config) -> String {
    let mut changes = settings(&before.settings, &after.settings);
    changes.extend(web_file(&before.web_file, &after.web_file));
    for (name, differs) in [
        ("web", before.web != after.web),
        ("storage", before.storage != after.storage),
        ("probes", before.probes != after.probes),
        ("csv", before.csv != after.csv),
        ("feeds", before.feeds != after.feeds),
        ("position_sources", before.position_sources != after.position_sources),
        ("webhooks", before.webhooks != after.webhooks),
        ("alerting", before.alerting != after.alerting),
    ] {
        if differs {
            changes.push(name.to_owned());
        }
    }
    for token in &after.tokens {
        match before.tokens.iter().find(|known| known.name == token.name) {
            None => changes.push(format!("token {} added", token.name)),
            Some(known) if known != token => changes.push(format!("token {} changed", token.name)),
            Some(_) => {}
        }
    }
    let is_gone = |name: &str| after.tokens.iter().all(|token| *token.name != *name);
    let gone = before.tokens.iter().filter(|token| is_gone(&token.name));
    changes.extend(gone.map(|token| format!("token {} removed", token.name)));
    join(&changes)
}

/// Users and the policy of TLS by name, the rest as `web configuration file`.
fn web_file(before: &WebFile, after: &WebFile) -> Vec<String> {
    if before == after {
        return Vec::new();
    }
    let mut changes = vec![String::from("web configuration file")];
    let policy = |file: &WebFile| {
        file.tls.as_ref().map_or_else(|| "no TLS".to_owned(), |tls| tls.policy().to_owned())
    };
    let (old, new) = (policy(before), policy(after));
    if old != new {
        changes.push(format!("tls_server_config: {old} -> {new}"));
    }
    for user in &after.users {
        match before.users.iter().find(|known| known.name == user.name) {
            None => changes.push(format!("user {} added", user.name)),
            Some(known) if known != user => changes.push(format!("user {} changed", user.name)),
            Some(_) => {}
        }
    }
    let is_gone = |name: &str| after.users.iter().all(|user| user.name != name);
    let gone = before.users.iter().filter(|user| is_gone(&user.name));
    changes.extend(gone.map(|user| format!("user {} removed", user.name)));
    changes
}

/// The changes of the settings alone.
#[must_use]
pub fn of_settings(before: &Settings, after: &Settings) -> String {
    join(&settings(before, after))
}

fn settings(before: &Settings, after: &Settings) -> Vec<String> {
    let [old, new] = [before, after].map(|settings| {
        let json = serde_json::to_value(settings);
        invariant!(json.is_ok(), "settings can be written as JSON");
        json.unwrap_or_default()
    });
    let mut changes = Vec::new();
    add_changes("", &old, &new, &mut changes);
    changes
}

fn join(changes: &[String]) -> String {
    if changes.is_empty() {
        return "nothing changed".to_owned();
    }
    let mut text = changes.join("; ");
    text.truncate(text.floor_char_boundary(limits::TEXT_BYTES_MAX));
    text
}

/// Adds the values below a path that differ. A changed list is named by its path alone.
fn add_changes(path: &str, old: &Json, new: &Json, changes: &mut Vec<String>) {
    match (old, new) {
        (Json::Object(old), Json::Object(new)) => {
            for (name, after) in new {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                add_changes(&path, old.get(name).unwrap_or(&Json::Null), after, changes);
            }
        }
        (old, new) if old == new => {}
        (Json::Array(_), _) | (_, Json::Array(_)) => changes.push(path.to_owned()),
        (old, new) => changes.push(format!("{path}: {old} -> {new}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Overrides};

    #[test]
    fn every_change_is_named_without_secrets() {
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let overrides = Overrides { insecure: true, ..Overrides::default() };
        let environment = Environment { overrides, ..Environment::default() };
        let check = |before: &str, after: &str, expect: &str| {
            let [before, after] = [before, after]
                .map(|text| Config::parse(&text.replace("HASH", hash), &environment).expect(text));
            let text = between(&before, &after);
            assert_eq!(text, expect);
            assert!(!text.contains(hash));
        };
        check("", "", "nothing changed");
        check("", "series: {max: 5000}", "series.max: 100000 -> 5000");
        check(
            "permit: {on_expiry: halt}",
            "health: {critical: [broker]}",
            "health.critical; permit.on_expiry: \"halt\" -> \"reduce_only\"",
        );
        let token = |name: &str, scope: &str| {
            format!("tokens: [{{name: {name}, sha256: HASH, scopes: [{scope}]}}]")
        };
        check("", &token("desk", "read"), "token desk added");
        check(&token("desk", "read"), &token("desk", "halt"), "token desk changed");
        check(&token("desk", "read"), &token("ops", "read"), "token ops added; token desk removed");
    }
}
