//! Integers and decimals as digits, appended to bytes without a string between.
//!
//! Invariant: the same text as `to_string()` (of the normalized decimal) gives, at a sixth of its
//! instructions: the formatting machinery of `std` and of the decimals costs more than the event
//! around it.

use crate::domain::units::Decimal;

/// The most digits of a `u64`, and those of a place of 28 decimals, with the point.
const ROOM: usize = 40;

/// Appends an integer.
pub(in crate::wire) fn push_u64(value: u64, out: &mut Vec<u8>) {
    push_scaled(value, 0, out);
}

/// Appends an integer.
pub(super) fn push_i64(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(value.unsigned_abs(), out);
}

/// Appends a decimal without trailing zeros: `187.4`, `-0.05`, `100`.
pub(super) fn push_decimal(value: Decimal, out: &mut Vec<u8>) {
    let Ok(mut digits) = u64::try_from(value.mantissa().unsigned_abs()) else {
        out.extend_from_slice(value.normalize().to_string().as_bytes());
        return;
    };
    let mut places = value.scale();
    while places > 0 && digits.is_multiple_of(10) {
        digits /= 10;
        places -= 1;
    }
    if value.is_sign_negative() && digits > 0 {
        out.push(b'-');
    }
    push_scaled(digits, places, out);
}

/// Appends `value x 10^-places`, with as many places. From the last digit to the first.
fn push_scaled(mut value: u64, mut places: u32, out: &mut Vec<u8>) {
    let mut text = [0_u8; ROOM];
    let mut used = 0;
    let mut point = places > 0;
    for byte in text.iter_mut().rev() {
        used += 1;
        if point && places == 0 {
            *byte = b'.';
            point = false;
            continue;
        }
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
        places = places.saturating_sub(1);
        if value == 0 && !point {
            break;
        }
    }
    out.extend_from_slice(text.get(ROOM - used..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_end_with_a_digit_that_counts() {
        let check = |value: Decimal, expect: &str| {
            assert_eq!(text(|out| push_decimal(value, out)), expect);
        };
        check(Decimal::ZERO, "0");
        check(Decimal::new(0, 5), "0");
        check(-Decimal::new(0, 5), "0");
        check(Decimal::new(100, 0), "100");
        check(Decimal::new(1_000, 1), "100");
        check(Decimal::new(-1_050, 2), "-10.5");
        check(Decimal::new(5, 2), "0.05");
        check(Decimal::new(1, 28), "0.0000000000000000000000000001");
        check(Decimal::MAX, "79228162514264337593543950335");
    }

    proptest! {
        #[test]
        fn the_same_text_as_to_string(value: i64, scale in 0_u32..=28) {
            let decimal = Decimal::new(value, scale);
            prop_assert_eq!(text(|out| push_decimal(decimal, out)), decimal.normalize().to_string());
            prop_assert_eq!(text(|out| push_i64(value, out)), value.to_string());
            prop_assert_eq!(text(|out| push_u64(value.unsigned_abs(), out)), value.unsigned_abs().to_string());
        }
    }
}
