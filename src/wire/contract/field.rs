//! The names of all fields that an object of the contract can have, as one closed set.
//!
//! Invariants: each name is declared here once; there are at most 64, so that a set of fields is one
//! `u64`. The types of events and requests that have a field say what it means there (`event`,
//! `request`).

use crate::wire::json::head_table::{HEAD_BYTES, HeadTable, slots_for};

macro_rules! fields {
    ($($variant:ident = $name:literal,)*) => {
        /// A field, by its name on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, enum_map::Enum)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Field {
            /// Every field, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const NAMES: &'static [&'static str] = &[$($name,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The name as the encoder writes it: with comma, quotes and colon.
            pub(crate) const fn key(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!(",\"", $name, "\":"),)*
                }
            }

            /// The field with this name.
            #[must_use]
            pub fn of(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

fields! {
    Type = "type",
    Account = "account",
    Time = "time",
    TimeNs = "time_ns",
    EventId = "event_id",
    Session = "session",
    Strategy = "strategy",
    Venue = "venue",
    Synthetic = "synthetic",
    OrderId = "order_id",
    Symbol = "symbol",
    Side = "side",
    Quantity = "quantity",
    Notional = "notional",
    Price = "price",
    FillId = "fill_id",
    Fee = "fee",
    FeeCurrency = "fee_currency",
    Liquidity = "liquidity",
    Final = "final",
    ExpectedPrice = "expected_price",
    DecisionPrice = "decision_price",
    ArrivalPrice = "arrival_price",
    LimitPrice = "limit_price",
    OrderType = "order_type",
    TimeInForce = "time_in_force",
    ReduceOnly = "reduce_only",
    VenueOrderId = "venue_order_id",
    NewOrderId = "new_order_id",
    Reason = "reason",
    Code = "code",
    Initiator = "initiator",
    Bid = "bid",
    Ask = "ask",
    Source = "source",
    Positions = "positions",
    AveragePrice = "average_price",
    MarketPrice = "market_price",
    Complete = "complete",
    Status = "status",
    Error = "error",
    Equity = "equity",
    Currency = "currency",
    Cash = "cash",
    Component = "component",
    Message = "message",
    LatencySeconds = "latency_seconds",
    IntervalSeconds = "interval_seconds",
    DirectiveId = "directive_id",
    State = "state",
    Actor = "actor",
    Epoch = "epoch",
    Causes = "causes",
    Force = "force",
    Adopt = "adopt",
}

const _: () = assert!(Field::ALL.len() <= u64::BITS as usize, "a set of fields is one u64");

static HEADS: HeadTable<Field, { slots_for(Field::ALL.len()) }> =
    HeadTable::new(Field::ALL, Field::NAMES);

impl Field {
    /// The field whose name, with its closing quote and a colon, is at the start of `head`; and the
    /// length of the three. Names of 2 to 14 bytes only: for `None` ask [`Self::of`].
    #[inline]
    pub(crate) fn at_head(head: &[u8; HEAD_BYTES]) -> Option<(Self, usize)> {
        HEADS.find(head)
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet(u64);

impl FieldSet {
    pub(crate) const EMPTY: Self = Self(0);

    /// This set and `field`.
    pub(crate) const fn with(self, field: Field) -> Self {
        Self(self.0 | 1 << field as u32)
    }

    pub(crate) const fn has(self, field: Field) -> bool {
        self.0 & 1 << field as u32 != 0
    }

    /// Adds a field; false if it was in the set already.
    pub(crate) fn insert(&mut self, field: Field) -> bool {
        let before = *self;
        *self = self.with(field);
        before != *self
    }

    /// The fields of this set that are not in `other`.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The first field, in the order of [`Field::ALL`].
    pub(crate) fn first(self) -> Option<Field> {
        Field::ALL.get(self.0.trailing_zeros() as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_name() {
        for field in Field::ALL {
            assert_eq!(Field::of(field.name()), Some(*field));
            assert!(!field.name().starts_with("x_"), "names with x_ are the sender's own");
        }
        assert_eq!(Field::of("expected_pirce"), None);
        assert_eq!(Field::of(""), None);
    }

    #[test]
    fn a_name_is_found_by_the_bytes_it_starts_with() {
        let at_head = |text: &str| {
            let mut head = [b'"'; HEAD_BYTES];
            let len = text.len().min(HEAD_BYTES);
            head[..len].copy_from_slice(&text.as_bytes()[..len]);
            Field::at_head(&head)
        };
        for field in Field::ALL {
            let name = field.name();
            let len = name.len() + 2;
            let expect = (len <= HEAD_BYTES).then_some((*field, len));
            assert_eq!(at_head(&format!("{name}\":\"\"\"ab")), expect, "{name}");
            for (end, _) in name.char_indices() {
                let cut = &name[..end];
                let expect = Field::of(cut).map(|field| (field, end + 2));
                assert_eq!(at_head(&format!("{cut}\":")), expect, "{cut}");
                assert_eq!(at_head(&format!("{cut}\0\":")), None, "{cut}");
                assert_eq!(at_head(&format!("{cut}\" :")), None, "{cut}");
            }
        }
        assert_eq!(at_head("a_name_of_16_byt\":"), None);
        assert_eq!(at_head(""), None);
    }

    #[test]
    fn sets_add_and_subtract() {
        let set = FieldSet::EMPTY.with(Field::Type).with(Field::Adopt);
        assert!(set.has(Field::Type) && set.has(Field::Adopt) && !set.has(Field::Price));
        assert_eq!(set.without(FieldSet::EMPTY.with(Field::Type)).first(), Some(Field::Adopt));
        assert_eq!(set.without(set).first(), None);
        let mut set = set;
        assert!(set.insert(Field::Price));
        assert!(!set.insert(Field::Price));
    }
}
