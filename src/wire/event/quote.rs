//! `quote`: fields, decoder, encoder.

use crate::domain::event::{Body, Quote};
use crate::domain::ids::Symbol;
use crate::domain::units::{DECIMALS_MAX, Decimal, Price};
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::{ObjectReader, missing};
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec};

pub(super) const KIND: KindSpec = KindSpec::new(
    "quote",
    "A market quote: a bid and an ask, or one price. A price of 0 means unknown.",
    r#"{"type":"quote","account":"paper","symbol":"AAPL","bid":187.39,"ask":187.40,"time":"2026-11-22T14:29:59.900Z"}"#,
    &[
        &ENVELOPE,
        &[
            FieldSpec::required::<Symbol>(Field::Symbol, "The instrument."),
            FieldSpec::optional::<Price>(Field::Bid, "The best bid; needs the ask too."),
            FieldSpec::optional::<Price>(Field::Ask, "The best ask; needs the bid too."),
            FieldSpec::optional::<Price>(Field::Price, "The mid price, instead of bid and ask."),
        ],
    ],
    decode,
)
.with_either(&[&[Field::Price], &[Field::Bid, Field::Ask]]);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    Ok(Body::Quote(Quote { symbol: object.required(Field::Symbol)?, mid: mid(object)? }))
}

/// The price, or the mid of bid and ask. A crossed quote has a mid too. Feeds send a side of 0 before
/// the market opens; then there is no mid, and the price is 0.
fn mid(object: &mut ObjectReader<'_>) -> Result<Price, Flaw> {
    let sides = object.has(Field::Bid) || object.has(Field::Ask);
    match (sides, object.optional(Field::Price)?) {
        (false, Some(price)) => Ok(price),
        (false, None) => Err(missing(Field::Price)),
        (true, Some(_)) => {
            Err(Flaw::of(Field::Price, FieldCode::InvalidPrice, "is given beside bid and ask"))
        }
        (true, None) => {
            let bid: Price = object.required(Field::Bid)?;
            let ask: Price = object.required(Field::Ask)?;
            if bid.known().is_none() || ask.known().is_none() {
                return Ok(Price::default());
            }
            half(bid.get(), ask.get()).map(Price::new).ok_or_else(|| {
                let why = "makes a mid that cannot be held exactly";
                Flaw::of(Field::Ask, FieldCode::InvalidPrice, why)
            })
        }
    }
}

/// `(bid + ask) / 2` if it is exact. Computed on integers, because decimal arithmetic would round.
fn half(bid: Decimal, ask: Decimal) -> Option<Decimal> {
    let scale = bid.scale().max(ask.scale());
    let at_scale = |d: Decimal| d.mantissa().checked_mul(10_i128.checked_pow(scale - d.scale())?);
    let sum = at_scale(bid)?.checked_add(at_scale(ask)?)?;
    let (mid, scale) =
        if sum % 2 == 0 { (sum / 2, scale) } else { (sum.checked_mul(5)?, scale + 1) };
    let mid = Decimal::try_from_i128_with_scale(mid, scale).ok()?.normalize();
    (mid.scale() <= DECIMALS_MAX).then_some(mid)
}

pub(super) fn encode(body: &Quote, object: &mut ObjectWriter<'_>) {
    object.field(Field::Symbol, &body.symbol);
    object.field(Field::Price, &body.mid);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::parse_decimal;

    #[test]
    fn mids_are_exact_or_none() {
        let check = |bid: &str, ask: &str, expect: Option<&str>| {
            let number = |text| parse_decimal(text).expect("a number");
            assert_eq!(half(number(bid), number(ask)), expect.map(number), "{bid} {ask}");
        };
        check("187.39", "187.40", Some("187.395"));
        check("187.40", "187.39", Some("187.395"));
        check("-1", "1", Some("0"));
        check("-0.3", "0.1", Some("-0.1"));
        check("1e-17", "2e-17", Some("1.5e-17"));
        check("1e-18", "3e-18", Some("2e-18"));
        check("1e-18", "2e-18", None);
        check("1", "79228162514264337593543950335", Some("39614081257132168796771975168"));
        check("79228162514264337593543950335", "1e-18", None);
    }
}
