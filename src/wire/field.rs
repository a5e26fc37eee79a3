//! The names of all fields that an object of the contract can have, as one closed set.
//!
//! Invariants: a name stands here once; at most 64 of them, so that a set is one word. What each
//! one means stands with the kinds that have it (`event`, `operate`).

macro_rules! fields {
    ($($variant:ident = $name:literal,)*) => {
        /// A field, by its name on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Field {
            /// All fields.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The name as it stands in an object, with quotes and colon.
            pub(crate) const fn key(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("\"", $name, "\":"),)*
                }
            }

            /// The field of that name.
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
    Price = "price",
    FillId = "fill_id",
    Fee = "fee",
    FeeCurrency = "fee_currency",
    Liquidity = "liquidity",
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

/// How many fields there are.
pub(crate) const FIELDS: usize = Field::ALL.len();

const _: () = assert!(FIELDS <= 64, "a set of fields is one word");

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet(u64);

impl FieldSet {
    /// No field.
    pub(crate) const EMPTY: Self = Self(0);

    /// The set with that field too.
    pub(crate) const fn with(self, field: Field) -> Self {
        Self(self.0 | 1 << field as u32)
    }

    /// Whether the field is in it.
    pub(crate) const fn has(self, field: Field) -> bool {
        self.0 & 1 << field as u32 != 0
    }

    /// Adds a field; false when it was there already.
    pub(crate) fn insert(&mut self, field: Field) -> bool {
        let new = !self.has(field);
        *self = self.with(field);
        new
    }

    /// The first field, in the order of [`Field::ALL`], that is not in `other`.
    pub(crate) fn first_outside(self, other: Self) -> Option<Field> {
        let outside = self.0 & !other.0;
        (outside != 0).then(|| Field::ALL.get(outside.trailing_zeros() as usize).copied()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_fields() {
        for field in Field::ALL {
            assert_eq!(Field::of(field.name()), Some(*field));
            assert!(!field.name().starts_with("x_"), "names with x_ are the sender's own");
        }
        assert_eq!(Field::of("expected_pirce"), None);
        assert_eq!(Field::of(""), None);
    }

    #[test]
    fn sets() {
        let set = FieldSet::EMPTY.with(Field::Type).with(Field::Adopt);
        assert!(set.has(Field::Type) && set.has(Field::Adopt) && !set.has(Field::Price));
        assert_eq!(set.first_outside(FieldSet::EMPTY.with(Field::Type)), Some(Field::Adopt));
        assert_eq!(set.first_outside(set), None);
        let mut set = set;
        assert!(set.insert(Field::Price));
        assert!(!set.insert(Field::Price));
    }
}
