//! Pure parsing: each line into its borrowed fields, without checks.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The fields of the events of `traffic`, as they are on the wire.
#[derive(Deserialize)]
#[expect(dead_code, reason = "they are only parsed")]
struct RawEvent<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    account: Option<&'a str>,
    order_id: Option<&'a str>,
    venue_order_id: Option<&'a str>,
    fill_id: Option<&'a str>,
    symbol: Option<&'a str>,
    side: Option<&'a str>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    price: Option<&'a RawValue>,
    expected_price: Option<&'a RawValue>,
    arrival_price: Option<&'a RawValue>,
    limit_price: Option<&'a RawValue>,
    order_type: Option<&'a str>,
    fee: Option<&'a RawValue>,
    fee_currency: Option<&'a str>,
    liquidity: Option<&'a str>,
    time: Option<&'a str>,
    time_ns: Option<&'a RawValue>,
}

/// Parses each line. Returns the number of lines.
pub(crate) fn count(body: &[u8]) -> u64 {
    body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse).sum()
}

/// Parses one event. Returns 1.
pub(crate) fn parse(event: &[u8]) -> u64 {
    let raw: RawEvent<'_> = serde_json::from_slice(event).expect("an event");
    std::hint::black_box(raw);
    1
}
