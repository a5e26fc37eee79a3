//! The accepted changes of one order, and the last one of each kind.
//!
//! Input: replaces in any order of arrival. Output: the last quantity and the last limit price, by
//! event time. Invariants: equal replaces are one; of several at one instant the larger value stands;
//! with more than `FEW_MAX`, adding is O(log n) and reading O(1). Deliberately absent: the ids of a
//! replace chain (see `orders`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::execution::fills::FEW_MAX;
use crate::domain::time::Timestamp;
use crate::domain::units::{Price, Quantity};
use crate::domain::visits;

/// An accepted change of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AcceptedReplace {
    /// Event time.
    pub at: Timestamp,
    /// The new total quantity; `None` if it is unchanged.
    pub quantity: Option<Quantity>,
    /// The new limit price; `None` if it is unchanged.
    pub limit_price: Option<Price>,
}

/// The accepted changes of one order. Without any it has the size of one pointer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Vec<AcceptedReplace>")]
pub struct Replaces(Option<Box<ReplaceList>>);

#[derive(Clone, Debug)]
enum ReplaceList {
    /// In the order of arrival.
    Few(Vec<AcceptedReplace>),
    /// More than [`FEW_MAX`].
    Many(Box<ManyReplaces>),
}

#[derive(Clone, Debug, Default)]
struct ManyReplaces {
    all: BTreeSet<AcceptedReplace>,
    quantity: Option<(Timestamp, Quantity)>,
    limit: Option<(Timestamp, Price)>,
}

impl Replaces {
    /// Adds a replace, unless it is known.
    pub fn insert(&mut self, replace: AcceptedReplace) {
        visits::search(self.len());
        let list = self.0.get_or_insert_with(|| Box::new(ReplaceList::Few(Vec::with_capacity(1))));
        match &mut **list {
            ReplaceList::Few(few) if few.contains(&replace) => {}
            ReplaceList::Few(few) if few.len() < FEW_MAX => few.push(replace),
            ReplaceList::Few(few) => {
                let mut many = ManyReplaces::default();
                for known in few.drain(..).chain([replace]) {
                    many.insert(known);
                }
                **list = ReplaceList::Many(Box::new(many));
            }
            ReplaceList::Many(many) => many.insert(replace),
        }
    }

    /// Moves all replaces of a merged order into this one. Costs what the smaller one holds.
    pub fn absorb(&mut self, gone: &mut Self) {
        if self.len() < gone.len() {
            std::mem::swap(self, gone);
        }
        match std::mem::take(gone).0.map(|list| *list) {
            None => {}
            Some(ReplaceList::Few(few)) => few.into_iter().for_each(|replace| self.insert(replace)),
            Some(ReplaceList::Many(many)) => {
                many.all.into_iter().for_each(|replace| self.insert(replace));
            }
        }
    }

    /// Number of replaces.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0.as_deref() {
            None => 0,
            Some(ReplaceList::Few(few)) => few.len(),
            Some(ReplaceList::Many(many)) => many.all.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The quantity of the last replace that gave one, and its time.
    #[must_use]
    pub fn last_quantity(&self) -> Option<(Timestamp, Quantity)> {
        match self.0.as_deref()? {
            ReplaceList::Few(few) => few.iter().filter_map(AcceptedReplace::dated_quantity).max(),
            ReplaceList::Many(many) => many.quantity,
        }
    }

    /// The limit price of the last replace that gave one other than 0, and its time.
    #[must_use]
    pub fn last_limit(&self) -> Option<(Timestamp, Price)> {
        match self.0.as_deref()? {
            ReplaceList::Few(few) => few.iter().filter_map(AcceptedReplace::dated_limit).max(),
            ReplaceList::Many(many) => many.limit,
        }
    }
}

impl ManyReplaces {
    fn insert(&mut self, replace: AcceptedReplace) {
        self.quantity = self.quantity.max(replace.dated_quantity());
        self.limit = self.limit.max(replace.dated_limit());
        self.all.insert(replace);
    }
}

impl AcceptedReplace {
    fn dated_quantity(&self) -> Option<(Timestamp, Quantity)> {
        Some((self.at, self.quantity?))
    }

    fn dated_limit(&self) -> Option<(Timestamp, Price)> {
        Some((self.at, self.limit_price?.known()?))
    }
}

impl Serialize for Replaces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_deref() {
            None => serializer.collect_seq::<[AcceptedReplace; 0]>([]),
            Some(ReplaceList::Few(few)) => serializer.collect_seq(few),
            Some(ReplaceList::Many(many)) => serializer.collect_seq(&many.all),
        }
    }
}

impl From<Vec<AcceptedReplace>> for Replaces {
    fn from(stored: Vec<AcceptedReplace>) -> Self {
        let mut replaces = Self::default();
        for replace in stored {
            replaces.insert(replace);
        }
        replaces
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::units::Decimal;

    fn replace(second: u64, quantity: i64, price: i64) -> AcceptedReplace {
        AcceptedReplace {
            at: Timestamp::MIN.plus(Duration::from_secs(second)),
            quantity: Quantity::new(quantity.into()).ok(),
            limit_price: (price >= 0).then(|| Price::new(Decimal::from(price))),
        }
    }

    #[test]
    fn many_replaces_give_the_last_ones_of_few() {
        // 0 is no quantity, and neither 0 nor -1 is a limit price.
        let list: Vec<AcceptedReplace> = (0..60)
            .map(|n| replace(n * 7 % 23, (n % 4).cast_signed(), n.cast_signed() % 3 - 1))
            .collect();
        let mut one = Replaces::default();
        for (seen, replace) in list.iter().enumerate() {
            one.insert(*replace);
            one.insert(*replace);
            let seen = &list[..=seen];
            let quantity = seen.iter().filter_map(AcceptedReplace::dated_quantity).max();
            let limit = seen.iter().filter_map(AcceptedReplace::dated_limit).max();
            assert_eq!((one.last_quantity(), one.last_limit()), (quantity, limit));
        }
        let distinct: BTreeSet<&AcceptedReplace> = list.iter().collect();
        assert_eq!(one.len(), distinct.len());
        let (mut few, mut many) = (Replaces::from(list[..9].to_vec()), one.clone());
        few.absorb(&mut many);
        assert_eq!((few.len(), many.len()), (distinct.len(), 0));
        assert_eq!(few.last_limit(), one.last_limit());
        assert_eq!(size_of::<Replaces>(), size_of::<usize>());
    }
}
