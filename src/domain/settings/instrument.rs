//! Properties of an instrument.

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::ids::{Currency, Symbol};
use crate::domain::units::{Decimal, exact};

/// Properties of an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instrument {
    /// The currency of its prices.
    pub currency: Currency,
    /// Value of one point of one unit, in the currency: 50 for ES, 100 for an equity option.
    #[serde(with = "exact")]
    pub multiplier: Decimal,
    /// Conversion from `currency` to the account's currency.
    pub rate: Rate,
    /// The currency that the instrument is; a fee in it reduces the position. None: the one in its
    /// symbol, see [`Self::is_base`].
    pub base: Option<Currency>,
    /// The unit of its quantities; None: derived from the symbol, see [`Self::unit_of`].
    pub unit: Option<Unit>,
}

closed_set! {
    /// The unit that quantities of an instrument count.
    pub enum Unit {
        /// Shares or contracts: a difference of one matters whatever its value.
        Contract = "contract",
        /// Coins or units of a currency: only the value of a difference says whether it is large.
        Coin = "coin",
    }
}

/// Conversion of an instrument's currency to the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rate {
    /// Both are the same currency.
    Same,
    /// A fixed rate: the amount of the account's currency for one unit.
    Fixed(#[serde(with = "exact")] Decimal),
    /// Unknown: value tests are skipped, and the drift is marked `currency_unknown`.
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
    /// Whether the instrument is that currency itself, so that a fee in it reduces the position. The base
    /// is the configured one, else the part before the slash of a symbol `BASE/QUOTE`. A symbol like
    /// `BTC/USD:BTC` counts contracts and has no base.
    #[must_use]
    pub fn is_base(&self, symbol: &Symbol, currency: &Currency) -> bool {
        let base = match &self.base {
            Some(base) => Some(base.as_str()),
            None => base_of(symbol.as_str()),
        };
        base.is_some_and(|base| base.eq_ignore_ascii_case(currency.as_str()))
    }

    /// The unit of a symbol's quantities: the configured one, else coins if the symbol has a base (see
    /// [`Self::is_base`]) and contracts if not.
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
    fn the_base_is_configured_or_precedes_the_slash() {
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
    fn a_pair_counts_coins_unless_configured_otherwise() {
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
