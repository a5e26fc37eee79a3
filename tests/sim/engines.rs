//! Engines that send events twice, late and out of order, and resend unanswered requests.

use trading_exporter::domain::record::Entry;
use trading_exporter::wire::decode::{DecodeLimits, decode_ndjson};

use crate::random::Random;

/// An engine that generates lines on the wire.
pub(crate) struct Engine {
    account: String,
    orders: u64,
    /// Answered lines, of which some are sent again.
    sent: Vec<String>,
    /// Unanswered lines: they are sent again first.
    unanswered: Vec<String>,
}

impl Engine {
    pub(crate) fn new(number: usize) -> Self {
        let account = format!("engine-{number}");
        Self { account, orders: 0, sent: Vec::new(), unanswered: Vec::new() }
    }

    /// The lines that were sent and answered.
    pub(crate) fn sent(&self) -> &[String] {
        &self.sent
    }

    /// The lines of the next request.
    pub(crate) fn lines(&mut self, random: &mut Random, now_seconds: u64) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.unanswered);
        for _ in 0..random.below(4) {
            lines.append(&mut self.order(random, now_seconds));
        }
        if random.chance(3) {
            lines.append(&mut self.positions(random, now_seconds));
        }
        if random.chance(4) {
            lines.push(self.line(
                random,
                "heartbeat",
                now_seconds,
                r#""component":"engine","status":"degraded""#,
            ));
        }
        // Repeat some lines, and shuffle all.
        for _ in 0..random.below(3) {
            if !self.sent.is_empty() {
                lines.push(self.sent[random.index(self.sent.len())].clone());
            }
        }
        for at in (1..lines.len()).rev() {
            if random.chance(2) {
                lines.swap(at, random.index(at + 1));
            }
        }
        lines
    }

    /// Records whether the request was answered.
    pub(crate) fn answered(&mut self, lines: Vec<String>, ok: bool) {
        let to = if ok { &mut self.sent } else { &mut self.unanswered };
        to.extend(lines);
    }

    fn line(&self, random: &mut Random, kind: &str, at: u64, fields: &str) -> String {
        let (account, id) = (&self.account, random.next());
        format!(
            r#"{{"type":"{kind}","account":"{account}","event_id":"{id:x}","time":{at},{fields}}}"#
        ) + "\n"
    }

    fn order(&mut self, random: &mut Random, at: u64) -> Vec<String> {
        self.orders += 1;
        let id = format!("O{}", self.orders);
        let symbol = ["AAPL", "MSFT", "BTC/USDT"][random.index(3)];
        let side = ["buy", "sell"][random.index(2)];
        let head = format!(r#""order_id":"{id}","symbol":"{symbol}","side":"{side}""#);
        let submitted = format!(r#"{head},"quantity":10,"expected_price":100"#);
        let mut lines = vec![self.line(random, "order_submitted", at, &submitted)];
        if !random.chance(5) {
            lines.push(self.line(random, "order_accepted", at, &head));
        }
        match random.below(5) {
            0 => lines.push(self.line(random, "order_rejected", at, &head)),
            1 => lines.push(self.line(random, "order_cancelled", at, &head)),
            _ => {
                for fill in 0..=random.below(3) {
                    let price = 95 + random.below(10);
                    let fields = format!(
                        r#"{head},"fill_id":"{fill}","quantity":{},"price":{price},"fee":0.01"#,
                        3 + random.below(3)
                    );
                    lines.push(self.line(random, "order_filled", at, &fields));
                }
            }
        }
        lines
    }

    fn positions(&self, random: &mut Random, at: u64) -> Vec<String> {
        let quantity = random.below(30);
        let row = |quantity: u64| {
            format!(
                r#"[{{"symbol":"AAPL","quantity":{quantity},"average_price":9,"market_price":9}}]"#
            )
        };
        let apart = [0, 0, 1, 14][random.index(4)];
        let sides = [("local", quantity), ("broker", quantity + apart)];
        sides
            .into_iter()
            .map(|(source, quantity)| {
                let fields = format!(r#""source":"{source}","positions":{}"#, row(quantity));
                self.line(random, "positions", at, &fields)
            })
            .collect()
    }
}

/// Decodes lines, all of which must be events.
pub(crate) fn entries(lines: &[String]) -> Vec<Entry> {
    if lines.is_empty() {
        return Vec::new();
    }
    let decoded = decode_ndjson(lines.concat().as_bytes(), &DecodeLimits::default());
    let decoded = decoded.expect("lines");
    assert_eq!(decoded.refused, []);
    decoded.events.into_iter().map(|(_, event)| Entry::Event(event)).collect()
}
