//! Numbers and times in answers.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::time::Timestamp;
use crate::domain::units::Decimal;

/// An exact decimal, as a string: `"187.432"`. No exponent, no trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = "decimal", pattern = r"^-?\d+(\.\d+)?$", example = "187.432")]
pub struct Exact(pub Decimal);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.normalize())
    }
}

/// One value per name, in the order of the names.
pub(super) type Named<T> = BTreeMap<&'static str, T>;

/// Seconds from `earlier` to `now`; negative if `earlier` is in the future.
pub(super) fn age_seconds(now: Timestamp, earlier: Timestamp) -> f64 {
    crate::domain::time::seconds(now.since(earlier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::parse_decimal;

    #[test]
    fn decimals_are_plain_strings() {
        let check = |text: &str, expect: &str| {
            let exact = Exact(parse_decimal(text).expect("a decimal"));
            assert_eq!(serde_json::to_string(&exact).expect("json"), format!("\"{expect}\""));
        };
        check("187.4320", "187.432");
        check("1E3", "1000");
        check("1e-18", "0.000000000000000001");
        check("-0.0", "0");
        check("-12.5", "-12.5");
    }
}
