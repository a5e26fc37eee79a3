//! `symbols.aliases` and `symbols.presets`: other names of symbols.
//!
//! Invariant: aliases of the text come after ready ones, and so win over them.

use super::OVERRIDES_MAX;
use crate::config::scalar::{choice, list_of, name, pattern, word};
use crate::config::section::Section;
use crate::domain::closed_set::closed_set;
use crate::domain::event::Source;
use crate::domain::ids::Symbol;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{Alias, Aliases};

closed_set! {
    /// A system whose spelling of symbols has ready aliases.
    enum AliasPreset {
        /// The unified symbols of CCXT, which Freqtrade uses.
        Ccxt = "ccxt",
        /// The security identifiers of LEAN.
        Lean = "lean",
        /// The instrument ids of NautilusTrader.
        Nautilus = "nautilus",
    }
}

/// A ready alias: the side, the name, and the new name.
type ReadyAlias = (Option<Source>, &'static str, &'static str);

impl AliasPreset {
    /// The aliases; the last match is used.
    const fn aliases(self) -> &'static [ReadyAlias] {
        match self {
            // A dated future or an option keeps its name: it is another instrument.
            Self::Ccxt => &[(None, "*/*:*", "$1/$2"), (None, "*/*:*-*", "$1/$2:$3-$4")],
            // An option keeps its name: what follows the bar is its underlying.
            Self::Lean => {
                &[(Some(Source::Local), "* *", "$1"), (Some(Source::Local), "*|*", "$1|$2")]
            }
            // The venue is what follows the last dot.
            Self::Nautilus => {
                &[(Some(Source::Local), "*.*", "$1"), (Some(Source::Local), "*.*.*", "$1.$2")]
            }
        }
    }
}

/// Reads both lists of the section `symbols`.
pub(super) fn read(s: &mut Section<'_>) -> Aliases {
    let mut presets: Vec<AliasPreset> = Vec::new();
    s.set("presets", &mut presets, list_of(AliasPreset::ALL.len(), choice));
    let ready = presets.into_iter().flat_map(AliasPreset::aliases).map(|ready| {
        let (source, from, to) = *ready;
        Alias { account: Pattern::any(), source, from: from.into(), to: to.into() }
    });
    let own = s.list("aliases", OVERRIDES_MAX, alias);
    Aliases::new(ready.chain(own).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    #[test]
    fn presets_spell_symbols_plainly() {
        let check = |symbols: &str, source: Source, from: &str, expect: &str| {
            let text = format!("symbols: {symbols}");
            let config = Config::parse(&text, &Environment::default()).expect(symbols);
            let renamed = config.settings.aliases.name("a", source, from);
            let renamed = renamed.as_ref().map_or(from, Symbol::as_str);
            assert_eq!(renamed, expect, "{symbols} {from}");
        };
        let (local, broker) = (Source::Local, Source::Broker);
        for side in [local, broker] {
            let ccxt = "{presets: [ccxt]}";
            check(ccxt, side, "BTC/USDT:USDT", "BTC/USDT");
            check(ccxt, side, "BTC/USD:BTC", "BTC/USD");
            check(ccxt, side, "BTC/USDT", "BTC/USDT");
            check(ccxt, side, "BTC/USDT:USDT-261225", "BTC/USDT:USDT-261225");
            check(ccxt, side, "BTC/USD:BTC-261225-60000-C", "BTC/USD:BTC-261225-60000-C");
        }
        let nautilus = "{presets: [nautilus]}";
        check(nautilus, local, "AAPL.XNAS", "AAPL");
        check(nautilus, local, "BRK.B.XNYS", "BRK.B");
        check(nautilus, local, "BTCUSDT-PERP.BINANCE", "BTCUSDT-PERP");
        check(nautilus, local, "AAPL", "AAPL");
        check(nautilus, broker, "BRK.B", "BRK.B");
        let lean = "{presets: [lean]}";
        check(lean, local, "SPY R735QTJ8XC9X", "SPY");
        check(
            lean,
            local,
            "SPY 32NKVT6WAWRLQ|SPY R735QTJ8XC9X",
            "SPY 32NKVT6WAWRLQ|SPY R735QTJ8XC9X",
        );
        check(lean, broker, "ES DEC2026", "ES DEC2026");
        let own = "{presets: [ccxt, lean], aliases: [{from: 'XBT/*:*', to: 'BTC/$1'}]}";
        check(own, local, "XBT/USD:XBT", "BTC/USD");
        check(own, local, "ETH/USD:ETH", "ETH/USD");
        check(own, local, "SPY R735QTJ8XC9X", "SPY");
    }
}
