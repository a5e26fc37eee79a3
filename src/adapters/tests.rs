//! Goldens of what messages become: recorded sessions, and the traps of each format.
//!
//! The recordings are in `tests/fixtures/adapters`: what real engines put on the wire (LEAN's and
//! `TradingView`'s are written by hand, from their sources and manuals).

mod tables;
mod traps;

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::wire::encode::encode;

const ALPACA: &str = include_str!("../../tests/fixtures/adapters/alpaca.ndjson");
const ALPACA_POSITIONS: &str = include_str!("../../tests/fixtures/adapters/alpaca-positions.json");
const FIX: &str = include_str!("../../tests/fixtures/adapters/fix44.txt");
const FREQTRADE: &str = include_str!("../../tests/fixtures/adapters/freqtrade.ndjson");
const FREQTRADE_FORM: &str = include_str!("../../tests/fixtures/adapters/freqtrade-form.txt");
const FREQTRADE_RAW: &str = include_str!("../../tests/fixtures/adapters/freqtrade-raw.ndjson");
const HUMMINGBOT: &str = include_str!("../../tests/fixtures/adapters/hummingbot.ndjson");
const LEAN: &str = include_str!("../../tests/fixtures/adapters/lean.ndjson");
const NAUTILUS: &str = include_str!("../../tests/fixtures/adapters/nautilus.ndjson");
/// Entries of the stream that NautilusTrader 1.228 wrote to a real Redis.
const NAUTILUS_REDIS: &str = include_str!("../../tests/fixtures/adapters/nautilus-redis.ndjson");
const TRADINGVIEW: &str = include_str!("../../tests/fixtures/adapters/tradingview.ndjson");

/// Every recording in which one line is one message.
const RECORDINGS: &[(AdapterName, ForeignForm, &str)] = &[
    (AdapterName::Alpaca, ForeignForm::Text, ALPACA),
    (AdapterName::Alpaca, ForeignForm::Text, ALPACA_POSITIONS),
    (AdapterName::Fix, ForeignForm::Text, FIX),
    (AdapterName::Freqtrade, ForeignForm::Text, FREQTRADE),
    (AdapterName::Freqtrade, ForeignForm::Fields, FREQTRADE_FORM),
    (AdapterName::Freqtrade, ForeignForm::Text, FREQTRADE_RAW),
    (AdapterName::Hummingbot, ForeignForm::Text, HUMMINGBOT),
    (AdapterName::Lean, ForeignForm::Text, LEAN),
    (AdapterName::Nautilus, ForeignForm::Text, NAUTILUS),
    (AdapterName::Nautilus, ForeignForm::Text, NAUTILUS_REDIS),
    (AdapterName::Tradingview, ForeignForm::Text, TRADINGVIEW),
];

fn adapt_as(
    name: AdapterName,
    form: ForeignForm,
    body: &[u8],
    options: &AdapterOptions,
) -> Result<AdaptedBody, BodyError> {
    adapt(name, (body, form), options, &NothingKnown, &DecodeLimits::default())
}

/// The outcome of a body: a line for each event, ignored message and error, by message.
fn shown(name: AdapterName, form: ForeignForm, body: &str, options: &AdapterOptions) -> String {
    let adapted = match adapt_as(name, form, body.as_bytes(), options) {
        Ok(adapted) => adapted,
        Err(error) => return format!("body refused: {error}\n"),
    };
    let AdaptedBody { decoded, ignored, notes, known, messages } = adapted;
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, event) in &decoded.events {
        lines.push((*index, String::from_utf8(encode(event)).expect("JSON")));
    }
    lines.extend(ignored.into_iter().map(|m| (m.index, format!("ignored: {}", m.why))));
    lines.extend(
        notes.into_iter().map(|(index, key, text)| (index, format!("note: {key}: {text}"))),
    );
    lines.extend(decoded.refused.iter().map(|e| (e.index, format!("refused: {}", e.message))));
    lines.extend(decoded.warnings.iter().map(|(index, w)| (*index, format!("warned: {w:?}"))));
    lines.sort_by_key(|(index, _)| *index);
    let mut text = format!("{messages} messages, {known} known\n");
    for (index, line) in lines {
        writeln!(text, "{index} {line}").expect("writing to a string");
    }
    text
}

fn golden(label: &str, name: AdapterName, body: &str) {
    let text = shown(name, ForeignForm::Text, body, &AdapterOptions::default());
    insta::assert_snapshot!(label, text);
}

/// Bodies with what each becomes.
fn golden_of_each(label: &str, name: AdapterName, bodies: &[(&str, &str)]) {
    let mut text = String::new();
    for (about, body) in bodies {
        let form = if body.starts_with("type=") { ForeignForm::Fields } else { ForeignForm::Text };
        let found = shown(name, form, body, &AdapterOptions::default());
        writeln!(text, "# {about}\n{found}").expect("writing to a string");
    }
    insta::assert_snapshot!(label, text);
}

#[test]
fn alpaca_session() {
    golden("alpaca_session", AdapterName::Alpaca, ALPACA);
}

#[test]
fn alpaca_positions() {
    golden("alpaca_positions", AdapterName::Alpaca, ALPACA_POSITIONS);
}

#[test]
fn fix_session() {
    golden("fix_session", AdapterName::Fix, FIX);
}

#[test]
fn freqtrade_session() {
    golden("freqtrade_session", AdapterName::Freqtrade, FREQTRADE);
}

#[test]
fn freqtrade_raw_session() {
    golden("freqtrade_raw_session", AdapterName::Freqtrade, FREQTRADE_RAW);
}

#[test]
fn freqtrade_form_session() {
    let lines = FREQTRADE_FORM.lines().map(|line| ("a post", line));
    let bodies: Vec<(&str, &str)> = lines.collect();
    let mut text = String::new();
    for (_, body) in bodies {
        let options = AdapterOptions::default();
        text += &shown(AdapterName::Freqtrade, ForeignForm::Fields, body, &options);
    }
    insta::assert_snapshot!("freqtrade_form_session", text);
}

#[test]
fn hummingbot_session() {
    golden("hummingbot_session", AdapterName::Hummingbot, HUMMINGBOT);
}

#[test]
fn lean_session() {
    golden("lean_session", AdapterName::Lean, LEAN);
}

#[test]
fn nautilus_session() {
    golden("nautilus_session", AdapterName::Nautilus, NAUTILUS);
}

#[test]
fn nautilus_stream() {
    golden("nautilus_stream", AdapterName::Nautilus, NAUTILUS_REDIS);
}

#[test]
fn tradingview_session() {
    golden("tradingview_session", AdapterName::Tradingview, TRADINGVIEW);
}

#[test]
fn options_win_over_the_message() {
    let options = AdapterOptions {
        account: Some(Account::new("desk").expect("an account")),
        role: Some(Source::Local),
        ..AdapterOptions::default()
    };
    for (name, form, body) in RECORDINGS.iter().filter(|(_, form, _)| *form == ForeignForm::Text) {
        let found = adapt_as(*name, *form, body.as_bytes(), &options).expect("a body");
        assert!(!found.decoded.events.is_empty(), "{name:?}");
        assert_eq!(found.decoded.refused, Vec::new(), "{name:?}");
        for (_, event) in found.decoded.events {
            assert_eq!(event.account.as_str(), "desk", "{name:?}");
            assert_ne!(event.body.sender(), Some(Source::Broker), "{name:?}");
        }
    }
}

#[test]
fn a_body_has_limits() {
    let limits = DecodeLimits { events_max: 2, ..DecodeLimits::default() };
    let options = AdapterOptions::default();
    let body = format!("[{}]", ["{}"; 3].join(","));
    let name = AdapterName::Nautilus;
    let found = adapt(name, (body.as_bytes(), ForeignForm::Text), &options, &NothingKnown, &limits);
    assert_eq!(found, Err(BodyError::TooManyEvents { max: 2 }));
    let long = format!(
        r#"{{"type":"OrderDenied","client_order_id":"O","reason":"{}"}}"#,
        "é".repeat(4000)
    );
    let found = adapt_as(name, ForeignForm::Text, long.as_bytes(), &options).expect("a body");
    assert_eq!(found.decoded.events.len(), 1, "a long reason costs no event: {found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for name in AdapterName::ALL {
            for form in [ForeignForm::Text, ForeignForm::Fields] {
                let found = adapt_as(name, form, &body, &AdapterOptions::default());
                prop_assert!(found.is_err() || found.is_ok_and(|body| body.messages > 0));
            }
        }
    }

    #[test]
    fn an_edited_message_is_an_event_an_error_or_ignored(
        recording in proptest::sample::select(RECORDINGS),
        line in any::<proptest::sample::Index>(),
        at in any::<proptest::sample::Index>(),
        cut in 0_usize..12,
        piece in proptest::sample::select(vec!["", "\"", "null", "-", "1e400", "{}", "[]", "|", "=", "None", "0", "\u{202e}", "é"]),
    ) {
        let (name, form, text) = recording;
        let lines: Vec<&str> = text.lines().collect();
        let line = line.get(&lines);
        let start = line.floor_char_boundary(at.index(line.len() + 1));
        let end = line.floor_char_boundary((start + cut).min(line.len()));
        let edited = format!("{}{piece}{}", &line[..start], &line[end..]);
        if let Ok(found) = adapt_as(name, form, edited.as_bytes(), &AdapterOptions::default()) {
            prop_assert!(found.decoded.events.iter().all(|(index, _)| *index < found.messages));
            prop_assert!(found.ignored.iter().all(|m| m.index < found.messages));
        }
    }
}
