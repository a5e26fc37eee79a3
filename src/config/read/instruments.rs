//! `accounts` and `instruments`: the currency of each account, and the properties of symbols.
//!
//! Input: currencies by account, and rules by account and symbol; in both the last match wins. Output:
//! one list of overrides with a rate in each. Invariants: an instrument in its account's currency has
//! [`Rate::Same`]; one in another currency has the fixed rate of its rule, or [`Rate::Unknown`]; one
//! without a currency has its account's.

use super::OVERRIDES_MAX;
use crate::config::scalar::{choice, name, pattern, positive_decimal};
use crate::config::section::{Section, SectionPlace};
use crate::domain::ids::Currency;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{Instrument, Override, Rate, Settings, Unit};
use crate::domain::units::Decimal;

/// Overrides that instruments combined with accounts may give.
const COMBINATIONS_MAX: usize = 4_096;

struct InstrumentRule {
    account: Pattern,
    symbol: Pattern,
    currency: Option<Currency>,
    multiplier: Decimal,
    rate: Option<Decimal>,
    base: Option<Currency>,
    unit: Option<Unit>,
    place: SectionPlace,
}

struct AccountCurrency {
    account: Pattern,
    currency: Currency,
}

/// Reads both lists and combines them.
pub(super) fn read(root: &mut Section<'_>, settings: &mut Settings) {
    let accounts = root.list("accounts", OVERRIDES_MAX, account);
    let rules = root.list("instruments", OVERRIDES_MAX, instrument);
    let mut overrides = Vec::new();
    for AccountCurrency { account, currency } in &accounts {
        let rule = Instrument { currency: currency.clone(), ..Instrument::default() };
        overrides.push(Override { account: account.clone(), symbol: Pattern::any(), rule });
    }
    for rule in &rules {
        overrides.extend(combine(root, rule, &accounts));
    }
    if overrides.len() > COMBINATIONS_MAX {
        let message = format!("with accounts gives more than {COMBINATIONS_MAX} combinations");
        root.wrong("instruments", message);
        return;
    }
    settings.instruments.overrides = overrides;
}

fn account(s: &mut Section<'_>) -> Option<AccountCurrency> {
    let account = s.require("account", pattern);
    let mut currency = Currency::usd();
    s.set("currency", &mut currency, name(Currency::new));
    Some(AccountCurrency { account: account?, currency })
}

fn instrument(s: &mut Section<'_>) -> Option<InstrumentRule> {
    let symbol = s.require("symbol", pattern);
    let mut rule = InstrumentRule {
        account: Pattern::any(),
        symbol: Pattern::any(),
        currency: None,
        multiplier: Decimal::ONE,
        rate: None,
        base: None,
        unit: None,
        place: s.place(),
    };
    s.set("account", &mut rule.account, pattern);
    s.set("currency", &mut rule.currency, |node| name(Currency::new)(node).map(Some));
    s.set("base", &mut rule.base, |node| name(Currency::new)(node).map(Some));
    s.set("multiplier", &mut rule.multiplier, positive_decimal);
    s.set("rate", &mut rule.rate, |node| positive_decimal(node).map(Some));
    s.set("unit", &mut rule.unit, |node| choice(node).map(Some));
    rule.symbol = symbol?;
    Some(rule)
}

/// One override for each currency that the accounts of a rule may have.
fn combine(
    root: &Section<'_>,
    rule: &InstrumentRule,
    accounts: &[AccountCurrency],
) -> Vec<Override<Instrument>> {
    let mut parts = vec![(rule.account.clone(), Currency::usd())];
    for other in accounts {
        match overlap(&rule.account, &other.account) {
            Overlap::None => {}
            Overlap::Part(pattern) if pattern == rule.account => {
                parts = vec![(pattern, other.currency.clone())];
            }
            Overlap::Part(pattern) => parts.push((pattern, other.currency.clone())),
            Overlap::Unclear => {
                let (own, other) = (rule.account.as_str(), other.account.as_str());
                let message =
                    format!("{own:?} overlaps {other:?} of accounts: use the same pattern");
                wrong(root, rule, "account", message);
            }
        }
    }
    check_rate(root, rule, &parts);
    let decide = |(account, home): (Pattern, Currency)| {
        let currency = rule.currency.clone().unwrap_or_else(|| home.clone());
        let rate = match rule.rate {
            _ if currency == home => Rate::Same,
            Some(rate) => Rate::Fixed(rate),
            None => Rate::Unknown,
        };
        let InstrumentRule { multiplier, unit, base, .. } = rule;
        let (multiplier, unit, base) = (*multiplier, *unit, base.clone());
        let instrument = Instrument { currency, multiplier, rate, base, unit };
        Override { account, symbol: rule.symbol.clone(), rule: instrument }
    };
    parts.into_iter().map(decide).collect()
}

/// A fixed rate converts to one currency: the accounts of the rule must have exactly one other currency
/// than the instrument.
fn check_rate(root: &Section<'_>, rule: &InstrumentRule, parts: &[(Pattern, Currency)]) {
    if rule.rate.is_none() {
        return;
    }
    let foreign = parts
        .iter()
        .map(|(_, home)| home)
        .filter(|home| rule.currency.as_ref().is_some_and(|currency| currency != *home));
    let mut foreign: Vec<&str> = foreign.map(Currency::as_str).collect();
    foreign.sort_unstable();
    foreign.dedup();
    match foreign.as_slice() {
        [_] => {}
        [] => wrong(root, rule, "rate", "the account already has this currency".to_owned()),
        several => {
            let message =
                format!("converts to one currency, but accounts are in {}", several.join(", "));
            wrong(root, rule, "rate", message);
        }
    }
}

fn wrong(root: &Section<'_>, rule: &InstrumentRule, field: &str, message: String) {
    root.report().add(&format!("{}.{field}", rule.place.path), Some(rule.place.line), message);
}

/// The texts that two patterns both match.
#[derive(Debug, PartialEq)]
enum Overlap {
    /// None.
    None,
    /// Exactly those of this pattern.
    Part(Pattern),
    /// Perhaps some, but no single pattern describes them.
    Unclear,
}

fn overlap(a: &Pattern, b: &Pattern) -> Overlap {
    if a == b || b.as_str() == "*" {
        return Overlap::Part(a.clone());
    }
    if a.as_str() == "*" {
        return Overlap::Part(b.clone());
    }
    match (a.is_literal(), b.is_literal()) {
        (true, _) if b.matches(a.as_str()) => Overlap::Part(a.clone()),
        (_, true) if a.matches(b.as_str()) => Overlap::Part(b.clone()),
        (true, _) | (_, true) => Overlap::None,
        (false, false) if apart(a.as_str(), b.as_str()) => Overlap::None,
        (false, false) => Overlap::Unclear,
    }
}

/// Whether the fixed beginnings or ends of the patterns differ.
fn apart(a: &str, b: &str) -> bool {
    let is_wild = |c: &char| matches!(c, '*' | '?');
    let head = |text: &str| text.chars().take_while(|c| !is_wild(c)).collect::<Vec<_>>();
    let tail = |text: &str| text.chars().rev().take_while(|c| !is_wild(c)).collect::<Vec<_>>();
    let differ = |a: Vec<char>, b: Vec<char>| a.iter().zip(&b).any(|(x, y)| x != y);
    differ(head(a), head(b)) || differ(tail(a), tail(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        let check = |a: &str, b: &str, expect: Option<&str>| {
            let expect = expect.map_or(Overlap::None, |p| Overlap::Part(Pattern::new(p)));
            assert_eq!(overlap(&Pattern::new(a), &Pattern::new(b)), expect, "{a} and {b}");
            assert_eq!(overlap(&Pattern::new(b), &Pattern::new(a)), expect, "{b} and {a}");
        };
        check("*", "*", Some("*"));
        check("*", "eu-*", Some("eu-*"));
        check("eu-*", "eu-*", Some("eu-*"));
        check("eu-*", "eu-1", Some("eu-1"));
        check("eu-*", "us-1", None);
        check("us-1", "us-1", Some("us-1"));
        check("us-1", "us-2", None);
        check("eu-*", "us-*", None);
        check("*-eu", "*-us", None);
        assert_eq!(overlap(&Pattern::new("eu-*"), &Pattern::new("*-1")), Overlap::Unclear);
    }
}
