//! The filters that an expression may call.
//!
//! Those of jq, without the ones that see anything but the answer, and two of our own that calculate
//! exactly.

use jaq_core::load::parse::Def;
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Error, RunPtr, ValR, data};
use jaq_json::Val;

use super::rows::number_of;
use crate::domain::units::{Decimal, parse_decimal};

/// Native filters that see the clock, the environment, a time zone file or the terminal.
pub(super) const NATIVES_LEFT_OUT: [&str; 7] =
    ["debug_empty", "env", "halt", "localtime", "now", "stderr_empty", "strflocaltime"];
/// Definitions that call them.
const DEFINITIONS_LEFT_OUT: [&str; 4] = ["debug", "halt", "halt_error", "stderr"];

type Data = data::JustLut<Val>;

/// The definitions of jq.
pub(super) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|definition| !DEFINITIONS_LEFT_OUT.contains(&definition.name))
}

/// The native filters.
pub(super) fn natives() -> impl Iterator<Item = Fun<Data>> {
    let negate: RunPtr<Data> = |cv| bome(negate(&cv.1));
    let exact_sum: RunPtr<Data> = |cv| bome(exact_sum(&cv.1));
    let own = [run::<Data>(("negate", v(0), negate)), run::<Data>(("exact_sum", v(0), exact_sum))];
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, _, _)| !NATIVES_LEFT_OUT.contains(name)).chain(own)
}

/// A number, or the text of one, as an exact decimal.
fn decimal(value: &Val) -> Result<Decimal, Error<Val>> {
    let text = number_of(value).map_err(Error::str)?;
    parse_decimal(&text).map_err(|error| Error::str(format_args!("{text}: {error}")))
}

/// The number with the other sign.
fn negate(value: &Val) -> ValR<Val> {
    decimal(value).map(|number| Val::utf8_str((-number).to_string()))
}

/// The sum of an array of numbers.
fn exact_sum(value: &Val) -> ValR<Val> {
    let Val::Arr(items) = value else { return Err(Error::str("exact_sum needs an array")) };
    let sum = items.iter().try_fold(Decimal::ZERO, |sum, item| {
        let next = decimal(item)?;
        sum.checked_add(next).ok_or_else(|| Error::str("the sum is too large"))
    })?;
    Ok(Val::utf8_str(sum.to_string()))
}
