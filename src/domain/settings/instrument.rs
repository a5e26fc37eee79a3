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
        Self { currency: Currency::usd(), multiplier: Decimal::ONE, rate: Rate::Same, base: None }
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
}
