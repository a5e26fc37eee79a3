//! The codec as a whole: round trips, arbitrary bytes, and a recorded hour of an engine.

mod equivalence;

use std::io::Read;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::domain::event::{
    AccountEquity, Body, Event, FillBusted, FillCorrected, Heartbeat, Initiator, Liquidity,
    OrderAccepted, OrderCancelled, OrderDenied, OrderEvent, OrderExpired, OrderFact, OrderFilled,
    OrderRef, OrderRejected, OrderReplaced, OrderSize, OrderSubmitted, PositionAdjusted,
    PositionRow, Positions, Quote, Reconciled, Source,
};
use crate::domain::health::Health;
use crate::domain::ids::{
    Account, Component, Currency, EventId, FillId, OrderId, Session, Strategy as Plan, Symbol,
    Venue,
};
use crate::domain::time::Timestamp;
use crate::domain::units::{Amount, Decimal, Notional, Position, Price, Quantity, Side};
use crate::wire::contract::value::DURATION_MAX;
use crate::wire::decode::{DecodeLimits, decode_json, decode_ndjson};
use crate::wire::encode::{encode, encode_into};
use crate::wire::event::KINDS;
use crate::wire::request::decisions::{decode_halt, decode_reconcile, decode_release};

const LIMITS: DecodeLimits =
    DecodeLimits { events_max: 50_000, text_bytes_max: 512, depth_max: 16 };

/// Names with characters that are special in JSON, in labels and in patterns.
fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9./:\"\\\\{}é日😀_-]([a-zA-Z0-9 ./:\"\\\\{}é日😀_-]{0,14}[a-zA-Z0-9é日😀_-])?"
}

fn text() -> impl Strategy<Value = Box<str>> {
    "[a-z \"\\\\\n\r\té😀]{0,40}".prop_map(String::into_boxed_str)
}

fn decimal() -> impl Strategy<Value = Decimal> {
    let small = -10_000_000_i128..10_000_000;
    let large =
        -79_228_162_514_264_337_593_543_950_335_i128..=79_228_162_514_264_337_593_543_950_335;
    (prop_oneof![3 => small, 1 => large], 0_u32..=18)
        .prop_map(|(digits, scale)| Decimal::from_i128_with_scale(digits, scale))
}

fn price() -> impl Strategy<Value = Price> {
    decimal().prop_map(Price::new)
}

fn quantity() -> impl Strategy<Value = Quantity> {
    decimal().prop_map(|d| Quantity::new(d.abs()).or(Quantity::new(Decimal::ONE)).expect("> 0"))
}

fn symbol() -> impl Strategy<Value = Symbol> {
    name().prop_map(|n| Symbol::new(&n).expect("a name"))
}

fn order_id() -> impl Strategy<Value = OrderId> {
    name().prop_map(|n| OrderId::new(&n).expect("a name"))
}

fn fill_id() -> impl Strategy<Value = FillId> {
    name().prop_map(|n| FillId::new(&n).expect("a name"))
}

fn currency() -> impl Strategy<Value = Currency> {
    name().prop_map(|n| Currency::new(&n).expect("a name"))
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn duration() -> impl Strategy<Value = Duration> {
    (1..=DURATION_MAX.as_nanos()).prop_map(|n| Duration::from_nanos_u128(n))
}

fn order() -> impl Strategy<Value = OrderRef> {
    (order_id(), option::of(symbol()), option::of(side()))
        .prop_map(|(order_id, symbol, side)| OrderRef { order_id, symbol, side })
}

fn submitted() -> impl Strategy<Value = Body> {
    let prices = [(); 4].map(|()| option::of(price()));
    let rest = (option::of(text()), option::of(text()), option::of(any::<bool>()));
    let ordered = prop_oneof![
        quantity().prop_map(OrderSize::Quantity),
        quantity().prop_map(|q| OrderSize::Notional(Notional::new(q.get()).expect("above zero"))),
    ];
    (order_id(), symbol(), side(), ordered, prices, rest).prop_map(
        |(order_id, symbol, side, ordered, prices, (order_type, time_in_force, reduce_only))| {
            let [expected_price, decision_price, arrival_price, limit_price] = prices;
            let order = OrderRef { order_id, symbol: Some(symbol), side: Some(side) };
            let fact = OrderFact::Submitted(OrderSubmitted {
                ordered,
                expected_price,
                decision_price,
                arrival_price,
                limit_price,
                order_type,
                time_in_force,
                reduce_only,
            });
            Body::Order(OrderEvent { order, fact })
        },
    )
}

fn filled() -> impl Strategy<Value = OrderFact> {
    let fee = (option::of(decimal().prop_map(Amount::new)), option::of(currency()));
    let liquidity = option::of(select(Liquidity::ALL.as_slice()));
    (price(), option::of(quantity()), option::of(fill_id()), fee, liquidity, any::<bool>())
        .prop_map(|(price, quantity, fill_id, (fee, fee_currency), liquidity, is_final)| {
            OrderFact::Filled(OrderFilled {
                price,
                quantity,
                fill_id,
                fee,
                fee_currency,
                liquidity,
                is_final,
            })
        })
}

fn corrected() -> impl Strategy<Value = OrderFact> {
    let fee = (option::of(decimal().prop_map(Amount::new)), option::of(currency()));
    (fill_id(), quantity(), price(), fee).prop_map(
        |(fill_id, quantity, price, (fee, fee_currency))| {
            OrderFact::FillCorrected(FillCorrected { fill_id, quantity, price, fee, fee_currency })
        },
    )
}

/// Order events except submissions.
fn order_body() -> impl Strategy<Value = Body> {
    let initiator = option::of(select(Initiator::ALL.as_slice()));
    let fact = prop_oneof![
        filled().boxed(),
        corrected().boxed(),
        option::of(order_id())
            .prop_map(|venue_order_id| OrderFact::Accepted(OrderAccepted { venue_order_id })),
        (option::of(text()), option::of(text()))
            .prop_map(|(reason, code)| OrderFact::Rejected(OrderRejected { reason, code })),
        option::of(text()).prop_map(|reason| OrderFact::Denied(OrderDenied { reason })),
        (option::of(text()), initiator).prop_map(|(reason, initiator)| {
            OrderFact::Cancelled(OrderCancelled { reason, initiator })
        }),
        Just(OrderFact::Expired(OrderExpired)),
        (option::of(quantity()), option::of(price()), option::of(order_id())).prop_map(
            |(quantity, limit_price, new_order_id)| {
                OrderFact::Replaced(OrderReplaced { quantity, limit_price, new_order_id })
            }
        ),
        fill_id().prop_map(|fill_id| OrderFact::FillBusted(FillBusted { fill_id })),
    ];
    (order(), fact).prop_map(|(order, fact)| Body::Order(OrderEvent { order, fact }))
}

fn positions() -> impl Strategy<Value = Body> {
    let row = (symbol(), decimal(), option::of(price()), option::of(price())).prop_map(
        |(symbol, quantity, average_price, market_price)| {
            let quantity = Position::new(quantity);
            PositionRow { symbol, quantity, average_price, market_price }
        },
    );
    let books = prop_oneof![
        vec(row, 0..4).prop_map(|rows| (rows.into_boxed_slice(), None)),
        text().prop_map(|error| (Box::default(), Some(error))),
    ];
    let source = prop_oneof![Just(Source::Local), Just(Source::Broker)];
    (source, books, any::<bool>()).prop_map(|(source, (rows, failure), complete)| {
        Body::Positions(Positions { source, rows, complete, failure })
    })
}

fn other_body() -> impl Strategy<Value = Body> {
    let amount = || decimal().prop_map(Amount::new);
    let status =
        prop_oneof![Just(Health::Healthy), Just(Health::Degraded), Just(Health::Unhealthy)];
    let component = name().prop_map(|n| Component::new(&n).expect("a name"));
    prop_oneof![
        (symbol(), price()).prop_map(|(symbol, mid)| Body::Quote(Quote { symbol, mid })),
        (amount(), option::of(currency()), option::of(amount())).prop_map(
            |(equity, currency, cash)| {
                Body::AccountEquity(AccountEquity { equity, currency, cash })
            }
        ),
        (
            component,
            option::of(status),
            option::of(text()),
            [(); 2].map(|()| option::of(duration())),
            option::of(prop_oneof![Just(Source::Local), Just(Source::Broker)])
        )
            .prop_map(|(component, status, message, [latency, interval], source)| {
                Body::Heartbeat(Heartbeat { component, status, message, latency, interval, source })
            })
            // A strategy contains all its parts by value: boxed, or it would overflow the stack.
            .boxed(),
        (symbol(), decimal(), option::of(text())).prop_map(|(symbol, quantity, reason)| {
            let quantity = Position::new(quantity);
            Body::PositionAdjusted(PositionAdjusted { symbol, quantity, reason })
        }),
        (symbol(), option::of(name())).prop_map(|(symbol, directive_id)| {
            let directive_id = directive_id.map(String::into_boxed_str);
            Body::Reconciled(Reconciled { symbol, directive_id })
        }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    // Boxed: one strategy with all kinds in it would overflow the stack of a test.
    let body = prop_oneof![
        submitted().boxed(),
        order_body().boxed(),
        positions().boxed(),
        other_body().boxed()
    ];
    let nanos = Timestamp::MIN.as_nanos()..Timestamp::MAX.as_nanos();
    let names = [(); 4].map(|()| option::of(name()));
    (name(), option::of(nanos), names, any::<bool>(), body).prop_map(
        |(account, nanos, [event_id, session, strategy, venue], synthetic, body)| Event {
            account: Account::new(&account).expect("a name"),
            time: nanos.map(|n| Timestamp::from_nanos(n).expect("in range")),
            event_id: event_id.map(|n| EventId::new(&n).expect("a name")),
            session: session.map(|n| Session::new(&n).expect("a name")),
            strategy: strategy.map(|n| Plan::new(&n).expect("a name")),
            venue: venue.map(|n| Venue::new(&n).expect("a name")),
            synthetic,
            body,
        },
    )
}

/// Decodes a body in every way, only to see that nothing panics.
fn decode_everyhow(body: &[u8]) {
    for decoded in [decode_json(body, &LIMITS), decode_ndjson(body, &LIMITS)].into_iter().flatten()
    {
        assert_eq!(decoded.total, decoded.events.len() + decoded.refused.len());
        for (_, event) in decoded.events {
            let again = decode_json(&encode(&event), &LIMITS).expect("a body");
            assert_eq!(again.events, [(0, event)]);
        }
    }
    drop((decode_halt(body, &LIMITS), decode_release(body, &LIMITS)));
    drop(decode_reconcile(body, &LIMITS));
}

proptest! {
    #[test]
    fn events_survive_the_round_trip(events in vec(event(), 1..5)) {
        let mut lines = Vec::new();
        for event in &events {
            encode_into(event, &mut lines);
            lines.push(b'\n');
        }
        let decoded = decode_ndjson(&lines, &LIMITS).expect("a body");
        prop_assert_eq!(decoded.refused, []);
        let decoded: Vec<Event> = decoded.events.into_iter().map(|(_, event)| event).collect();
        prop_assert_eq!(decoded, events);
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(body in vec(any::<u8>(), 0..200)) {
        decode_everyhow(&body);
    }

    #[test]
    fn any_json_punctuation_is_decoded_without_a_panic(body in r#"[\[\]{}",:\\ue0-9.+\-a-z_ \n]{0,80}"#) {
        decode_everyhow(body.as_bytes());
    }

    #[test]
    fn mutated_examples_are_decoded_without_a_panic(
        kind in 0..KINDS.len(),
        edits in vec((any::<prop::sample::Index>(), 0_u8..3, any::<u8>()), 1..6),
    ) {
        let mut body = KINDS[kind].example.as_bytes().to_vec();
        for (place, what, byte) in edits {
            let place = place.index(body.len());
            match what {
                0 => body[place] = byte,
                1 => body.insert(place, byte),
                _ if body.len() > 1 => drop(body.remove(place)),
                _ => {}
            }
        }
        decode_everyhow(&body);
    }
}

#[test]
fn every_prefix_of_every_example_is_refused() {
    for kind in KINDS {
        let body = kind.example.as_bytes();
        for end in 0..body.len() {
            decode_everyhow(&body[..end]);
            assert!(decode_json(&body[..end], &LIMITS).is_err());
        }
    }
}

#[test]
fn a_recorded_hour_survives_the_round_trip() {
    let packed = include_bytes!("../../tests/fixtures/session/events.ndjson.gz");
    let mut lines = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut lines).expect("gzip");
    let decoded = decode_ndjson(&lines, &LIMITS).expect("a body");
    assert_eq!(decoded.refused, []);
    assert_eq!(decoded.total, 5_017);
    let count = |kind: &str| decoded.events.iter().filter(|(_, e)| e.body.kind() == kind).count();
    assert_eq!((count("order_submitted"), count("order_filled")), (1_614, 1_756));
    let mut array = vec![b'['];
    for (index, event) in &decoded.events {
        if *index > 0 {
            array.push(b',');
        }
        encode_into(event, &mut array);
    }
    array.push(b']');
    assert_eq!(decode_json(&array, &LIMITS).expect("a body"), decoded);
}
