//! With what currency and multiplier executions are counted.
//!
//! Input: the instrument of each symbol when settings come into force. Output: a [`TermsKey`] that
//! an execution keeps. Invariant: what is taken away of an execution is taken in the currency and
//! with the multiplier that it was added with, whatever the settings say by then.

use serde::{Deserialize, Serialize};

use crate::domain::ids::Currency;
use crate::domain::settings::Instrument;
use crate::domain::units::{Decimal, exact};

/// Terms that differ, over the life of an account. Past them the last ones are written over, and
/// what was counted with those is taken away with others; only some thousand reloads lead there.
const TERMS_MAX: usize = 65_536;

/// The place of terms within their account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsKey(u16);

/// With what the executions of a symbol are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The currency of its prices, and of fees that name none.
    pub currency: Currency,
    /// Units of the currency for one point and one unit.
    #[serde(with = "exact")]
    pub multiplier: Decimal,
}

/// All terms that were ever in force for the symbols of an account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TermsTable(Vec<Terms>);

impl TermsTable {
    /// The place of the terms of an instrument, made if need be.
    pub fn key(&mut self, instrument: &Instrument) -> TermsKey {
        let Instrument { currency, multiplier, .. } = instrument;
        let equal = |t: &Terms| t.currency == *currency && t.multiplier == *multiplier;
        let place = self.0.iter().position(equal).unwrap_or_else(|| {
            self.0.truncate(TERMS_MAX - 1);
            self.0.push(Terms { currency: currency.clone(), multiplier: *multiplier });
            self.0.len() - 1
        });
        TermsKey(u16::try_from(place).unwrap_or(u16::MAX))
    }

    /// The terms at a place.
    #[must_use]
    pub fn get(&self, key: TermsKey) -> Option<&Terms> {
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
            table.0.push(Terms { currency: Currency::usd(), multiplier: multiplier.into() });
        }
        let last = table.key(&times(7));
        assert_eq!((last, table.0.len()), (TermsKey(u16::MAX), TERMS_MAX));
        assert_eq!(table.get(last).map(|t| t.multiplier), Some(Decimal::from(7)));
    }
}
