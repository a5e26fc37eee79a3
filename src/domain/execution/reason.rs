//! Classifies rejections: the free text of a venue into a closed set of reasons.
//!
//! Input: a code and a text, as venues send them. Output: a [`RejectReason`]. The code decides if it
//! names a reason; else the first pattern found in the code, then in the text, without regard to
//! case.

use crate::domain::closed_set::{ClosedSet, closed_set};

closed_set! {
    /// Why a venue rejected an order: the label `reason`.
    pub enum RejectReason {
        /// A post-only order would have taken liquidity.
        PostOnly = "post_only",
        /// The account lacks funds, margin or buying power.
        InsufficientFunds = "insufficient_funds",
        /// The price is off the tick size or out of range.
        InvalidPrice = "invalid_price",
        /// The quantity is off the lot size or out of range.
        InvalidQuantity = "invalid_quantity",
        /// A reduce-only order would have increased the position.
        ReduceOnly = "reduce_only",
        /// Too many requests.
        RateLimit = "rate_limit",
        /// A limit on risk, position or notional.
        RiskLimit = "risk_limit",
        /// The market is closed or halted.
        MarketClosed = "market_closed",
        /// The venue does not know the symbol.
        UnknownSymbol = "unknown_symbol",
        /// The venue knows the id already.
        DuplicateId = "duplicate_id",
        /// Any other reason.
        Other = "other",
    }
}

/// Patterns in lower case and the reason that each one means. The first one found decides, so
/// narrower patterns come first.
const PATTERNS: [(RejectReason, &[&str]); 10] = [
    (
        RejectReason::PostOnly,
        &[
            "post_only",
            "post only",
            "post-only",
            "postonly",
            "would immediately match",
            "immediately trigger",
            "would have been a taker",
            "would take liquidity",
        ],
    ),
    (RejectReason::ReduceOnly, &["reduce_only", "reduce only", "reduce-only", "reduceonly"]),
    (RejectReason::DuplicateId, &["duplicate", "already exists", "id not unique"]),
    (
        RejectReason::RateLimit,
        &["rate limit", "rate_limit", "ratelimit", "too many requests", "throttl"],
    ),
    (
        RejectReason::InsufficientFunds,
        &[
            "insufficient",
            "not enough",
            "buying power",
            "exceeds balance",
            "margin call",
            "no funds",
        ],
    ),
    (
        RejectReason::UnknownSymbol,
        &[
            "unknown symbol",
            "unknown_symbol",
            "invalid symbol",
            "symbol not found",
            "unknown instrument",
            "instrument not found",
            "unknown asset",
            "asset not found",
            "unknown security",
        ],
    ),
    (
        RejectReason::MarketClosed,
        &[
            "market closed",
            "market is closed",
            "market_closed",
            "not open",
            "outside trading hours",
            "trading halt",
            "exchange closed",
            "session closed",
        ],
    ),
    (
        RejectReason::RiskLimit,
        &[
            "risk",
            "position limit",
            "exceeds limit",
            "order exceeds",
            "notional limit",
            "max position",
        ],
    ),
    (
        RejectReason::InvalidQuantity,
        &["min_notional", "min notional", "lot_size", "lot size", "quantity", "qty"],
    ),
    (RejectReason::InvalidPrice, &["tick size", "price_filter", "price"]),
];

/// The reason of a rejection.
#[must_use]
pub fn classify(code: Option<&str>, text: Option<&str>) -> RejectReason {
    let [code, text] = [code, text].map(|text| text.unwrap_or_default().to_ascii_lowercase());
    let found = |text: &str| {
        let is_in = |(_, patterns): &&(RejectReason, &[&str])| {
            patterns.iter().any(|pattern| text.contains(pattern))
        };
        PATTERNS.iter().find(is_in).map(|(reason, _)| *reason)
    };
    let exact = RejectReason::from_word(&code);
    exact.or_else(|| found(&code)).or_else(|| found(&text)).unwrap_or(RejectReason::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_a_closed_set() {
        let check = |code: Option<&str>, reason: Option<&str>, expect: &str| {
            assert_eq!(classify(code, reason).as_str(), expect, "{code:?} {reason:?}");
        };
        check(None, None, "other");
        check(Some("insufficient_funds"), Some("post only"), "insufficient_funds");
        check(Some("POST_ONLY"), None, "post_only");
        check(Some("99"), Some("Insufficient buying power"), "insufficient_funds");
        check(
            None,
            Some("POST_ONLY LIMIT BUY order limit px of 43218.54 would have been a TAKER"),
            "post_only",
        );
        check(None, Some("Too Many Requests"), "rate_limit");
        check(None, Some("price 1.23 is not a multiple of the tick size"), "invalid_price");
        check(None, Some("quantity 0.0001 below LOT_SIZE"), "invalid_quantity");
        check(None, Some("Market is closed"), "market_closed");
        check(None, Some("Duplicate ClOrdID"), "duplicate_id");
        check(None, Some("ReduceOnly Order is rejected"), "reduce_only");
        check(None, Some("RISK_LIMIT exceeded"), "risk_limit");
        check(None, Some("Unknown symbol XYZ"), "unknown_symbol");
        check(None, Some("computer says no"), "other");
    }
}
