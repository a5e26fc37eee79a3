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

            /// The name as it stands in an object, with comma, quotes and colon.
            pub(crate) const fn key(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!(",\"", $name, "\":"),)*
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

/// How many fields there are.
pub(crate) const FIELDS: usize = Field::ALL.len();

const _: () = assert!(FIELDS <= 64, "a set of fields is one word");

/// Bytes of the longest name that is found as one number, with the quote and the colon behind it.
pub(crate) const HEAD_BYTES: usize = 16;

impl Field {
    /// The field whose name stands at the head of `text`, and how long it is with the quote and the
    /// colon behind it. None: look for the quote, and then for [`Field::of`].
    ///
    /// The first four bytes lead to a place, and each name there is compared as one number: a fifth
    /// of the work of finding the quote and of comparing texts.
    #[inline]
    pub(crate) fn at_head(text: &[u8; HEAD_BYTES]) -> Option<(Self, usize)> {
        let word = u128::from_le_bytes(*text);
        let mut place = place(word);
        loop {
            let head = HEADS.get(place)?;
            if (word ^ head.word) & head.mask == 0 {
                return Some((head.field, usize::from(head.name_bytes) + 2));
            }
            if head.name_bytes == 0 {
                return None;
            }
            place += 1;
        }
    }
}

/// A name with the quote and the colon behind it.
#[derive(Clone, Copy)]
struct Head {
    /// Its bytes as a number, the first one lowest.
    word: u128,
    /// Which bits of a text to compare with it.
    mask: u128,
    /// How many of them are the name's.
    name_bytes: u8,
    field: Field,
}

impl Head {
    /// No name: no text has such bytes.
    const NONE: Self = Self { word: u128::MAX, mask: u128::MAX, name_bytes: 0, field: Field::Type };
}

/// Places that the first bytes lead to, many more than names, so that few lead to the same one.
const PLACES: usize = 256;

/// The names, each in the first free place from its own on; the last one is free.
const HEADS: [Head; PLACES + FIELDS + 1] = heads();

/// Where the first four bytes of a name lead.
const fn place(word: u128) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the first four bytes are wanted")]
    let start = word as u32;
    (start.wrapping_mul(0x9e37_79b1) >> (u32::BITS - PLACES.ilog2())) as usize
}

/// Names of two letters and more, with quotes and colons, that are not too long.
#[expect(clippy::indexing_slicing, reason = "it runs when this is compiled")]
#[expect(clippy::cast_possible_truncation, reason = "of at most fourteen bytes")]
const fn heads() -> [Head; PLACES + FIELDS + 1] {
    let mut heads = [Head::NONE; PLACES + FIELDS + 1];
    let mut index = 0;
    while index < FIELDS {
        let field = Field::ALL[index];
        let name = field.name().as_bytes();
        let len = name.len() + 2;
        if len >= 4 && len <= HEAD_BYTES {
            let mut bytes = [0; HEAD_BYTES];
            bytes.split_at_mut(name.len()).0.copy_from_slice(name);
            bytes[name.len()] = b'"';
            bytes[name.len() + 1] = b':';
            let word = u128::from_le_bytes(bytes);
            let mut place = place(word);
            while heads[place].name_bytes > 0 {
                place += 1;
            }
            let mask = u128::MAX >> (8 * (HEAD_BYTES - len));
            heads[place] = Head { word, mask, name_bytes: name.len() as u8, field };
        }
        index += 1;
    }
    heads
}

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
        let before = *self;
        *self = self.with(field);
        before != *self
    }

    /// What is in this set and not in the other.
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
    fn names_lead_back_to_their_fields() {
        for field in Field::ALL {
            assert_eq!(Field::of(field.name()), Some(*field));
            assert!(!field.name().starts_with("x_"), "names with x_ are the sender's own");
        }
        assert_eq!(Field::of("expected_pirce"), None);
        assert_eq!(Field::of(""), None);
    }

    #[test]
    fn names_at_the_head_are_those_that_are_known() {
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
    fn sets() {
        let set = FieldSet::EMPTY.with(Field::Type).with(Field::Adopt);
        assert!(set.has(Field::Type) && set.has(Field::Adopt) && !set.has(Field::Price));
        assert_eq!(set.without(FieldSet::EMPTY.with(Field::Type)).first(), Some(Field::Adopt));
        assert_eq!(set.without(set).first(), None);
        let mut set = set;
        assert!(set.insert(Field::Price));
        assert!(!set.insert(Field::Price));
    }
}
