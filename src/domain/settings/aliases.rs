//! Aliases: other names of symbols, replaced by one name for books, windows and drift.
//!
//! Input: an event. Output: the event with replaced names, or None if no name changes. Invariants: an
//! alias is applied once, never to its own result; the last alias that matches wins. Deliberately absent:
//! guessing that two names mean the same instrument.

use serde::{Deserialize, Serialize};

use crate::domain::event::{Event, Source};
use crate::domain::ids::Symbol;
use crate::domain::pattern::Pattern;

/// All aliases, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Aliases(Box<[Alias]>);

/// A name, or a pattern of names, and the name that replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The accounts it applies to.
    pub account: Pattern,
    /// The side it applies to; None: both.
    pub source: Option<Source>,
    /// The name to replace; `*` matches any text of at least one character.
    pub from: Box<str>,
    /// The new name; `$1` to `$9` insert the text of the first to ninth `*`.
    pub to: Box<str>,
}

impl Aliases {
    /// Aliases in the order of the configuration.
    #[must_use]
    pub fn new(aliases: Vec<Alias>) -> Self {
        Self(aliases.into())
    }

    /// All aliases in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> &[Alias] {
        &self.0
    }

    /// The event with replaced names; None if no name changes. An event that does not say its side
    /// belongs to the engine.
    #[must_use]
    pub fn renamed(&self, event: &Event) -> Option<Event> {
        if self.0.is_empty() {
            return None;
        }
        let source = event.body.sender().unwrap_or(Source::Local);
        let mut renamed = event.clone();
        let mut is_changed = false;
        renamed.body.each_symbol(&mut |symbol| {
            if let Some(name) = self.name(event.account.as_str(), source, symbol.as_str()) {
                *symbol = name;
                is_changed = true;
            }
        });
        is_changed.then_some(renamed)
    }

    /// The new name of a symbol, if any alias matches.
    #[must_use]
    pub fn name(&self, account: &str, source: Source, symbol: &str) -> Option<Symbol> {
        self.0
            .iter()
            .rev()
            .filter(|alias| alias.source.is_none_or(|own| own == source))
            .filter(|alias| alias.account.matches(account))
            .find_map(|alias| alias.name(symbol))
    }
}

impl Alias {
    /// The new name of a symbol; None if the alias does not match or gives no valid name.
    fn name(&self, symbol: &str) -> Option<Symbol> {
        let parts = stars(&self.from, symbol)?;
        let mut name = String::new();
        let mut text = self.to.chars();
        while let Some(sign) = text.next() {
            let star = text.as_str().chars().next().filter(|_| sign == '$').and_then(star_of);
            match star.and_then(|star| parts.get(star)) {
                Some(part) => {
                    name.push_str(part);
                    text.next();
                }
                None => name.push(sign),
            }
        }
        Symbol::new(&name).ok().filter(|name| name.as_str() != Symbol::OTHER)
    }

    /// The number of `*` in `from`, and the highest `$` in `to`, which must not exceed it.
    #[must_use]
    pub fn stars(&self) -> (usize, usize) {
        let asked = self.to.match_indices('$').filter_map(|(at, _)| {
            let sign = self.to.get(at + 1..).and_then(|rest| rest.chars().next());
            sign.and_then(star_of).map(|star| star + 1)
        });
        (self.from.matches('*').count(), asked.max().unwrap_or(0))
    }
}

/// The index of the star that a digit after `$` names: 0 for `1`.
fn star_of(digit: char) -> Option<usize> {
    let star = digit.to_digit(10)? as usize;
    star.checked_sub(1)
}

/// The text that each `*` of a pattern matches, each as short as possible; None if there is no match.
fn stars<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut fixed = pattern.split('*');
    let mut rest = text.strip_prefix(fixed.next()?)?;
    let mut found = Vec::new();
    let mut fixed = fixed.peekable();
    while let Some(next) = fixed.next() {
        // A star matches at least one character, and the last piece must end the text.
        let first = rest.chars().next()?.len_utf8();
        let at = if fixed.peek().is_none() {
            let at = rest.len().checked_sub(next.len())?;
            (at >= first && rest.ends_with(next)).then_some(at)?
        } else {
            first + rest.get(first..)?.find(next)?
        };
        let (part, behind) = rest.split_at_checked(at)?;
        found.push(part);
        rest = behind.strip_prefix(next)?;
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(from: &str, to: &str) -> Alias {
        Alias { account: Pattern::any(), source: None, from: from.into(), to: to.into() }
    }

    #[test]
    fn stars_are_inserted_into_the_new_name() {
        let check = |from: &str, to: &str, symbol: &str, expect: Option<&str>| {
            let name = alias(from, to).name(symbol);
            assert_eq!(name.as_ref().map(Symbol::as_str), expect, "{from} {to} {symbol}");
        };
        check("BTCUSDT", "BTC/USDT", "BTCUSDT", Some("BTC/USDT"));
        check("BTCUSDT", "BTC/USDT", "BTCUSDTX", None);
        check("*USDT", "$1/USDT", "ETHUSDT", Some("ETH/USDT"));
        check("*USDT", "$1/USDT", "USDT", None);
        check("*USDT", "$1/USDT", "USDTUSDT", Some("USDT/USDT"));
        check("*.XNAS", "$1", "BRK.B.XNAS", Some("BRK.B"));
        check("*-*-SWAP", "$1/$2:$2", "BTC-USDT-SWAP", Some("BTC/USDT:USDT"));
        check("*-*-SWAP", "$1/$2:$2", "BTC-SWAP", None);
        check("X*", "$1$0$x$", "XAB", Some("AB$0$x$"));
        check("*", "$1", "币安人生", Some("币安人生"));
        check("*币*", "$2$1", "a币b", Some("ba"));
        // A result that is no valid name is ignored.
        check("*.X", "$1", "A .X", None);
        check("*", "__other__", "A", None);
    }

    #[test]
    fn the_last_alias_that_matches_side_and_account_wins() {
        let mut broker = alias("*USDT", "$1/USDT");
        broker.source = Some(Source::Broker);
        let mut paper = alias("ETHUSDT", "ETH");
        paper.account = Pattern::new("paper");
        let aliases = Aliases::new(vec![broker, paper]);
        let check = |account: &str, source: Source, expect: Option<&str>| {
            let name = aliases.name(account, source, "ETHUSDT");
            assert_eq!(name.as_ref().map(Symbol::as_str), expect, "{account} {source:?}");
        };
        check("live", Source::Broker, Some("ETH/USDT"));
        check("live", Source::Local, None);
        check("paper", Source::Broker, Some("ETH"));
        check("paper", Source::Local, Some("ETH"));
    }

    #[test]
    fn stars_are_counted_on_both_sides() {
        assert_eq!(alias("*-*", "$2/$1$").stars(), (2, 2));
        assert_eq!(alias("A", "$B").stars(), (0, 0));
        assert_eq!(alias("A*", "$1$9").stars(), (1, 9));
    }
}
