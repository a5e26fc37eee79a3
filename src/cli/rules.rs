//! `rules`: prints alert rules for the configured thresholds, or writes them to files.

use std::fs;
use std::path::Path;

use super::args::RulesArguments;
use super::{Failure, write_out};
use crate::alerting::{self, RuleStyle, Thresholds};
use crate::config::{Config, Overrides};

/// Prints the rules, or writes the files and prints their names.
pub(super) fn run(arguments: &RulesArguments) -> Result<(), Failure> {
    // Only thresholds and halting alerts are used. No address is opened, so it need not be secure.
    let overrides = Overrides { insecure: true, ..Overrides::default() };
    let config = Config::load(arguments.config_file.as_deref(), overrides)?;
    let style = style(arguments, &config);
    let files = alerting::rule_files(&config.settings, &style);
    let Some(directory) = &arguments.output_dir else {
        return write_out(&alerting::render_all(&files, &style));
    };
    for file in &files {
        let path = directory.join(format!("{}.rules.yml", file.name));
        write(&path, &alerting::render(file, &style))?;
        write_out(&format!("{}\n", path.display()))?;
    }
    Ok(())
}

/// By default, links to runbooks lead to the exporter itself, at its external URL.
fn style(arguments: &RulesArguments, config: &Config) -> RuleStyle {
    let default = RuleStyle::default();
    let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
    let own = || {
        if let Some(url) = config.web.external_url.as_deref() {
            return format!("{}/runbooks", trimmed(url));
        }
        default.runbook_url.replace("/runbooks", &format!("{}/runbooks", config.web.route_prefix))
    };
    RuleStyle {
        thresholds: if arguments.literal { Thresholds::Literal } else { Thresholds::Joined },
        runbook_url: arguments.runbook_url.as_deref().map_or_else(own, trimmed),
        grafana_url: trimmed(&arguments.grafana_url),
        halt_on: config.alerting.halt_on.clone(),
    }
}

/// Replaces a file atomically.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let temporary = path.with_extension("yml.tmp");
    let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| Failure::Write { path: path.to_owned(), source })
}
