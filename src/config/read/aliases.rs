//! `symbols.aliases`: other names of symbols.

use super::OVERRIDES_MAX;
use crate::config::scalar::{name, pattern, word};
use crate::config::section::Section;
use crate::domain::event::Source;
use crate::domain::ids::Symbol;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{Alias, Aliases};

/// Reads the list of the section `symbols`.
pub(super) fn read(s: &mut Section<'_>) -> Aliases {
    Aliases::new(s.list("aliases", OVERRIDES_MAX, alias))
}

fn alias(s: &mut Section<'_>) -> Option<Alias> {
    let text = |node: &_| name(Symbol::new)(node).map(|name| Box::from(name.as_str()));
    let from = s.require("from", text);
    let to = s.require("to", text);
    let mut account = Pattern::any();
    s.set("account", &mut account, pattern);
    let sides = [("local", Some(Source::Local)), ("broker", Some(Source::Broker)), ("both", None)];
    let mut source = None;
    s.set("source", &mut source, word(&sides));
    let alias = Alias { account, source, from: from?, to: to? };
    let (stars, asked) = alias.stars();
    if asked > stars {
        s.wrong("to", format!("uses ${asked}, but from has {stars} of *"));
        return None;
    }
    Some(alias)
}
