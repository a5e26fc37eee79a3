//! The traffic of an engine: orders that are submitted, accepted and filled, each only once.
//!
//! Each event is a copy of a template whose digits are replaced, so that it costs little more than the
//! copy. Symbols rotate. Times are current, to the microsecond; a batch has one time.

use trading_exporter::clock;
use trading_exporter::wire::time::rfc3339;

/// Symbols that one engine trades.
pub(crate) const SYMBOLS: u64 = 100;
/// Events of a batch, each for another order.
pub(crate) const BATCH_EVENTS: u64 = 1_000;

/// Placeholders in a template for the order number and the symbol number.
const ORDER: &str = "##########";
const SYMBOL: &str = "@@@@@";
/// Placeholder for the time.
const TIME: &str = "TTTT-TT-TTTTT:TT:TT.TTTTTTT";
/// Single events between two readings of the clock.
const EVENTS_OF_ONE_TIME: u64 = 16;

/// Templates of the events of an order, in order.
const KINDS: [&str; 3] = [
    r#"{"type":"order_submitted","account":"paper","order_id":"O-##########","symbol":"SYM@@@@@","side":"buy","quantity":100,"expected_price":187.40,"arrival_price":187.395,"order_type":"limit","limit_price":187.50,"time":"TTTT-TT-TTTTT:TT:TT.TTTTTTT"}"#,
    r#"{"type":"order_accepted","account":"paper","order_id":"O-##########","venue_order_id":"V-##########","symbol":"SYM@@@@@","side":"buy","time":"TTTT-TT-TTTTT:TT:TT.TTTTTTT"}"#,
    r#"{"type":"order_filled","account":"paper","order_id":"O-##########","fill_id":"F-##########","symbol":"SYM@@@@@","side":"buy","quantity":100,"price":187.42,"fee":"0.30","fee_currency":"USD","liquidity":"taker","time":"TTTT-TT-TTTTT:TT:TT.TTTTTTT"}"#,
];

/// An event with the offsets of its placeholders.
struct Template {
    text: Vec<u8>,
    orders: Vec<usize>,
    symbol: usize,
    time: usize,
}

impl Template {
    fn new(text: &str) -> Self {
        let orders = text.match_indices(ORDER).map(|(at, _)| at).collect();
        let symbol = text.find(SYMBOL).expect("a symbol");
        let time = text.find(TIME).expect("a time");
        Self { text: text.as_bytes().to_vec(), orders, symbol, time }
    }

    fn set_time(&mut self, time: &[u8]) {
        let place = self.text.get_mut(self.time..self.time + TIME.len());
        place.expect("a place").copy_from_slice(time);
    }

    fn write(&self, order: u64, symbol: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.text);
        for at in &self.orders {
            digits(order, out.get_mut(start + at..start + at + ORDER.len()));
        }
        digits(symbol, out.get_mut(start + self.symbol..start + self.symbol + SYMBOL.len()));
    }
}

fn digits(mut number: u64, place: Option<&mut [u8]>) {
    for digit in place.expect("a place").iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// An engine: it generates events.
pub(crate) struct Engine {
    kinds: [Template; 3],
    symbols: u64,
    order: u64,
    kind: usize,
    /// Single events so far.
    written: u64,
}

impl Engine {
    /// An engine whose orders are numbered from `first` on.
    pub(crate) fn new(first: u64, symbols: u64) -> Self {
        Self { kinds: KINDS.map(Template::new), symbols, order: first, kind: 0, written: 0 }
    }

    /// Writes the current time into the templates.
    fn update_time(&mut self) {
        let now = clock::now();
        let micros = now.as_nanos() / 1_000 % 1_000_000;
        let text = rfc3339(now);
        let seconds = text.split(['.', 'Z']).next().unwrap_or_default();
        let text = format!("{seconds}.{micros:06}Z");
        self.kinds.iter_mut().for_each(|kind| kind.set_time(text.as_bytes()));
    }

    /// Appends the next event: submission, acceptance and fill of an order, then of the next order.
    pub(crate) fn event(&mut self, out: &mut Vec<u8>) {
        if self.written.is_multiple_of(EVENTS_OF_ONE_TIME) {
            self.update_time();
        }
        self.written += 1;
        self.write(self.order, out);
        self.kind = (self.kind + 1) % self.kinds.len();
        self.order += u64::from(self.kind == 0);
    }

    /// Appends the next batch as NDJSON: the submissions of a thousand orders; the next two batches are
    /// their acceptances and their fills.
    pub(crate) fn batch(&mut self, out: &mut Vec<u8>) {
        self.update_time();
        for order in self.order..self.order + BATCH_EVENTS {
            self.write(order, out);
            out.push(b'\n');
        }
        self.kind = (self.kind + 1) % self.kinds.len();
        if self.kind == 0 {
            self.order += BATCH_EVENTS;
        }
    }

    fn write(&self, order: u64, out: &mut Vec<u8>) {
        let template = self.kinds.get(self.kind).expect("a kind");
        template.write(order, order % self.symbols, out);
    }
}

/// Three bodies with the submissions, the acceptances and the fills of the same orders.
pub(crate) fn cycle(mut engine: Engine) -> Vec<Vec<u8>> {
    let mut body = || {
        let mut body = Vec::new();
        engine.batch(&mut body);
        body
    };
    vec![body(), body(), body()]
}
