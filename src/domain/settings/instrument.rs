//! What is known of an instrument.

use crate::domain::ids::{Currency, Symbol};
use crate::domain::units::Decimal;

/// What is known of an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The currency of its prices.
    pub currency: Currency,
    /// Units of the currency for one point and one unit: 50 for ES, 100 for an equity option.
    pub multiplier: Decimal,
    /// A fixed rate from `currency` to the account's currency, if it is another.
    pub rate: Rate,
    /// The currency that it is itself, in which a fee comes off the position. None: that of its
    /// symbol, see [`Self::is_base`].
    pub base: Option<Currency>,
    /// What its quantities count; none: as the form of the symbol says, see [`Self::unit_of`].
    pub unit: Option<Unit>,
}

/// What the quantities of an instrument count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Shares or contracts: one more or less is a difference by itself.
    Contract,
    /// Coins or units of a currency: how much one is worth says nothing of how many are many.
    Coin,
}

/// How an instrument's currency becomes the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// It is the account's currency.
    Same,
    /// At a fixed rate: one unit is this much of the account's currency.
    Fixed(Decimal),
    /// Not known: value tests are skipped, and the drift says `currency_unknown`.
    Unknown,
}

impl Default for Instrument {
    fn default() -> Self {
        Self {
            currency: Currency::usd(),
            multiplier: Decimal::ONE,
            rate: Rate::Same,
            base: None,
            unit: None,
        }
    }
}

impl Instrument {
    /// Whether the instrument is that currency itself, so that a fee in it comes off the position:
    /// the configured base, else the part before the slash of a symbol `BASE/QUOTE`. Of
    /// `BTC/USD:BTC` the position is contracts, and has none.
    #[must_use]
    pub fn is_base(&self, symbol: &Symbol, currency: &Currency) -> bool {
        let base = match &self.base {
            Some(base) => Some(base.as_str()),
            None => base_of(symbol.as_str()),
        };
        base.is_some_and(|base| base.eq_ignore_ascii_case(currency.as_str()))
    }

    /// What the quantities of a symbol count: as its rule says, else coins where it has a base (see
    /// [`Self::is_base`]), and contracts where it has none.
    #[must_use]
    pub fn unit_of(&self, symbol: &str) -> Unit {
        let is_coin = || self.base.is_some() || base_of(symbol).is_some();
        self.unit.unwrap_or_else(|| if is_coin() { Unit::Coin } else { Unit::Contract })
    }
}

fn base_of(symbol: &str) -> Option<&str> {
    let (base, quote) = symbol.split_once('/')?;
    let is_pair = !base.is_empty() && !quote.is_empty() && !quote.contains(['/', ':']);
    is_pair.then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_configured_or_stands_before_the_slash() {
        let check = |configured: Option<&str>, symbol: &str, fee: &str, expect: bool| {
            let currency = |text: &str| Currency::new(text).expect("a currency");
            let instrument = Instrument { base: configured.map(currency), ..Instrument::default() };
            let symbol = Symbol::new(symbol).expect("a symbol");
            assert_eq!(instrument.is_base(&symbol, &currency(fee)), expect, "{symbol} {fee}");
        };
        check(None, "BTC/USD", "BTC", true);
        check(None, "btc/usd", "BTC", true);
        check(None, "BTC/USD", "USD", false);
        check(None, "BTCUSDT", "BTC", false);
        check(Some("BTC"), "BTCUSDT", "BTC", true);
        check(Some("XBT"), "BTC/USD", "BTC", false);
        check(None, "BTC/USD:BTC", "BTC", false);
        check(None, "/ES", "ES", false);
        check(None, "A/", "A", false);
    }

    #[test]
    fn a_pair_counts_coins_unless_its_rule_says_otherwise() {
        let check = |symbol: &str, unit: Option<Unit>, expect: Unit| {
            let instrument = Instrument { unit, ..Instrument::default() };
            assert_eq!(instrument.unit_of(symbol), expect, "{symbol} {unit:?}");
        };
        check("BTC/USD", None, Unit::Coin);
        check("SHIB/USDT:USDT", None, Unit::Contract);
        check("BTC", None, Unit::Contract);
        check("BTC/", None, Unit::Contract);
        check("/ES", None, Unit::Contract);
        check("A/B/C", None, Unit::Contract);
        check("BTCUSDT", Some(Unit::Coin), Unit::Coin);
        check("BRK/B", Some(Unit::Contract), Unit::Contract);
    }
}
