//! Why venues reject orders: free text to a closed set of reasons.
//!
//! Input: a code and a text, as venues send them. Output: an index into [`REJECT_REASONS`]. The
//! code decides if it names a reason; else the first pattern found in the code, then in the text,
//! without regard to case.

/// Reasons of rejections: the closed set of the label `reason`. The last one is for all else.
pub const REJECT_REASONS: [&str; 11] = [
    "post_only",
    "insufficient_funds",
    "invalid_price",
    "invalid_quantity",
    "reduce_only",
    "rate_limit",
    "risk_limit",
    "market_closed",
    "unknown_symbol",
    "duplicate_id",
    "other",
];

/// Patterns in lower case and the place of their reason in [`REJECT_REASONS`]; the first that is
/// found decides, so the narrower ones stand first.
pub const PATTERNS: [(&str, usize); 58] = [
    ("post_only", 0),
    ("post only", 0),
    ("post-only", 0),
    ("postonly", 0),
    ("would immediately match", 0),
    ("immediately trigger", 0),
    ("would have been a taker", 0),
    ("would take liquidity", 0),
    ("reduce_only", 4),
    ("reduce only", 4),
    ("reduce-only", 4),
    ("reduceonly", 4),
    ("duplicate", 9),
    ("already exists", 9),
    ("id not unique", 9),
    ("rate limit", 5),
    ("rate_limit", 5),
    ("ratelimit", 5),
    ("too many requests", 5),
    ("throttl", 5),
    ("insufficient", 1),
    ("not enough", 1),
    ("buying power", 1),
    ("exceeds balance", 1),
    ("margin call", 1),
    ("no funds", 1),
    ("unknown symbol", 8),
    ("unknown_symbol", 8),
    ("invalid symbol", 8),
    ("symbol not found", 8),
    ("unknown instrument", 8),
    ("instrument not found", 8),
    ("unknown asset", 8),
    ("asset not found", 8),
    ("unknown security", 8),
    ("market closed", 7),
    ("market is closed", 7),
    ("market_closed", 7),
    ("not open", 7),
    ("outside trading hours", 7),
    ("trading halt", 7),
    ("exchange closed", 7),
    ("session closed", 7),
    ("risk", 6),
    ("position limit", 6),
    ("exceeds limit", 6),
    ("order exceeds", 6),
    ("notional limit", 6),
    ("max position", 6),
    ("min_notional", 3),
    ("min notional", 3),
    ("lot_size", 3),
    ("lot size", 3),
    ("quantity", 3),
    ("qty", 3),
    ("tick size", 2),
    ("price_filter", 2),
    ("price", 2),
];

/// The place of a rejection's reason in [`REJECT_REASONS`].
#[must_use]
pub fn classify(code: Option<&str>, reason: Option<&str>) -> usize {
    let other = REJECT_REASONS.len() - 1;
    let code = code.unwrap_or_default().to_ascii_lowercase();
    if let Some(exact) = REJECT_REASONS.iter().position(|name| *name == code) {
        return exact;
    }
    let reason = reason.unwrap_or_default().to_ascii_lowercase();
    let found = |text: &str| PATTERNS.iter().find(|(p, _)| text.contains(p)).map(|(_, at)| *at);
    found(&code).or_else(|| found(&reason)).unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_a_closed_set() {
        let check = |code: Option<&str>, reason: Option<&str>, expect: &str| {
            assert_eq!(REJECT_REASONS[classify(code, reason)], expect, "{code:?} {reason:?}");
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
