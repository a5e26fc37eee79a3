//! The currency and multiplier that executions are counted with.
//!
//! Input: the instrument of each symbol when settings come into force. Output: a [`TermsKey`] that
//! an execution keeps. Invariant: an execution is reversed in the currency and with the multiplier
//! that it was counted with, whatever the settings are by then.

use serde::{Deserialize, Serialize};

use crate::domain::ids::Currency;
use crate::domain::settings::Instrument;
use crate::domain::units::{Decimal, exact};

/// Distinct terms over the life of an account. Beyond this bound, new terms overwrite the last ones,
/// and executions counted with those are reversed with other terms. It takes thousands of reloads
/// with changed instruments to get there.
const TERMS_MAX: usize = 65_536;

/// The place of terms within their account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsKey(u16);

/// The terms that the executions of a symbol are counted with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillTerms {
    /// The currency of its prices, and of fees without a currency.
    pub currency: Currency,
    /// Units of the currency per point of price and unit of quantity.
    #[serde(with = "exact")]
    pub multiplier: Decimal,
}

/// All terms that were ever in force for the symbols of an account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TermsTable(Vec<FillTerms>);

impl TermsTable {
    /// The place of the terms of an instrument; new terms get one.
    pub fn key(&mut self, instrument: &Instrument) -> TermsKey {
        let Instrument { currency, multiplier, .. } = instrument;
        let equal = |t: &FillTerms| t.currency == *currency && t.multiplier == *multiplier;
        let place = self.0.iter().position(equal).unwrap_or_else(|| {
            self.0.truncate(TERMS_MAX - 1);
            self.0.push(FillTerms { currency: currency.clone(), multiplier: *multiplier });
            self.0.len() - 1
        });
        TermsKey(u16::try_from(place).unwrap_or(u16::MAX))
    }

    /// The terms at a place.
    #[must_use]
    pub fn get(&self, key: TermsKey) -> Option<&FillTerms> {
        self.0.get(usize::from(key.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_terms_have_one_place_and_their_number_is_bounded() {
        let mut table = TermsTable::default();
        let times = |multiplier: u32| Instrument {
            multiplier: Decimal::from(multiplier),
            ..Instrument::default()
        };
        let first = table.key(&times(1));
        assert_eq!((table.key(&times(50)), table.key(&times(1))), (TermsKey(1), first));
        assert_eq!(table.get(TermsKey(1)).map(|t| t.multiplier), Some(Decimal::from(50)));
        for multiplier in 100..100 + u32::try_from(TERMS_MAX).expect("a number") {
            table.0.truncate(TERMS_MAX);
            table.0.push(FillTerms { currency: Currency::usd(), multiplier: multiplier.into() });
        }
        let last = table.key(&times(7));
        assert_eq!((last, table.0.len()), (TermsKey(u16::MAX), TERMS_MAX));
        assert_eq!(table.get(last).map(|t| t.multiplier), Some(Decimal::from(7)));
    }
}
