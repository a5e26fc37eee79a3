//! Two spellings of one event: plain, as senders write it, which takes the fast paths of the decoder;
//! and with an escape in every string and an exponent in every number, which takes none of them. Both
//! must give equal events, or errors with equal codes, fields and messages.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::wire::contract::field::Field;
use crate::wire::decode::{DecodeLimits, EventReader, decode_json, decode_ndjson};
use crate::wire::event::KINDS;

/// Good and bad values of every shape, as JSON.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "\"\"",
    "\"*\"",
    "\"A\"",
    "\"__other__\"",
    "\"buy\"",
    "\"sell\"",
    "\"taker\"",
    "\"user\"",
    "\"local\"",
    "\"broker\"",
    "\"failed\"",
    "\"ok\"",
    "\"healthy\"",
    "\"null\"",
    "\"true\"",
    "\"[1]\"",
    "\"{}\"",
    "\"paper\"",
    "\"USD\"",
    "\"a\u{7f}b\"",
    "\"b\u{202e}\"",
    "\"é😀\"",
    "\"日本の名前\"",
    "\"BRK.B.XNAS\"",
    "\"2026-11-26T00:00:00Z\"",
    "\"2026-02-30T00:00:00Z\"",
    "\"2026-11-26T00:00:00.1234567891Z\"",
    "\"2026-11-26T00:00:00\"",
    "\"2028-02-29t23:59:60.5-05:30\"",
    "\"2300-01-01 00:00:00+24:00\"",
    "\"yesterday\"",
    "\"1795357800.25\"",
    "\"0.30\"",
    "\"-0.0\"",
    "\"1e-18\"",
    "\"NaN\"",
    "\" 1\"",
    "\"1.\"",
    "\".5\"",
    "\"+3\"",
    "\"007\"",
    "\"123456789012345678901234567890\"",
    "\"1e\"",
    "\"-\"",
    "0",
    "-0",
    "1",
    "-1",
    "100",
    "0.10",
    "187.42",
    "-12.500",
    "0.0000001",
    "1795357800",
    "1795357800.123456",
    "1795357800.1234567",
    "1795357800123",
    "1795357800123456789",
    "17953578001234567890",
    "-1795357800",
    "123456789012345678",
    "1234567890123456789",
    "0.12345678901234567",
    "0.1234567890123456789",
    "2678400",
    "2678401",
    "2678400.0000000001",
];

/// A name of a member.
fn name() -> impl Strategy<Value = String> {
    let known = select(Field::ALL).prop_map(|field| field.name().to_owned());
    prop_oneof![8 => known, 1 => "x_[a-z]{0,20}", 1 => "[a-zé]{0,20}"]
}

/// The members of an event: those of an example, with some changed, removed or repeated.
fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let long = "[a-z]{120,140}".prop_map(|text| format!("\"{text}\""));
    let value = prop_oneof![9 => select(VALUES).prop_map(str::to_owned), 1 => long];
    let edits = vec((any::<Index>(), 0_u8..8, name(), value), 0..4);
    (select(KINDS.as_slice()), edits).prop_map(|(kind, edits)| {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(kind.example).expect("an object");
        let text = |(name, value): (_, serde_json::Value)| (name, value.to_string());
        let mut pairs: Vec<(String, String)> = object.into_iter().map(text).collect();
        for (place, what, name, value) in edits {
            let place = place.index(pairs.len());
            match what {
                0 => drop(pairs.remove(place)),
                1 => pairs.insert(place, (name, value)),
                2 => pairs.insert(place, (pairs[place].0.clone(), value)),
                _ => pairs[place].1 = value,
            }
            if pairs.is_empty() {
                pairs.push(("type".to_owned(), "null".to_owned()));
            }
        }
        pairs
    })
}

/// Puts an escape into a string and an exponent into a number; other values stay.
fn spelled_out(json: &str) -> String {
    match json.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
            let escape = |unit: u16| format!("\\u{unit:04x}");
            let text = &json[1..json.len() - 1];
            format!("\"{}\"", text.encode_utf16().map(escape).collect::<String>())
        }
        [b'-' | b'0'..=b'9', ..] => format!("{json}e0"),
        _ => json.to_owned(),
    }
}

fn object(
    pairs: &[(String, String)],
    spell: fn(&str) -> String,
    [comma, colon]: [&str; 2],
) -> String {
    let pair = |(name, value): &(String, String)| {
        format!("{}{colon}{}", spell(&format!("\"{name}\"")), spell(value))
    };
    format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(comma))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn both_spellings_give_the_same_events(events in vec(pairs(), 1..4)) {
        let limits = DecodeLimits::default();
        let lines = |spell, signs| {
            events.iter().map(|pairs| object(pairs, spell, signs)).collect::<Vec<_>>()
        };
        let out = lines(spelled_out, [",", ":"]).join("\n");
        let expect = decode_ndjson(out.as_bytes(), &limits);
        for signs in [[",", ":"], [", ", ": "], ["\t,\r", " :\t"]] {
            let lines = lines(str::to_owned, signs);
            for end in ["\n", "\r\n", "\n\n"] {
                let body = lines.join(end);
                prop_assert_eq!(&decode_ndjson(body.as_bytes(), &limits), &expect, "{}", body);
            }
            let array = format!("[{}]", lines.join(","));
            prop_assert_eq!(&decode_json(array.as_bytes(), &limits), &expect, "{}", array);
        }
    }

    #[test]
    fn a_reader_agrees_with_the_decoder_of_bodies(events in vec(pairs(), 1..4), events_max in 1_usize..3) {
        let limits = DecodeLimits { text_bytes_max: usize::MAX, ..DecodeLimits::default() };
        let mut reader = EventReader::for_events(events_max);
        for pairs in events {
            let text = object(&pairs, str::to_owned, [",", ":"]);
            let event = decode_json(text.as_bytes(), &limits).expect("JSON").events.pop();
            prop_assert_eq!(reader.read(text.as_bytes()), event.map(|(_, event)| event));
        }
    }
}
